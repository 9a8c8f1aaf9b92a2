"""``postwright score``: how risky mails are; works offline and without an install."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from mailtypes.errors import InputSyntaxError
from postwright.cli.check_ground import read_file
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from rendering import Layouts, MessageUrls, TemplateSource, parse_template
from rendering.spam_risk import Band, RiskChanges, ScoredMessage, SpamRisk, assess, compare, read_message

_TEMPLATES = {".mjml": "mjml", ".html": "html", ".htm": "html"}
_URLS = MessageUrls(lambda number: f"https://links.example.com/{number}", "https://links.example.com/unsubscribe")
_WORST = {"medium": (Band.MEDIUM, Band.HIGH), "high": (Band.HIGH,)}
_CAUTION = "A score is a risk signal and no forecast of the inbox."


class SampleDataError(InputSyntaxError):
    """Sample data that are no JSON object."""


def score(
    files: list[Path] = typer.Argument(help="Messages (.eml) or templates (.mjml, .html).", metavar="FILE..."),
    data: Path | None = typer.Option(None, "--data", "-d", help="Sample data for templates: a JSON object."),
    subject: str | None = typer.Option(None, help="The subject of templates; may hold merge fields."),
    earlier: list[Path] = typer.Option([], "--earlier", help="A mail sent earlier, to compare with; repeatable."),
    fail_on: str | None = typer.Option(None, "--fail-on", help="Exit with 1 from this band on: medium or high."),
    as_json: bool = JsonOption,
) -> None:
    """Score mails or templates for their spam risk, with reasons, places and mends; needs no install."""
    if fail_on is not None and fail_on not in _WORST:
        raise typer.BadParameter("--fail-on takes medium or high.")
    with explained():
        values = {} if data is None else _sample_data(data)
        before = [assess(_message(file, values, subject)) for file in earlier]
        risks = [(file, assess(_message(file, values, subject))) for file in files]
    for number, (file, risk) in enumerate(risks):
        changes = compare(risk, before)
        if as_json:
            print_json({"file": str(file), **risk_document(risk, changes)})
        else:
            if number:
                console.print()
            _print(file, risk, changes)
    if any(risk.band in _WORST.get(fail_on or "", ()) for _, risk in risks):
        raise typer.Exit(int(Exit.REFUSED))


def risk_document(risk: SpamRisk, changes: RiskChanges | None = None) -> dict[str, Any]:
    """A score as JSON: ``score``, ``band``, ``reasons``, the points of each block, and what is not known."""
    document: dict[str, Any] = {
        "score": risk.score,
        "band": risk.band,
        "blocks": {
            "content": risk.content,
            "authentication": risk.authentication,
            "infrastructure": risk.infrastructure,
        },
        "baseline": risk.baseline,
        "reasons": [asdict(reason) for reason in risk.reasons],
        "unknown": list(risk.unknown),
    }
    if changes is not None:
        document["changes"] = {
            "compared": changes.compared,
            "usual": changes.usual,
            "difference": changes.difference,
            "new": [reason.code for reason in changes.new],
            "gone": list(changes.gone),
        }
    return document


def _sample_data(path: Path) -> dict[str, Any]:
    text = read_file(path).decode("utf-8")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SampleDataError(f"{path} is not JSON: {error}", next_step="Write a JSON object.") from None
    if not isinstance(found, dict):
        raise SampleDataError(f"{path} is no JSON object", next_step='Write {"contact": {"first_name": "Dana"}}.')
    return found


def _message(path: Path, data: dict[str, Any], subject: str | None) -> ScoredMessage:
    octets = read_file(path)
    body_format = _TEMPLATES.get(path.suffix.lower())
    if body_format is None:
        return read_message(octets)
    source = TemplateSource(octets.decode("utf-8"), "mjml" if body_format == "mjml" else "html", subject or "")
    template = parse_template(source)
    key, values = template.fill(data)
    layout = Layouts(template)[key]
    written = None if subject is None else values.subject
    return ScoredMessage(written, layout.html(values, _URLS), layout.text(values, _URLS))


def _print(file: Path, risk: SpamRisk, changes: RiskChanges | None) -> None:
    console.print(f"{file}: {risk.score:.1f} of 10, {risk.band}.", markup=False, soft_wrap=True)
    table = Table("Points", "Block", "Where", "Reason", "How to mend", box=None)
    for reason in risk.reasons:
        place = reason.place
        where = "" if place is None else f"{place.part} {place.line}:{place.column} {place.excerpt}"
        told = (f"{reason.weight:+.2f}", str(reason.block), where, reason.sentence, reason.mend)
        table.add_row(*map(escape, told))
    if risk.reasons:
        console.print(table)
    if changes is not None:
        console.print(_told(changes), markup=False, soft_wrap=True)
    for sentence in risk.unknown:
        console.print(f"Not known: {sentence}", markup=False, soft_wrap=True)
    console.print(_CAUTION, markup=False)


def _told(changes: RiskChanges) -> str:
    new = ", ".join(reason.code for reason in changes.new) or "nothing"
    gone = ", ".join(changes.gone) or "nothing"
    return (
        f"Against {changes.compared} earlier (usually {changes.usual:.1f}): {changes.difference:+.1f};"
        f" new: {new}; gone: {gone}."
    )
