"""``postwright lint``: what is wrong with templates before anybody gets them; works offline and without an install."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from mailtypes.clock import SystemClock, as_datetime
from postwright.cli.check_ground import Ground, GroundOptions, for_each
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.render import DataOption, LibraryOption, part_of, read_data
from postwright.services.image_facts import ImageLooks
from postwright.services.link_facts import LinkLooks
from postwright.services.mail_checks import MailFacts, compose_mail, judge_mail, sample_urls
from rendering.lint import Finding, LintSubject, SenderFacts, Severity, image_addresses, link_addresses
from rendering.mjml import expand_includes
from rendering.source import TemplateSource
from rendering.template import parse_template

_HTML = frozenset({".html", ".htm"})
_FAILS = {"error": (Severity.ERROR,), "warning": (Severity.ERROR, Severity.WARNING), "advice": tuple(Severity)}
_STREAMS = ("marketing", "transactional")
_ASIDE = Console(stderr=True, highlight=False)


def lint(
    files: list[Path] = typer.Argument(help="Templates (.mjml, .html).", metavar="FILE..."),
    data: Path | None = DataOption,
    subject: str | None = typer.Option(None, help="The subject; may hold merge fields. Without one it is not judged."),
    preheader: str = typer.Option("", help="The line that inboxes show beside the subject."),
    stream: str = typer.Option("marketing", help="marketing or transactional: the latter needs no way out."),
    israel: bool = typer.Option(False, "--israel", help="Judge it as an advertisement by Israeli law."),
    library: Path | None = LibraryOption,
    fail_on: str = typer.Option(
        "error", "--fail-on", help="Exit with 1 from this severity on: error, warning, advice."
    ),
    fetch: bool = typer.Option(
        False,
        "--fetch",
        help="Fetch the images (is each there, how large, in which format?) and ask where the links without merge"
        " values lead. Public addresses only.",
    ),
    as_json: bool = JsonOption,
) -> None:
    """Say what is wrong with templates, with line and column, why, and how to mend it; needs no install."""
    if fail_on not in _FAILS:
        raise typer.BadParameter("--fail-on takes error, warning or advice.")
    if stream not in _STREAMS:
        raise typer.BadParameter("--stream takes marketing or transactional.")
    sender = SenderFacts(
        stream="marketing" if stream == "marketing" else "transactional", advertisement_to_israel=israel
    )
    today = as_datetime(SystemClock().now()).date()
    worst = False
    for file in files:
        with explained():
            known = MailFacts(sender, today=today)
            facts, composed = _composed(file, (subject, preheader), read_data(data), known, library)
        looked_at = _looked_at(composed) if fetch else composed
        with explained():
            mail = judge_mail(looked_at, facts)
        found = tuple(one for one in mail.findings if subject is not None or one.part != "subject")
        worst |= any(finding.severity in _FAILS[fail_on] for finding in found)
        _tell(file, found, as_json=as_json)
    if worst:
        raise typer.Exit(int(Exit.REFUSED))


def _composed(
    file: Path, head: tuple[str | None, str], data: Mapping[str, object], facts: MailFacts, library: Path | None
) -> tuple[MailFacts, LintSubject]:
    written = file.read_text("utf-8")
    is_html = file.suffix.lower() in _HTML
    expanded = None if is_html else expand_includes(written, lambda name: part_of(library, name))
    body = written if expanded is None else expanded.text
    subject, preheader = head
    source = TemplateSource(body, "html" if is_html else "mjml", subject or "", preheader)
    whole = replace(facts, expanded=expanded, written=written)
    return whole, compose_mail(parse_template(source), data, sample_urls("https://links.example.com"), whole)


def _looked_at(subject: LintSubject) -> LintSubject:
    """The mail with what the web says of its images and links."""

    async def look(ground: Ground, mail: LintSubject) -> LintSubject:
        if ground.web is None:
            return mail
        images, links = ImageLooks(ground.web, SystemClock()), LinkLooks(ground.web, SystemClock())
        seen, leading = await asyncio.gather(images.look(image_addresses(mail)), links.look(link_addresses(mail)))
        for address, cause in seen.unknown.items():
            told = f"{address}: nothing is known of this image: {cause}"
            _ASIDE.print(told, markup=False, soft_wrap=True)
        return replace(mail, images=seen.facts, links=leading)

    (looked_at,) = for_each(GroundOptions(None, False), [subject], look)
    return looked_at


def _tell(file: Path, found: tuple[Finding, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(file), "findings": [finding_document(finding) for finding in found]})
        return
    for finding in found:
        place = f":{finding.line}:{finding.column}" if finding.line is not None else ""
        times = f" ({finding.times} times)" if finding.times > 1 else ""
        said = f"{file}{place}: {finding.severity}: {finding.message}{times} [{finding.code}]"
        console.print(f"{said}\n  {finding.why} {finding.next_step}", markup=False, soft_wrap=True)
    counts = {severity: sum(finding.severity is severity for finding in found) for severity in Severity}
    told = ", ".join(f"{number} {severity}" for severity, number in counts.items() if number)
    console.print(f"{file}: {told or 'nothing to mend'}.", markup=False, soft_wrap=True)


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding as JSON."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "why": finding.why,
        "next_step": finding.next_step,
        "part": finding.part,
        "line": finding.line,
        "column": finding.column,
        "measured": finding.measured,
        "limit": finding.limit,
        "unit": finding.unit,
        "times": finding.times,
    }
