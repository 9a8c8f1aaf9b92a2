"""Finds the report in a file or a mail, and reads it. The octets decide what it is; names and types only guide."""

import re
from enum import Enum, auto
from typing import Final, TypeAlias

from dns_checks.reports.aggregate import parse_aggregate
from dns_checks.reports.failure import FEEDBACK_TYPE, feedback_part, parse_failure, parse_failure_fields
from dns_checks.reports.mail_parts import MailPart, read_mail
from dns_checks.reports.report import AggregateReport, FailureReport, ReportSyntaxError, TlsReport
from dns_checks.reports.tls import parse_tls_report
from dns_checks.reports.unpack import Budget, is_packed, unpack
from mailtypes.saying import say

Report: TypeAlias = AggregateReport | FailureReport | TlsReport

MAX_OCTETS: Final = 32 * 1024 * 1024
_MAX_CANDIDATES: Final = 10
_BEGINNING: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_REPORT_TYPE: Final = re.compile(r"application/(?:x-)?(?:tlsrpt|gzip|zip|xml|json)|text/(?:xml|json)")
_REPORT_NAME: Final = re.compile(r"\.(?:xml|json|gz|zip)\Z", re.IGNORECASE)
_DOMAIN: Final = re.compile(r"[A-Za-z0-9._-]{1,253}\Z")
_FIND_IT: Final = say("Give the file that was attached to the report's mail, or the whole mail.")


class _Kind(Enum):
    PACKED = auto()
    XML = auto()
    JSON = auto()
    OTHER = auto()


def read_report(octets: bytes, name: str = "", content_type: str = "") -> Report:
    """Read a report from a file, packed or not, or from a whole mail; raise ``ReportSyntaxError`` with the place.

    ``name`` and ``content_type`` are what is said of ``octets``. Of several reports in one file or mail the first is
    read that can be.
    """
    if len(octets) > MAX_OCTETS:
        raise ReportSyntaxError(
            say(
                "It has %(count)s octets, more than the %(max_octets)s that are read.",
                count=len(octets),
                max_octets=MAX_OCTETS,
            )
        )
    if content_type.partition(";")[0].strip().lower() == FEEDBACK_TYPE:
        return parse_failure_fields(octets)
    if _kind(octets) is not _Kind.OTHER:
        return _read_file(octets, name, "", Budget())
    mail = read_mail(octets)
    if mail.fields[0][0] == "feedback-type":
        return parse_failure_fields(octets)
    feedback = feedback_part(mail)
    return parse_failure(mail, feedback) if feedback else _read_attachment(mail)


def _kind(octets: bytes) -> _Kind:
    if is_packed(octets):
        return _Kind.PACKED
    if octets.startswith(_UTF_16):
        return _Kind.XML
    start = _BEGINNING.match(octets)
    first = octets[start.end() : start.end() + 1] if start else b""
    return {b"<": _Kind.XML, b"{": _Kind.JSON, b"[": _Kind.JSON}.get(first, _Kind.OTHER)


def _read_attachment(mail: MailPart) -> AggregateReport | TlsReport:
    domain = mail.value("tls-report-domain").lower()
    ranked = [(rank, leaf) for leaf in mail.leaves() if (rank := _rank(leaf)) is not None]
    candidates = sorted(ranked, key=lambda pair: pair[0])[:_MAX_CANDIDATES]
    budget = Budget()
    failure: ReportSyntaxError | None = None
    for _, leaf in candidates:
        try:
            return _read_file(leaf.content(), leaf.file_name, domain, budget)
        except ReportSyntaxError as error:
            failure = failure or error
    raise failure or ReportSyntaxError(say("No part of the mail is a report."), _FIND_IT)


def _rank(leaf: MailPart) -> int | None:
    """How much a part looks like a report, 0 being most; ``None`` for not at all."""
    is_named = bool(_REPORT_TYPE.match(leaf.content_type) or _REPORT_NAME.search(leaf.file_name))
    content = leaf.content()
    kind = _kind(content)
    if kind is _Kind.OTHER:
        return 3 if is_named else None
    if is_named:
        return 0
    if kind is _Kind.PACKED:
        return 1
    # A page in HTML is no report; everything else that begins like one may be.
    is_page = leaf.content_type == "text/html" and b"<feedback" not in content[:2_000]
    return None if is_page else 2


def _read_file(octets: bytes, name: str, domain: str, budget: Budget) -> AggregateReport | TlsReport:
    failure: ReportSyntaxError | None = None
    for inner_name, content in unpack(octets, name, budget):
        hint = domain or _domain_in(inner_name) or _domain_in(name)
        try:
            return _read_plain(content, hint)
        except ReportSyntaxError as error:
            error.within = error.within or inner_name
            failure = failure or error
    raise failure or ReportSyntaxError(say("There is no file in it."), _FIND_IT, within=name)


def _read_plain(content: bytes, hint: str) -> AggregateReport | TlsReport:
    kind = _kind(content)
    if kind is _Kind.XML:
        return parse_aggregate(content, hint)
    if kind is _Kind.JSON:
        return parse_tls_report(content, hint)
    raise ReportSyntaxError(say("The file is neither XML nor JSON."), _FIND_IT, place=(1, 1))


def _domain_in(name: str) -> str:
    """The policy domain in ``receiver!domain!begin!end.xml`` (RFC 7489 section 7.2.1.1, RFC 8460 section 5.1)."""
    parts = name.split("!")
    return parts[1].lower() if len(parts) >= 4 and _DOMAIN.match(parts[1]) else ""
