"""Reports of the shared collection: each parses to the JSON that lies beside it."""

import json
import os
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from dns_checks.reports import (
    AggregateReport,
    AggregateRow,
    FailureReport,
    PublishedPolicy,
    TlsFailure,
    TlsPolicy,
    TlsReport,
    read_report,
)
from mailtypes.clock import SECOND, as_datetime

SHARED = Path(os.environ.get("POSTWRIGHT_SHARED", Path(__file__).resolve().parents[4] / "shared"))
REPORTS = SHARED / "conformance" / "dmarc_reports"
COUNTS = {"dmarc-feedback": 10, "tlsrpt": 3, "arf": 5}

_WORDS = {
    "r": "Relaxed",
    "s": "Strict",
    "mfrom": "MailFrom",
    "": "Unspecified",
    "sampled_out": "Other",  # the collection's parser keeps to the reasons of RFC 9990
    "bodyhash": "BodyHash",
    "auth-failure": "AuthFailure",
}


def word(token: str) -> str:
    """A token as the collection's enumerations write it."""
    return _WORDS.get(token) or "".join(part.capitalize() for part in token.split("_"))


def seconds(moment: int | None) -> int | None:
    return None if moment is None else moment // SECOND


def policy_json(policy: PublishedPolicy) -> dict[str, Any]:
    return {
        "domain": policy.domain,
        "version_published": policy.version_published or None,
        "adkim": word(policy.adkim),
        "aspf": word(policy.aspf),
        "p": word(policy.p),
        "sp": word(policy.sp),
        "np": word(policy.np),
        "testing": policy.testing == "y",
        "discovery_method": word(policy.discovery_method),
        "fo": policy.fo or None,
    }


def row_json(row: AggregateRow) -> dict[str, Any]:
    return {
        "row": {
            "source_ip": row.source_ip,
            "count": row.count,
            "policy_evaluated": {
                "disposition": word(row.disposition),
                "dkim": word(row.dkim),
                "spf": word(row.spf),
                "reason": [{"type_": word(one.kind), "comment": one.comment or None} for one in row.reasons],
            },
        },
        "identifiers": {
            "envelope_to": row.envelope_to or None,
            "envelope_from": row.envelope_from,
            "header_from": row.header_from,
        },
        "auth_results": {
            "dkim": [
                {
                    "domain": one.domain,
                    "selector": one.selector,
                    "result": word(one.result),
                    "human_result": one.human_result or None,
                }
                for one in row.dkim_results
            ],
            "spf": [
                {
                    "domain": one.domain,
                    "scope": word(one.scope),
                    "result": word(one.result),
                    "human_result": one.human_result or None,
                }
                for one in row.spf_results
            ],
        },
        "extensions": [{"name": one.name, "definition": one.definition} for one in row.extensions],
    }


def aggregate_json(report: AggregateReport) -> dict[str, Any]:
    return {
        "version": float(report.version or 0),
        "report_metadata": {
            "org_name": report.organisation,
            "email": report.email,
            "extra_contact_info": report.extra_contact or None,
            "report_id": report.report_id,
            "date_range": {"begin": seconds(report.begin), "end": seconds(report.end)},
            "error": list(report.errors),
            "generator": report.generator or None,
        },
        "policy_published": policy_json(report.policy),
        "record": [row_json(row) for row in report.rows],
        "extensions": [{"name": one.name, "definition": one.definition} for one in report.extensions],
    }


def with_later_fields(expected: dict[str, Any]) -> dict[str, Any]:
    """The older files were written before RFC 9990: what they do not name has to be unsaid in ours."""
    expected["report_metadata"].setdefault("generator", None)
    for name in ("np", "discovery_method"):
        expected["policy_published"].setdefault(name, "Unspecified")
    return expected


