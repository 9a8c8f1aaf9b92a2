"""What one person may ask for: everything that is kept of them, and that it goes; and lists that people may see."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field

from postwright.api.callers import Admin, Caller, Sender
from postwright.api.representations import LIST, Answer, Text, Wanted, inward
from postwright.services.people_rights import PeopleRights
from postwright.services.preferences import Preferences


class PersonWanted(Wanted):
    """The person, by address."""

    address: Text = Field(max_length=512)


class PersonExport(Answer):
    """Everything that is kept of the person, by kind, as it is stored."""

    address: str
    erased: bool = Field(description="Whether the person was erased, and is never written to again.")
    records: dict[str, Any]


class PersonErased(Answer):
    """How much was forgotten."""

    had_contact: bool
    deliveries: int = Field(description="Deliveries that no longer say to whom.")
    events: int = Field(description="Events that no longer say about whom.")
    messages: int = Field(description="Messages whose content is gone.")
    engagements: int = Field(description="Opens and clicks whose detail is gone.")


class PublicListWanted(Wanted):
    """How people see a list."""

    title: Text = Field(max_length=200)
    description: Text = Field("", max_length=500)


async def export_person(wanted: PersonWanted, caller: Admin) -> PersonExport:
    """Everything that is kept of one person: contact, lists, tags, consents, messages, events, opens and clicks."""
    found = await _rights(caller).export(caller.workspace_id, wanted.address)
    return PersonExport(address=found.pop("address"), erased=found.pop("erased"), records=found)


async def erase_person(wanted: PersonWanted, caller: Admin) -> PersonErased:
    """Erase one person for good. What is queued stops at once, and nothing is ever sent to the address again."""
    done = await _rights(caller).erase(caller.workspace_id, wanted.address)
    return PersonErased(
        had_contact=done.had_contact,
        deliveries=done.deliveries,
        events=done.events,
        messages=done.messages,
        engagements=done.engagements,
    )


async def publish_list(list_id: str, wanted: PublicListWanted, caller: Sender) -> Response:
    """Let people see a list on their preference page."""
    preferences = Preferences(caller.services.database, caller.services.clock)
    await preferences.publish(caller.workspace_id, inward(LIST, list_id), wanted.title, wanted.description)
    return Response(status_code=204)


async def hide_list(list_id: str, caller: Sender) -> Response:
    """Let people see a list no more."""
    preferences = Preferences(caller.services.database, caller.services.clock)
    await preferences.hide(caller.workspace_id, inward(LIST, list_id))
    return Response(status_code=204)


def add_people_routes(router: APIRouter) -> None:
    """The routes of people's rights."""
    router.add_api_route("/people/export", export_person, methods=["POST"])
    router.add_api_route("/people/erase", erase_person, methods=["POST"])
    router.add_api_route("/lists/{list_id}/public", publish_list, methods=["PUT"], status_code=204)
    router.add_api_route("/lists/{list_id}/public", hide_list, methods=["DELETE"], status_code=204)


def _rights(caller: Caller) -> PeopleRights:
    return PeopleRights(caller.services.database, caller.services.clock)
