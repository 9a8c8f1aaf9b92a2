"""Complaints: feedback reports (RFC 5965, RFC 6650), and the form that is none."""

from dns_checks.reports import ReportSyntaxError
from dns_checks.reports.mail_parts import parse_fields
from mta.bounce.addresses import addresses_in, clean_address, typed_address
from mta.bounce.forms import FORMS
from mta.bounce.mail_text import TakenApart, one_line
from mta.bounce.reports import MAX_RECIPIENTS, ComplaintReport
from mta.bounce.text_forms import original_recipients

_RECIPIENT_FIELDS = ("original-rcpt-to", "removal-recipient", "original-recipient", "final-recipient")
_HIDDEN = ("redacted", "undisclosed", "hidden", "xxx")


def read_complaint(apart: TakenApart) -> ComplaintReport | None:
    """The complaint that a message makes, ``None`` where it makes none."""
    if apart.feedback_text is not None:
        return _feedback(apart, apart.feedback_text)
    sender = one_line(apart.header.value("from")).lower()
    subject = one_line(apart.header.value("subject")).lower()
    for form in FORMS.complaints:
        if form.sender in sender and subject.startswith(form.subject):
            return ComplaintReport("abuse", _recipients([], form.recipient_field, apart), apart.original, form.name)
    return None


def _feedback(apart: TakenApart, text: str) -> ComplaintReport:
    try:
        fields = parse_fields(text.lstrip("\n"))
    except ReportSyntaxError:
        fields = ()
    values = {name: one_line(value) for name, value in reversed(fields)}
    named = [one_line(value) for name, value in fields if name in _RECIPIENT_FIELDS]
    return ComplaintReport(
        values.get("feedback-type", "").lower() or "abuse",
        _recipients(named, "to", apart),
        apart.original,
        values.get("user-agent", ""),
        values.get("source-ip", ""),
        clean_address(values.get("original-mail-from", "")),
    )


def _recipients(named: list[str], field: str, apart: TakenApart) -> tuple[str, ...]:
    """Those that the report names, else those of the mail complained of; hidden ones are left out."""
    shown = _shown([typed_address(value) for value in named])
    if not shown and apart.original is not None:
        shown = _shown(addresses_in(apart.original.value(field))) or _shown(original_recipients(apart.original))
    return shown[:MAX_RECIPIENTS]


def _shown(addresses: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address for address in addresses if address and not _is_hidden(address)))


def _is_hidden(address: str) -> bool:
    local_part = address.rpartition("@")[0].lower()
    return any(word in local_part for word in _HIDDEN) or "*" in local_part
