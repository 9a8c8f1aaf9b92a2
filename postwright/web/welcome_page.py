"""Where a one-time link leads: to choose a password. Nobody is signed in here."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.web.gate import SIGN_IN, WELCOME
from postwright.web.site import Site, go_to

_LONGEST_LINK = 100


class WelcomePage:
    """The form of a link, and what it does."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._changes = site.services.account_changes

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(WELCOME, self.form, methods=["GET"])
        router.add_api_route(WELCOME, self.choose, methods=["POST"])

    async def form(self, request: Request, link: str = "") -> Response:
        """Ask for a password, or say that the link leads nowhere any more."""
        return await self._page(request, link[:_LONGEST_LINK])

    async def choose(self, request: Request) -> Response:
        """Set the password; the link is used up by it."""
        form = request.state.form
        link, password = str(form.get("link", ""))[:_LONGEST_LINK], str(form.get("password", ""))
        try:
            await self._changes.choose_password(link, password)
        except RefusedError as error:
            return await self._page(request, link, error.problems)
        except NotFoundError:
            return await self._page(request, link)
        return go_to(f"{SIGN_IN}?done=password_chosen")

    async def _page(self, request: Request, link: str, problems: tuple[Problem, ...] = ()) -> Response:
        user = await self._changes.invited(link)
        context = {"link": link, "user": user, "problems": problems}
        status = 409 if problems else 200 if user is not None else 410
        response = self._site.page(request, "welcome", context, status=status)
        response.headers["Referrer-Policy"] = "no-referrer"
        return response
