"""The web application and the API as one ASGI application."""

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from postwright import __version__
from postwright.api import ApiServices, create_router, install_error_handlers
from postwright.api.limits import RateLimits
from postwright.sandbox.layout import SandboxLayout
from postwright.sandbox.mailboxes import Mailboxes
from postwright.track.visitors import Visitors
from postwright.web import WebServices, create_pages, static_files
from postwright.wiring.application import Application


def create_app(application: Application) -> FastAPI:
    """Pages, API, health and metrics."""
    pages = create_pages(_web_services(application))
    app = FastAPI(
        title="Postwright", version=__version__, docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json"
    )
    app.include_router(create_router(_api_services(application)))
    app.include_router(pages.router)
    app.mount("/static", static_files())
    _add_health(app, application)
    app.add_exception_handler(HTTPException, pages.not_found)
    install_error_handlers(app, max_in_flight=application.settings.api.max_in_flight)
    proxies = application.settings.http.trusted_proxies
    if proxies:
        app.add_middleware(BehindProxies, visitors=Visitors(proxies))
    return app


class BehindProxies:
    """Puts the client that a trusted proxy asks for in the place of the proxy, for all that looks at who asks."""

    def __init__(self, app: ASGIApp, visitors: Visitors) -> None:
        self._app = app
        self._visitors = visitors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; what is none (the lifespan) goes through."""
        if scope["type"] == "http" and scope.get("client"):
            scope["client"] = (self._visitors.read(scope).address, scope["client"][1])
        await self._app(scope, receive, send)


def _api_services(application: Application) -> ApiServices:
    return ApiServices(
        clock=application.clock,
        database=application.database,
        accounts=application.accounts,
        sender_domains=application.sender_domains,
        domain_checks=application.domain_checks,
        reports=application.reports,
        imports=application.imports,
        suppression_list=application.suppression_list,
        templates=application.templates,
        campaigns=application.campaigns,
        log=application.log,
        message_intake=application.message_intake,
        submissions=application.submissions,
        bulks=application.bulks,
        webhooks=application.webhooks,
        limits=RateLimits(application.settings.api.rate_limit),
        max_upload=application.settings.http.max_upload,
        places=application.egress_places,
        link_means=application.link_means,
        ends=application.campaign_ends,
    )


def _web_services(application: Application) -> WebServices:
    folder = application.settings.sandbox.dir
    return WebServices(
        accounts=application.accounts,
        account_changes=application.account_changes,
        campaigns=application.campaigns,
        experiment_runs=application.experiment_runs,
        statistics=application.statistics,
        campaign_ends=application.campaign_ends,
        campaign_comparisons=application.campaign_comparisons,
        best_sending_hours=application.best_sending_hours,
        sender_domains=application.sender_domains,
        key_rotation=application.key_rotation,
        reports=application.reports,
        imports=application.imports,
        contacts=application.contacts,
        contact_lists=application.contact_lists,
        contact_timeline=application.contact_timeline,
        contact_fields=application.contact_fields,
        segments=application.segments,
        suppression_list=application.suppression_list,
        hygiene_plans=application.hygiene_plans,
        hygiene_schedule=application.hygiene_schedule,
        lists_health=application.lists_health,
        templates=application.templates,
        log=application.log,
        destinations=application.destinations,
        event_search=application.event_search,
        overview=application.overview,
        audit_log=application.audit_log,
        webhooks=application.webhooks,
        warm_ups=application.warm_ups,
        clock=application.clock,
        mailboxes=Mailboxes(SandboxLayout.load(folder).mailboxes_path) if folder is not None else None,
        secure_cookies=application.settings.http.public_url.startswith("https://"),
        max_upload=application.settings.http.max_upload,
    )


def _add_health(app: FastAPI, application: Application) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return Response("ok\n", media_type="text/plain")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        try:
            await application.database.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())
        except (SQLAlchemyError, OSError):
            return Response("the database does not answer\n", status_code=503, media_type="text/plain")
        return Response("ready\n", media_type="text/plain")

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
