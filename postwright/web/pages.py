"""All pages over one router."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from postwright.web.campaign_edit_pages import CampaignEditPages
from postwright.web.campaign_pages import CampaignPages
from postwright.web.campaign_report_pages import CampaignReportPages
from postwright.web.contact_pages import ContactPages
from postwright.web.domain_pages import DomainPages
from postwright.web.event_pages import EventPages
from postwright.web.gate import Gate
from postwright.web.home_page import HomePage
from postwright.web.hygiene_pages import HygienePages, HygieneServices
from postwright.web.import_pages import ImportPages
from postwright.web.language import chosen_speech, speak
from postwright.web.list_pages import ListPages
from postwright.web.mailbox_pages import MailboxPages
from postwright.web.message_pages import MessagePages
from postwright.web.preferences import PreferencePages
from postwright.web.preflight_pages import PreflightPages
from postwright.web.queue_pages import QueuePages
from postwright.web.rail import places_among
from postwright.web.segment_pages import SegmentPages
from postwright.web.sending_hours_pages import SendingHoursPages
from postwright.web.settings_pages import SettingsPages
from postwright.web.sign_in import SignInPages
from postwright.web.site import Site
from postwright.web.suppression_pages import SuppressionPages
from postwright.web.template_pages import TemplatePages
from postwright.web.web_services import WebServices
from postwright.web.webhook_pages import WebhookPages
from postwright.web.welcome_page import WelcomePage


@dataclass(frozen=True, slots=True)
class Pages:
    """All pages; their static files are mounted beside ``router`` at ``/static``.

    ``not_found`` is the application's exception handler for 404 and 405 outside of the API: an address that no page
    has.
    """

    router: APIRouter
    not_found: Callable[[Request, Exception], Awaitable[Response]]


def create_pages(services: WebServices) -> Pages:
    """Build all pages over the services."""
    site = Site(services)
    gate = Gate(site)
    router = APIRouter(route_class=gate.route_class(), include_in_schema=False)
    SignInPages(site, gate).add_to(router)
    PreferencePages(site).add_to(router)
    HomePage(site).add_to(router)
    CampaignEditPages(site).add_to(router)
    SendingHoursPages(site).add_to(router)
    CampaignReportPages(site).add_to(router)
    PreflightPages(site).add_to(router)
    CampaignPages(site).add_to(router)
    MessagePages(site).add_to(router)
    TemplatePages(site).add_to(router)
    ImportPages(site).add_to(router)
    ListPages(site).add_to(router)
    ContactPages(site).add_to(router)
    SegmentPages(site).add_to(router)
    SuppressionPages(site, services.suppression_list).add_to(router)
    hygiene = HygieneServices(services.hygiene_plans, services.hygiene_schedule, services.lists_health)
    HygienePages(site, hygiene).add_to(router)
    DomainPages(site).add_to(router)
    QueuePages(site).add_to(router)
    SettingsPages(site).add_to(router)
    WelcomePage(site).add_to(router)
    EventPages(site).add_to(router)
    WebhookPages(site).add_to(router)
    if services.mailboxes is not None:
        MailboxPages(site, services.mailboxes).add_to(router)
    site.rail = places_among({route.path for route in router.routes if isinstance(route, APIRoute)})
    return Pages(router, _not_found(gate))


def _not_found(gate: Gate) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        speak(chosen_speech(request.cookies, request.headers.get("Accept-Language", "")))
        await gate.recognise(request)
        return gate.dressed(gate.error(request, int(getattr(error, "status_code", 404))))

    return answer
