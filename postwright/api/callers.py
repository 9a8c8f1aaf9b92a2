"""Who calls: bearer keys (RFC 6750) are checked before anything of a request is read, scopes before it is done."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from mailtypes.clock import Clock
from postwright.api.edge import edge_of
from postwright.api.json_values import CheckedRequest
from postwright.api.limits import LimitHeaders, RateLimits
from postwright.api.references import References
from postwright.services.accounts import Accounts, Client, KeyScope
from postwright.services.audit_log import AuditLog
from postwright.services.bulks import Bulks
from postwright.services.campaign_end import CampaignEnds
from postwright.services.campaigns import Campaigns
from postwright.services.comparison import CampaignComparisons
from postwright.services.confirmations import LinkMeans
from postwright.services.domain_checks import DomainChecks
from postwright.services.hygiene_plans import HygienePlans
from postwright.services.hygiene_schedule import HygieneSchedule
from postwright.services.imports import ContactImports
from postwright.services.list_health import ListsHealth
from postwright.services.log import Log
from postwright.services.message_intake import MessageIntake
from postwright.services.reports import Reports
from postwright.services.sender_domains import SenderDomains
from postwright.services.sending_hours import BestSendingHours
from postwright.services.sent_messages import SentMessages
from postwright.services.submissions import Submissions
from postwright.services.suppression_list import SuppressionList
from postwright.services.templates import Templates
from postwright.services.warm_up_forecast import WarmUpForecasts
from postwright.services.warm_up_release import EgressPlace
from postwright.services.warm_ups import WarmUps
from postwright.services.webhook_endpoints import Webhooks
from postwright.store.audit_log import NewAuditEntry
from postwright.store.database import Database

_LONGEST_KEY = 200


_HANDING_OVER = ("/messages", "/bulks")
"""Routes that take mail, a thousand a second where need be."""


@dataclass(frozen=True, slots=True)
class ApiServices:
    """What the API stands on; ``max_upload`` is the largest import file in octets."""

    clock: Clock
    database: Database
    accounts: Accounts
    sender_domains: SenderDomains
    domain_checks: DomainChecks
    reports: Reports
    imports: ContactImports
    suppression_list: SuppressionList
    templates: Templates
    campaigns: Campaigns
    log: Log
    message_intake: MessageIntake
    submissions: Submissions
    bulks: Bulks
    webhooks: Webhooks
    limits: RateLimits
    max_upload: int = 64 * 1024 * 1024
    places: tuple[EgressPlace, ...] = ()
    link_means: LinkMeans | None = None
    ends: CampaignEnds | None = None

    @property
    def campaign_ends(self) -> CampaignEnds:
        """When campaigns will be out."""
        return self.ends or CampaignEnds(
            self.database, self.clock, WarmUpForecasts(self.database, self.clock, self.places)
        )

    @property
    def campaign_comparisons(self) -> CampaignComparisons:
        """Campaigns against one's own last ones."""
        return CampaignComparisons(self.database, self.clock)

    @property
    def best_sending_hours(self) -> BestSendingHours:
        """Hours of sending compared."""
        return BestSendingHours(self.database, self.clock)

    @property
    def warm_ups(self) -> WarmUps:
        """Warm-ups of sender domains and of the places that mail leaves from."""
        return WarmUps(self.database, self.clock, self.places)

    @property
    def hygiene_plans(self) -> HygienePlans:
        """Plans to prune."""
        return HygienePlans(self.database, self.clock)

    @property
    def hygiene_schedule(self) -> HygieneSchedule:
        """How a workspace keeps its lists clean."""
        return HygieneSchedule(self.database, self.clock, self.hygiene_plans)

    @property
    def lists_health(self) -> ListsHealth:
        """How lists do."""
        return ListsHealth(self.database, self.clock)

    @property
    def references(self) -> References:
        """Names and ids of what an answer refers to."""
        return References(self.database)

    @property
    def sent_messages(self) -> SentMessages:
        """Messages that were handed over, and what can still be done about them."""
        return SentMessages(self.database, self.clock)


@dataclass(frozen=True, slots=True)
class Caller:
    """An API client in the middle of a request."""

    services: ApiServices
    client: Client

    @property
    def workspace_id(self) -> int:
        """The workspace whose key was shown."""
        return self.client.workspace_id


class NotAuthenticatedError(Exception):
    """No good key was shown; ``was_shown`` tells whether there was any."""

    def __init__(self, *, was_shown: bool) -> None:
        super().__init__(
            "The API key is not known, has expired or was revoked." if was_shown else "The request shows no API key."
        )
        self.was_shown = was_shown


class MissingScopeError(Exception):
    """The key is good, but not for this."""

    def __init__(self, scope: KeyScope) -> None:
        super().__init__(f"The API key lacks the scope '{scope}'.")
        self.scope = scope


def authenticated_route(services: ApiServices) -> type[APIRoute]:
    """A route class that knows its caller before a single octet of the body is read."""

    class AuthenticatedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def authenticate_and_handle(request: Request) -> Response:
                request = CheckedRequest(request.scope, request.receive)
                client = await _client(services.accounts, request)
                request.state.caller = Caller(services, client)
                edge = edge_of(request.scope)
                edge.client_name = client.name
                headers, left = LimitHeaders(services.limits, services.clock, services.database), 0
                try:
                    left = services.limits.take(client, services.clock.now()) or 0
                    response = await _handled(handler, request)
                    await _write_down(services, client, request, response.status_code)
                    return response
                finally:
                    edge.headers |= await headers.of(client, left)

            return authenticate_and_handle

    return AuthenticatedRoute


async def _handled(handler: Callable[[Request], Coroutine[Any, Any, Response]], request: Request) -> Response:
    try:
        return await handler(request)
    except HTTPException as error:
        if isinstance(error.__cause__, RequestValidationError):
            raise error.__cause__ from None  # FastAPI hides what reading the body found behind a bare 400
        raise


async def _write_down(services: ApiServices, client: Client, request: Request, status: int) -> None:
    """What a key changed; mail that it hands over is told of by an event each."""
    route = getattr(request.scope.get("route"), "path", request.url.path)
    if request.method in {"GET", "HEAD"} or any(part in route for part in _HANDING_OVER):
        return
    origin = request.client.host if request.client else ""
    action = f"{request.method} {route}"
    entry = NewAuditEntry(client.workspace_id, 0, client.name, "api", action, request.url.path, status, origin)
    await AuditLog(services.database, services.clock).note(entry)


async def _client(accounts: Accounts, request: Request) -> Client:
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    key = key.strip()
    if kind.lower() != "bearer" or not key:
        raise NotAuthenticatedError(was_shown=False)
    client = await accounts.client(key) if len(key) <= _LONGEST_KEY else None
    if client is None:
        raise NotAuthenticatedError(was_shown=True)
    return client


_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="apiKey",
    bearerFormat="pw_live_...",
    description="An API key of the workspace, as `postwright apikey` or `POST /v1/api-keys` made it.",
)


def _requires(scope: KeyScope) -> Callable[..., Awaitable[Caller]]:
    async def caller_with_scope(
        request: Request,
        _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> Caller:
        caller: Caller = request.state.caller
        if scope not in caller.client.scopes:
            raise MissingScopeError(scope)
        return caller

    return caller_with_scope


Reader = Annotated[Caller, Depends(_requires(KeyScope.READ))]
Sender = Annotated[Caller, Depends(_requires(KeyScope.SEND))]
Admin = Annotated[Caller, Depends(_requires(KeyScope.ADMIN))]
