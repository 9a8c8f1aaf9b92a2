"""Reads DMARC aggregate reports: RFC 7489 appendix C, RFC 9990, and what is sent under their names."""

import re
from collections.abc import Iterable, Set
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final

from dns_checks.reports.report import (
    AggregateReport,
    AggregateRow,
    DkimResult,
    Extension,
    OverrideReason,
    PublishedPolicy,
    Remarks,
    ReportSyntaxError,
    SpfResult,
)
from dns_checks.reports.xml_elements import Element, mended, read_children
from mailtypes.clock import SECOND, Microseconds, from_datetime
from mailtypes.saying import say

MAX_ROWS: Final = 100_000
_MAX_COUNT: Final = 10**12
_MAX_REPEATS: Final = 100  # of dkim, spf, reason, error and extension
_EXCERPT: Final = 60

_NUMBER: Final = re.compile(r"\+?([0-9]{1,15})(?:\.0*)?\Z")
_MILLISECONDS: Final = 10**11  # as seconds that would be the year 5138

_POLICIES: Final = frozenset({"none", "quarantine", "reject"})
_DISPOSITIONS: Final = _POLICIES | {"pass"}  # "pass" is of RFC 9990
_ALIGNED: Final = frozenset({"pass", "fail"})
_ALIGNMENTS: Final = frozenset({"r", "s"})
_DKIM_RESULTS: Final = frozenset({"none", "pass", "fail", "policy", "neutral", "temperror", "permerror"})
_SPF_RESULTS: Final = frozenset({"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"})
_SCOPES: Final = frozenset({"mfrom", "helo"})
_OVERRIDES: Final = frozenset(
    ["forwarded", "sampled_out", "trusted_forwarder", "mailing_list", "local_policy", "other", "policy_test_mode"]
)
_YES_NO: Final = frozenset({"y", "n"})
_METHODS: Final = frozenset({"psl", "treewalk"})


def parse_aggregate(octets: bytes, domain_hint: str = "") -> AggregateReport:
    """Read the XML of an aggregate report; raise ``ReportSyntaxError`` with the place.

    What is no XML is read once more as ``mended``. ``domain_hint`` stands in where the report names no domain.
    """
    try:
        return _read(octets, domain_hint, Remarks())
    except ReportSyntaxError as first:
        if not first.malformed:
            raise
        remarks = Remarks()
        remarks.add(
            "xml.mended",
            say("It is read although it is no XML: %(message)s", message=first.message),
            first.place and first.place[0],
        )
        try:
            return _read(mended(octets), domain_hint, remarks)
        except ReportSyntaxError as second:
            raise (first if second.malformed else second) from None


def _read(octets: bytes, domain_hint: str, remarks: Remarks) -> AggregateReport:
    builder = _Builder(remarks)
    read_children(octets, "feedback", builder.take, remarks)
    return builder.report(domain_hint)


