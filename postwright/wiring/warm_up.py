"""The services of warm-ups."""

from dataclasses import dataclass
from functools import cached_property

from mailtypes.errors import ConfigurationError
from postwright.services.warm_up_days import WarmUpDays
from postwright.services.warm_up_forecast import WarmUpForecasts
from postwright.services.warm_up_release import EgressPlace, WarmUpRelease
from postwright.services.warm_ups import WarmUps
from postwright.wiring.core import Core


@dataclass(frozen=True)
class WarmUpServices(Core):
    """What grows day by day, and what may go out now."""

    @cached_property
    def egress_places(self) -> tuple[EgressPlace, ...]:
        """What mail leaves from, as this install's workers have it; none where nothing is configured."""
        # Not above: the workers' module stands on the whole application.
        from postwright.wiring.delivery import egress_units  # noqa: PLC0415

        try:
            return tuple(EgressPlace(unit.name, unit.pool) for unit in egress_units(self.settings))
        except ConfigurationError:
            return ()

    @cached_property
    def warm_ups(self) -> WarmUps:
        """Warm-ups as people handle them."""
        return WarmUps(self.database, self.clock, self.egress_places)

    @cached_property
    def warm_up_release(self) -> WarmUpRelease:
        """Lets mail out as far as warm-ups allow."""
        return WarmUpRelease(self.database, self.clock, self.egress_places)

    @cached_property
    def warm_up_days(self) -> WarmUpDays:
        """Counts and judges days."""
        return WarmUpDays(self.database, self.clock)

    @cached_property
    def warm_up_forecasts(self) -> WarmUpForecasts:
        """When a run's mail will have gone out."""
        return WarmUpForecasts(self.database, self.clock, self.egress_places)
