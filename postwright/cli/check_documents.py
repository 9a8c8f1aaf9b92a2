"""What checks found, as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from typing import Any

from dns_checks.bimi import BimiEvaluation, SvgReport
from dns_checks.dkim import DkimVerdict
from dns_checks.dmarc import DmarcVerdict
from dns_checks.message import MessageVerdict
from dns_checks.reports import AggregateReport, FailureReport, Report
from dns_checks.spf import SpfVerdict
from mailtypes.clock import as_datetime
from postwright.services.domain_checks import finding_document

_MOMENTS = frozenset({"begin", "end", "arrival"})


def spf_document(verdict: SpfVerdict) -> dict[str, Any]:
    """``result`` is the RFC's token."""
    return {
        "result": verdict.result,
        "cause": verdict.cause,
        "explanation": verdict.explanation,
        "record": verdict.record,
        "lookups": verdict.spent.terms,
        "void_lookups": verdict.spent.voids,
        "trace": [asdict(step) for step in verdict.trace],
    }


def dkim_document(verdict: DkimVerdict) -> dict[str, Any]:
    """One signature."""
    return asdict(verdict)


def message_document(verdict: MessageVerdict) -> dict[str, Any]:
    """``result`` is DMARC's."""
    author = verdict.author.domain
    return {
        "result": verdict.dmarc_result,
        "author_domain": author.ascii if author is not None else None,
        "spf": None if verdict.spf is None else spf_document(verdict.spf),
        "dkim": [dkim_document(one) for one in verdict.dkim],
        "dmarc": {"result": verdict.dmarc_result, "cause": verdict.dmarc_cause, **_policy(verdict.dmarc)},
        "arc": asdict(verdict.arc),
    }


def _policy(verdict: DmarcVerdict | None) -> dict[str, Any]:
    if verdict is None:
        return {}
    place = verdict.policy_domain
    return {
        "policy": verdict.policy,
        "disposition": verdict.disposition,
        "policy_domain": place.ascii if place is not None else None,
        "record": verdict.record.text if verdict.record is not None else None,
    }


def bimi_document(found: BimiEvaluation) -> dict[str, Any]:
    """``result`` is the draft's token."""
    return {
        "domain": found.domain.ascii,
        "selector": found.selector,
        "result": found.result,
        "cause": found.cause,
        "record": found.record.text if found.record is not None else None,
        "record_domain": found.record_domain.ascii if found.record_domain is not None else None,
        "logo_valid": found.svg.valid if found.svg is not None else None,
        "findings": [finding_document(finding) for finding in found.findings],
    }


def svg_document(report: SvgReport) -> dict[str, Any]:
    """``valid`` tells whether no rule is broken."""
    return {
        "valid": report.valid,
        "octets": report.octet_count,
        "title": report.title,
        "findings": [finding_document(finding) for finding in report.findings],
    }


def report_kind(report: Report) -> str:
    """Which kind of report it is."""
    if isinstance(report, AggregateReport):
        return "aggregate"
    return "failure" if isinstance(report, FailureReport) else "tls"


def report_document(report: Report) -> dict[str, Any]:
    """The whole report, with moments in ISO 8601."""
    return {
        "kind": report_kind(report),
        "organisation": report.organisation,
        "report_id": report.report_id,
        "domain": report.domain,
        **_plain(report),
    }


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {
            field.name: _moment(getattr(value, field.name))
            if field.name in _MOMENTS
            else _plain(getattr(value, field.name))
            for field in fields(value)
        }
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _moment(moment: int | None) -> str | None:
    return None if moment is None else as_datetime(moment).isoformat()
