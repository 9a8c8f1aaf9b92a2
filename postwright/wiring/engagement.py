"""The services of opens, clicks and unsubscribes."""

import random
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from dns_checks.cache import CachePolicy
from mailtypes.clock import MINUTE, microseconds
from mailtypes.errors import ConfigurationError
from postwright.outbound_http import HttpPolicy, OutboundHttp
from postwright.services.confirmations import LinkMeans
from postwright.services.engagement import Engagement
from postwright.services.engagement_records import Criteria
from postwright.services.forms import Forms
from postwright.services.preferences import Preferences
from postwright.services.sign_ups import SignUps
from postwright.services.statistics import Statistics
from postwright.services.tracking_hosts import TrackingHosts
from postwright.services.verdicts import Verdicts
from postwright.services.webhook_deliveries import DeliveryTerms, WebhookDeliveries
from postwright.services.webhook_endpoints import Webhooks
from postwright.track.asgi import TrackApplication
from postwright.track.desk import TrackDesk
from postwright.track.recipient_desk import RecipientDesk
from postwright.track.visitors import LOOPBACK, Visitors
from postwright.wiring.core import Core
from tracking.verdicts import Networks, shipped_networks
from tracking.verdicts.networks import NetworksSyntaxError

_NO_CACHE = CachePolicy(longest_ttl=timedelta(0), longest_negative_ttl=timedelta(0), failure_ttl=timedelta(0))


@dataclass(frozen=True)
class EngagementServices(Core):
    """What recipients do with their mail, and what follows."""

    @cached_property
    def engagement(self) -> Engagement:
        """Opens, clicks, unsubscribes."""
        return Engagement(self.database, self.clock, self.token_keys, self.tracking_criteria)

    @cached_property
    def tracking_criteria(self) -> Criteria:
        """By what opens and clicks are judged."""
        file, honeypots = self.settings.track.networks_file, self.settings.track.honeypots
        return Criteria(networks=shipped_networks() if file is None else _networks(file), honeypots=honeypots)

    @cached_property
    def verdicts(self) -> Verdicts:
        """Settles who opened and clicked, people or machines."""
        return Verdicts(self.database, self.clock, self.tracking_criteria)

    @cached_property
    def statistics(self) -> Statistics:
        """Counts and rates; its step counts what waits in the log."""
        return Statistics(self.database, self.clock)

    @cached_property
    def webhook_http(self) -> OutboundHttp:
        """What posts webhooks: a client of its own, so that slow endpoints take nobody else's connections."""
        webhooks = self.settings.webhooks
        policy = HttpPolicy(
            whole=webhooks.timeout,
            allow_private=webhooks.allow_private_targets,
            ca_file=webhooks.ca_file,
            port=webhooks.port,
        )
        return OutboundHttp(self.resolver, policy, agent="Postwright-Webhooks")

    @cached_property
    def webhooks(self) -> Webhooks:
        """Endpoints of webhooks."""
        http = self.webhook_http
        return Webhooks(self.database, self.clock, self.master_keys, http.check_url, http)

    @cached_property
    def webhook_deliveries(self) -> WebhookDeliveries:
        """Tells endpoints of events; its step begins that beside the scheduler."""
        webhooks = self.settings.webhooks
        # A lease outlives an answer that is as slow as allowed, and what is stored after it.
        lease = max(2 * MINUTE, 4 * microseconds(webhooks.timeout))
        terms = DeliveryTerms(webhooks.concurrency, webhooks.in_flight, lease, microseconds(webhooks.keep_log))
        parts = (self.database, self.clock, self.webhook_http, self.master_keys)
        return WebhookDeliveries(*parts, random.SystemRandom(), terms)

    @cached_property
    def preferences(self) -> Preferences:
        """What recipients choose by themselves."""
        return Preferences(self.database, self.clock)

    @cached_property
    def sign_ups(self) -> SignUps:
        """Signing up by a form, and confirming that."""
        return SignUps(self.database, self.clock, self.token_keys, test_environment=self.is_sandbox)

    @cached_property
    def link_means(self) -> LinkMeans:
        """What links to our pages are made with."""
        return LinkMeans(self.token_keys, self.settings.track.public_port)

    @cached_property
    def forms(self) -> Forms:
        """Sign-up forms."""
        return Forms(self.database, self.clock, self.link_means)

    @cached_property
    def track_application(self) -> TrackApplication:
        """The tracking endpoints; the journal is opened with the server."""
        track = self.settings.track
        hosts = TrackingHosts(self.database, self.clock, track.hostname)
        desk = TrackDesk(self.engagement, hosts, track.journal_dir)
        recipients = RecipientDesk(self.engagement, self.preferences, self.sign_ups)
        visitors = Visitors((*LOOPBACK, *track.trusted_proxies))
        return TrackApplication(self.engagement, desk, visitors, recipients)


def _networks(file: Path) -> Networks:
    try:
        return Networks.parse(file.read_text("utf-8"), before_shipped=True)
    except (OSError, UnicodeDecodeError, NetworksSyntaxError) as error:
        raise ConfigurationError(f"track.networks_file cannot be read: {error}") from error