class _Builder:
    """Takes the children of ``feedback`` and makes them values, with a remark on whatever is amiss."""

    def __init__(self, remarks: Remarks) -> None:
        self._remarks = remarks
        self._named: dict[str, Element] = {}
        self._rows: list[AggregateRow] = []

    def take(self, element: Element) -> None:
        """One child of the root, in the order of the document."""
        if element.name == "record":
            if len(self._rows) >= MAX_ROWS:
                raise ReportSyntaxError(
                    say("There are more than %(max_rows)s records.", max_rows=MAX_ROWS), place=(element.line, 1)
                )
            self._rows.append(self._row(element))
        elif self._named.setdefault(element.name, element) is not element:
            self._remarks.add(
                "aggregate.repeated", say("<%(name)s> occurs twice.", name=element.name[:_EXCERPT]), element.line
            )

    def report(self, domain_hint: str) -> AggregateReport:
        """The whole; raise ``ReportSyntaxError`` where there is nothing that makes it a report."""
        metadata = self._named.get("report_metadata")
        policy = self._named.get("policy_published")
        if metadata is None and policy is None and not self._rows:
            raise ReportSyntaxError(say("The report has neither report_metadata, policy_published nor a record."))
        if not self._rows:
            self._remarks.add("aggregate.no_record", say("The report has no record."))
        about = self._expected(metadata, "report_metadata")
        begin, end = self._period(about)
        version, extensions = self._named.get("version"), self._named.get("extensions")
        return AggregateReport(
            version=version.text if version else "",
            organisation=self._wanted(about, "org_name"),
            email=about.value("email"),
            extra_contact=about.value("extra_contact_info"),
            report_id=self._wanted(about, "report_id"),
            begin=begin,
            end=end,
            errors=tuple(error.text for error in about.all("error")[:_MAX_REPEATS]),
            generator=about.value("generator"),
            policy=self._policy(self._expected(policy, "policy_published")),
            rows=tuple(self._rows),
            extensions=_extensions(extensions),
            domain_hint=domain_hint,
            remarks=self._remarks.all(),
        )

    def _expected(self, element: Element | None, name: str) -> Element:
        if element is None:
            self._remarks.add("aggregate.missing", say("There is no <%(name)s>.", name=name))
        return element or Element(name, 0, {})

    def _wanted(self, element: Element, name: str) -> str:
        value = element.value(name)
        if not value:
            self._remarks.add("aggregate.missing", say("There is no <%(name)s>.", name=name), element.line or None)
        return value

    def _period(self, metadata: Element) -> tuple[Microseconds | None, Microseconds | None]:
        period = metadata.child("date_range")
        if period is None:
            self._remarks.add("aggregate.missing", say("There is no <date_range>."), metadata.line or None)
            return None, None
        return self._moment(period, "begin"), self._moment(period, "end")

    def _moment(self, period: Element, name: str) -> Microseconds | None:
        text = period.value(name)
        number = _NUMBER.match(text)
        if number and int(number[1]) < _MILLISECONDS:
            return Microseconds(int(number[1]) * SECOND)
        self._remarks.add(
            "aggregate.time",
            say("<%(name)s> is not in seconds: '%(text)s'.", name=name, text=text[:_EXCERPT]),
            period.line,
        )
        if number:
            return Microseconds(int(number[1]) * 1_000)
        try:
            moment = datetime.fromisoformat(text)
            return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            return None

    def _policy(self, element: Element) -> PublishedPolicy:
        pct = _NUMBER.match(element.value("pct"))
        return PublishedPolicy(
            domain=self._domain(element, "domain"),
            version_published=element.value("version_published"),
            adkim=self._token(element, "adkim", _ALIGNMENTS),
            aspf=self._token(element, "aspf", _ALIGNMENTS),
            p=self._token(element, "p", _POLICIES),
            sp=self._token(element, "sp", _POLICIES),
            np=self._token(element, "np", _POLICIES),
            pct=int(pct[1]) if pct and int(pct[1]) <= 100 else None,
            testing=self._token(element, "testing", _YES_NO),
            discovery_method=self._token(element, "discovery_method", _METHODS),
            fo=element.value("fo"),
        )

    def _row(self, record: Element) -> AggregateRow:
        row = self._part(record, "row")
        evaluated = self._part(row, "policy_evaluated")
        # Drafts before RFC 7489 called them identities, and some senders put everything into the row.
        identifiers = record.child("identifiers", "identities") or row.child("identifiers", "identities")
        if identifiers is None:
            identifiers = self._part(record, "identifiers")
        results = record.child("auth_results") or row.child("auth_results") or self._part(record, "auth_results")
        return AggregateRow(
            source_ip=self._source_ip(row),
            count=self._count(row),
            disposition=self._token(evaluated, "disposition", _DISPOSITIONS, wanted=True),
            dkim=self._token(evaluated, "dkim", _ALIGNED, wanted=True),
            spf=self._token(evaluated, "spf", _ALIGNED, wanted=True),
            reasons=tuple(self._override(reason) for reason in evaluated.all("reason")[:_MAX_REPEATS]),
            envelope_to=self._domain(identifiers, "envelope_to"),
            envelope_from=self._domain(identifiers, "envelope_from"),
            header_from=self._domain(identifiers, "header_from", wanted=True),
            dkim_results=tuple(self._dkim(result) for result in results.all("dkim")[:_MAX_REPEATS]),
            spf_results=tuple(self._spf(result) for result in results.all("spf")[:_MAX_REPEATS]),
            extensions=_extensions(record.child("extensions")),
        )

    def _part(self, parent: Element, name: str) -> Element:
        found = parent.child(name)
        if found is None:
            self._remarks.add("aggregate.missing", say("A record has no <%(name)s>.", name=name), parent.line)
        return found or Element(name, parent.line, {})

    def _source_ip(self, row: Element) -> str:
        text = row.value("source_ip")
        try:
            address = ip_address(text.strip("[]"))
            return str(getattr(address, "ipv4_mapped", None) or address)
        except ValueError:
            self._remarks.add(
                "aggregate.source_ip", say("'%(text)s' is no IP address.", text=text[:_EXCERPT]), row.line
            )
            return text

    def _count(self, row: Element) -> int:
        number = _NUMBER.match(row.value("count"))
        if number and 0 < int(number[1]) <= _MAX_COUNT:
            return int(number[1])
        # A record stands for one message at least; none at all would hide its source.
        sentence = say("The count is '%(text)s'; one message is assumed.", text=row.value("count")[:_EXCERPT])
        self._remarks.add("aggregate.count", sentence, row.line)
        return 1

    def _override(self, reason: Element) -> OverrideReason:
        return OverrideReason(self._token(reason, "type", _OVERRIDES), reason.value("comment"))

    def _dkim(self, result: Element) -> DkimResult:
        return DkimResult(
            self._domain(result, "domain"),
            result.value("selector"),
            self._token(result, "result", _DKIM_RESULTS, wanted=True),
            result.value("human_result"),
        )

    def _spf(self, result: Element) -> SpfResult:
        return SpfResult(
            self._domain(result, "domain"),
            self._token(result, "scope", _SCOPES),
            self._token(result, "result", _SPF_RESULTS, wanted=True),
            result.value("human_result"),
        )

    def _token(self, element: Element, name: str, known: Set[str], *, wanted: bool = False) -> str:
        """A value out of a set, in lower case; any other is kept as it is, with a remark."""
        found = element.child(name)
        token = found.text.lower() if found else ""
        if token in known:
            return token
        line = found.line if found else element.line
        if token:
            expected = ", ".join(sorted(known))
            shown = token[:_EXCERPT]
            self._remarks.add(
                "aggregate.unknown_value",
                say("<%(name)s> is '%(shown)s', none of %(expected)s.", name=name, shown=shown, expected=expected),
                line,
            )
        elif wanted or found:
            self._remarks.add(
                "aggregate.missing",
                say("<%(name)s> has no <%(missing)s>.", name=element.name, missing=name),
                line or None,
            )
        return token

    def _domain(self, element: Element, name: str, *, wanted: bool = False) -> str:
        """A domain in lower case; of an address its domain."""
        text = element.value(name).lower()
        if "@" in text:
            self._remarks.add(
                "aggregate.address", say("<%(name)s> is an address, not a domain.", name=name), element.line
            )
            text = text.rpartition("@")[2].rstrip("> ")
        if wanted and not text:
            self._remarks.add(
                "aggregate.missing",
                say("<%(name)s> has no <%(missing)s>.", name=element.name, missing=name),
                element.line,
            )
        return text.removesuffix(".")


def _extensions(element: Element | None) -> tuple[Extension, ...]:
    found: Iterable[Element] = element.all("extension")[:_MAX_REPEATS] if element else ()
    return tuple(
        Extension(one.attributes.get("name", "").strip(), one.attributes.get("definition", "").strip()) for one in found
    )
