"""``postwright check``: domains, SPF, messages, logos and reports; works without an install."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import typer
from cryptography import x509

from dns_checks import bimi, dkim, spf
from dns_checks.audit import AuditReport, AuditRequest, AuditTerms, Verdict, run_audit
from dns_checks.bimi import BimiEvaluation
from dns_checks.dkim import DkimVerdict
from dns_checks.dnsbl import Listable, entry_of
from dns_checks.dnsbl_lists import DEFAULT_LISTS, BlockList
from dns_checks.evaluation import NO_WEB
from dns_checks.findings import CheckFinding, Severity
from dns_checks.message import MessageVerdict, authentication_results, verify_message
from dns_checks.reports import Report, ReportSyntaxError, read_report
from dns_checks.zone import Zone
from mailtypes.auth import Finding
from mailtypes.clock import SystemClock, as_datetime
from mailtypes.domain import DomainName
from mailtypes.errors import InputSyntaxError
from mailtypes.questions import Absent, DnsQuestion, RecordType
from postwright.cli import check_documents as documents
from postwright.cli import check_texts as texts
from postwright.cli.check_ground import WHOLE, Ground, GroundOptions, as_address, as_domain, for_each, read_file
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.services.domain_checks import check_document, spoken_to
from postwright.settings import read_settings
from postwright.starttls_probe import HostTls, StartTlsProbe

app = typer.Typer(
    help="Check domains, records, messages, logos and reports; needs no install.",
    no_args_is_help=True,
    add_completion=False,
)
_BEYOND_US = frozenset({"dnsbl.unknown", "tlsa.signature_unknown"})
"""What stays unknown for want of a resolver of one's own; it is shown, and the rest can be good all the same."""

Address = IPv4Address | IPv6Address
ZoneOption = typer.Option(None, "--zone", help="A zone file (RFC 1035) that is laid over live DNS.")
OfflineOption = typer.Option(False, "--offline", help="Ask the zone file alone, neither live DNS nor the web.")
VerboseOption = typer.Option(False, "--verbose", "-v", help="Show how it was found out.")
IpOption = typer.Option(None, "--ip", help="The address of the client that sends the mail.")
MailFromOption = typer.Option(None, "--mail-from", help="The envelope sender; empty for a bounce.")
HeloOption = typer.Option(None, "--helo", help="The name that the client says in EHLO.")
FilesArgument = typer.Argument(help="Message files as on the wire (.eml).", metavar="FILE...")


@app.command("domain")
def domain(
    names: list[str] = typer.Argument(help="Domains that mail is sent from.", metavar="NAME..."),
    selectors: list[str] = typer.Option([], "--selector", help="A DKIM selector; may be given several times."),
    ips: list[str] = typer.Option([], "--ip", help="An address that sends; may be given several times."),
    starttls: bool = typer.Option(False, "--starttls", help="Speak to its mail hosts too: STARTTLS, certificate."),
    zone: Path | None = ZoneOption,
    offline: bool = OfflineOption,
    verbose: bool = VerboseOption,
    as_json: bool = JsonOption,
) -> None:
    """Check all of a domain: SPF, DKIM, DMARC, MX, PTR, BIMI, MTA-STS, TLS reports, TLSA and block lists."""
    options = GroundOptions(zone, offline)
    if starttls and offline:
        raise typer.BadParameter("--starttls speaks to mail hosts, so it cannot be --offline.")
    domains, addresses = [as_domain(name) for name in names], [as_address(ip) for ip in ips]
    chosen = [_selector(one) for one in selectors]

    async def work(ground: Ground, name: DomainName) -> tuple[AuditReport, Sequence[HostTls] | None]:
        lists = tuple(one for one in DEFAULT_LISTS if _can_be_asked(ground, one, (*addresses, name)))
        terms = AuditTerms(now=as_datetime(SystemClock().now()), block_lists=lists)
        request = AuditRequest.of_any(name, chosen, addresses, terms)
        audit = run_audit(request, ground.asker, ground.web, within=WHOLE)
        if not starttls:
            return await audit, None
        return await asyncio.gather(audit, spoken_to(_probe(ground), name))

    checked = for_each(options, domains, work)
    for number, (report, hosts) in enumerate(checked):
        if as_json:
            print_json(check_document(report, hosts))
        else:
            if number:
                console.print()
            texts.print_audit(report, hosts or (), verbose)
    _leave(_exit_of_audit(report, hosts or (), offline) for report, hosts in checked)


