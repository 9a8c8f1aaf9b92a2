"""All pages as one router."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.web.campaign_pages import CampaignPages
from postwright.web.domain_pages import DomainPages
from postwright.web.gate import Gate
from postwright.web.home_page import HomePage
from postwright.web.import_pages import ImportPages
from postwright.web.mailbox_pages import MailboxPages
from postwright.web.message_pages import MessagePages
from postwright.web.sign_in import SignInPages
from postwright.web.site import Site
from postwright.web.template_pages import TemplatePages
from postwright.web.web_services import WebServices


def create_pages(services: WebServices) -> APIRouter:
    """The router with all pages; their static files are mounted beside it at ``/static``."""
    site = Site(services)
    gate = Gate(site)
    router = APIRouter(route_class=gate.route_class(), include_in_schema=False)
    SignInPages(site, gate).add_to(router)
    HomePage(site).add_to(router)
    CampaignPages(site).add_to(router)
    MessagePages(site).add_to(router)
    TemplatePages(site).add_to(router)
    ImportPages(site).add_to(router)
    DomainPages(site).add_to(router)
    if services.mailboxes is not None:
        MailboxPages(site, services.mailboxes).add_to(router)
    return router


def not_found_page(services: WebServices) -> Callable[[Request, Exception], Awaitable[Response]]:
    """The application's exception handler for 404 and 405 outside of the API: an address that no page has."""
    gate = Gate(Site(services))

    async def answer(request: Request, error: Exception) -> Response:
        await gate.recognise(request)
        return gate.dressed(gate.error(request, int(getattr(error, "status_code", 404))))

    return answer
