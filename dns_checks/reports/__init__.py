"""DMARC aggregate reports (RFC 7489, RFC 9990), failure reports (RFC 5965, RFC 6591) and TLS reports (RFC 8460)."""

from dns_checks.reports.read import MAX_OCTETS, Report, read_report
from dns_checks.reports.report import (
    AggregateReport,
    AggregateRow,
    DkimResult,
    Extension,
    FailureReport,
    OverrideReason,
    PublishedPolicy,
    ReportRemark,
    ReportSyntaxError,
    SpfResult,
    TlsFailure,
    TlsPolicy,
    TlsReport,
)
from dns_checks.reports.sources import Fare, OurHosts, Reason, SourceSum, judge, sum_by_source

__all__ = [
    "MAX_OCTETS",
    "AggregateReport",
    "AggregateRow",
    "DkimResult",
    "Extension",
    "FailureReport",
    "Fare",
    "OurHosts",
    "OverrideReason",
    "PublishedPolicy",
    "Reason",
    "Report",
    "ReportRemark",
    "ReportSyntaxError",
    "SourceSum",
    "SpfResult",
    "TlsFailure",
    "TlsPolicy",
    "TlsReport",
    "judge",
    "read_report",
    "sum_by_source",
]
