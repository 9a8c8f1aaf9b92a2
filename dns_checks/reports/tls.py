"""Reads TLS reports: the JSON of RFC 8460 section 4."""

import json
import re
from datetime import datetime
from typing import Any, Final

from dns_checks.reports.report import Remarks, ReportSyntaxError, TlsFailure, TlsPolicy, TlsReport
from mailtypes.clock import Microseconds, from_datetime
from mailtypes.saying import say

MAX_OCTETS: Final = 8 * 1024 * 1024  # read whole, and small things in JSON are large ones in memory
_MAX_POLICIES: Final = 1_000
_MAX_FAILURES: Final = 10_000
_MAX_STRINGS: Final = 1_000
_MAX_TEXT: Final = 4_096
_MAX_COUNT: Final = 10**15
_DIGITS: Final = re.compile(r"[0-9]{1,15}\Z")
_POLICY_TYPES: Final = frozenset({"tlsa", "sts", "no-policy-found"})
_RESULT_TYPES: Final = frozenset(
    {
        "starttls-not-supported",
        "certificate-host-mismatch",
        "certificate-expired",
        "certificate-not-trusted",
        "validation-failure",
        "tlsa-invalid",
        "dnssec-invalid",
        "dane-required",
        "sts-policy-fetch-error",
        "sts-policy-invalid",
        "sts-webpki-invalid",
    }
)


def parse_tls_report(octets: bytes, domain_hint: str = "") -> TlsReport:
    """Read the JSON of a TLS report; raise ``ReportSyntaxError`` with the place.

    ``domain_hint`` stands in where no policy names a domain.
    """
    if len(octets) > MAX_OCTETS:
        raise ReportSyntaxError(say("The JSON is longer than %(max_octets)s octets.", max_octets=MAX_OCTETS))
    document = _load(octets)
    if not isinstance(document, dict) or "policies" not in document:
        raise ReportSyntaxError(say("The JSON is no TLS report: it has no policies."), place=(1, 1))
    return _Reader().report(document, domain_hint)


