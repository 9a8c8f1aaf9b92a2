"""What API clients say of a campaign: whom, when, how often, and what is tested."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from mailtypes.clock import SECOND, Microseconds
from postwright.api.representations import LIST, TEMPLATE, Text, Wanted, inward_field
from postwright.services.audiences import AudienceDraft
from postwright.services.campaign_drafts import CampaignDraft, FrequencyLimit
from postwright.services.campaign_plan import CampaignPlan, SendWindow
from postwright.services.campaign_senders import CampaignSender
from postwright.services.errors import RefusedError
from postwright.services.experiment_terms import ExperimentDraft, VariantDraft

_NAMES = "ABCDE"


class WindowWanted(Wanted):
    """Hours in which mail goes out, on the clock of the plan's zone."""

    first: int = Field(0, ge=0, le=23, description="The first hour.")
    end: int = Field(24, ge=1, le=24, description="The hour at which it ends.")
    days: list[int] = Field([0, 1, 2, 3, 4, 5, 6], max_length=7, description="Days of the week, Monday 0.")


class PlanWanted(Wanted):
    """When it goes out. Without `starts_at`: as soon as it is sent."""

    starts_at: AwareDatetime | None = Field(None, strict=False)
    zone: Text = Field("UTC", max_length=60, description="The sender's time zone, as Asia/Jerusalem.")
    window: WindowWanted | None = None
    local_time: bool = Field(False, description="By each contact's own clock: at the clock time of the start.")


class LimitWanted(Wanted):
    """Whoever got `mails` in the last `days` gets nothing of this campaign."""

    mails: int = Field(ge=1, le=100)
    days: int = Field(ge=1, le=366)


class VariantWanted(Wanted):
    """What differs in one variant; the rest is the campaign's."""

    name: Text | None = Field(None, max_length=50, description="A, B and so on where none is given.")
    subject: Text | None = Field(None, max_length=1000)
    preheader: Text | None = Field(None, max_length=1000)
    from_name: Text | None = Field(None, max_length=200)
    template: str | None = Field(None, max_length=60)
    hour: int | None = Field(None, ge=0, le=23, description="The hour of sending, in the plan's zone.")


class ExperimentWanted(Wanted):
    """A test of two to five variants on a part of the audience; the rest gets the winner."""

    variants: list[VariantWanted] = Field(max_length=5)
    share: float = Field(0.2, gt=0, le=1, description="The part of the audience that is tested.")
    metric: Literal["click", "open", "goal"] = "click"
    wait_hours: float = Field(24, gt=0, le=336, description="The deadline, in hours from the end of the draw.")
    earliest_hours: float = Field(1, ge=0, le=336, description="No decision acts before.")
    default: int = Field(0, ge=0, le=4, description="The number of the variant that goes out where none is better.")
    on_winner: Literal["send", "ask"] = "send"
    at_deadline: Literal["send_default", "ask"] = "send_default"
    mode: Literal["ab", "aa"] = "ab"
    alpha: float = Field(0.05, gt=0, le=0.2)
    margin: float = Field(0.1, gt=0, lt=1, description="A difference below this part of the rate is not worth having.")


class SenderWanted(Wanted):
    """Somebody at the same sender domain who sends a part of it."""

    address: Text = Field(max_length=512)
    name: Text = Field("", max_length=200)
    reply_to: Text | None = Field(None, max_length=512, description="Without one: the campaign's, or the address.")
    share: float = Field(1.0, gt=0, le=1000, description="How much, relative to 1 for `from_address`.")


class NewCampaign(Wanted):
    """A mail to many. `subject` empty: the template's own.

    It goes to `list`, to `audience` (a segment tree), or to those in both, and to nobody in `without`. Unsubscribing is
    from `list`, or from the whole stream where there is none.
    """

    name: Text = Field(max_length=200)
    list: str | None = Field(None, max_length=60, description="The list's id.")
    audience: dict[str, Any] | None = Field(None, description="A segment tree.")
    without: Sequence[dict[str, Any]] = Field([], max_length=20, description="Segment trees that are left out.")
    template: str = Field(max_length=60, description="The template's id.")
    from_address: Text = Field(max_length=512, description="An address at a sender domain of the workspace.")
    from_name: Text = Field("", max_length=200)
    reply_to: Text | None = Field(None, max_length=512)
    other_senders: Sequence[SenderWanted] = Field(
        [], max_length=9, description="Who sends it beside `from_address`; each recipient gets it from one, always."
    )
    subject: Text = Field("", max_length=1000)
    stream: Text = Field("marketing", max_length=100)
    plan: PlanWanted = PlanWanted()
    frequency_limit: LimitWanted | None = None
    experiment: ExperimentWanted | None = None
    longest_hours: float | None = Field(None, ge=1, le=2160, description="How long sending may take in all.")


def draft_of(wanted: NewCampaign) -> CampaignDraft:
    """The draft that a client asks for; ``RefusedError`` for ids that are none."""
    limit = wanted.frequency_limit
    return CampaignDraft(
        name=wanted.name,
        audience=AudienceDraft(
            None if wanted.list is None else inward_field(LIST, wanted.list, "list"),
            wanted.audience,
            tuple(wanted.without),
        ),
        template_id=inward_field(TEMPLATE, wanted.template, "template"),
        from_address=wanted.from_address,
        from_name=wanted.from_name,
        reply_to=wanted.reply_to,
        subject=wanted.subject,
        stream=wanted.stream,
        plan=_plan(wanted.plan),
        frequency_limit=None if limit is None else FrequencyLimit(limit.mails, limit.days),
        experiment=None if wanted.experiment is None else _experiment(wanted.experiment),
        longest=None if wanted.longest_hours is None else timedelta(hours=wanted.longest_hours),
        other_senders=tuple(
            CampaignSender(one.address, one.name, one.reply_to, one.share) for one in wanted.other_senders
        ),
    )


def _plan(wanted: PlanWanted) -> CampaignPlan:
    window = wanted.window
    return CampaignPlan(
        None if wanted.starts_at is None else _microseconds(wanted.starts_at),
        wanted.zone,
        None if window is None else SendWindow(window.first, window.end, tuple(window.days)),
        wanted.local_time,
    )


def _microseconds(at: datetime) -> Microseconds:
    return Microseconds(round(at.timestamp() * SECOND))


def _experiment(wanted: ExperimentWanted) -> ExperimentDraft:
    if len(wanted.variants) > len(_NAMES):
        raise RefusedError("experiment", "A test has at most five variants.", field="experiment.variants")
    return ExperimentDraft(
        variants=tuple(_variant(number, one) for number, one in enumerate(wanted.variants)),
        share=wanted.share,
        metric=wanted.metric,
        wait=wanted.wait_hours,
        earliest=min(wanted.earliest_hours, wanted.wait_hours),
        default=wanted.default,
        on_winner=wanted.on_winner,
        at_deadline=wanted.at_deadline,
        mode=wanted.mode,
        alpha=wanted.alpha,
        margin=wanted.margin,
    )


def _variant(number: int, one: VariantWanted) -> VariantDraft:
    field = f"experiment.variants.{number}.template"
    return VariantDraft(
        one.name or _NAMES[number],
        one.subject,
        one.preheader,
        one.from_name,
        None if one.template is None else inward_field(TEMPLATE, one.template, field),
        one.hour,
    )
