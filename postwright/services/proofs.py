"""A template sent to oneself for a look, by the way that all mail goes."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.accounts import Client, KeyScope, SignedIn
from postwright.services.errors import Problem, RefusedError
from postwright.services.message_intake import MessageIntake, MessageWanted
from postwright.services.preview_contacts import PreviewContact
from postwright.services.submissions import Answered, StoredMessage, Submissions
from postwright.services.template_parts import whole_text
from postwright.services.template_texts import source_of
from postwright.store import domains, people
from postwright.store.database import Database
from postwright.store.templates import TemplateText
from rendering.compose import Mailbox
from rendering.template import parse_template
from rendering.whole import merged

STREAM = "transactional"
NO_KEY = 0
MARK = "[test] "
"""Begins the subject of every test."""


@dataclass(frozen=True, slots=True)
class ProofWanted:
    """A test mail: who gets it and in whose name; empty: ``test@`` the first verified sender domain."""

    to: str
    from_address: str = ""
    from_name: str = ""


def client_of(signed_in: SignedIn) -> Client:
    """Somebody who is signed in, in the place of an API client."""
    return Client(NO_KEY, signed_in.workspace_id, frozenset({KeyScope.SEND}), signed_in.address)


class Proofs:
    """Tests of all workspaces."""

    def __init__(self, database: Database, intake: MessageIntake, submissions: Submissions) -> None:
        self._database = database
        self._intake = intake
        self._submissions = submissions

    async def send(
        self, client: Client, text: TemplateText, contact: PreviewContact, wanted: ProofWanted
    ) -> StoredMessage:
        """Queue a test; returns when it is durable. Raises ``RefusedError`` where it may not or cannot be sent.

        Tests go to the people of the workspace and to its own sender domains, so that nobody is written to by mistake.
        """
        to = _address(wanted.to, "to")
        whole, allowed, author = await self._database.read(
            partial(self._look, client=client, text=text, to=to, wanted=wanted)
        )
        if not allowed:
            raise RefusedError(
                "not_an_own_address",
                say("%(to)s belongs neither to somebody of this workspace nor to one of its sender domains.", to=to),
                field="to",
                next_step=say("Send the test to your own address, or add its owner: postwright user add."),
            )
        try:
            template = await asyncio.to_thread(parse_template, source_of(whole))
            content = await asyncio.to_thread(merged, template, contact.data)
        except InputSyntaxError as error:
            raise RefusedError.of([Problem.of(error, "cannot_merge", str(getattr(error, "part", "")))]) from error
        message = MessageWanted(
            author=author,
            author_name=wanted.from_name,
            to=(Mailbox(to),),
            subject=MARK + content.subject,
            html=content.html,
            text=content.text,
            tags=("test",),
            stream=STREAM,
            opens=False,
            clicks=False,
        )
        prepared = await self._intake.prepare(client, message)
        if client.key_id == NO_KEY:
            prepared = replace(prepared, new=replace(prepared.new, key_id=None))
        answered = await self._submissions.store(client, [prepared])
        assert not isinstance(answered, Answered)  # nothing was asked under an idempotency key
        (stored,) = answered
        _check_stored(stored, to)
        return stored

    def _look(
        self, connection: Connection, client: Client, text: TemplateText, to: EmailAddress, wanted: ProofWanted
    ) -> tuple[TemplateText, bool, EmailAddress]:
        found = domains.list_domains(connection, client.workspace_id)
        own = {domain.name for domain in found if domain.state == "verified"}
        known = {user.address_key for user in people.list_users(connection, client.workspace_id)}
        author = _address(wanted.from_address, "from") if wanted.from_address.strip() else _author(sorted(own))
        whole = whole_text(connection, client.workspace_id, text).text
        return whole, to.key in known or to.domain.ascii in own, author


def _author(verified: list[str]) -> EmailAddress:
    if not verified:
        raise RefusedError(
            "domain_not_verified",
            say("There is no verified sender domain to send a test from."),
            field="from",
            next_step=say("Add one and publish its records: postwright domain add DOMAIN"),
        )
    return EmailAddress.parse(f"test@{verified[0]}")


def _address(text: str, field: str) -> EmailAddress:
    try:
        return EmailAddress.parse(text.strip())
    except AddressSyntaxError as error:
        raise RefusedError.of([Problem.of(error, "bad_address", field)]) from error


def _check_stored(stored: StoredMessage, to: EmailAddress) -> None:
    if stored.over_quota:
        raise RefusedError("over_quota", say("The key has sent all that it may send today."), field="to")
    if stored.refused:
        raise RefusedError(
            "suppressed",
            say("%(to)s may not be written to: %(reason)s.", to=to, reason=next(iter(stored.refused.values()))),
            field="to",
            next_step=say("Lift the suppression, or send the test to another address."),
        )