def _probe(ground: Ground) -> StartTlsProbe:
    # It brings the whole application along, which no other check has to wait for.
    from postwright.wiring.probing import probe_policy  # noqa: PLC0415

    return StartTlsProbe(ground.asker, probe_policy(read_settings()), SystemClock())


def _selector(text: str) -> str:
    as_domain(f"{text}._domainkey.test")
    return text.strip().lower()


def _can_be_asked(ground: Ground, block_list: BlockList, subjects: Sequence[Listable]) -> bool:
    """Offline, a list counts only where the zone file has something of it: nothing is listed in an empty world."""
    if ground.web is not None or ground.zone is None:
        return True
    entries = [entry_of(subject) for subject in subjects] + [block_list.unlisted_entry, block_list.listed_entry]
    return any(_has(ground.zone, f"{entry}.{block_list.zone}") for entry in entries if entry)


def _has(zone: Zone, name: str) -> bool:
    return not isinstance(zone.answer(DnsQuestion(name, RecordType.A)), Absent)


def _exit_of_audit(report: AuditReport, hosts: Sequence[HostTls], offline: bool) -> Exit:
    counted = [one for one in report.findings if not (offline and _is_of_the_web(one)) and one.code not in _BEYOND_US]
    counted += [finding for host in hosts for finding in host.findings]
    found = _exit_of_findings(counted)
    return Exit.UNKNOWN if found is Exit.OK and report.verdict is Verdict.UNKNOWN else found


def _is_of_the_web(finding: CheckFinding) -> bool:
    """Whether it is unknown only because nothing is fetched."""
    return finding.state is Finding.UNKNOWN and any(NO_WEB in one.answer for one in finding.evidence)


def _exit_of_findings(findings: Iterable[CheckFinding]) -> Exit:
    kept = list(findings)
    if any(one.severity is Severity.ERROR and one.state is Finding.ABSENT for one in kept):
        return Exit.REFUSED
    return Exit.UNKNOWN if any(one.state is Finding.UNKNOWN for one in kept) else Exit.OK


def _leave(codes: Iterable[Exit]) -> None:
    """End with the gravest: what is wrong comes before what could not be found out."""
    found = set(codes)
    raise typer.Exit(int(next((code for code in (Exit.REFUSED, Exit.UNKNOWN) if code in found), Exit.OK)))


def _exit_of_result(result: str) -> Exit:
    return {"pass": Exit.OK, "temperror": Exit.UNKNOWN}.get(result, Exit.REFUSED)


@dataclass(frozen=True, slots=True)
class _Client:
    address: Address
    mail_from: str
    helo: str

    @classmethod
    def parse(cls, ip: str, mail_from: str | None, helo: str | None) -> "_Client":
        sender = (mail_from or "").strip().removeprefix("<").removesuffix(">")
        if not sender and not helo:
            raise typer.BadParameter("SPF needs --mail-from, or --helo for a bounce.")
        return cls(as_address(ip), sender, helo or "unknown")


