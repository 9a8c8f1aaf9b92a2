"""The services that send, and the scheduler."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from dns_checks.cache import CachePolicy
from mailtypes.clock import microseconds
from postwright.second_opinions import SecondOpinionPolicy
from postwright.services.bounces import Bounces
from postwright.services.bulks import Bulks
from postwright.services.campaign_end import CampaignEnds
from postwright.services.campaign_start import CampaignStart
from postwright.services.campaigns import Campaigns
from postwright.services.comparison import CampaignComparisons
from postwright.services.confirmations import Confirmations
from postwright.services.contact_activity import ContactActivity
from postwright.services.destinations import Destinations
from postwright.services.experiment_runs import ExperimentRuns
from postwright.services.failure_notices import FailureNotices
from postwright.services.image_facts import ImageLooks
from postwright.services.immediate_release import ImmediateRelease
from postwright.services.incoming_mail import IncomingMail
from postwright.services.link_facts import LinkLooks
from postwright.services.mail_looks import MailLooks
from postwright.services.message_intake import MessageIntake
from postwright.services.preflight import PreflightCheck, PreflightPolicy
from postwright.services.proofs import Proofs
from postwright.services.retention import Retention, RetentionTerms
from postwright.services.routing import Router
from postwright.services.scheduling import Scheduler, SideStep, SideWork
from postwright.services.sending_hours import BestSendingHours
from postwright.services.sending_places import SendingPlaces
from postwright.services.smtp_submissions import SmtpSubmissions
from postwright.services.submissions import Submissions
from postwright.services.template_checks import TemplateChecks
from postwright.services.templates import Templates
from postwright.wiring.audience import AudienceServices
from postwright.wiring.domains import DomainServices
from postwright.wiring.engagement import EngagementServices
from postwright.wiring.warm_up import WarmUpServices

_NO_CACHE = CachePolicy(longest_ttl=timedelta(0), longest_negative_ttl=timedelta(0), failure_ttl=timedelta(0))


@dataclass(frozen=True)
class SendingServices(DomainServices, AudienceServices, EngagementServices, WarmUpServices):
    """Mail on its way out, and what comes back."""

    @cached_property
    def templates(self) -> Templates:
        """The template library."""
        opinions = self.settings.second_opinions
        policy = SecondOpinionPolicy(
            opinions.spamassassin_place, opinions.rspamd_url, opinions.rspamd_password, opinions.timeout
        )
        track, looks = self.settings.track, MailLooks(self._image_looks, self._link_looks)
        checks = TemplateChecks(self.database, self.clock, track.public_port, policy, looks, honeypots=track.honeypots)
        proofs = Proofs(self.database, self.message_intake, self.submissions)
        return Templates(self.database, self.clock, checks, proofs)

    @property
    def _preflight_policy(self) -> PreflightPolicy:
        return PreflightPolicy(
            self.settings.track.public_port,
            self.platform_name,
            self.settings.preflight.risk_that_blocks,
            self._image_looks,
            self.settings.track.honeypots,
            self._link_looks,
        )

    @cached_property
    def _image_looks(self) -> ImageLooks | None:
        # The sandbox has no web of its own, and asks nothing of the real one.
        wanted = self.settings.preflight.fetch_images and not self.is_sandbox
        return ImageLooks(self.outbound_http, self.clock) if wanted else None

    @cached_property
    def _link_looks(self) -> LinkLooks | None:
        wanted = self.settings.preflight.fetch_links and not self.is_sandbox
        return LinkLooks(self.outbound_http, self.clock) if wanted else None

    @cached_property
    def campaigns(self) -> Campaigns:
        """Campaigns."""
        preflight = PreflightCheck(self.database, self.clock, policy=self._preflight_policy)
        start = CampaignStart(self.database, self.clock, preflight, next(iter(self.feedback_keys)))
        return Campaigns(self.database, self.clock, start)

    @cached_property
    def campaign_ends(self) -> CampaignEnds:
        """When campaigns will be out."""
        return CampaignEnds(self.database, self.clock, self.warm_up_forecasts)

    @cached_property
    def campaign_comparisons(self) -> CampaignComparisons:
        """Campaigns against one's own last ones."""
        return CampaignComparisons(self.database, self.clock)

    @cached_property
    def best_sending_hours(self) -> BestSendingHours:
        """Hours of sending compared."""
        return BestSendingHours(self.database, self.clock)

    @cached_property
    def experiment_runs(self) -> ExperimentRuns:
        """The tests of runs."""
        return ExperimentRuns(self.database, self.clock)

    @cached_property
    def sending_places(self) -> SendingPlaces:
        """Where messages of API clients are queued."""
        return SendingPlaces(self.database, self.clock, next(iter(self.feedback_keys)))

    @cached_property
    def message_intake(self) -> MessageIntake:
        """Prepares messages of API clients."""
        return MessageIntake(self.database, self.clock, self.sending_places, self.feedback_keys)

    @cached_property
    def submissions(self) -> Submissions:
        """Stores what API clients and SMTP submitters hand over."""
        return Submissions(self.database, self.clock, ImmediateRelease(self.egress_places))

    @cached_property
    def bulks(self) -> Bulks:
        """Bulks of API clients."""
        return Bulks(self.database, self.clock, self.sending_places, self.message_intake)

    @cached_property
    def smtp_submissions(self) -> SmtpSubmissions:
        """What comes in by SMTP submission."""
        parts = (self.accounts, self.clock, self.sending_places, self.message_intake, self.submissions)
        return SmtpSubmissions(*parts, self.settings.smtp.hostname)

    @cached_property
    def bounces(self) -> Bounces:
        """Mail to return paths."""
        return Bounces(self.database, self.clock, self.feedback_keys.values())

    @cached_property
    def incoming_mail(self) -> IncomingMail:
        """Mail to our return-path hosts."""
        return IncomingMail(self.bounces, self.reports, self.settings.smtp.report_localpart)

    @cached_property
    def scheduler(self) -> Scheduler:
        """The scheduler's steps."""
        # The sandbox has no web; its policies could not be fetched.
        web = None if self.is_sandbox else self.outbound_http
        router = Router(self.database, self.resolver, self.clock, self.settings.schedule.route_lifetime, web)
        # A worker that was only slow gets one more lease to tell its outcome before anybody sends again.
        wait = microseconds(self.settings.deliver.lease)
        notices = FailureNotices(
            self.database, self.clock, self.sending_places, self.message_intake, self.settings.smtp.hostname
        )
        keep = self.settings.retention
        kept = RetentionTerms(keep.messages, keep.test_mailbox, keep.engagement, keep.events)
        activity = ContactActivity(self.database, self.clock)
        retention = Retention(self.database, self.clock, kept)
        own = (self.campaigns, self.experiment_runs, notices, retention, self.verdicts, activity, self.confirmations)
        counting = (self.warm_up_days, self.statistics, self.webhook_deliveries)
        steps: tuple[SideStep, ...] = (*own, *self.hygiene_steps, *counting)
        beside = SideWork(self.domain_watch, steps, self.warm_up_release)
        return Scheduler(self.database, self.clock, router, self.imports, wait, beside)

    @cached_property
    def confirmations(self) -> Confirmations:
        """The mail that asks whoever signed up to confirm."""
        return Confirmations(self.database, self.clock, self.message_intake, self.link_means)

    @cached_property
    def destinations(self) -> Destinations:
        """The queue by destination."""
        return Destinations(self.database, self.clock, self.campaigns)
