"""The mail that asks whoever signed up to confirm; sent beside the scheduler, the way that every receipt goes."""

from dataclasses import dataclass, replace
from functools import partial
from html import escape
from typing import Final

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import MINUTE, Clock, Microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.accounts import Client, KeyScope
from postwright.services.errors import RefusedError
from postwright.services.frozen_runs import tracking_base
from postwright.services.message_intake import MessageIntake, MessageWanted, TemplateUse
from postwright.services.page_words import Words, words_in
from postwright.services.sign_ups import CONFIRM_WITHIN
from postwright.services.submissions import PreparedMessage
from postwright.store import consents, domains, messages, sign_ups, suppressions
from postwright.store.contact_facts import NewConsent, append_consents, list_consents
from postwright.store.database import Database
from postwright.store.sign_ups import Form, SignUp
from postwright.store.suppressions import Scope
from rendering.whole import Mailbox
from tracking.tokens import TokenKeys, TokenKind, make
from tracking.urls import confirmation_url

STREAM: Final = "transactional"
URL_FIELD: Final = "confirm_url"
"""What a template of one's own has to have in it."""
_AT_ONCE: Final = 50
_TRY_AGAIN: Final = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class LinkMeans:
    """What links to our pages are made with."""

    token_keys: TokenKeys
    public_port: int


class Confirmations:
    """The step that the scheduler takes."""

    def __init__(self, database: Database, clock: Clock, intake: MessageIntake, links: LinkMeans) -> None:
        self._database = database
        self._clock = clock
        self._intake = intake
        self._links = links
        self._not_before: dict[int, Microseconds] = {}

    async def step(self) -> int:
        """Ask those who wait, forget those who never answered; returns how many there were."""
        now = self._clock.now()
        done = 0
        for sign_up in await self._database.read(partial(sign_ups.waiting, limit=_AT_ONCE)):
            if self._not_before.get(sign_up.form_id, 0) <= now:
                done += await self._ask(sign_up, now)
        over = Microseconds(now - CONFIRM_WITHIN)
        if await self._database.read(partial(sign_ups.has_before, moment=over)):
            done += await self._database.write(partial(sign_ups.end_before, moment=over, limit=_AT_ONCE))
        return done

    async def _ask(self, sign_up: SignUp, now: Microseconds) -> int:
        form = await self._database.read(partial(sign_ups.get_form, form_id=sign_up.form_id))
        assert form is not None  # foreign keys
        try:
            prepared = await self._prepare(sign_up, form)
        except (RefusedError, InputSyntaxError) as error:
            # The sender's own affair (a domain that is not verified, a template that is broken): who waits, waits on.
            self._not_before[form.id] = Microseconds(now + _TRY_AGAIN)
            cause = str(error)[:200]
            await self._database.write(
                lambda connection: sign_ups.move(connection, sign_up.id, ("waiting",), "waiting", cause=cause)
            )
            return 0
        await self._database.write(lambda connection: _store(connection, sign_up, form, prepared, now))
        return 1

    async def _prepare(self, sign_up: SignUp, form: Form) -> PreparedMessage:
        author = EmailAddress.parse(form.from_address)
        host = await self._database.read(partial(_host_of, workspace_id=form.workspace_id, name=author.domain.ascii))
        token = make(TokenKind.CONFIRM, sign_up.id, 0, self._links.token_keys)
        url = confirmation_url(tracking_base(host, self._links.public_port), token)
        client = Client(0, form.workspace_id, frozenset({KeyScope.SEND}), f"form {form.name}")
        prepared = await self._intake.prepare(client, _mail(sign_up, form, author, url))
        return replace(prepared, new=replace(prepared.new, key_id=None, source="form"))


def _host_of(connection: Connection, workspace_id: int, name: str) -> str:
    domain = domains.find_domain(connection, workspace_id, name)
    if domain is None:
        raise RefusedError(
            "unknown_domain",
            say("%(domain)s is not a sender domain of this workspace.", domain=name),
            field="from_address",
        )
    return domain.tracking_host


