"""Sign-up forms: made, changed, closed, and put on other pages."""

from fastapi import APIRouter, Response
from pydantic import Field

from postwright.api.callers import Caller, Reader, Sender
from postwright.api.cursors import make_page, read_cursor
from postwright.api.parameters import PageQuery
from postwright.api.references import References
from postwright.api.representations import (
    LIST,
    TEMPLATE,
    Answer,
    Kind,
    Moment,
    Page,
    Text,
    Wanted,
    inward,
    inward_field,
    moment,
    optional_moment,
    outward,
)
from postwright.api.sender_checks import check_live_sender
from postwright.services.errors import RefusedError
from postwright.services.forms import Forms, FormWanted
from postwright.store.sign_ups import Form, SignUp

FORM = Kind("frm", "form")
SIGN_UP = Kind("sgn", "sign-up")
_LISTS = "The ids of the lists that whoever confirms is put on."
_WORDING = "What people agree to, word for word; it is kept with each consent."
_TEMPLATE = "The id of a template for the confirmation mail, with `{{ confirm_url }}` in it; none: the built-in one."
_FIELDS = "The names of the fields that the form asks for beside the address."
_RETURN = "Where a link leads to once somebody has confirmed."


class NewFormWanted(Wanted):
    """A form to make."""

    name: Text = Field(max_length=100)
    title: Text = Field(max_length=200, description="What people see above it, and in the mail.")
    wording: Text = Field(max_length=2000, description=_WORDING)
    lists: list[str] = Field(min_length=1, max_length=20, description=_LISTS)
    from_address: Text = Field(max_length=320)
    from_name: Text = Field("", max_length=100)
    language: Text = Field("en", description="`en` or `he`")
    fields: list[Text] = Field(default_factory=list, max_length=10, description=_FIELDS)
    template: str | None = Field(None, description=_TEMPLATE)
    return_url: Text = Field("", max_length=2000, description=_RETURN)


class FormChange(Wanted):
    """What to change of a form; what is left out stays. Who signed up before has agreed to the wording of then."""

    name: Text | None = Field(None, max_length=100)
    title: Text | None = Field(None, max_length=200)
    wording: Text | None = Field(None, max_length=2000, description=_WORDING)
    lists: list[str] | None = Field(None, min_length=1, max_length=20, description=_LISTS)
    from_address: Text | None = Field(None, max_length=320)
    from_name: Text | None = Field(None, max_length=100)
    language: Text | None = Field(None, description="`en` or `he`")
    fields: list[Text] | None = Field(None, max_length=10, description=_FIELDS)
    template: str | None = Field(None, description=_TEMPLATE)
    return_url: Text | None = Field(None, max_length=2000, description=_RETURN)


class FormShown(Answer):
    """A form. `url` is its page, and where the embedded one is sent to."""

    id: str
    name: str
    title: str
    wording: str
    lists: list[str]
    from_address: str
    from_name: str
    language: str
    fields: list[str]
    template: str | None
    return_url: str
    url: str
    created_at: Moment
    closed_at: Moment | None


class EmbeddedForm(Answer):
    """The HTML that puts the form on another page; it needs no script."""

    html: str


class SignUpShown(Answer):
    """Somebody who filled in the form. Who never confirms is forgotten after seven days."""

    id: str
    address: str
    state: str = Field(description="waiting, asked, confirmed or refused")
    cause: str = Field(description="Why no confirmation mail was sent, where that is so.")
    created_at: Moment
    confirmed_at: Moment | None


async def create_form(wanted: NewFormWanted, caller: Sender, response: Response) -> FormShown:
    """Make a form that people sign up by. They are on the lists once they have confirmed it by mail."""
    check_live_sender(caller, wanted.from_address, "from_address")
    template_id = None if wanted.template is None else inward_field(TEMPLATE, wanted.template, "template")
    new = FormWanted(
        name=wanted.name,
        title=wanted.title,
        wording=wanted.wording,
        list_ids=_list_ids(wanted.lists),
        from_address=wanted.from_address,
        from_name=wanted.from_name,
        language=wanted.language,
        fields=tuple(wanted.fields),
        template_id=template_id,
        return_url=wanted.return_url,
    )
    made = await _forms(caller).create(caller.workspace_id, new)
    shown = await _shown(caller, made)
    response.headers["Location"] = f"/v1/forms/{shown.id}"
    return shown


async def list_forms(caller: Reader, query: PageQuery) -> Page[FormShown]:
    """All forms in the order in which they were made."""
    (after,) = read_cursor("forms", query.cursor)
    rows = await _forms(caller).page(caller.workspace_id, after=after, limit=query.limit + 1)
    shown = {one.id: await _shown(caller, one) for one in rows}
    return make_page("forms", rows, query.limit, lambda item: shown[item.id], lambda item: (item.id,), query.cursor)


