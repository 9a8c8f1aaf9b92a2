"""From what a bounce says of one recipient to its classification."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mailtypes.bounce import DEAD_REASONS, BounceReason, Stage
from mailtypes.smtp import EnhancedStatus
from mta.bounce.classification import Classification, Refusal, classify, is_certainly_unknown
from mta.bounce.delivery_status import StatusGroup
from mta.bounce.forms import FORMS, Seen, SystemForm
from mta.bounce.mail_text import one_line
from mta.bounce.reports import BouncedRecipient, DsnAction

_STATUS: Final = re.compile(r"(?<![\w.])#?([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
# RFC 5321 section 4.2: three digits; here at a beginning, or behind what reporting hosts write before a reply.
_CODE: Final = re.compile(r"(?<![\w.:/=-])([45][0-5]\d)(?=[ ,:-]|\Z)")
_REFUSAL: Final = re.compile(
    r"(?<![\w.:/=-])[45][0-5]\d(?:[ -]#?[45]\.\d{1,3}\.\d{1,3}\b|,? (?:[a-z]{1,20} )?<[^<>\s]{3,320}@)"
    r"|\(#[45]\.\d{1,3}\.\d{1,3}\)"
    r"|(?:said|replied|responded|returned|response was|error was|rcpt to|mail from|command)\W{0,6}[45][0-5]\d\b",
    re.IGNORECASE,
)
_CODE_AND_STATUS: Final = re.compile(r"[45][0-5]\d[ -]#?[45]\.\d{1,3}\.\d{1,3}(?!\.?\d)")
_LINE_OF_REPLY: Final = re.compile(r"[ \t>*\"']{0,20}[45][0-5]\d(?: -)? \S")
_REPORTED_STAGE: Final = re.compile(r" \(in reply to [^()]{1,60}\)")  # Postfix writes it behind the reply
_ACCEPTED: Final = re.compile(r"(?<![\w.:/=-])(2[0-5]\d)(?=[ -]|\Z)")
_QUOTED: Final = re.compile(
    r"(?:said:|<<<|\(reason:|diagnostic code:|error_code ?:|other server returned was:|responded with failure:)\s*",
    re.IGNORECASE,
)
_CISCO: Final = re.compile(r"\A5\.[01]\.0 - (?:Unknown address|Other network) error ", re.IGNORECASE)
_DELIVERED: Final = Classification(BounceReason.DELIVERED, False, False, "Action: RFC 3464 section 2.3.3")
_NOT_TELLING: Final = {BounceReason.UNKNOWN, BounceReason.FILTERED, BounceReason.PROTOCOL}
_SPARING: Final = {BounceReason.SUSPENDED, BounceReason.MAILBOX_FULL}


@dataclass(frozen=True, slots=True)
class Said:
    """What a bounce says of one recipient: fields of RFC 3464 where there are, the lines about it, and the rest.

    ``text`` is the whole, with its white space folded.
    """

    group: StatusGroup
    sender: str
    mailer: str
    text: str
    lines: Sequence[str]
    other_lines: Sequence[str]


def judge(said: Said) -> BouncedRecipient:
    """Classify one recipient of a bounce."""
    about, others = one_line("\n".join(said.lines)), one_line("\n".join(said.other_lines))
    quoted = _quoted_reply(about)
    group = said.group
    told = _CISCO.sub("", group.diagnostic)
    if not (told or quoted or _statuses(about)):  # some write the reply first, and then whom it is about
        quoted = _reply_in(_plain_lines(said.other_lines))
    status = _best_status(told, group.status, quoted, about)
    code = _code(told) or _code(quoted or about)
    recipient = BouncedRecipient(group.address, group.action, status, code, told or quoted or about, _DELIVERED)
    if group.action not in {DsnAction.FAILED, DsnAction.DELAYED}:
        accepted = _ACCEPTED.search(recipient.diagnostic)
        return replace(recipient, reply_code=int(accepted[1]) if accepted else None)
    seen = Seen(said.sender, said.mailer, group.address, said.text, code is not None)
    system = FORMS.system_of(seen)
    stage = _stage(system, f"{about} {told}", others)
    refusal = Refusal(
        status,
        code or 0,
        recipient.diagnostic,
        stage,
        is_final=group.action is DsnAction.FAILED,
        is_status_of_reply=_is_status_of_reply(status, told, quoted),
    )
    of_known_system = system is not None and system.stage is not None
    believes_others = of_known_system or is_certainly_unknown(one_line("\n".join(_plain_lines(said.other_lines))))
    found = _by_all_texts(refusal, quoted, (about, others), believes_others=believes_others)
    if found.is_recipient_dead:
        found = _spared(found, refusal, (others, _before_reply(about))) or found
    if found.reason in _NOT_TELLING:
        found = _by_system(system, group.category, found)
    if group.action is DsnAction.DELAYED:  # it is still being tried
        found = replace(found, is_permanent=False, is_recipient_dead=False)
    return replace(recipient, classification=found)


def _by_system(system: SystemForm | None, category: str, found: Classification) -> Classification:
    """What is known of the system that reports, where nothing else tells."""
    if system is not None and system.reason is not None and found.reason is BounceReason.UNKNOWN:
        return Classification(system.reason, found.is_permanent, False, f"system '{system.name}': {system.source}")
    reason = FORMS.categories.get(category)
    if reason is None:
        return found
    dead = reason in DEAD_REASONS and found.is_permanent
    return Classification(reason, found.is_permanent, dead, f"X-PowerMTA-BounceCategory: {category}")


def _by_all_texts(refusal: Refusal, quoted: str, texts: tuple[str, str], *, believes_others: bool) -> Classification:
    """The diagnostic decides; where it does not tell, the lines about the recipient, then the others do."""
    about, others = texts
    found = classify(refusal)
    by_status = classify(replace(refusal, text="")).evidence
    for text in (quoted, about, others):
        if found.reason not in _NOT_TELLING:
            break
        more = classify(replace(refusal, text=text))
        # What is said to everybody ("it may not exist") makes nobody dead.
        is_for_all = text is others and more.is_recipient_dead and not believes_others
        if more.reason not in _NOT_TELLING and more.evidence != by_status and not is_for_all:
            found = more
    return found


def _spared(found: Classification, refusal: Refusal, texts: tuple[str, ...]) -> Classification | None:
    """Where the parts of a bounce contradict each other, the one that spares the recipient counts."""
    for text in texts:
        also = classify(replace(refusal, text=text, status=None))
        if also.reason in _SPARING:
            return replace(also, is_permanent=found.is_permanent)
    return None


def _before_reply(about: str) -> str:
    """What the lines say before the reply that they quote; nothing where they quote none."""
    found = _QUOTED.search(about) or _CODE.search(about)
    return about[: found.start()] if found is not None else ""


def _stage(system: SystemForm | None, about: str, others: str) -> Stage:
    stage = FORMS.stage_of(about)
    if stage is Stage.UNKNOWN and system is not None and system.stage is not None:
        return system.stage
    return FORMS.stage_of(others) if stage is Stage.UNKNOWN else stage


def _best_status(diagnostic: str, field: EnhancedStatus | None, *texts: str) -> EnhancedStatus | None:
    """The remote host's own status before the reporting host's, and a specific one before ``X.0.0``."""
    candidates = [*_statuses(diagnostic), *([field] if field is not None else [])]
    if not diagnostic:  # texts also tell what the reporting host made of a reply: no match for the reply itself
        candidates += [status for text in texts for status in _statuses(text)]
    return next((one for one in candidates if one.detail), candidates[0] if candidates else None)


def _is_status_of_reply(status: EnhancedStatus | None, told: str, quoted: str) -> bool:
    """Whether the host that refused gave the status; a quoted reply with a status of its own shows who made which."""
    if told:
        return status in _statuses(told)
    own = _CODE_AND_STATUS.match(quoted)
    return own is None or status in _statuses(own[0])


def _statuses(text: str) -> list[EnhancedStatus]:
    return [EnhancedStatus(*map(int, match.groups())) for match in _STATUS.finditer(text)]


def tells_of_a_refusal(lines: Sequence[str]) -> bool:
    """Whether a text quotes a reply that refuses: a code with an enhanced status, or a code behind words for it."""
    text = one_line("\n".join(lines))
    return _REFUSAL.search(text) is not None


def _code(text: str) -> int | None:
    match = _CODE.search(text)
    return int(match[1]) if match else None


def _plain_lines(lines: Sequence[str]) -> list[str]:
    """The lines without those that advise or guess ("the address may be wrong")."""
    whole = "\n".join(lines).lower()
    hedges = [word for word in FORMS.hedges if word in whole]
    return [line for line in lines if not any(word in line.lower() for word in hedges)]


def _reply_in(lines: Sequence[str]) -> str:
    """The reply that lines quote, ``""`` where they quote none; it may go on in the lines behind it."""
    for number, line in enumerate(lines):
        match = _REFUSAL.search(line) or _LINE_OF_REPLY.match(line)
        if match is not None:
            code = _CODE.search(line, match.start())
            return one_line("\n".join([line[code.start() if code else match.start() :], *lines[number + 1 :]]))
    return ""


def _quoted_reply(about: str) -> str:
    """The reply that the lines quote, without what the reporting host says around it."""
    found = _QUOTED.search(about)
    code = None if found is not None else _CODE.search(about)
    start = found.end() if found is not None else code.start() if code is not None else len(about)
    return _REPORTED_STAGE.sub("", about[start:])
