"""One message to a return path, read: a bounce, a complaint, or neither."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dns_checks.reports.mail_parts import MailPart
from mailtypes.bounce import BounceReason
from mta.bounce.addresses import addresses_in
from mta.bounce.delivery_status import DeliveryStatus, StatusGroup, read_groups
from mta.bounce.feedback_report import read_complaint
from mta.bounce.forms import FORMS
from mta.bounce.json_notice import complaint_of_notice, groups_of_notice, original_of_notice, read_notice
from mta.bounce.judging import Said, judge
from mta.bounce.mail_text import TakenApart, one_line, take_apart
from mta.bounce.reports import BounceReport, ComplaintReport, DsnAction, NotABounce
from mta.bounce.text_forms import lines_about, named_recipients


def read_bounce(octets: bytes) -> BounceReport | ComplaintReport | NotABounce:
    """What a message to a return path says; raise ``BounceSyntaxError`` where it is no mail or is too large.

    Linear in time and bounded in all it keeps, whatever the octets are. Nothing in it is to be trusted: whoever
    acts on it has to know by other means (a keyed return path) which delivery it is about.
    """
    apart = take_apart(octets)
    notice = read_notice(apart.text)
    if notice is not None:
        return complaint_of_notice(notice) or _of_notice(apart, notice)
    complaint = read_complaint(apart)
    if complaint is not None:
        return complaint
    status = read_groups(apart.status_texts or ["\n".join(apart.lines)])
    sender = _sender(apart.header)
    if status.groups or (apart.status_texts and apart.original):
        return _report(apart, status, sender)
    answer = _auto_reply(apart.header, sender)
    if answer:
        return NotABounce(BounceReason.AUTO_REPLY, sender, answer, apart.original)
    named = named_recipients(apart)
    if not (_is_of_a_bounce(apart.header) or (named.is_sure and apart.original)):
        return NotABounce(
            BounceReason.UNKNOWN, sender, "neither sender, subject nor text are a bounce's", apart.original
        )
    return _report(apart, status, sender)


def _of_notice(apart: TakenApart, notice: Mapping[str, Any]) -> BounceReport | NotABounce:
    sender = _sender(apart.header)
    groups = groups_of_notice(notice)
    if not groups:
        return NotABounce(BounceReason.UNKNOWN, sender, "a notice of Amazon SES that tells of nobody")
    recipients = tuple(judge(Said(group, sender, "", "", (), ())) for group in groups)
    return BounceReport(recipients, original_of_notice(notice))


def _report(apart: TakenApart, status: DeliveryStatus, sender: str) -> BounceReport:
    groups = _named_in_text(apart, status)
    mentioned = [group.other_address or group.address for group in groups]
    about, of_nobody = lines_about(apart.lines, [address for address in mentioned if address])
    mailer = apart.header.value("x-mailer")
    text = " ".join(" ".join(apart.lines).split())
    recipients = []
    for group, mention in zip(groups, mentioned, strict=True):
        lines = about.get(mention, [])
        others = of_nobody if len(groups) == 1 else []  # of several, nobody knows whom they mean
        recipients.append(judge(Said(group, sender, mailer, text, lines, others)))
    return BounceReport(tuple(recipients), apart.original, status.reporting_mta)


def _named_in_text(apart: TakenApart, status: DeliveryStatus) -> tuple[StatusGroup, ...]:
    """The groups; addresses that their fields leave out are taken from the text."""
    if status.groups and all(group.address for group in status.groups):
        return status.groups
    named = named_recipients(apart).addresses
    if len(status.groups) == 1:
        (group,) = status.groups
        address = named[0] if named else ""
        return (replace(group, address=address),)
    if status.groups:
        return tuple(group for group in status.groups if group.address) or status.groups
    folded = " ".join(" ".join((apart.header.value("subject"), *apart.lines)).lower().split())
    action = DsnAction.DELAYED if any(phrase in folded for phrase in FORMS.delayed) else DsnAction.FAILED
    return tuple(StatusGroup(address, "", action, None, "") for address in named or ("",))


def _sender(header: MailPart) -> str:
    return next(iter(addresses_in(one_line(header.value("from")))), "")


def _is_of_a_bounce(header: MailPart) -> bool:
    subject = one_line(header.value("subject")).lower()
    return _is_daemon(header) or any(phrase in subject for phrase in FORMS.bounce_subject)


def _is_daemon(header: MailPart) -> bool:
    value = one_line(header.value("from")).lower()
    return any(name in value for name in FORMS.daemons)


def _auto_reply(header: MailPart, sender: str) -> str:
    """Why a mail is an automatic answer (RFC 3834), ``""`` where it is none."""
    if _is_daemon(header) or not sender or any(header.value(name) for name in FORMS.failed_recipient_fields):
        return ""
    if header.value("auto-submitted").lower().startswith("auto-replied"):
        return "Auto-Submitted: RFC 3834 section 5"
    found = next((name for name in FORMS.auto_reply_fields if header.value(name)), "")
    if found:
        return f"the field {found}"
    subject = one_line(header.value("subject")).lower()
    phrase = next((phrase for phrase in FORMS.auto_reply_subject if subject.startswith(phrase)), "")
    return f"subject '{phrase}'" if phrase else ""
