"""The services of contacts and lists."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from dns_checks.cache import CachePolicy
from postwright.services.activity_rules import ActivityRules
from postwright.services.contact_fields import ContactFields
from postwright.services.contact_lists import ContactLists
from postwright.services.contact_timeline import ContactTimeline
from postwright.services.contacts import Contacts
from postwright.services.hygiene_plans import HygienePlans
from postwright.services.hygiene_schedule import HygieneSchedule
from postwright.services.imports import ContactImports
from postwright.services.list_health import ListsHealth
from postwright.services.segments import Segments
from postwright.services.suppression_list import SuppressionList
from postwright.wiring.core import Core

_NO_CACHE = CachePolicy(longest_ttl=timedelta(0), longest_negative_ttl=timedelta(0), failure_ttl=timedelta(0))


@dataclass(frozen=True)
class AudienceServices(Core):
    """Whom mail goes to."""

    @cached_property
    def imports(self) -> ContactImports:
        """Contact imports."""
        return ContactImports(self.database, self.clock, test_environment=self.is_sandbox)

    @cached_property
    def contacts(self) -> Contacts:
        """Contacts, one by one and many at once."""
        return Contacts(self.database, self.clock, test_environment=self.is_sandbox)

    @cached_property
    def contact_lists(self) -> ContactLists:
        """The lists that contacts are on, and their tags."""
        return ContactLists(self.database, self.clock)

    @cached_property
    def contact_timeline(self) -> ContactTimeline:
        """What contacts went through."""
        return ContactTimeline(self.database)

    @cached_property
    def contact_fields(self) -> ContactFields:
        """Typed contact fields."""
        return ContactFields(self.database, self.clock)

    @cached_property
    def segments(self) -> Segments:
        """Segments."""
        return Segments(self.database, self.clock)

    @cached_property
    def suppression_list(self) -> SuppressionList:
        """The suppression list."""
        return SuppressionList(self.database, self.clock, test_environment=self.is_sandbox)

    @cached_property
    def hygiene_plans(self) -> HygienePlans:
        """Plans to prune."""
        return HygienePlans(self.database, self.clock)

    @cached_property
    def hygiene_schedule(self) -> HygieneSchedule:
        """How workspaces keep their lists clean, and when."""
        return HygieneSchedule(self.database, self.clock, self.hygiene_plans)

    @cached_property
    def lists_health(self) -> ListsHealth:
        """How lists do."""
        return ListsHealth(self.database, self.clock)

    @property
    def hygiene_steps(self) -> tuple[ActivityRules, HygienePlans, HygieneSchedule, ListsHealth]:
        """What hygiene does beside the scheduler's other work, behind the roll-up of activity."""
        rules = ActivityRules(self.database, self.clock)
        return rules, self.hygiene_plans, self.hygiene_schedule, self.lists_health
