"""What checks found, for people: a line for each finding, the next step under it."""

from collections.abc import Iterable, Sequence

from rich.markup import escape

from dns_checks.audit import PROVIDERS, AuditReport, RequirementState
from dns_checks.bimi import SvgReport
from dns_checks.dkim import DkimVerdict
from dns_checks.findings import ASK_AGAIN, CheckFinding, Mark, Severity
from dns_checks.message import MessageVerdict
from dns_checks.reports import AggregateReport, FailureReport, Report
from dns_checks.spf import SpfVerdict
from mailtypes.auth import Finding
from mailtypes.clock import as_datetime
from postwright.cli.printing import console
from postwright.starttls_probe import HostTls

GOOD, BAD, UNKNOWN = "[green]✓[/]", "[red]✗[/]", "[dim]?[/]"
_WARNING, _NOTE = "[yellow]![/]", "[dim]·[/]"
_TOPICS = {
    "spf": "SPF",
    "dkim": "DKIM",
    "dmarc": "DMARC",
    "mx": "Mail hosts (MX)",
    "ptr": "Reverse names (PTR)",
    "mta_sts": "MTA-STS",
    "tls_rpt": "TLS reports",
    "tlsa": "DANE (TLSA)",
    "bimi": "BIMI",
    "svg": "BIMI logo",
    "dnsbl": "Block lists",
}
_STATES = {RequirementState.PASS: GOOD, RequirementState.FAIL: BAD, RequirementState.UNKNOWN: UNKNOWN}
_MARK_WIDTH = 100
_DKIM_STEPS = {
    "none": "Sign the mail: DMARC then survives forwarding.",
    "fail": "Look for what changes mail behind the signer: a footer, a gateway, another key.",
    "temperror": ASK_AGAIN,
}


def line(mark: str, sentence: str, next_step: str = "") -> None:
    """One finding."""
    console.print(f"{mark} {_safe(sentence)}", soft_wrap=True)
    if next_step:
        console.print(f"  {_safe(next_step)}", style="dim", soft_wrap=True)


def heading(text: str) -> None:
    """What the lines that follow are about."""
    console.print(f"[bold]{_safe(text)}[/]", soft_wrap=True)


def _safe(text: str) -> str:
    """What others wrote is no markup and moves no cursor."""
    return escape("".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text))


def _mark_of(finding: CheckFinding) -> str:
    if finding.state is Finding.PRESENT:
        return GOOD
    if finding.state is Finding.UNKNOWN:
        return UNKNOWN
    return {Severity.ERROR: BAD, Severity.WARNING: _WARNING, Severity.INFO: _NOTE}[finding.severity]


def print_findings(findings: Iterable[CheckFinding], verbose: bool = False) -> None:
    """A line for each, with the place in the record and, where wanted, the queries."""
    for finding in findings:
        is_good = finding.state is Finding.PRESENT
        line(_mark_of(finding), finding.sentence)
        if finding.mark is not None and not is_good:
            _print_mark(finding.mark)
        if finding.next_step and not is_good:
            console.print(f"  {_safe(finding.next_step)}", style="dim", soft_wrap=True)
        if verbose:
            for one in finding.evidence:
                console.print(f"  {_safe(one.question)} → {_safe(one.answer)}", style="dim", soft_wrap=True)


