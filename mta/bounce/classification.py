"""What a refusal means, whether it came as a reply or in a bounce: reason, blame, and whether the recipient is dead.

- A wording that names a blocklist, greylisting, a rate or a full mailbox outweighs every status: hosts do write
  ``550 5.1.1`` to a blocked sender and ``552 5.1.1`` for a full mailbox.
- Then the enhanced status decides where it is specific, else the wording, else the status after all, else the stage.
  One that says that there is no such mailbox does not decide where the words blame the sender and speak of no mailbox:
  hosts answer every RCPT with 5.1.1, whatever they refuse.
- A wording that says that there is no such mailbox is believed in answer to RCPT, or with a status that says so.
  A host that says it when it has seen the message (or one that does not tell when) may mean anything: mobile
  carriers answer so for their subscribers' filters. Then the reason is ``filtered``, and nobody is dead.
- A transient reply makes nobody dead: the host itself says that it may change.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mailtypes.bounce import BLAMES, DEAD_REASONS, Blame, BounceReason, Stage
from mailtypes.smtp import EnhancedStatus, SmtpReply
from mta.bounce.rules import RULES, StatusRule, WordingRule, folded_words

_ABOUT_ADDRESS: Final = {BounceReason.USER_UNKNOWN, BounceReason.FILTERED}
_BY_STAGE: Final = {
    # Where neither status nor wording says anything: what was refused says a little.
    Stage.GREETING: BounceReason.BLOCKED,
    Stage.EHLO: BounceReason.BLOCKED,
    Stage.HELO: BounceReason.BLOCKED,
    Stage.STARTTLS: BounceReason.SECURITY,
    Stage.MAIL: BounceReason.SENDER_REJECTED,
}


@dataclass(frozen=True, slots=True)
class Classification:
    """``is_permanent``: trying again is of no use. ``evidence`` names the rule that decided, for logs and people."""

    reason: BounceReason
    is_permanent: bool
    is_recipient_dead: bool
    evidence: str

    @property
    def blames(self) -> Blame:
        """Whose affair it is."""
        return BLAMES[self.reason]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is known of a refusal, from a reply or from a bounce.

    ``code`` is the three-digit reply code, 0 where there is none; ``is_final``: the host that reports has given up,
    whatever the last reply was; ``is_status_of_reply``: the host that refused gave the status, and not the host that
    reports (sendmail makes 5.1.1 of every 550 to RCPT), so that it outweighs the wording.
    """

    status: EnhancedStatus | None
    code: int
    text: str
    stage: Stage = Stage.UNKNOWN
    is_final: bool = False
    is_status_of_reply: bool = True

    @property
    def is_permanent(self) -> bool:
        """Whether a reply of class 5 stands behind it; where none is named, whether it was final."""
        if self.code:
            return self.code >= 500
        return self.status.status_class == 5 if self.status is not None else self.is_final


def classify_reply(reply: SmtpReply, stage: Stage) -> Classification:
    """What the reply to the command of ``stage`` means (RFC 5321 section 4.2, RFC 3463)."""
    if reply.is_positive:
        return Classification(BounceReason.DELIVERED, False, False, "RFC 5321 section 4.2.1: accepted")
    return classify(Refusal(reply.enhanced_status, reply.code, reply.text, stage))


def classify(refusal: Refusal) -> Classification:
    """What a refusal means."""
    reason, evidence = _reason(refusal)
    if reason in DEAD_REASONS and refusal.code and refusal.stage in _BY_STAGE:  # nobody had named the recipient yet
        reason, evidence = _BY_STAGE[refusal.stage], f"{evidence}, but in answer to {refusal.stage}"
    permanent = refusal.is_permanent
    # A host that takes no mail for now may take it later; who is unknown until the mail expires, is unknown.
    gave_up = refusal.is_final and reason is not BounceReason.NO_MAIL_SERVICE
    dead = reason in DEAD_REASONS and (permanent or gave_up)
    return Classification(reason, permanent or dead, dead, evidence)


def _reason(refusal: Refusal) -> tuple[BounceReason, str]:
    if (literal := RULES.beginning(refusal.text)) is not None:
        return literal.reason, _wording_evidence(literal)
    words = folded_words(refusal.text)
    return _reason_of_words(words, refusal.status, refusal.stage, bool(refusal.code), refusal.is_status_of_reply)


# Hosts say the same to every recipient but for the address, which is left out of the words.
@lru_cache(maxsize=4096)
def _reason_of_words(
    words: str, status: EnhancedStatus | None, stage: Stage, has_code: bool, is_status_of_reply: bool
) -> tuple[BounceReason, str]:
    if (outweighing := RULES.outweighing.first(words)) is not None:
        return outweighing.reason, _wording_evidence(outweighing)
    status_rule = None if status is None else RULES.of_status(status.subject, status.detail, status.status_class)
    wording = RULES.wordings.first(words)
    if status_rule is not None and not status_rule.is_vague and is_status_of_reply:
        if wording is not None and wording.acquits and status_rule.reason in DEAD_REASONS and not _is_deadly(words):
            return wording.reason, f"{_wording_evidence(wording)}, against status {status}"
        return status_rule.reason, _status_evidence(status, status_rule)
    if wording is not None:
        return _believed(wording, status, stage, believes=_believes(status_rule))
    if status_rule is not None and status_rule.reason is not BounceReason.UNKNOWN:
        return status_rule.reason, _status_evidence(status, status_rule)
    if stage in _BY_STAGE and has_code:
        return _BY_STAGE[stage], f"refused in answer to {stage}"
    return BounceReason.UNKNOWN, "no rule: neither status nor wording says why"


def is_certainly_unknown(text: str) -> bool:
    """Whether a text says in words that are said of missing mailboxes alone that there is none."""
    rule = RULES.wordings.first(folded_words(text))
    return rule is not None and rule.is_certain


def _is_deadly(words: str) -> bool:
    return RULES.deadly.first(words) is not None


def _believes(rule: StatusRule | None) -> bool:
    return rule is not None and (rule.believes or rule.reason is BounceReason.USER_UNKNOWN)


def _believed(
    rule: WordingRule, status: EnhancedStatus | None, stage: Stage, *, believes: bool
) -> tuple[BounceReason, str]:
    evidence = _wording_evidence(rule)
    if rule.reason in _ABOUT_ADDRESS and believes:
        return BounceReason.USER_UNKNOWN, f"{evidence}, with status {status}"
    if rule.reason is not BounceReason.USER_UNKNOWN or rule.is_certain or stage is Stage.RCPT:
        return rule.reason, evidence
    if stage is Stage.MAIL:
        return BounceReason.SENDER_REJECTED, f"{evidence}, in answer to MAIL"
    return BounceReason.FILTERED, f"{evidence}, but not in answer to RCPT"


def _wording_evidence(rule: WordingRule) -> str:
    return f"wording '{rule.name}': {rule.source}"


def _status_evidence(status: EnhancedStatus | None, rule: StatusRule) -> str:
    return f"status {status}: {rule.source}"