def _load(octets: bytes) -> Any:
    try:
        return json.loads(octets.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"), strict=False)
    except json.JSONDecodeError as error:
        message = say("The report is not JSON: %(msg)s.", msg=error.msg)
        raise ReportSyntaxError(message, place=(error.lineno, error.colno)) from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets within brackets
        raise ReportSyntaxError(say("The JSON holds what no report has."), place=(1, 1)) from error


class _Reader:
    """Makes values of a JSON document, with a remark on whatever is amiss."""

    def __init__(self) -> None:
        self._remarks = Remarks()

    def report(self, document: dict[str, Any], domain_hint: str) -> TlsReport:
        period = self._object(document, "date-range")
        policies = self._objects(document, "policies", _MAX_POLICIES)
        return TlsReport(
            organisation=self._wanted(document, "organization-name"),
            contact=self._text(document, "contact-info"),
            report_id=self._wanted(document, "report-id"),
            begin=self._moment(period, "start-datetime"),
            end=self._moment(period, "end-datetime"),
            policies=tuple(self._policy(policy) for policy in policies),
            domain_hint=domain_hint,
            remarks=self._remarks.all(),
        )

    def _policy(self, outer: dict[str, Any]) -> TlsPolicy:
        policy = self._object(outer, "policy")
        summary = self._object(outer, "summary")
        failures = self._objects(outer, "failure-details", _MAX_FAILURES)
        # The RFC's text says mx-host, its early drafts mx-host-pattern; an array or a single name.
        hosts = "mx-host" if "mx-host" in policy else "mx-host-pattern"
        return TlsPolicy(
            policy_type=self._token(policy, "policy-type", _POLICY_TYPES),
            strings=self._texts(policy, "policy-string"),
            domain=self._text(policy, "policy-domain").strip().lower().removesuffix("."),
            mx_hosts=self._texts(policy, hosts),
            successful=self._count(summary, "total-successful-session-count"),
            failed=self._count(summary, "total-failure-session-count"),
            failures=tuple(self._failure(failure) for failure in failures),
        )

    def _failure(self, failure: dict[str, Any]) -> TlsFailure:
        more = "additional-information" if "additional-information" in failure else "additional-info-uri"
        return TlsFailure(
            result_type=self._token(failure, "result-type", _RESULT_TYPES),
            sending_mta_ip=self._text(failure, "sending-mta-ip"),
            receiving_mx_hostname=self._text(failure, "receiving-mx-hostname"),
            receiving_mx_helo=self._text(failure, "receiving-mx-helo"),
            receiving_ip=self._text(failure, "receiving-ip"),
            failed_sessions=self._count(failure, "failed-session-count"),
            additional_information=self._text(failure, more),
            failure_reason_code=self._text(failure, "failure-reason-code"),
        )

    def _object(self, parent: dict[str, Any], key: str) -> dict[str, Any]:
        found = parent.get(key)
        if isinstance(found, dict):
            return found
        self._remarks.add("tls.missing", say("There is no object '%(key)s'.", key=key))
        return {}

    def _objects(self, parent: dict[str, Any], key: str, limit: int) -> list[dict[str, Any]]:
        found = parent.get(key)
        if found is None:
            return []
        listed = found if isinstance(found, list) else [found]
        if len(listed) > limit:
            raise ReportSyntaxError(say("There are more than %(limit)s entries in '%(key)s'.", limit=limit, key=key))
        kept = [one for one in listed if isinstance(one, dict)]
        if len(kept) < len(listed):
            self._remarks.add("tls.not_object", say("'%(key)s' holds what is no object.", key=key))
        return kept

    def _wanted(self, parent: dict[str, Any], key: str) -> str:
        text = self._text(parent, key)
        if not text:
            self._remarks.add("tls.missing", say("There is no '%(key)s'.", key=key))
        return text

    def _text(self, parent: dict[str, Any], key: str) -> str:
        found = parent.get(key)
        if found is None:
            return ""
        if not isinstance(found, str):
            self._remarks.add("tls.not_text", say("'%(key)s' is no text.", key=key))
            found = json.dumps(found)
        if len(found) > _MAX_TEXT:
            self._remarks.add(
                "tls.long_text", say("'%(key)s' is cut to %(max_text)s characters.", key=key, max_text=_MAX_TEXT)
            )
        # Half of a surrogate pair is a text in JSON, but nowhere else.
        cut: str = found[:_MAX_TEXT]
        return cut.encode("utf-8", "replace").decode("utf-8")

    def _texts(self, parent: dict[str, Any], key: str) -> tuple[str, ...]:
        found = parent.get(key)
        if found is None:
            return ()
        listed = found if isinstance(found, list) else [found]
        return tuple(self._text({key: one}, key) for one in listed[:_MAX_STRINGS])

    def _token(self, parent: dict[str, Any], key: str, known: frozenset[str]) -> str:
        token = self._text(parent, key).strip().lower()
        if token not in known:
            self._remarks.add(
                "tls.unknown_value", say("'%(key)s' is '%(token)s', which is not known.", key=key, token=token[:60])
            )
        return token

    def _count(self, parent: dict[str, Any], key: str) -> int | None:
        found = parent.get(key)
        if found is None:
            return None
        if isinstance(found, str) and _DIGITS.match(found):
            found = int(found)
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= _MAX_COUNT:
            return found
        self._remarks.add("tls.count", say("'%(key)s' is not a number of sessions.", key=key))
        return None

    def _moment(self, parent: dict[str, Any], key: str) -> Microseconds | None:
        text = self._text(parent, key).strip()
        try:
            return from_datetime(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            self._remarks.add(
                "tls.time", say("'%(key)s' is '%(text)s', which is no moment of RFC 3339.", key=key, text=text[:60])
            )
            return None
