"""One message to a return path, read: a bounce, a complaint, or neither."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from dns_checks.reports.mail_parts import MailPart
from mailtypes.bounce import BounceReason
from mta.bounce.addresses import address_key, addresses_in
from mta.bounce.delivery_status import DeliveryStatus, StatusGroup, read_groups
from mta.bounce.feedback_report import read_complaint
from mta.bounce.forms import FORMS
from mta.bounce.json_notice import complaint_of_notice, groups_of_notice, original_of_notice, read_notice
from mta.bounce.judging import Said, judge, tells_of_a_refusal
from mta.bounce.mail_text import TakenApart, header_text, one_line, take_apart
from mta.bounce.reports import BounceReport, ComplaintReport, DsnAction, NotABounce
from mta.bounce.text_forms import lines_about, named_recipients

_GREETING_LINES: Final = 30  # of a text, and letters of them, in which an automatic answer says what it is
_GREETING_LETTERS: Final = 1_500


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
    answer = _auto_reply(apart, sender)
    if answer:
        return NotABounce(BounceReason.AUTO_REPLY, sender, answer, apart.original)
    if not _is_a_bounce(apart):
        return _neither(apart, sender)
    return _report(apart, status, sender)


def _neither(apart: TakenApart, sender: str) -> NotABounce:
    """Mail without the words of a bounce: what nobody's return path or a field calls automatic is an answer."""
    header = apart.header
    why = "neither sender, subject nor text are a bounce's"
    if header.value("return-path").strip() == "<>":
        why = "a null return path without a refusal: RFC 3834 section 3.3"
    elif "auto" in header.value("precedence").lower():
        why = "the field precedence"
    elif header.value("x-auto-response-suppress") and header.value("in-reply-to"):
        why = "the field x-auto-response-suppress"
    else:
        return NotABounce(BounceReason.UNKNOWN, sender, why, apart.original)
    return NotABounce(BounceReason.AUTO_REPLY if sender else BounceReason.UNKNOWN, sender, why, apart.original)


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
    is_nameless = bool(status.groups) and not any(group.address for group in status.groups)
    if is_nameless and len(status.groups) in {1, len(named)}:
        addresses = named or ("",)
        return tuple(replace(group, address=one) for group, one in zip(status.groups, addresses, strict=False))
    if status.groups:
        return _filled(status.groups, named) or status.groups
    folded = " ".join(" ".join((header_text(apart.header.value("subject")), *apart.lines)).lower().split())
    action = DsnAction.DELAYED if any(phrase in folded for phrase in FORMS.delayed) else DsnAction.FAILED
    return tuple(StatusGroup(address, "", action, None, "") for address in named or ("",))


def _filled(groups: tuple[StatusGroup, ...], named: tuple[str, ...]) -> tuple[StatusGroup, ...]:
    """The groups that have an address, and as many of the others as the text names further recipients."""
    known = {address_key(address) for group in groups for address in (group.address, group.other_address)}
    further = iter([address for address in named if address_key(address) not in known])
    filled = [group if group.address else replace(group, address=next(further, "")) for group in groups]
    return tuple(group for group in filled if group.address)


def _sender(header: MailPart) -> str:
    fields = ("from", "reply-to", "sender", "return-path")
    return next((address for name in fields for address in addresses_in(one_line(header.value(name)))), "")


def _is_a_bounce(apart: TakenApart) -> bool:
    """By its sender or subject; by what it quotes or refers to; where nobody sent it, by what it says.

    A bounce has a null return path (RFC 5321 section 4.5.5) and says that it is generated (RFC 3834 section 5); other
    mail is too. Only with the words of a refusal beside them do these tell.
    """
    header = apart.header
    subject = header_text(header.value("subject")).lower()
    if _is_daemon(header) or any(phrase in subject for phrase in FORMS.bounce_subject):
        return True
    if named_recipients(apart).is_sure and (apart.original is not None or header.value("x-failed-recipients")):
        return True
    by_nobody = header.value("return-path").strip() == "<>"
    generated = header.value("auto-submitted").lower().startswith("auto-")
    reported = header.value("content-type").lower().startswith("multipart/report")
    return (by_nobody or generated or reported) and tells_of_a_refusal(apart.lines)


def _is_daemon(header: MailPart) -> bool:
    value = header_text(header.value("from")).lower()
    return any(name in value for name in FORMS.daemons)


def _auto_reply(apart: TakenApart, sender: str) -> str:
    """Why a mail is an automatic answer (RFC 3834) or asks for proof of its sender, ``""`` where it is neither."""
    header = apart.header
    if _is_daemon(header) or not sender or any(header.value(name) for name in FORMS.failed_recipient_fields):
        return ""
    if header.value("auto-submitted").lower().startswith("auto-replied"):
        return "Auto-Submitted: RFC 3834 section 5"
    found = next((name for name in FORMS.auto_reply_fields if header.value(name)), "")
    if found:
        return f"the field {found}"
    subject = header_text(header.value("subject")).lower()
    bare = subject.removeprefix("re:").lstrip(" [(*<\"'")
    phrase = next((phrase for phrase in FORMS.auto_reply_subject if bare.startswith(phrase)), "")
    if phrase:
        return f"subject '{phrase}'"
    begin = " ".join(" ".join((subject, *apart.lines[:_GREETING_LINES])).lower().split())[:_GREETING_LETTERS]
    phrase = next((phrase for phrase in FORMS.challenge_words if phrase in begin), "")
    if not phrase and not tells_of_a_refusal(apart.lines):
        phrase = next((phrase for phrase in FORMS.auto_reply_words if phrase in begin), "")
    return f"the words '{phrase}'" if phrase else ""
