"""From what a bounce says of one recipient to its classification."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mailtypes.bounce import DEAD_REASONS, BounceReason, Stage
from mailtypes.smtp import EnhancedStatus
from mta.bounce.classification import Classification, Refusal, classify
from mta.bounce.delivery_status import StatusGroup
from mta.bounce.forms import FORMS, Seen, SystemForm
from mta.bounce.mail_text import one_line
from mta.bounce.reports import BouncedRecipient, DsnAction

_STATUS: Final = re.compile(r"(?<![\w.])#?([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
# RFC 5321 section 4.2: three digits; here at a beginning, or behind what reporting hosts write before a reply.
_CODE: Final = re.compile(r"(?<![\w.:/=-])([45][0-5]\d)(?=[ ,:-]|\Z)")
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
    about = one_line("\n".join(said.lines))
    quoted = _quoted_reply(about)
    group = said.group
    told = _CISCO.sub("", group.diagnostic)
    status = _best_status(told, group.status, quoted, about)
    code = _code(told) or _code(quoted or about)
    recipient = BouncedRecipient(group.address, group.action, status, code, told or quoted or about, _DELIVERED)
    if group.action not in {DsnAction.FAILED, DsnAction.DELAYED}:
        accepted = _ACCEPTED.search(recipient.diagnostic)
        return replace(recipient, reply_code=int(accepted[1]) if accepted else None)
    others = one_line("\n".join(said.other_lines))
    seen = Seen(said.sender, said.mailer, group.address, said.text, code is not None)
    system = FORMS.system_of(seen)
    stage = _stage(system, f"{about} {told}", others)
    refusal = Refusal(
        status,
        code or 0,
        recipient.diagnostic,
        stage,
        is_final=group.action is DsnAction.FAILED,
        is_status_of_reply=not told or status in _statuses(told),
    )
    of_known_system = system is not None and system.stage is not None
    found = _by_all_texts(refusal, quoted, (about, others), believes_others=of_known_system)
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
    if found.is_recipient_dead:
        # Where the parts of a bounce contradict each other, the one that spares the recipient counts.
        also = classify(replace(refusal, text=others, status=None))
        if also.reason in _SPARING and not also.is_recipient_dead:
            return replace(also, is_permanent=found.is_permanent)
    return found


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


def _statuses(text: str) -> list[EnhancedStatus]:
    return [EnhancedStatus(*map(int, match.groups())) for match in _STATUS.finditer(text)]


def _code(text: str) -> int | None:
    match = _CODE.search(text)
    return int(match[1]) if match else None


def _quoted_reply(about: str) -> str:
    """The reply that the lines quote, without what the reporting host says around it."""
    found = _QUOTED.search(about)
    if found is not None:
        return about[found.end() :]
    code = _CODE.search(about)
    return about[code.start() :] if code else ""