def _print_mark(mark: Mark) -> None:
    """The record around the place, with carets under it."""
    start = max(0, mark.span.start - _MARK_WIDTH // 2)
    shown = mark.text[start : start + _MARK_WIDTH]
    width = max(1, min(mark.span.end, start + len(shown)) - mark.span.start)
    lead = "…" if start else ""
    tail = "…" if start + len(shown) < len(mark.text) else ""
    console.print(f"    {lead}{_safe(shown)}{tail}", soft_wrap=True)
    console.print(" " * (4 + len(lead) + mark.span.start - start) + "^" * width, style="red", soft_wrap=True)


def print_audit(report: AuditReport, hosts: Sequence[HostTls], verbose: bool) -> None:
    """All findings by topic, those on the mail hosts that were spoken to, then what providers refuse."""
    console.print(f"[bold]{report.domain.ascii}[/]")
    by_topic: dict[str, list[CheckFinding]] = {}
    for finding in report.findings:
        by_topic.setdefault(finding.topic, []).append(finding)
    for topic, findings in by_topic.items():
        console.print()
        heading(_TOPICS.get(topic, topic))
        print_findings(findings, verbose)
    spoken = [finding for host in hosts for finding in host.findings]
    if spoken:
        console.print()
        heading("STARTTLS of the mail hosts")
        print_findings(spoken, verbose)
    _print_requirements(report, verbose)
    console.print(f"\n{_summary([*report.findings, *spoken])}")


def _print_requirements(report: AuditReport, verbose: bool) -> None:
    shown = [one for one in report.requirements if verbose or one.state is RequirementState.FAIL]
    if not shown:
        return
    console.print()
    heading("What providers ask")
    for one in shown:
        codes = f" (refused with {', '.join(one.reply_codes)})" if one.reply_codes else ""
        provider = PROVIDERS[one.provider].name
        line(_STATES[one.state], f"{provider}: {one.title}{codes if one.state is RequirementState.FAIL else ''}")


def _summary(findings: Sequence[CheckFinding]) -> str:
    absent = [one for one in findings if one.state is Finding.ABSENT]
    errors = sum(one.severity is Severity.ERROR for one in absent)
    warnings = sum(one.severity is Severity.WARNING for one in absent)
    unknown = sum(one.state is Finding.UNKNOWN for one in findings)
    parts = [
        f"{errors} {'error' if errors == 1 else 'errors'}" if errors else "",
        f"{warnings} {'warning' if warnings == 1 else 'warnings'}" if warnings else "",
        f"{unknown} could not be found out" if unknown else "",
    ]
    return f"{', '.join(part for part in parts if part) or 'All good'}."


def print_spf(verdict: SpfVerdict, address: str, domain: str, verbose: bool) -> None:
    """The result, what to do, and where wanted how it came about."""
    mark = {"pass": GOOD, "temperror": UNKNOWN}.get(verdict.result, BAD)
    line(
        mark, f"SPF {verdict.result} for {domain} from {address}: {verdict.cause}", _spf_step(verdict, address, domain)
    )
    if verdict.explanation:
        console.print(f"  The domain's owner says: {_safe(verdict.explanation)}", soft_wrap=True)
    if verbose:
        for step in verdict.trace:
            spent = f"{step.spent.terms} lookups, {step.spent.voids} void"
            detail = "".join(f" {part}" for part in (step.target, step.detail) if part)
            text = f"{'  ' * step.depth}{step.domain}: {step.term} → {step.outcome}{detail} ({spent})"
            console.print(f"  {_safe(text)}", style="dim", soft_wrap=True)


def _spf_step(verdict: SpfVerdict, address: str, domain: str) -> str:
    match str(verdict.result):
        case "pass":
            return ""
        case "temperror":
            return ASK_AGAIN
        case "none":
            if "@" not in domain and "." in domain.strip("."):
                return f"Publish an SPF record at {domain}."
            return "Give a full domain, such as mail.example.com; only such a name can have an SPF record."
        case "permerror":
            return f"Mend the record; 'postwright check domain {domain}' shows the place."
        case _:
            version = 6 if ":" in address else 4
            return f"If the address is yours, add ip{version}:{address} to the record, before the all term."


def print_dkim(verdict: DkimVerdict) -> None:
    """One signature."""
    mark = {"pass": GOOD, "temperror": UNKNOWN}.get(verdict.result, BAD)
    key = f", {verdict.key_bits} bits" if verdict.key_bits else ""
    who = f" for {verdict.domain} (selector {verdict.selector}, {verdict.algorithm}{key})" if verdict.domain else ""
    line(mark, f"DKIM {verdict.result}{who}: {verdict.cause}", _DKIM_STEPS.get(verdict.result, ""))
    if verdict.is_testing:
        line(_WARNING, f"The key of {verdict.domain} says t=y: receivers treat the mail as unsigned.", "Remove t=y.")
    if verdict.body_length is not None:
        sentence = f"The signature covers {verdict.body_length} octets of the body only (l=)."
        line(_WARNING, sentence, "Sign without l=: whatever is put behind would be taken as yours.")


def print_message(verdict: MessageVerdict, address: str | None, verbose: bool) -> None:
    """SPF, each signature, DMARC, ARC."""
    if verdict.spf is not None and address is not None:
        domain = verdict.mail_from.rpartition("@")[2] or verdict.helo
        print_spf(verdict.spf, address, domain, verbose)
    else:
        line(_NOTE, "SPF was not checked.", "Give the client's address with --ip, and --mail-from and --helo.")
    for one in verdict.dkim:
        print_dkim(one)
    mark = {"pass": GOOD, "temperror": UNKNOWN, "none": _WARNING}.get(verdict.dmarc_result, BAD)
    author = f" for {verdict.author.domain}" if verdict.author.domain is not None else ""
    line(mark, f"DMARC {verdict.dmarc_result}{author}: {verdict.dmarc_cause}", _dmarc_step(verdict))
    arc_mark = {"pass": GOOD, "none": _NOTE, "unknown": UNKNOWN}.get(verdict.arc.result, _WARNING)
    line(arc_mark, f"ARC {verdict.arc.result}: {verdict.arc.cause}")


def _dmarc_step(verdict: MessageVerdict) -> str:
    if verdict.dmarc is None:
        return "Write exactly one address into the From field."
    match str(verdict.dmarc_result):
        case "temperror":
            return ASK_AGAIN
        case "none":
            return f"Publish a DMARC record at _dmarc.{verdict.dmarc.author_domain}."
        case "fail":
            step = "Sign with DKIM for the author's domain, or use a return path below it."
            return f"{step} The owner asks for: {verdict.dmarc.disposition}."
        case _:
            return ""


def print_svg(name: str, report: SvgReport) -> None:
    """A logo file, with line and column of each fault."""
    line(GOOD if report.valid else BAD, f"{name}: {'a valid' if report.valid else 'not a valid'} BIMI logo")
    for finding in report.findings:
        place = f"{finding.line}:{finding.column}: " if finding.line is not None else ""
        line(f"  {_mark_of(finding)}", f"{place}{finding.sentence}")
        console.print(f"    {_safe(finding.next_step)}", style="dim", soft_wrap=True)


def print_report(name: str, report: Report, verbose: bool) -> None:
    """Who reports, on what, and what it comes to."""
    who = report.organisation or "somebody who gives no name"
    about = report.domain or "a domain that is not named"
    if isinstance(report, AggregateReport):
        total = sum(row.count for row in report.rows)
        passing = sum(row.count for row in report.rows if "pass" in {row.dkim, row.spf})
        line(GOOD, f"{name}: DMARC aggregate report by {who} on {about}{_span(report.begin, report.end)}")
        console.print(f"  {passing:,} of {total:,} messages passed DMARC.")
        if verbose:
            for row in report.rows:
                text = (
                    f"{row.source_ip}: {row.count:,}, DKIM {row.dkim or '?'}, SPF {row.spf or '?'}, {row.disposition}"
                )
                console.print(f"  {_safe(text)}", style="dim", soft_wrap=True)
    elif isinstance(report, FailureReport):
        what = f"{report.feedback_type} report" + (f" ({report.auth_failure})" if report.auth_failure else "")
        line(GOOD, f"{name}: {what} by {who} on {about}, from {report.source_ip or 'an unknown address'}")
    else:
        good = sum(policy.successful or 0 for policy in report.policies)
        failed = sum(policy.failed or 0 for policy in report.policies)
        line(GOOD, f"{name}: TLS report by {who} on {about}{_span(report.begin, report.end)}")
        console.print(f"  {good:,} sessions went well, {failed:,} failed.")
    for remark in report.remarks:
        place = f" (line {remark.line})" if remark.line is not None else ""
        line(f"  {_WARNING}", f"{remark.sentence}{place}")


def _span(begin: int | None, end: int | None) -> str:
    if begin is None or end is None:
        return ""
    return f", {as_datetime(begin):%Y-%m-%d} to {as_datetime(end):%Y-%m-%d}"
