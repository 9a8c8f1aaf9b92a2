"""What the pages stand on."""

from dataclasses import dataclass

from mailtypes.clock import Clock
from postwright.sandbox.mailboxes import Mailboxes
from postwright.services.account_changes import AccountChanges
from postwright.services.accounts import Accounts
from postwright.services.audit_log import AuditLog
from postwright.services.campaign_end import CampaignEnds
from postwright.services.campaigns import Campaigns
from postwright.services.comparison import CampaignComparisons
from postwright.services.contact_fields import ContactFields
from postwright.services.contact_lists import ContactLists
from postwright.services.contact_timeline import ContactTimeline
from postwright.services.contacts import Contacts
from postwright.services.destinations import Destinations
from postwright.services.event_search import EventSearch
from postwright.services.experiment_runs import ExperimentRuns
from postwright.services.hygiene_plans import HygienePlans
from postwright.services.hygiene_schedule import HygieneSchedule
from postwright.services.imports import ContactImports
from postwright.services.list_health import ListsHealth
from postwright.services.log import Log
from postwright.services.overview import Overview
from postwright.services.reports import Reports
from postwright.services.segments import Segments
from postwright.services.sender_domains import SenderDomains
from postwright.services.sending_hours import BestSendingHours
from postwright.services.signing_keys import KeyRotation
from postwright.services.statistics import Statistics
from postwright.services.suppression_list import SuppressionList
from postwright.services.templates import Templates
from postwright.services.warm_ups import WarmUps
from postwright.services.webhook_endpoints import Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """The services of one install.

    ``mailboxes`` are the sandbox's, ``None`` where mail goes to the real Internet. ``secure_cookies``: people reach the
    pages by https, so cookies are ``Secure`` and browsers are told to stay with https. ``max_upload`` in octets.
    """

    accounts: Accounts
    account_changes: AccountChanges
    campaigns: Campaigns
    experiment_runs: ExperimentRuns
    statistics: Statistics
    campaign_ends: CampaignEnds
    campaign_comparisons: CampaignComparisons
    best_sending_hours: BestSendingHours
    sender_domains: SenderDomains
    key_rotation: KeyRotation
    reports: Reports
    imports: ContactImports
    contacts: Contacts
    contact_lists: ContactLists
    contact_timeline: ContactTimeline
    contact_fields: ContactFields
    segments: Segments
    suppression_list: SuppressionList
    hygiene_plans: HygienePlans
    hygiene_schedule: HygieneSchedule
    lists_health: ListsHealth
    templates: Templates
    log: Log
    destinations: Destinations
    event_search: EventSearch
    overview: Overview
    audit_log: AuditLog
    webhooks: Webhooks
    clock: Clock
    mailboxes: Mailboxes | None
    secure_cookies: bool
    max_upload: int = 64 * 1024 * 1024
    warm_ups: WarmUps | None = None