@app.command("spf")
def check_spf(
    ip: str = typer.Option(help="The address of the client that sends the mail."),
    mail_from: str | None = MailFromOption,
    helo: str | None = HeloOption,
    zone: Path | None = ZoneOption,
    offline: bool = OfflineOption,
    verbose: bool = VerboseOption,
    as_json: bool = JsonOption,
) -> None:
    """Evaluate SPF (RFC 7208) for one client; exits with 1 unless it passes."""
    options, client = GroundOptions(zone, offline), _Client.parse(ip, mail_from, helo)

    async def work(ground: Ground, given: _Client) -> spf.SpfVerdict:
        return await ground.evaluate(spf.check_mail_from(given.address, given.mail_from, given.helo))

    (verdict,) = for_each(options, [client], work)
    if as_json:
        envelope = {"ip": str(client.address), "mail_from": client.mail_from, "helo": client.helo}
        print_json({**envelope, **documents.spf_document(verdict)})
    else:
        checked = client.mail_from.rpartition("@")[2] or client.helo
        texts.print_spf(verdict, str(client.address), checked, verbose)
    _leave([_exit_of_result(verdict.result)])


@app.command("dkim")
def check_dkim(
    files: list[Path] = FilesArgument,
    zone: Path | None = ZoneOption,
    offline: bool = OfflineOption,
    as_json: bool = JsonOption,
) -> None:
    """Verify the DKIM signatures (RFC 6376, RFC 8463) of messages; one that passes is enough."""

    async def work(ground: Ground, file: Path) -> tuple[DkimVerdict, ...]:
        return await ground.evaluate(dkim.verify(read_file(file), SystemClock().now()))

    found = for_each(GroundOptions(zone, offline), files, work)
    results = [_best([str(verdict.result) for verdict in verdicts]) for verdicts in found]
    for file, verdicts, result in zip(files, found, results, strict=True):
        if as_json:
            signatures = [documents.dkim_document(verdict) for verdict in verdicts]
            print_json({"file": str(file), "result": result, "signatures": signatures})
            continue
        texts.heading(str(file))
        for verdict in verdicts:
            texts.print_dkim(verdict)
    _leave(map(_exit_of_result, results))


def _best(results: Sequence[str]) -> str:
    """RFC 6376 section 6.1: any signature that passes counts; one that may pass keeps the question open."""
    return next((one for one in ("pass", "temperror") if one in results), results[0])


@app.command("message")
def message(
    file: Path = typer.Argument(help="A message file as on the wire (.eml)."),
    ip: str | None = IpOption,
    mail_from: str | None = MailFromOption,
    helo: str | None = HeloOption,
    authserv_id: str = typer.Option("localhost", help="Who writes the Authentication-Results field."),
    zone: Path | None = ZoneOption,
    offline: bool = OfflineOption,
    verbose: bool = VerboseOption,
    as_json: bool = JsonOption,
) -> None:
    """Verify a message as a receiver would: SPF, DKIM, DMARC and ARC; writes Authentication-Results (RFC 8601)."""
    options = GroundOptions(zone, offline)
    if ip is None and (mail_from is not None or helo is not None):
        raise typer.BadParameter("--mail-from and --helo say nothing without --ip.")
    client = None if ip is None else _Client.parse(ip, mail_from, helo)

    async def work(ground: Ground, given: Path) -> tuple[MessageVerdict, str]:
        address, sender, name = (client.address, client.mail_from, client.helo) if client else (None, "", "")
        verdict = await ground.evaluate(verify_message(read_file(given), address, sender, name, SystemClock().now()))
        return verdict, authentication_results(authserv_id, verdict)

    ((verdict, field),) = for_each(options, [file], work)
    if as_json:
        print_json({"file": str(file), **documents.message_document(verdict), "authentication_results": field})
    else:
        texts.print_message(verdict, ip, verbose)
        typer.echo("\n" + field.replace("\r\n", "\n"))
    _leave([_exit_of_message(verdict)])


def _exit_of_message(verdict: MessageVerdict) -> Exit:
    """DMARC decides; where no policy applies, SPF and DKIM do."""
    if str(verdict.dmarc_result) != "none":
        return _exit_of_result(verdict.dmarc_result)
    results = [str(one.result) for one in (verdict.spf, *verdict.dkim) if one is not None]
    return _exit_of_result(_best(results))


