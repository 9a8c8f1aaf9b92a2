"""Sign-up forms as their owners make them, and the HTML that puts one on another page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from html import escape
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import Clock
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.confirmations import URL_FIELD, LinkMeans
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.frozen_runs import tracking_base
from postwright.services.page_words import LANGUAGES, Words, words_in
from postwright.services.sign_ups import ADDRESS_FIELD, TRAP_FIELD
from postwright.store import contacts, domains, sign_ups, templates
from postwright.store.database import Database
from postwright.store.sign_ups import Form, NewForm, SignUp
from postwright.store.templates import Template
from tracking.tokens import TokenKind, make
from tracking.urls import form_url

_MOST_LISTS: Final = 20
_MOST_FIELDS: Final = 10
_HEBREW_LABELS: Final = {
    "first_name": "שם פרטי",
    "last_name": "שם משפחה",
    "name": "שם",
    "city": "עיר",
    "phone": "טלפון",
    "company": "חברה",
}
_RESERVED: Final = frozenset({ADDRESS_FIELD, TRAP_FIELD, "language"})


@dataclass(frozen=True, slots=True)
class FormWanted:
    """A form as somebody wants it. ``wording`` is what people agree to, word for word."""

    name: str
    title: str
    wording: str
    list_ids: tuple[int, ...]
    from_address: str
    from_name: str = ""
    language: str = "en"
    fields: tuple[str, ...] = ()
    template_id: int | None = None
    return_url: str = ""


class Forms:
    """Forms of all workspaces."""

    def __init__(self, database: Database, clock: Clock, links: LinkMeans) -> None:
        self._database = database
        self._clock = clock
        self._links = links

    async def create(self, workspace_id: int, wanted: FormWanted) -> Form:
        """Make a form; raises ``RefusedError`` naming everything that is wrong."""
        now = self._clock.now()

        def work(connection: Connection) -> int:
            _check(connection, workspace_id, wanted, None)
            return sign_ups.add_form(connection, workspace_id, _new(wanted), now)

        return await self.get(workspace_id, await self._database.write(work))

    async def change(self, workspace_id: int, form_id: int, changes: Mapping[str, object]) -> Form:
        """Change some of it; raises ``NotFoundError`` and ``RefusedError``."""
        form = await self.get(workspace_id, form_id)
        known = {name: getattr(form, name) for name in (one.name for one in fields(FormWanted)) if hasattr(form, name)}
        before = FormWanted(**known | {"list_ids": form.lists, "fields": form.field_names})
        wanted = replace(before, **changes)  # type: ignore[arg-type]

        def work(connection: Connection) -> None:
            _check(connection, workspace_id, wanted, form)
            sign_ups.change_form(connection, form, _new(wanted))

        await self._database.write(work)
        return await self.get(workspace_id, form_id)

    async def close(self, workspace_id: int, form_id: int) -> None:
        """Take nobody any more by this form; raises ``NotFoundError``."""
        form, now = await self.get(workspace_id, form_id), self._clock.now()
        await self._database.write(partial(sign_ups.close_form, form_id=form.id, now=now))

    async def get(self, workspace_id: int, form_id: int) -> Form:
        """A form; raises ``NotFoundError``."""
        found = await self._database.read(partial(sign_ups.get_form, form_id=form_id))
        if found is None or found.workspace_id != workspace_id:
            raise NotFoundError("form")
        return found

    async def find(self, workspace_id: int, name: str) -> Form:
        """The form of that name; raises ``NotFoundError``."""
        found = await self._database.read(partial(sign_ups.find_form, workspace_id=workspace_id, name=name))
        if found is None:
            raise NotFoundError("form")
        return found

    async def page(self, workspace_id: int, *, after: int = 0, limit: int = 100) -> Sequence[Form]:
        """Forms in the order in which they were made."""
        return await self._database.read(
            lambda connection: sign_ups.list_forms(connection, workspace_id, after=after, limit=limit)
        )

    async def sign_ups(self, form: Form, *, after: int = 0, limit: int = 100) -> Sequence[SignUp]:
        """Who signed up by a form, in that order; who never confirmed is forgotten after seven days."""
        return await self._database.read(
            lambda connection: sign_ups.list_sign_ups(connection, form.id, after=after, limit=limit)
        )

    async def template(self, workspace_id: int, template_id: int) -> Template | None:
        """The template of a form's confirmation mail."""
        return await self._database.read(
            lambda connection: templates.get_template(connection, workspace_id, template_id)
        )

    async def url(self, form: Form) -> str:
        """Where the form is to be found by itself, and where it is sent to."""
        domain_name = EmailAddress.parse(form.from_address).domain.ascii
        domain = await self._database.read(
            partial(domains.find_domain, workspace_id=form.workspace_id, name=domain_name)
        )
        if domain is None:
            raise NotFoundError("sender domain")
        token = make(TokenKind.FORM, form.id, 0, self._links.token_keys)
        return form_url(tracking_base(domain.tracking_host, self._links.public_port), token)

    async def embed(self, form: Form) -> str:
        """The HTML that puts the form on another page: no script, and no style but what hides the trap."""
        return embedded(form, await self.url(form))


