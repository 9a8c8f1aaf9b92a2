"""Settings: oneself, people and roles, sessions, API keys, and the audit log."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mailtypes.clock import DAY, Microseconds
from mailtypes.saying import say
from postwright.services.account_changes import LINK_LASTS
from postwright.services.accounts import KeyScope, KeyTerms, Role, key_terms
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.store.audit_log import AuditEntry
from postwright.web.form_numbers import read_number
from postwright.web.gate import WELCOME, ForbiddenError
from postwright.web.language import LANGUAGES, N_, gettext, speech, zones
from postwright.web.site import Site, Visitor, go_to, visitor_of
from postwright.web.tables import Column, csv_file, page_of
from postwright.web.undo import Offer

_TABS = (
    ("/settings", N_("You"), False),
    ("/settings/sessions", N_("Sessions"), False),
    ("/settings/people", N_("People"), True),
    ("/settings/keys", N_("API keys"), True),
    ("/settings/audit", N_("Audit log"), True),
)
_ENTRIES = 50
_EXPORTED = 10_000
_AUDIT: tuple[Column[AuditEntry], ...] = (
    Column("at", N_("When"), lambda entry: entry.at, "moment"),
    Column("who", N_("Who"), lambda entry: entry.who),
    Column("action", N_("What"), lambda entry: entry.action),
    Column("target", N_("Where"), lambda entry: entry.target),
    Column("status", N_("Answer"), lambda entry: entry.status, "count"),
    Column("origin", N_("From"), lambda entry: entry.origin),
)


class SettingsPages:
    """Pages of settings."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._accounts = site.services.accounts
        self._changes = site.services.account_changes

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        for path, page in (("", self.own), ("/sessions", self.sessions), ("/people", self.people)):
            router.add_api_route(f"/settings{path}", page, methods=["GET"])
        for path, page in (("/keys", self.keys), ("/audit", self.audit), ("/audit.csv", self.audit_file)):
            router.add_api_route(f"/settings{path}", page, methods=["GET"])
        for path, act in (
            ("/password", self.change_password),
            ("/sessions/end", self.end_session),
            ("/people", self.invite),
            ("/people/{user_id}/role", self.set_role),
            ("/people/{user_id}/disable", self.disable),
            ("/people/{user_id}/enable", self.enable),
            ("/keys", self.make_key),
            ("/keys/{key_id}/revoke", self.revoke_key),
        ):
            router.add_api_route(f"/settings{path}", act, methods=["POST"])

    async def own(self, request: Request, problems: tuple[Problem, ...] = ()) -> Response:
        """Language, looks, zone, password."""
        context = {"languages": LANGUAGES, "zones": sorted(zones()), "zone": speech().zone}
        return self._page(request, "settings", "/settings", context, problems)

    async def change_password(self, request: Request) -> Response:
        """One's own password."""
        form = request.state.form
        old, new = str(form.get("old", "")), str(form.get("new", ""))
        origin = request.client.host if request.client else ""
        try:
            await self._changes.change_password(visitor_of(request).signed_in, old, new, origin)
        except RefusedError as error:
            return await self.own(request, error.problems)
        return go_to("/settings?done=password")

    async def sessions(self, request: Request) -> Response:
        """One's own sessions; for admins, everybody's."""
        visitor = visitor_of(request)
        found = await self._changes.sessions(visitor.workspace_id)
        shown = [one for one in found if visitor.is_admin or one.user_id == visitor.signed_in.user_id]
        return self._page(request, "settings_sessions", "/settings/sessions", {"sessions": shown})

    async def end_session(self, request: Request) -> Response:
        """End one."""
        signed_in = visitor_of(request).signed_in
        session_id = _number(str(request.state.form.get("session", "")), "session")
        await self._changes.end_session(signed_in, session_id)
        return go_to("/settings/sessions?done=session_ended")

    async def people(
        self, request: Request, problems: tuple[Problem, ...] = (), invited: Mapping[str, str] | None = None
    ) -> Response:
        """Who may do what."""
        visitor = _admin(request)
        context = {
            "users": await self._accounts.users(visitor.workspace_id),
            "roles": [str(role) for role in Role],
            "invited": invited,
            "days": LINK_LASTS.days,
            "offer": _enable_offer(request),
        }
        return self._page(request, "settings_people", "/settings/people", context, problems)

    async def invite(self, request: Request) -> Response:
        """Make a link for somebody; it is shown once, here."""
        visitor, form = _admin(request), request.state.form
        address, role = str(form.get("address", ""))[:254], _role(str(form.get("role", "")))
        try:
            secret = await self._changes.invite(visitor.workspace_id, address, role)
        except RefusedError as error:
            return await self.people(request, error.problems)
        link = str(request.url.replace(path=WELCOME, query=f"link={secret}", fragment=""))
        return await self.people(request, invited={"address": address, "link": link})

    async def set_role(self, request: Request, user_id: str) -> Response:
        """Another role for somebody."""
        visitor, role = _admin(request), _role(str(request.state.form.get("role", "")))
        try:
            await self._changes.set_role(visitor.workspace_id, _number(user_id, "user"), role)
        except RefusedError as error:
            return await self.people(request, error.problems)
        return go_to("/settings/people?done=role")

    async def disable(self, request: Request, user_id: str) -> Response:
        """Shut somebody out."""
        visitor = _admin(request)
        try:
            await self._changes.disable(visitor.workspace_id, _number(user_id, "user"))
        except RefusedError as error:
            return await self.people(request, error.problems)
        return go_to(f"/settings/people?done=disabled&user={_number(user_id, 'user')}")

    async def enable(self, request: Request, user_id: str) -> Response:
        """Let somebody in again."""
        visitor = _admin(request)
        await self._changes.enable(visitor.workspace_id, _number(user_id, "user"))
        return go_to("/settings/people?done=enabled")

    async def keys(self, request: Request, problems: tuple[Problem, ...] = (), made: str = "") -> Response:
        """API keys; ``made`` is shown once."""
        visitor, now = _admin(request), self._site.now()
        found = await self._accounts.keys(visitor.workspace_id)
        context = {
            "keys": [(key, _key_state(key, now)) for key in reversed(found)],
            "scopes": [str(scope) for scope in KeyScope],
            "made": made,
        }
        return self._page(request, "settings_keys", "/settings/keys", context, problems)

    async def make_key(self, request: Request) -> Response:
        """Make a key; the page that answers shows it, and no other ever does."""
        visitor, form = _admin(request), request.state.form
        scope = str(form.get("scope", ""))
        try:
            if scope not in set(KeyScope):
                raise RefusedError("key_scope", say("Choose what the key may do."), field="scope")
            terms = key_terms(str(form.get("domains", ""))[:1000].split(), ())
            days = str(form.get("days", ""))
            ends = Microseconds(self._site.now() + int(days) * DAY) if days in {"30", "90", "365"} else None
            limits = KeyTerms(terms.domains, is_test=form.get("test") == "yes", expires_at=ends)
            name = str(form.get("name", ""))
            _, key = await self._accounts.create_key(visitor.workspace_id, name, frozenset({KeyScope(scope)}), limits)
        except RefusedError as error:
            return await self.keys(request, error.problems)
        return await self.keys(request, made=key)

    async def revoke_key(self, request: Request, key_id: str) -> Response:
        """End a key at once."""
        await self._accounts.revoke_key(_admin(request).workspace_id, _number(key_id, "API key"))
        return go_to("/settings/keys?done=key_revoked")

    async def audit(self, request: Request, who: str = "", before: str = "") -> Response:
        """Who changed what, the newest first."""
        visitor = _admin(request)
        place = _number(before, "entry") if before else 0
        log = self._site.services.audit_log
        found = await log.newest(visitor.workspace_id, who=who[:300], before=place, limit=_ENTRIES + 1)
        shown = found[:_ENTRIES]
        later = {"before": str(shown[-1].id), **({"who": who} if who else {})} if len(found) > _ENTRIES else None
        view = page_of(
            request,
            _AUDIT,
            shown,
            later=later,
            csv_path="/settings/audit.csv",
        )
        return self._page(request, "settings_audit", "/settings/audit", {"view": view, "who": who[:300]})

    async def audit_file(self, request: Request) -> Response:
        """The newest 10,000 entries as a file."""
        found = await self._site.services.audit_log.newest(_admin(request).workspace_id, limit=_EXPORTED)
        return csv_file(_AUDIT, found, "audit.csv")

    def _page(
        self,
        request: Request,
        template: str,
        here: str,
        context: Mapping[str, Any],
        problems: tuple[Problem, ...] = (),
    ) -> Response:
        is_admin = visitor_of(request).is_admin
        tabs = [(href, gettext(title), href == here) for href, title, for_admins in _TABS if is_admin or not for_admins]
        values = {"tabs": tabs, "problems": problems, **context}
        return self._site.page(request, template, values, status=409 if problems else 200)


def _admin(request: Request) -> Visitor:
    visitor = visitor_of(request)
    if not visitor.is_admin:
        raise ForbiddenError(gettext("Only an admin sees and changes this."))
    return visitor


def _role(text: str) -> Role:
    if text not in set(Role):
        raise NotFoundError("role")
    return Role(text)


def _number(text: str, what: str) -> int:
    found = read_number(text)
    if found is None:
        raise NotFoundError(what)
    return found


def _enable_offer(request: Request) -> Offer | None:
    user_id = read_number(request.query_params.get("user"))
    if request.query_params.get("done") != "disabled" or user_id is None:
        return None
    sentence = gettext("This person can sign in no more, and all of their sessions have ended.")
    return Offer(f"/settings/people/{user_id}/enable", sentence)


def _key_state(key: Any, now: int) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "open"
