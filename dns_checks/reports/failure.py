"""Reads failure and abuse reports: ARF (RFC 5965) with the fields of RFC 6591 and RFC 6692."""

import re
from email.utils import parseaddr, parsedate_to_datetime
from typing import Final

from dns_checks.reports.mail_parts import MailPart, parse_fields
from dns_checks.reports.report import FailureReport, Remarks, ReportSyntaxError
from mailtypes.clock import Microseconds, from_datetime
from mailtypes.saying import say

FEEDBACK_TYPE: Final = "message/feedback-report"

_MAX_FIELDS_TEXT: Final = 512 * 1024
_MAX_REPEATS: Final = 100
_MAX_VALUE: Final = 256 * 1024
_MAX_ADDRESS: Final = 1_000
_NUMBER: Final = re.compile(r"[0-9]{1,9}\Z")
_COMMENT: Final = re.compile(r"\s*\([^()]*\)\s*\Z")
_KNOWN_TYPES: Final = frozenset({"abuse", "auth-failure", "fraud", "not-spam", "opt-out", "virus", "other"})
_KNOWN_FAILURES: Final = frozenset({"adsp", "bodyhash", "revoked", "signature", "spf", "dmarc"})


def feedback_part(mail: MailPart) -> MailPart | None:
    """The part with the report's fields, or ``None``: by its type, or by how it begins where the type is wrong."""
    for leaf in mail.leaves():
        if leaf.content_type == FEEDBACK_TYPE:
            return leaf
    if mail.content_type == "multipart/report" and mail.parameters.get("report-type", "").lower() == "feedback-report":
        for leaf in mail.leaves():
            if leaf.content()[:200].lstrip().lower().startswith(b"feedback-type:"):
                return leaf
    return None


def parse_failure(mail: MailPart, report: MailPart) -> FailureReport:
    """Read the fields of ``report``, the part of ``mail`` that holds them; raise ``ReportSyntaxError``."""
    fields = _Fields(report.content())
    headers, message = _reported(mail, report)
    # parseaddr takes quadratic time on what is no address, so it is given little.
    sender = parseaddr(mail.value("from")[:_MAX_ADDRESS])[1].lower()
    return fields.report(headers, message, sender, mail.value("message-id"))


def parse_failure_fields(octets: bytes) -> FailureReport:
    """Read the fields of a feedback report that stand alone; raise ``ReportSyntaxError``."""
    return _Fields(octets).report("", b"", "", "")


def _reported(mail: MailPart, report: MailPart) -> tuple[str, bytes]:
    """The reported message's header, or the message, behind the part with the fields (RFC 5965 section 2)."""
    for part in _siblings_after(mail, report):
        if part.content_type == "text/rfc822-headers":
            return part.content().decode("utf-8", "replace").replace("\r\n", "\n"), b""
        if part.content_type in {"message/rfc822", "message/global"}:
            return "", part.content()
    return "", b""


def _siblings_after(mail: MailPart, report: MailPart) -> tuple[MailPart, ...]:
    for number, part in enumerate(mail.parts):
        if part is report:
            return mail.parts[number + 1 :]
        found = _siblings_after(part, report)
        if found:
            return found
    return ()


class _Fields:
    """The fields of one report, and what had to be forgiven."""

    def __init__(self, octets: bytes) -> None:
        text = octets[:_MAX_FIELDS_TEXT].decode("utf-8", "replace").lstrip("\r\n")
        self._fields: dict[str, list[str]] = {}
        self._remarks = Remarks()
        for name, value in parse_fields(text):
            self._fields.setdefault(name, []).append(value.strip()[:_MAX_VALUE])

    def report(self, headers: str, message: bytes, sender: str, message_id: str) -> FailureReport:
        """The whole; the field without which it is none is ``Feedback-Type`` (RFC 5965 section 3.1)."""
        if not self._one("feedback-type"):
            raise ReportSyntaxError(say("The feedback report has no Feedback-Type field."), place=(1, 1))
        return FailureReport(
            feedback_type=self._token("feedback-type", _KNOWN_TYPES),
            version=self._number("version", 1),
            user_agent=self._one("user-agent"),
            arrival=self._arrival(),
            authentication_results=self._all("authentication-results"),
            incidents=self._number("incidents", 1),
            original_envelope_id=self._one("original-envelope-id"),
            original_mail_from=self._one("original-mail-from"),
            original_rcpt_to=self._one("original-rcpt-to"),
            reported_domains=tuple(domain.lower().removesuffix(".") for domain in self._all("reported-domain")),
            reported_uris=self._all("reported-uri"),
            reporting_mta=self._reporting_mta(),
            source_ip=_COMMENT.sub("", self._one("source-ip")[:_MAX_ADDRESS]),
            source_port=self._number("source-port", 0),
            auth_failure=self._token("auth-failure", _KNOWN_FAILURES),
            delivery_result=self._one("delivery-result").lower(),
            identity_alignment=self._one("identity-alignment").lower(),
            dkim_adsp_dns=self._one("dkim-adsp-dns"),
            dkim_canonicalized_body=self._one("dkim-canonicalized-body"),
            dkim_canonicalized_header=self._one("dkim-canonicalized-header"),
            dkim_domain=self._one("dkim-domain").lower(),
            dkim_identity=self._one("dkim-identity"),
            dkim_selector=self._one("dkim-selector"),
            dkim_selector_dns=self._one("dkim-selector-dns"),
            spf_dns=self._one("spf-dns"),
            headers=headers,
            message=message,
            sender=sender,
            message_id=message_id,
            remarks=self._remarks.all(),
        )

    def _one(self, name: str) -> str:
        return self._fields.get(name, [""])[0]

    def _all(self, name: str) -> tuple[str, ...]:
        return tuple(self._fields.get(name, [])[:_MAX_REPEATS])

    def _token(self, name: str, known: frozenset[str]) -> str:
        token = self._one(name).lower()
        if token and token not in known:
            self._remarks.add(
                "failure.unknown_value",
                say("%(name)s is '%(token)s', which is not known.", name=name, token=token[:60]),
            )
        return token

    def _number(self, name: str, default: int) -> int:
        text = self._one(name)
        if not text:
            return default
        if not _NUMBER.match(text):
            self._remarks.add(
                "failure.number", say("%(name)s is '%(text)s', which is no number.", name=name, text=text[:60])
            )
            return default
        return int(text)

    def _reporting_mta(self) -> str:
        # RFC 3464 section 2.2.2: a type before the name, such as "dns;".
        before, semicolon, after = self._one("reporting-mta").partition(";")
        return (after if semicolon else before).strip()

    def _arrival(self) -> Microseconds | None:
        text = self._one("arrival-date") or self._one("received-date")
        if not text:
            return None
        try:
            moment = parsedate_to_datetime(text[:200])
            return from_datetime(moment)
        except (TypeError, ValueError, OverflowError, IndexError):
            self._remarks.add("failure.date", say("'%(text)s' is no date with a zone.", text=text[:60]))
            return None
