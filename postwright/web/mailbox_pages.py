"""The sandbox's mailboxes: what arrived, as the receiving side judged it, and each mail as people would see it.

A mail's HTML is somebody else's. It is never part of a page: a frame shows it from an address of its own, whose
policy gives it an origin without rights.
"""

import asyncio

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mailtypes.errors import StorageError
from postwright.sandbox.mailboxes import Mailboxes, MailboxSummary, ReceivedMessage
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.log import address_key
from postwright.web.headers import MAIL_FRAME_POLICY, PAGE_POLICY, UNTRUSTED_MAIL_POLICY
from postwright.web.mail_reading import MAX_SHOWN, read_mail
from postwright.web.site import Site

_PER_PAGE = 50
_VIEWS = ("html", "text", "headers", "source")


class MailboxPages:
    """Pages of the mailboxes; they are the install's, not a workspace's."""

    def __init__(self, site: Site, mailboxes: Mailboxes) -> None:
        self._site = site
        self._mailboxes = mailboxes

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/sandbox", self.index, methods=["GET"])
        router.add_api_route("/sandbox/{message_id}", self.show, methods=["GET"])
        router.add_api_route("/sandbox/{message_id}/html", self.html, methods=["GET"])
        router.add_api_route("/sandbox/{message_id}/source", self.source, methods=["GET"])

    async def index(
        self,
        request: Request,
        provider: str = "",
        address: str = "",
        before: int | None = Query(None, ge=1, lt=1 << 63),
    ) -> Response:
        """What arrived, the newest first."""
        problems: tuple[Problem, ...] = ()
        rcpt = None
        if address.strip():
            try:
                rcpt = address_key(address[:320])
            except RefusedError as error:
                problems = error.problems
        found, summary = await asyncio.to_thread(self._look, rcpt, provider[:100] or None, before)
        context = {
            "messages": [] if problems else found[:_PER_PAGE],
            "has_more": len(found) > _PER_PAGE and not problems,
            "summary": summary,
            "provider": provider[:100],
            "address": address[:320].strip(),
            "problems": problems,
        }
        return self._site.page(request, "mailboxes", context)

    def _look(
        self, rcpt: str | None, provider: str | None, before: int | None
    ) -> tuple[list[ReceivedMessage], MailboxSummary | None]:
        try:
            return self._mailboxes.list_messages(rcpt, provider, _PER_PAGE + 1, before), self._mailboxes.summary()
        except StorageError:
            return [], None  # the sandbox has not been started yet, so there is no file

    async def show(self, request: Request, message_id: int, view: str = "") -> Response:
        """One mail."""
        message, raw = await self._get(message_id)
        mail = await asyncio.to_thread(read_mail, raw)
        chosen = view if view in _VIEWS else "html" if mail.html else "text"
        source = raw.decode("utf-8", "replace") if chosen == "source" else ""
        context = {
            "message": message,
            "mail": mail,
            "view": chosen,
            "plain_text": mail.plain_text[:MAX_SHOWN],
            "source": source[:MAX_SHOWN],
            "is_cut": max(len(source), len(mail.plain_text)) > MAX_SHOWN,
        }
        policy = MAIL_FRAME_POLICY if chosen == "html" else PAGE_POLICY
        return self._site.page(request, "mail", context, policy=policy)

    async def html(self, message_id: int) -> Response:
        """A mail's HTML as it came, for the frame."""
        _, raw = await self._get(message_id)
        mail = await asyncio.to_thread(read_mail, raw)
        return HTMLResponse(mail.html, headers={"Content-Security-Policy": UNTRUSTED_MAIL_POLICY})

    async def source(self, message_id: int) -> Response:
        """A mail as a file."""
        _, raw = await self._get(message_id)
        headers = {"Content-Disposition": f'attachment; filename="message-{message_id}.eml"'}
        return Response(raw, media_type="application/octet-stream", headers=headers)

    async def _get(self, message_id: int) -> tuple[ReceivedMessage, bytes]:
        if not 0 < message_id < 1 << 63:
            raise NotFoundError("mail")
        found = await asyncio.to_thread(self._mailboxes.get, message_id)
        if found is None:
            raise NotFoundError("mail")
        return found