def _store(connection: Connection, sign_up: SignUp, form: Form, prepared: PreparedMessage, now: Microseconds) -> None:
    """The mail and what it means for the sign-up in one transaction; nothing where the address is suppressed."""
    keys = [sign_up.address_key]
    barred = suppressions.reasons(connection, sign_up.workspace_id, keys, (prepared.stream_id, None), now)
    if barred:
        # Whoever was erased leaves no trace by signing up; for others the operator sees why nothing was sent.
        cause = barred[sign_up.address_key]
        if cause == "erased":
            sign_ups.forget(connection, sign_up.id)
        else:
            sign_ups.move(connection, sign_up.id, ("waiting",), "refused", cause=cause)
        return
    if sign_ups.move(
        connection, sign_up.id, ("waiting",), "asked", asked_at=now, delivery_id=prepared.new.id, cause=""
    ):
        messages.store_messages(connection, [prepared.new], {prepared.new.run_id: prepared.placement}, now)
        _note_pending(connection, sign_up, form)


def _note_pending(connection: Connection, sign_up: SignUp, form: Form) -> None:
    """Contacts that are known already are marked as asked; who is not known becomes one by confirming alone."""
    person = consents.person_of(connection, sign_up.workspace_id, sign_up.address_key)
    if person is None:
        return
    newest = {(one.scope, one.scope_id): one.state for one in list_consents(connection, form.workspace_id, person.id)}
    said = [
        NewConsent(
            person.id, str(Scope.LIST), list_id, "pending", f"form:{form.name}", sign_up.wording, sign_up.created_at,
            sign_up.client_ip or None,
        )
        for list_id in sign_up.lists
        if newest.get((str(Scope.LIST), list_id)) != "given"
    ]  # fmt: skip
    append_consents(connection, form.workspace_id, said)


def _mail(sign_up: SignUp, form: Form, author: EmailAddress, url: str) -> MessageWanted:
    words = words_in(sign_up.language)
    to = (Mailbox(EmailAddress.parse(sign_up.address)),)
    base = MessageWanted(author, form.from_name, to, stream=STREAM, opens=False, clicks=False)
    if form.template_id is not None:
        data = {URL_FIELD: url, "title": form.title, "wording": sign_up.wording, "language": words.language}
        return replace(base, template=TemplateUse(form.template_id, data))
    names = {"title": form.title, "sender": form.from_name or author.text}
    return replace(
        base,
        subject=" ".join(words.mail_subject.format(**names).split())[:200],
        html=_html(words, names, sign_up.wording, url),
        text=_text(words, names, sign_up.wording, url),
    )


def _text(words: Words, names: dict[str, str], wording: str, url: str) -> str:
    parts = (words.mail_greeting, words.mail_text.format(**names), f"    {wording}", url, words.mail_ignore)
    return "\n\n".join(parts) + "\n"


def _html(words: Words, names: dict[str, str], wording: str, url: str) -> str:
    shown = {name: f"<bdi>{escape(text)}</bdi>" for name, text in names.items()}
    start = "right" if words.direction == "rtl" else "left"
    style = f"font:16px/1.5 Arial,sans-serif;color:#1a2233;text-align:{start}"
    button = (
        "display:inline-block;padding:12px 24px;background:#1c4fa1;color:#ffffff;text-decoration:none;font-weight:bold"
    )
    return (
        f'<!doctype html><html lang="{words.language}" dir="{words.direction}"><head><meta charset="utf-8">'
        f"<title>{escape(words.mail_subject.format(**names))}</title></head><body>"
        f'<div dir="{words.direction}" lang="{words.language}" style="{style}">'
        f"<p>{escape(words.mail_greeting)}</p><p>{escape(words.mail_text).format(**shown)}</p>"
        f'<p style="padding:0 16px;border-{start}:4px solid #1c4fa1">{escape(wording)}</p>'
        f'<p><a href="{escape(url)}" style="{button}">{escape(words.mail_button)}</a></p>'
        f"<p>{escape(words.mail_ignore)}</p></div></body></html>"
    )