@app.command("bimi")
def check_bimi(
    name: str = typer.Argument(help="The domain of the From address."),
    selector: str = typer.Option("default", help="The BIMI selector."),
    roots: Path | None = typer.Option(None, help="Issuers of mark certificates that are trusted (PEM)."),
    zone: Path | None = ZoneOption,
    offline: bool = OfflineOption,
    verbose: bool = VerboseOption,
    as_json: bool = JsonOption,
) -> None:
    """Check whether receivers can show the logo of a domain: record, DMARC, logo, certificate."""

    async def work(ground: Ground, given: DomainName) -> BimiEvaluation:
        trusted = _roots(roots)
        now = as_datetime(SystemClock().now())
        return await ground.evaluate(bimi.evaluate(given, selector, roots=trusted, now=now))

    options, domain_name = GroundOptions(zone, offline), as_domain(name)
    try:
        bimi.record_name(selector, domain_name)
    except bimi.BimiSyntaxError as error:
        raise typer.BadParameter(error.explain()) from None
    (found,) = for_each(options, [domain_name], work)
    if as_json:
        print_json(documents.bimi_document(found))
    else:
        texts.heading(f"BIMI {found.result} for {found.domain}")
        texts.print_findings(found.findings, verbose)
    _leave([_exit_of_findings(found.findings)])


class _RootsSyntaxError(InputSyntaxError):
    """A file that holds no certificates."""


def _roots(path: Path | None) -> Sequence[x509.Certificate]:
    if path is None:
        return ()
    try:
        return x509.load_pem_x509_certificates(read_file(path))
    except ValueError as error:
        raise _RootsSyntaxError(f"{path} holds no certificates in PEM") from error


@app.command("svg")
def check_svg(
    files: list[Path] = typer.Argument(help="Logo files.", metavar="FILE..."),
    zone: Path | None = ZoneOption,
    offline: bool = OfflineOption,
    as_json: bool = JsonOption,
) -> None:
    """Check logos against SVG Tiny Portable/Secure, as BIMI asks for it; nothing is asked or fetched."""
    GroundOptions(zone, offline)
    codes = []
    for file in files:
        with explained():
            report = bimi.check_svg(read_file(file))
        if as_json:
            print_json({"file": str(file), **documents.svg_document(report)})
        else:
            texts.print_svg(str(file), report)
        codes.append(Exit.OK if report.valid else Exit.REFUSED)
    _leave(codes)


@app.command("report")
def check_report(
    files: list[Path] = typer.Argument(help="Reports as they came: XML, JSON, gz, zip or mails.", metavar="FILE..."),
    zone: Path | None = ZoneOption,
    offline: bool = OfflineOption,
    verbose: bool = VerboseOption,
    as_json: bool = JsonOption,
) -> None:
    """Read DMARC aggregate and failure reports and TLS reports; exits with 1 where one cannot be read."""
    GroundOptions(zone, offline)
    codes = []
    for file in files:
        with explained():
            octets = read_file(file)
        try:
            report: Report = read_report(octets, file.name, "")
        except ReportSyntaxError as error:
            _tell_unreadable(file, error, as_json)
            codes.append(Exit.REFUSED)
            continue
        if as_json:
            print_json({"file": str(file), "valid": True, **documents.report_document(report)})
        else:
            texts.print_report(str(file), report, verbose)
        codes.append(Exit.OK)
    _leave(codes)


def _tell_unreadable(file: Path, error: ReportSyntaxError, as_json: bool) -> None:
    line, column = error.line_and_column or (None, None)
    if as_json:
        fault: dict[str, Any] = {"message": error.message, "next_step": error.next_step, "within": error.within}
        print_json({"file": str(file), "valid": False, **fault, "line": line, "column": column})
        return
    place = f"{error.within}: " if error.within else ""
    place += f"line {line}, column {column}: " if line is not None else ""
    texts.line(texts.BAD, f"{file}: {place}{error.message}", error.next_step)