async def get_form(form_id: str, caller: Reader) -> FormShown:
    """A form."""
    return await _shown(caller, await _forms(caller).get(caller.workspace_id, inward(FORM, form_id)))


async def change_form(form_id: str, wanted: FormChange, caller: Sender) -> FormShown:
    """Change a form."""
    row_id = inward(FORM, form_id)
    await _check_sender_of(caller, row_id)
    if wanted.from_address is not None:
        check_live_sender(caller, wanted.from_address, "from_address")
    given = wanted.model_dump(exclude_unset=True)
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if "lists" in changes:
        changes["list_ids"] = _list_ids(wanted.lists or [])
        del changes["lists"]
    if "fields" in changes:
        changes["fields"] = tuple(wanted.fields or ())
    if "template" in given:
        changes.pop("template", None)
        changes["template_id"] = (
            None if wanted.template is None else inward_field(TEMPLATE, wanted.template, "template")
        )
    return await _shown(caller, await _forms(caller).change(caller.workspace_id, row_id, changes))


async def close_form(form_id: str, caller: Sender) -> Response:
    """Take nobody any more by this form. Who has been asked may still confirm."""
    row_id = inward(FORM, form_id)
    await _check_sender_of(caller, row_id)
    await _forms(caller).close(caller.workspace_id, row_id)
    return Response(status_code=204)


async def embed_form(form_id: str, caller: Reader) -> EmbeddedForm:
    """The HTML that puts the form on another page."""
    found = await _forms(caller).get(caller.workspace_id, inward(FORM, form_id))
    return EmbeddedForm(html=await _forms(caller).embed(found))


async def list_sign_ups(form_id: str, caller: Reader, query: PageQuery) -> Page[SignUpShown]:
    """Who signed up by a form, in that order."""
    found = await _forms(caller).get(caller.workspace_id, inward(FORM, form_id))
    (after,) = read_cursor("sign_ups", query.cursor)
    rows = list(await _forms(caller).sign_ups(found, after=after, limit=query.limit + 1))
    return make_page("sign_ups", rows, query.limit, _sign_up, lambda item: (item.id,), query.cursor)


def add_form_routes(router: APIRouter) -> None:
    """The routes of sign-up forms."""
    router.add_api_route("/forms", create_form, methods=["POST"], status_code=201)
    router.add_api_route("/forms", list_forms, methods=["GET"])
    router.add_api_route("/forms/{form_id}", get_form, methods=["GET"])
    router.add_api_route("/forms/{form_id}", change_form, methods=["PATCH"])
    router.add_api_route("/forms/{form_id}/close", close_form, methods=["POST"], status_code=204)
    router.add_api_route("/forms/{form_id}/embed", embed_form, methods=["GET"])
    router.add_api_route("/forms/{form_id}/sign-ups", list_sign_ups, methods=["GET"])


def _forms(caller: Caller) -> Forms:
    links = caller.services.link_means
    if links is None:
        raise RefusedError("no_links", "This server makes no links to tracking hosts.")
    return Forms(caller.services.database, caller.services.clock, links)


async def _check_sender_of(caller: Caller, form_id: int) -> None:
    """A key that is for other senders neither changes a form nor closes it."""
    found = await _forms(caller).get(caller.workspace_id, form_id)
    check_live_sender(caller, found.from_address, "from_address")


def _list_ids(texts: list[str]) -> tuple[int, ...]:
    return tuple(inward_field(LIST, text, "lists") for text in texts)


async def _shown(caller: Caller, form: Form) -> FormShown:
    references: References = caller.services.references
    lists = await references.list_ids(caller.workspace_id, form.lists)
    return FormShown(
        id=outward(FORM, form.created_at, form.id),
        name=form.name,
        title=form.title,
        wording=form.wording,
        lists=[lists[one] for one in form.lists if one in lists],
        from_address=form.from_address,
        from_name=form.from_name,
        language=form.language,
        fields=list(form.field_names),
        template=await _template(caller, form.template_id),
        return_url=form.return_url,
        url=await _forms(caller).url(form),
        created_at=moment(form.created_at),
        closed_at=optional_moment(form.closed_at),
    )


async def _template(caller: Caller, template_id: int | None) -> str | None:
    if template_id is None:
        return None
    found = await _forms(caller).template(caller.workspace_id, template_id)
    return None if found is None else outward(TEMPLATE, found.created_at, found.id)


def _sign_up(item: SignUp) -> SignUpShown:
    return SignUpShown(
        id=outward(SIGN_UP, item.created_at, item.id),
        address=item.address,
        state=item.state,
        cause=item.cause,
        created_at=moment(item.created_at),
        confirmed_at=optional_moment(item.confirmed_at),
    )
