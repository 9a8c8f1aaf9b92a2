"""The web application and the API as one ASGI application."""

from fastapi import FastAPI

from postwright import __version__
from postwright.api.app import create_router, install_error_handlers
from postwright.web.app import create_pages, static_files
from postwright.wiring import Application


def create_app(application: Application) -> FastAPI:
    """Pages, API, health and metrics."""
    app = FastAPI(
        title="Postwright", version=__version__, docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json"
    )
    app.include_router(create_router(_api_services(application)))
    app.include_router(create_pages(_web_services(application)))
    app.mount("/static", static_files())
    install_error_handlers(app)
    _add_health(app, application)
    return app
