"""The form of a campaign: what stands in it, and the draft that it asks for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mailtypes.clock import SECOND, Microseconds
from mailtypes.saying import say
from postwright.services.audiences import AudienceDraft
from postwright.services.campaign_drafts import CampaignDraft, FrequencyLimit
from postwright.services.campaign_plan import CampaignPlan, SendWindow
from postwright.services.campaign_senders import CampaignSender, from_json
from postwright.services.errors import Problem, RefusedError
from postwright.services.experiment_terms import ExperimentDraft, VariantDraft
from postwright.store.campaigns import Campaign
from postwright.web.form_numbers import read_number

FIELDS: Final = (
    *("name", "list", "segment", "without", "template", "subject", "from_name", "from_address", "reply_to"),
    "other_senders",
    *("starts_at", "zone", "first_hour", "last_hour", "local_time", "mails", "days"),
    *("tests", "vary", "other", "share", "metric", "wait", "on_winner"),
)
EMPTY: Final[Mapping[str, str]] = {
    **dict.fromkeys(FIELDS, ""),
    "zone": "UTC",
    "vary": "subject",
    "share": "20",
    "metric": "click",
    "wait": "24",
    "on_winner": "send",
}
_MOST_LINES: Final = 50
_VARIED: Final = {"subject": "subject", "preheader": "preheader", "from_name": "from_name"}


def values_of(campaign: Campaign) -> dict[str, str]:
    """What the form shows of a campaign that was made with it."""
    plan = CampaignPlan.from_json(campaign.plan)
    shown = dict(EMPTY) | {
        "name": campaign.name,
        "list": str(campaign.list_id or ""),
        "template": str(campaign.template_id),
        "subject": campaign.subject,
        "from_name": campaign.from_name,
        "from_address": campaign.from_address,
        "reply_to": campaign.reply_to or "",
        "other_senders": "\n".join(_written_sender(one) for one in from_json(campaign.other_senders)),
        "zone": plan.zone,
        "starts_at": "" if plan.starts_at is None else _local(plan.starts_at, plan.zone),
        "local_time": "yes" if plan.local_time else "",
    }
    if plan.window is not None:
        shown |= {"first_hour": str(plan.window.first), "last_hour": str(plan.window.end)}
    if campaign.experiment is not None:
        shown |= _tested(ExperimentDraft.from_json(campaign.experiment))
    return shown


def draft_from(form: Mapping[str, str]) -> CampaignDraft:
    """What the form asks for; ``RefusedError`` for what is no number and no moment."""
    given = {name: str(form.get(name, "")).strip() for name in FIELDS}
    without = [{"segment": given["without"]}] if given["without"] else []
    return CampaignDraft(
        name=given["name"],
        audience=AudienceDraft(
            read_number(given["list"]),
            {"segment": given["segment"]} if given["segment"] else None,
            tuple(without),
        ),
        template_id=read_number(given["template"]) or 0,
        from_address=given["from_address"],
        from_name=given["from_name"],
        reply_to=given["reply_to"] or None,
        subject=given["subject"],
        plan=_plan(given),
        frequency_limit=_limit(given),
        experiment=_experiment(given) if given["tests"] else None,
        other_senders=_senders(given["other_senders"]),
    )


def _written_sender(one: CampaignSender) -> str:
    parts = (one.address, f"{one.share:g}", one.name, one.reply_to or "")
    return ", ".join(parts).rstrip(", ")


def _senders(text: str) -> tuple[CampaignSender, ...]:
    """A line a sender: address, share, name, where answers go; all but the first may be left out."""
    found: list[CampaignSender] = []
    for number, line in enumerate(text.splitlines()[:_MOST_LINES], start=1):
        parts = [part.strip() for part in line.split(",")]
        if not any(parts):
            continue
        share = parts[1] if len(parts) > 1 and parts[1] else "1"
        try:
            found.append(CampaignSender(parts[0], "".join(parts[2:3]), "".join(parts[3:4]) or None, float(share)))
        except ValueError as error:
            problem = Problem(
                "senders",
                say("'%(share)s' is no share.", share=share[:40]),
                "other_senders",
                say("line %(number)s", number=number),
                say("Write address, share, name; as dana@news.example.com, 1, Dana."),
            )
            raise RefusedError.of([problem]) from error
    return tuple(found)


def _plan(given: Mapping[str, str]) -> CampaignPlan:
    window = None
    if given["first_hour"] or given["last_hour"]:
        window = SendWindow(_number(given, "first_hour", "0"), _number(given, "last_hour", "24"))
    zone = given["zone"] or "UTC"
    starts_at = _moment(given["starts_at"], zone) if given["starts_at"] else None
    return CampaignPlan(starts_at, zone, window, bool(given["local_time"]))


def _limit(given: Mapping[str, str]) -> FrequencyLimit | None:
    if not (given["mails"] or given["days"]):
        return None
    return FrequencyLimit(_number(given, "mails", "0"), _number(given, "days", "0"))


def _experiment(given: Mapping[str, str]) -> ExperimentDraft:
    """Two variants: the campaign's own, and one that differs in one thing."""
    field = _VARIED.get(given["vary"], "subject")
    other: dict[str, Any] = {field: given["other"]}
    variants = (VariantDraft("A"), VariantDraft("B", **other))
    return ExperimentDraft(
        variants,
        share=_number(given, "share", "20") / 100,
        metric=given["metric"] or "click",
        wait=float(_number(given, "wait", "24")),
        on_winner=given["on_winner"] or "send",
    )


def _tested(draft: ExperimentDraft) -> dict[str, str]:
    second = draft.variants[1]
    vary = next((name for name, field in _VARIED.items() if getattr(second, field) is not None), "subject")
    return {
        "tests": "yes",
        "vary": vary,
        "other": getattr(second, _VARIED[vary]) or "",
        "share": f"{draft.share * 100:g}",
        "metric": draft.metric,
        "wait": f"{draft.wait:g}",
        "on_winner": draft.on_winner,
    }


def _number(given: Mapping[str, str], name: str, otherwise: str) -> int:
    text = given[name] or otherwise
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise RefusedError.of(
            [Problem("number", say("'%(text)s' is no whole number.", text=text[:40]), name, "", say("Write digits."))]
        )
    return int(text)


def _moment(text: str, zone: str) -> Microseconds:
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
        at = round(moment.timestamp() * SECOND)
    except (ValueError, OSError, OverflowError, ZoneInfoNotFoundError) as error:
        problem = Problem(
            "moment",
            say("'%(text)s' in %(zone)s is no moment.", text=text[:40], zone=zone[:60]),
            "starts_at",
            "",
            say("Pick a date and time."),
        )
        raise RefusedError.of([problem]) from error
    return Microseconds(at)


def _local(at: int, zone: str) -> str:
    return datetime.fromtimestamp(at / SECOND, ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M")
