"""HTTP ``/v1``: what API clients see. ``create_router`` and ``install_error_handlers`` make it part of an app."""

from postwright.api.callers import ApiServices
from postwright.api.problems import install_error_handlers
from postwright.api.router import create_router

__all__ = ["ApiServices", "create_router", "install_error_handlers"]