def failure_json(report: FailureReport) -> dict[str, Any]:
    return {
        "feedback_type": word(report.feedback_type),
        "arrival_date": seconds(report.arrival),
        "authentication_results": list(report.authentication_results),
        "incidents": report.incidents,
        "original_envelope_id": report.original_envelope_id or None,
        "original_mail_from": report.original_mail_from or None,
        "original_rcpt_to": report.original_rcpt_to or None,
        "reported_domain": list(report.reported_domains),
        "reported_uri": list(report.reported_uris),
        "reporting_mta": report.reporting_mta or None,
        "source_ip": report.source_ip or None,
        "user_agent": report.user_agent or None,
        "version": report.version,
        "source_port": report.source_port,
        "auth_failure": word(report.auth_failure),
        "delivery_result": word(report.delivery_result),
        "dkim_adsp_dns": report.dkim_adsp_dns or None,
        "dkim_canonicalized_body": report.dkim_canonicalized_body or None,
        "dkim_canonicalized_header": report.dkim_canonicalized_header or None,
        "dkim_domain": report.dkim_domain or None,
        "dkim_identity": report.dkim_identity or None,
        "dkim_selector": report.dkim_selector or None,
        "dkim_selector_dns": report.dkim_selector_dns or None,
        "spf_dns": report.spf_dns or None,
        "identity_alignment": word(report.identity_alignment),
        "message": None,  # the collection leaves the reported message out; test_reports_read.py looks at it
        "headers": report.headers or None,
    }


def said(**values: Any) -> dict[str, Any]:
    """The members of a JSON object that the report had."""
    return {name.replace("_", "-"): value for name, value in values.items() if value not in ("", None, [])}


def tls_failure_json(failure: TlsFailure) -> dict[str, Any]:
    return said(
        result_type=failure.result_type,
        sending_mta_ip=failure.sending_mta_ip,
        receiving_mx_hostname=failure.receiving_mx_hostname,
        receiving_mx_helo=failure.receiving_mx_helo,
        receiving_ip=failure.receiving_ip,
        failed_session_count=failure.failed_sessions,
        additional_information=failure.additional_information,
        failure_reason_code=failure.failure_reason_code,
    )


def tls_policy_json(policy: TlsPolicy) -> dict[str, Any]:
    return said(
        policy=said(
            policy_type=policy.policy_type,
            policy_string=list(policy.strings),
            policy_domain=policy.domain,
            mx_host=list(policy.mx_hosts),
        ),
        summary=said(total_successful_session_count=policy.successful, total_failure_session_count=policy.failed),
        failure_details=[tls_failure_json(failure) for failure in policy.failures],
    )


def tls_json(report: TlsReport) -> dict[str, Any]:
    def moment(at: int | None) -> str:
        assert at is not None
        return as_datetime(at).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    return {
        "organization-name": report.organisation,
        "date-range": {"start-datetime": moment(report.begin), "end-datetime": moment(report.end)},
        "contact-info": report.contact,
        "report-id": report.report_id,
        "policies": [tls_policy_json(policy) for policy in report.policies],
    }


def inputs(folder: str) -> list[Path]:
    """The reports of a folder: what has an expected JSON beside it, or is JSON itself and alone."""
    files = sorted((REPORTS / folder).glob("*")) if REPORTS.exists() else []
    reports = [file for file in files if file.suffix != ".json"]
    stems = {file.stem for file in reports}
    return reports + [file for file in files if file.stem not in stems]


def expected_of(file: Path) -> Any:
    return json.loads(file.with_suffix(".json").read_text("utf-8"))


@pytest.mark.parametrize("folder", COUNTS)
def test_the_collection_is_there_and_whole(folder: str) -> None:
    if not REPORTS.exists():
        if os.environ.get("CI"):
            pytest.fail(f"the collection of reports is missing at {REPORTS}")
        pytest.skip(f"no collection of reports at {REPORTS}")
    assert len(inputs(folder)) == COUNTS[folder]


@pytest.mark.parametrize("file", inputs("dmarc-feedback"), ids=lambda file: file.name)
def test_aggregate_reports(file: Path) -> None:
    report = read_report(file.read_bytes(), file.name)
    assert isinstance(report, AggregateReport)
    assert aggregate_json(report) == with_later_fields(expected_of(file))


@pytest.mark.parametrize("file", inputs("tlsrpt"), ids=lambda file: file.name)
def test_tls_reports(file: Path) -> None:
    report = read_report(file.read_bytes(), file.name)
    assert isinstance(report, TlsReport)
    assert tls_json(report) == expected_of(file)


@pytest.mark.parametrize("file", inputs("arf"), ids=lambda file: file.name)
def test_failure_reports(file: Path) -> None:
    report = read_report(file.read_bytes(), file.name)
    assert isinstance(report, FailureReport)
    assert failure_json(report) == expected_of(file)
