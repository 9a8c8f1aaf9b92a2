"""Pre-flight of campaigns, and sending against what it found."""

from fastapi import APIRouter
from pydantic import Field

from postwright.api.callers import Caller, Reader, Sender
from postwright.api.campaigns import check_sender_of
from postwright.api.representations import (
    CAMPAIGN,
    Answer,
    Moment,
    ProblemItem,
    Text,
    Wanted,
    inward,
    moment,
    optional_moment,
)
from postwright.services.preflight import Preflight
from postwright.services.preflight_overrides import LONGEST_NOTE, OverrideWish
from postwright.store.overrides import PreflightOverride


class OverrideShown(Answer):
    """A finding that somebody overruled: who, why, when, and by whom it was withdrawn. `sentence` is what it said."""

    code: str
    sentence: str
    who: str
    note: str
    made_at: Moment
    withdrawn_at: Moment | None
    withdrawn_by: str | None

    @classmethod
    def of(cls, override: PreflightOverride) -> "OverrideShown":
        """An override for the outside."""
        return cls(
            code=override.code,
            sentence=override.sentence,
            who=override.who,
            note=override.note,
            made_at=moment(override.made_at),
            withdrawn_at=optional_moment(override.withdrawn_at),
            withdrawn_by=override.withdrawn_by or None,
        )


class OverruledShown(Answer):
    """A finding that would block, and the override by which it does not."""

    problem: ProblemItem
    override: OverrideShown


class PreflightShown(Answer):
    """`blocking` problems keep a campaign from being sent, `advisory` ones are to be weighed."""

    may_send: bool
    blocking: list[ProblemItem]
    advisory: list[ProblemItem]
    overridable: list[str] = Field(description="Codes among `blocking` that may be overruled with a reason.")
    overruled: list[OverruledShown] = Field(description="What somebody has overruled for this very content.")
    lapsed: list[OverrideShown] = Field(description="Overrides that no longer hold: they were for another content.")
    recipients: int
    sampled: int = Field(description="How many contacts were merged for the check.")
    layouts: int
    largest_html: int = Field(description="Octets of the largest HTML part.")

    @classmethod
    def of(cls, found: Preflight) -> "PreflightShown":
        """What was found, for the outside."""
        return cls(
            may_send=not found.blocking,
            blocking=[ProblemItem.of(problem) for problem in found.blocking],
            advisory=[ProblemItem.of(problem) for problem in found.advisory],
            overridable=sorted(found.overridable),
            overruled=[
                OverruledShown(problem=ProblemItem.of(one.problem), override=OverrideShown.of(one.override))
                for one in found.overruled
            ],
            lapsed=[OverrideShown.of(one) for one in found.lapsed],
            recipients=found.recipients,
            sampled=found.sampled,
            layouts=found.layouts,
            largest_html=found.largest_html,
        )


class OverrideWanted(Wanted):
    """The codes of blocking findings, and why the campaign may be sent against them."""

    codes: list[Text] = Field(min_length=1, max_length=50)
    note: Text = Field(min_length=1, max_length=LONGEST_NOTE)


class OverridesShown(Answer):
    """Everything that was ever overruled for a campaign, the newest first."""

    items: list[OverrideShown]


async def preflight_campaign(campaign_id: str, caller: Sender) -> PreflightShown:
    """What would keep the campaign from being sent, found on real contacts; nothing is changed."""
    found = await caller.services.campaigns.preflight(caller.workspace_id, inward(CAMPAIGN, campaign_id))
    return PreflightShown.of(found)


async def list_preflight_overrides(campaign_id: str, caller: Reader) -> OverridesShown:
    """Who overruled what, and why; what was withdrawn stays on record."""
    found = await caller.services.campaigns.overrides(caller.workspace_id, inward(CAMPAIGN, campaign_id))
    return OverridesShown(items=[OverrideShown.of(one) for one in found])


async def overrule_preflight(campaign_id: str, wanted: OverrideWanted, caller: Sender) -> PreflightShown:
    """Let a campaign be sent against findings, in the name of the key. A changed template or subject voids it.

    Scheduled and repeated starts go by it, too. Refused for what cannot be sent at all and for what law asks for.
    """
    wish = OverrideWish(frozenset(wanted.codes), _who(caller), wanted.note)
    found = await caller.services.campaigns.overrule(caller.workspace_id, await _campaign(caller, campaign_id), wish)
    return PreflightShown.of(found)


async def withdraw_preflight_override(campaign_id: str, code: str, caller: Sender) -> PreflightShown:
    """Take back what was overruled: it blocks again."""
    found = await caller.services.campaigns.withdraw_override(
        caller.workspace_id, await _campaign(caller, campaign_id), code, _who(caller)
    )
    return PreflightShown.of(found)


def add_preflight_routes(router: APIRouter) -> None:
    """The routes of pre-flight."""
    one = "/campaigns/{campaign_id}"
    router.add_api_route(f"{one}/preflight", preflight_campaign, methods=["POST"])
    router.add_api_route(f"{one}/overrides", list_preflight_overrides, methods=["GET"])
    router.add_api_route(f"{one}/overrides", overrule_preflight, methods=["POST"])
    router.add_api_route(f"{one}/overrides/{{code}}", withdraw_preflight_override, methods=["DELETE"])


async def _campaign(caller: Caller, campaign_id: str) -> int:
    found = inward(CAMPAIGN, campaign_id)
    await check_sender_of(caller, found)
    return found


def _who(caller: Caller) -> str:
    return f"API key {caller.client.name}"
