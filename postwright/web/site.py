"""What all pages share: the templates, who is looking, and the answer in one dress."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from mailtypes.clock import Microseconds
from mailtypes.domain import DomainName
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import Saying
from postwright.services.accounts import Role, SignedIn
from postwright.web import audience_words, event_words, formats, hrefs, language, sayings, words
from postwright.web.headers import PAGE_POLICY
from postwright.web.rail import Place
from postwright.web.script_words import script_words
from postwright.web.static_files import static_url
from postwright.web.web_services import WebServices

_SENDERS = (Role.ADMIN, Role.MARKETER)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is looking, and what that person may do."""

    signed_in: SignedIn

    @property
    def workspace_id(self) -> int:
        """The one workspace whose things are shown."""
        return self.signed_in.workspace_id

    @property
    def workspace(self) -> str:
        """Its name, where the person may change to others; else empty."""
        return dict(self.signed_in.workspaces).get(self.workspace_id, "")

    @property
    def may_change(self) -> bool:
        """Whether anything may be changed; viewers only look."""
        return self.signed_in.role in _SENDERS

    @property
    def is_admin(self) -> bool:
        """Whether sender domains may be added."""
        return self.signed_in.role is Role.ADMIN


class Site:
    """Makes pages out of templates. ``rail`` is filled when all pages are known."""

    def __init__(self, services: WebServices) -> None:
        self.services = services
        self.rail: tuple[Place, ...] = ()
        self._environment = _environment()

    def now(self) -> Microseconds:
        """The present moment."""
        return self.services.clock.now()

    def page(
        self,
        request: Request,
        template: str,
        context: Mapping[str, Any] | None = None,
        *,
        status: int = 200,
        policy: str = PAGE_POLICY,
    ) -> HTMLResponse:
        """A page; ``template`` without its ending."""
        values = {
            "visitor": getattr(request.state, "visitor", None),
            "path": request.url.path,
            "rail": self.rail,
            "speech": language.speech(),
            "now": self.now(),
            "has_mailboxes": self.services.mailboxes is not None,
            "done": words.DONE.get(request.query_params.get("done", ""), ""),
            **(context or {}),
        }
        html = self._environment.get_template(f"{template}.html.jinja").render(values)
        return HTMLResponse(html, status, headers={"Content-Security-Policy": policy})


def visitor_of(request: Request) -> Visitor:
    """Who is looking; the gate has put it there before any page is asked."""
    visitor = request.state.visitor
    assert isinstance(visitor, Visitor)
    return visitor


def local_address(address: str) -> str:
    """An address of this site, or its front page: nobody is led elsewhere by a form."""
    safe = address.startswith("/") and not address.startswith("//") and address.isprintable() and "\\" not in address
    return address if safe else "/"


def go_to(address: str) -> RedirectResponse:
    """On to another page after something was done; 303 turns the POST into a GET (RFC 9110 section 15.4.4)."""
    return RedirectResponse(address, 303)


@cache
def _environment() -> Environment:
    """One for the process: compiled templates are kept in it."""
    environment: Any = Environment(
        extensions=["jinja2.ext.i18n"],
        loader=PackageLoader("postwright.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_in_the_language,
    )
    environment.policies["ext.i18n.trimmed"] = True
    # Messages are marked as safe by the extension, and what is put into them is escaped.
    environment.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)
    for function in (
        formats.offset,
        formats.number,
        formats.moment,
        formats.day,
        formats.short_day,
        formats.iso_moment,
        formats.duration,
        formats.octets,
    ):
        environment.filters[function.__name__] = function
    environment.filters["idn"] = _readable_domain
    environment.filters["told"] = sayings.told
    environment.globals.update(
        ago=formats.ago,
        percent=formats.percent,
        static=static_url,
        word=words.word,
        auth_word=words.auth_word,
        words=words,
        event_words=event_words,
        audience_words=audience_words,
        languages=language.LANGUAGES,
        script_words=script_words,
        **{name: getattr(hrefs, name) for name in dir(hrefs) if name.endswith("_href")},
    )
    made: Environment = environment
    return made


def _in_the_language(shown: object) -> object:
    """What a page shows: a finding that comes straight from its room is said in the language of the page."""
    return sayings.told(shown) if isinstance(shown, Saying) else shown


def _readable_domain(name: str) -> str:
    """A domain in the letters of its language; the page shows the A-labels beside it."""
    try:
        return DomainName.parse(name).unicode
    except InputSyntaxError:
        return name
