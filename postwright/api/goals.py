"""What recipients did elsewhere, told by API clients."""

from fastapi import APIRouter
from pydantic import AwareDatetime, Field

from mailtypes.clock import SECOND, Microseconds
from postwright.api.callers import Sender
from postwright.api.representations import MESSAGE, Answer, ProblemItem, Text, Wanted, inward_field
from postwright.services.goals import Goal, Goals


class GoalWanted(Wanted):
    """Somebody did something: `name` as you call it, with a value where it has one."""

    address: Text = Field(max_length=512)
    name: Text = Field(max_length=100, pattern=r"\S", description="As purchase, visit or sign_up.")
    occurred_at: AwareDatetime | None = Field(None, strict=False)
    value: float | None = Field(None, allow_inf_nan=False)
    message: str | None = Field(None, max_length=60, description="The message that led there, where you know it.")


class GoalsWanted(Wanted):
    """Up to a thousand at once."""

    events: list[GoalWanted] = Field(min_length=1, max_length=1000)


class GoalsTaken(Answer):
    """How many are in the log now, how many of them are put down to a message, and what was not taken."""

    taken: int
    attributed: int
    refused: list[ProblemItem]


async def tell_goals(wanted: GoalsWanted, caller: Sender) -> GoalsTaken:
    """Tell what people did; put down to the newest message that they got in the week before, or to the one named."""
    goals = [
        Goal(
            one.address,
            one.name.strip(),
            None if one.occurred_at is None else Microseconds(round(one.occurred_at.timestamp() * SECOND)),
            one.value,
            None if one.message is None else inward_field(MESSAGE, one.message, f"events.{number}.message"),
        )
        for number, one in enumerate(wanted.events)
    ]
    services = caller.services
    found = await Goals(services.database, services.clock).take(caller.workspace_id, goals)
    return GoalsTaken(
        taken=found.taken,
        attributed=found.attributed,
        refused=[ProblemItem.of(problem) for problem in found.refused],
    )


def add_goal_routes(router: APIRouter) -> None:
    """The route of what clients tell."""
    router.add_api_route("/events", tell_goals, methods=["POST"])