def embedded(form: Form, url: str) -> str:
    """The form as HTML for pages of others, a line for each part."""
    words = words_in(form.language)
    lines = [
        f'<form method="post" action="{escape(url)}" accept-charset="utf-8" lang="{words.language}"'
        f' dir="{words.direction}">',
        *(f"  {line}" for line in input_lines(form, words)),
        f'  <p style="white-space:pre-line">{escape(form.wording)}</p>',
        '  <div style="position:absolute;inset-inline-start:-9999px" aria-hidden="true">'
        f"    <label>{escape(words.leave_empty)}"
        f' <input name="{TRAP_FIELD}" tabindex="-1" autocomplete="off"></label>',
        "  </div>",
        f'  <input type="hidden" name="language" value="{words.language}">',
        f"  <button>{escape(words.sign_up)}</button>",
        "</form>",
    ]
    return "\n".join(lines) + "\n"


def input_lines(form: Form, words: Words) -> list[str]:
    """The inputs that people fill in, each with its label."""
    address = (
        f'<label class="line">{escape(words.address)} <input type="email" name="{ADDRESS_FIELD}" required'
        ' maxlength="254" autocomplete="email" dir="ltr"></label>'
    )
    others = (
        f'<label class="line">{escape(_label(name, words))}'
        f' <input type="text" name="{escape(name)}" required maxlength="500"></label>'
        for name in form.field_names
    )
    return [address, *others]


def _label(name: str, words: Words) -> str:
    """What people read above a field: the usual ones in their language, others by their name."""
    return _HEBREW_LABELS.get(name, name) if words.language == "he" else name.replace("_", " ").capitalize()


def _new(wanted: FormWanted) -> NewForm:
    return NewForm(
        name=wanted.name.strip(),
        title=wanted.title.strip(),
        wording=wanted.wording.strip(),
        language=wanted.language,
        list_ids=tuple(dict.fromkeys(wanted.list_ids)),
        fields=tuple(dict.fromkeys(wanted.fields)),
        from_address=wanted.from_address.strip(),
        from_name=wanted.from_name.strip(),
        template_id=wanted.template_id,
        return_url=wanted.return_url.strip(),
    )


def _check(connection: Connection, workspace_id: int, wanted: FormWanted, before: Form | None) -> None:
    problems = [*_faults_of_texts(wanted), *_faults_of_sender(connection, workspace_id, wanted)]
    same = sign_ups.find_form(connection, workspace_id, wanted.name.strip())
    if same is not None and (before is None or same.id != before.id):
        problems.append(Problem("form_exists", say("There is a form of that name already."), "name"))
    lists = [contacts.get_list(connection, workspace_id, one) for one in wanted.list_ids[: _MOST_LISTS + 1]]
    if not 1 <= len(lists) <= _MOST_LISTS or None in lists:
        problems.append(
            Problem(
                "unknown_list",
                say("A form is for 1 to %(most_lists)s lists that exist.", most_lists=_MOST_LISTS),
                "lists",
            )
        )
    if wanted.template_id is not None:
        version = templates.latest_version(connection, wanted.template_id)
        found = templates.get_template(connection, workspace_id, wanted.template_id)
        if found is None or version is None:
            problems.append(Problem("unknown_template", say("There is no such template."), "template"))
        elif URL_FIELD not in version.text.body:
            step = say("Put {{ %(url_field)s }} where the button leads to.", url_field=URL_FIELD)
            problems.append(
                Problem("no_confirm_url", say("The template has no link to confirm by."), "template", "", step)
            )
    if problems:
        raise RefusedError.of(problems)


def _faults_of_texts(wanted: FormWanted) -> list[Problem]:
    problems: list[Problem] = []
    for name, longest in (("name", 100), ("title", 200), ("from_name", 100)):
        text = getattr(wanted, name).strip()
        if not (text or name == "from_name") or len(text) > longest or not text.isprintable():
            sentence = say("This has 1 to %(longest)s characters, all of which can be printed.", longest=longest)
            problems.append(Problem("bad_text", sentence, name))
    if not 1 <= len(wanted.wording.strip()) <= 2000:
        problems.append(Problem("bad_text", say("What people agree to has 1 to 2,000 characters."), "wording"))
    if wanted.language not in LANGUAGES:
        problems.append(
            Problem("unknown_language", say("Write one of: %(known)s.", known=", ".join(LANGUAGES)), "language")
        )
    bad = [one for one in wanted.fields if not one.isidentifier() or len(one) > 60 or one.lower() in _RESERVED]
    if bad or len(wanted.fields) > _MOST_FIELDS:
        sentence = say(
            "A form asks for %(most_fields)s fields at most, named by letters, digits and underscores.",
            most_fields=_MOST_FIELDS,
        )
        problems.append(Problem("bad_field", sentence, "fields"))
    if wanted.return_url and not _is_plain_url(wanted.return_url.strip()):
        problems.append(Problem("bad_url", say("Write an absolute https:// or http:// URL."), "return_url"))
    return problems


def _is_plain_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    has_host = bool(parts.hostname) and "@" not in parts.netloc
    return parts.scheme in {"https", "http"} and has_host and text.isascii() and text.isprintable() and " " not in text


def _faults_of_sender(connection: Connection, workspace_id: int, wanted: FormWanted) -> list[Problem]:
    try:
        author = EmailAddress.parse(wanted.from_address)
    except InputSyntaxError as error:
        return [Problem.of(error, "bad_address", "from_address")]
    if domains.find_domain(connection, workspace_id, author.domain.ascii) is None:
        sentence = say("%(domain)s is not a sender domain of this workspace.", domain=author.domain)
        step = say("Add it first: postwright domain add %(domain)s.", domain=author.domain.ascii)
        return [Problem("unknown_domain", sentence, "from_address", "", step)]
    return []
