"""The options of ``postwright campaign create`` that say whom, when and what is tested, as services take them."""

import json
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import typer

from mailtypes.clock import SECOND, Microseconds
from postwright.services.campaign_drafts import FrequencyLimit
from postwright.services.campaign_plan import CampaignPlan, SendWindow
from postwright.services.campaign_senders import CampaignSender
from postwright.services.experiment_terms import ExperimentDraft, read_variants

AUDIENCE = typer.Option(None, "--audience", help="A segment tree as JSON, or the name of a file that has one.")
WITHOUT = typer.Option([], "--without", help="A segment whose contacts are left out; may be given again.")
AT = typer.Option(None, "--at", help="When it starts, as 2026-12-01T09:00; in the zone.")
ZONE = typer.Option("UTC", "--zone", help="The sender's time zone, as Asia/Jerusalem.")
HOURS = typer.Option(None, "--hours", help="The hours in which it goes out, as 9-18.")
LOCAL_TIME = typer.Option(False, "--local-time", help="By each contact's own clock.")
LIMIT = typer.Option(None, "--limit", help="Leave out whoever got so many mails in so many days, as 3/7.")
EXPERIMENT = typer.Option(None, "--experiment", exists=True, dir_okay=False, help="What is tested (JSON).")


ALSO_FROM = typer.Option(
    [], "--also-from", help="Who sends a part of it beside --from: address, share, name; may be given again."
)


def read_senders(given: list[str]) -> tuple[CampaignSender, ...]:
    """Address, share (1 where none is given) and name of each."""
    found: list[CampaignSender] = []
    for text in given:
        address, share, name = (*(part.strip() for part in text.split(",", 2)), "", "")[:3]
        try:
            found.append(CampaignSender(address, name, None, float(share or "1")))
        except ValueError as error:
            raise typer.BadParameter(f"'{share}' is no share", param_hint="--also-from") from error
    return tuple(found)


def read_tree(given: str | None) -> object | None:
    """The tree; a usage error where it is no JSON."""
    if given is None:
        return None
    text = given if given.lstrip().startswith("{") else _read(Path(given), "--audience")
    try:
        tree: object = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"that is no JSON: {error}", param_hint="--audience") from error
    return tree


def read_plan(at: str | None, zone: str, hours: str | None, local_time: bool) -> CampaignPlan:
    """When it goes out; usage errors for what is no moment or no hours."""
    return CampaignPlan(None if at is None else _moment(at, zone), zone, _window(hours), local_time)


def read_limit(given: str | None) -> FrequencyLimit | None:
    """So many mails in so many days."""
    if given is None:
        return None
    mails, _, days = given.partition("/")
    if not (mails.isdecimal() and days.isdecimal()):
        raise typer.BadParameter("write mails and days, as 3/7", param_hint="--limit")
    return FrequencyLimit(int(mails), int(days))


def read_experiment_file(path: Path | None) -> ExperimentDraft | None:
    """What is tested: the fields of ``ExperimentDraft`` as JSON."""
    if path is None:
        return None
    try:
        document = json.loads(_read(path, "--experiment"))
        given: dict[str, Any] = dict(document)
        variants = read_variants(given.pop("variants"))
        return ExperimentDraft(variants, **given)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        known = ", ".join(field.name for field in fields(ExperimentDraft))
        hint = f"it has these fields: {known} ({error})"
        raise typer.BadParameter(hint, param_hint="--experiment") from error


def _moment(at: str, zone: str) -> Microseconds:
    try:
        read = datetime.fromisoformat(at)
        moment = read if read.tzinfo is not None else read.replace(tzinfo=ZoneInfo(zone))
    except (ValueError, OSError) as error:
        raise typer.BadParameter(f"'{at}' in {zone} is no moment", param_hint="--at") from error
    return Microseconds(round(moment.timestamp() * SECOND))


def _window(hours: str | None) -> SendWindow | None:
    if hours is None:
        return None
    first, _, end = hours.partition("-")
    if not (first.isdecimal() and end.isdecimal()):
        raise typer.BadParameter("write the first and the last hour, as 9-18", param_hint="--hours")
    return SendWindow(int(first), int(end))


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}", param_hint=option) from error
