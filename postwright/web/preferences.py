"""How somebody wants the pages: language, looks, zone. Kept in cookies of the browser."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.web.gate import PREFERENCES
from postwright.web.language import LANGUAGE_COOKIE, LANGUAGES, THEME_COOKIE, THEMES, ZONE_COOKIE, zones
from postwright.web.site import Site, go_to, local_address

_KEPT = 400 * 24 * 3600  # seconds; browsers keep nothing longer (RFC 6265bis section 5.5)


class PreferencePages:
    """The form's target; the forms are in the rail, on the page of settings and under the sign-in."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route(PREFERENCES, self.save, methods=["POST"])

    async def save(self, request: Request) -> Response:
        """Keep whatever the form names and is known, and go back."""
        form = request.state.form
        response = go_to(local_address(str(form.get("back", "/"))))
        known = (
            (LANGUAGE_COOKIE, "language", LANGUAGES),
            (THEME_COOKIE, "theme", THEMES),
            (ZONE_COOKIE, "zone", zones()),
        )
        for cookie, name, values in known:
            value = form.get(name)
            if isinstance(value, str) and value in values:
                response.set_cookie(
                    cookie,
                    value.replace("/", "%2F"),
                    max_age=_KEPT,
                    path="/",
                    secure=self._site.services.secure_cookies,
                    samesite="lax",
                )
        return response
