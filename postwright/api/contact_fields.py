"""Fields with a kind: defined, given other choices, forgotten. All other fields are text."""

from fastapi import APIRouter, Response
from pydantic import Field

from hygiene.segments.fields import FieldDefinition, FieldKind
from postwright.api.callers import Caller, Reader, Sender
from postwright.api.representations import Answer, Text, Wanted
from postwright.services.contact_fields import ContactFields
from postwright.services.errors import NotFoundError

Choices = list[Text]


class FieldWanted(Wanted):
    """A field to define; what contacts have in it already is brought over where it fits."""

    name: Text = Field(max_length=100, pattern=r"\S")
    kind: str = Field(pattern="^(text|number|date|choice|yes_no|rating)$")
    choices: Choices = Field(default_factory=list, max_length=200, description="For the kind choice alone.")


class ChoicesWanted(Wanted):
    """Other choices; what contacts have stays."""

    choices: Choices = Field(min_length=1, max_length=200)


class FieldShown(Answer):
    """A field with a kind."""

    name: str
    kind: str
    choices: list[str]


class DefinedShown(FieldShown):
    """A field that was defined, and how many values were brought over to its kind."""

    brought_over: int


class FieldList(Answer):
    """All fields that have a kind, by name."""

    data: list[FieldShown]


async def list_fields(caller: Reader) -> FieldList:
    """The fields that have a kind; every other field is text."""
    return FieldList(data=[_shown(one) for one in await _fields(caller).definitions(caller.workspace_id)])


async def create_field(wanted: FieldWanted, caller: Sender) -> DefinedShown:
    """Define a field. Values that do not fit its kind stay as they are, and count as none."""
    definition = FieldDefinition(wanted.name, FieldKind(wanted.kind), tuple(wanted.choices))
    changed = await _fields(caller).define(caller.workspace_id, definition)
    return DefinedShown(**_shown(definition).model_dump(), brought_over=changed)


async def get_field(name: str, caller: Reader) -> FieldShown:
    """A field that has a kind."""
    for one in await _fields(caller).definitions(caller.workspace_id):
        if one.name == name:
            return _shown(one)
    raise NotFoundError("contact field")


async def change_field(name: str, wanted: ChoicesWanted, caller: Sender) -> FieldShown:
    """Give a field of the kind choice other choices."""
    return _shown(await _fields(caller).change_choices(caller.workspace_id, name, wanted.choices))


async def delete_field(name: str, caller: Sender) -> Response:
    """Forget the kind of a field: it is text again, and what contacts have stays."""
    await _fields(caller).delete(caller.workspace_id, name)
    return Response(status_code=204)


def add_field_routes(router: APIRouter) -> None:
    """The routes of fields."""
    router.add_api_route("/fields", list_fields, methods=["GET"])
    router.add_api_route("/fields", create_field, methods=["POST"], status_code=201)
    router.add_api_route("/fields/{name}", get_field, methods=["GET"])
    router.add_api_route("/fields/{name}", change_field, methods=["PATCH"])
    router.add_api_route("/fields/{name}", delete_field, methods=["DELETE"], status_code=204)


def _fields(caller: Caller) -> ContactFields:
    return ContactFields(caller.services.database, caller.services.clock)


def _shown(one: FieldDefinition) -> FieldShown:
    return FieldShown(name=one.name, kind=one.kind, choices=list(one.choices))
