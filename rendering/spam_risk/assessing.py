"""The assessment: content by rules and words, then what is known of authentication and infrastructure."""

from collections.abc import Iterator

from mailtypes.auth import AuthFacts
from mailtypes.saying import say
from rendering.spam_risk.features import NONE
from rendering.spam_risk.infrastructure import NOTHING_KNOWN, InfrastructureFacts
from rendering.spam_risk.message import ScoredMessage
from rendering.spam_risk.risk import HIGHEST, Block, Reason, SpamRisk, band_of
from rendering.spam_risk.rules import Weights, the_rules, the_weights
from rendering.spam_risk.sender_rules import authentication_reasons, infrastructure_reasons
from rendering.spam_risk.subject_matter import SubjectMatter
from rendering.spam_risk.words import FEW_WORDS_KNOWN, Wording, weigh_words

_FEW_WORDS = 5


def assess(
    message: ScoredMessage, auth: AuthFacts | None = None, infrastructure: InfrastructureFacts = NOTHING_KNOWN
) -> SpamRisk:
    """The risk of a mail; never fails, takes time in proportion to its length, and asks nobody.

    ``auth`` are the author domain's facts as the last audit saw them, ``None`` where there was none.
    """
    return assess_with(the_weights(), message, auth, infrastructure)


def assess_with(
    weights: Weights,
    message: ScoredMessage,
    auth: AuthFacts | None = None,
    infrastructure: InfrastructureFacts = NOTHING_KNOWN,
) -> SpamRisk:
    """As ``assess``, by weights of one's own; the fit tries its own so."""
    matter = SubjectMatter.of(message)
    wording = weigh_words(matter, weights.words)
    content = [*_rule_reasons(matter, weights), *_of_words(matter, wording)]
    sender, unknown_of_sender = authentication_reasons(auth)
    machines, unknown_of_machines = infrastructure_reasons(infrastructure, auth)
    blocks = (
        _within(weights.baseline + sum(reason.weight for reason in content)),
        _within(sum(reason.weight for reason in sender)),
        _within(sum(reason.weight for reason in machines)),
    )
    score = _within(sum(blocks))
    reasons = sorted([*content, *sender, *machines], key=lambda reason: (-abs(reason.weight), reason.code))
    return SpamRisk(
        score,
        band_of(score),
        *blocks,
        baseline=weights.baseline,
        reasons=tuple(reasons),
        unknown=(*_remarks(matter, wording), *unknown_of_sender, *unknown_of_machines),
    )


def _within(points: float) -> float:
    return round(min(HIGHEST, max(0.0, points)), 2)


def _rule_reasons(matter: SubjectMatter, weights: Weights) -> Iterator[Reason]:
    for rule in the_rules():
        full = weights.rules.get(rule.code, 0.0) if rule.points is None else rule.points
        strength = rule.feature(matter) if full else NONE
        weight = round(full * strength.value, 2)
        if weight:
            place = None if strength.found is None else matter.place_of(strength.found)
            yield Reason(
                rule.code,
                Block.CONTENT,
                weight,
                place,
                say(rule.sentence),
                say(rule.mend),
                is_calibrated=rule.is_calibrated,
            )


def _of_words(matter: SubjectMatter, wording: Wording) -> Iterator[Reason]:
    weight = round(wording.points, 2)
    if not weight:
        return
    told = ", ".join(wording.telling)
    is_bad = wording.points > 0
    side = say("spam") if is_bad else say("ordinary mail")
    sentence = say(
        "Its words are more usual in %(side)s; of %(known)s known ones these weigh most: %(told)s.",
        side=side,
        known=wording.known,
        told=told,
    )
    mend = say("Say the same in other words, beginning with these.") if is_bad else say("Nothing to mend.")
    place = None if wording.found is None else matter.place_of(wording.found)
    yield Reason("word-statistics", Block.CONTENT, weight, place, sentence, mend, is_calibrated=True)


def _remarks(matter: SubjectMatter, wording: Wording) -> Iterator[str]:
    if matter.text.strip() and wording.known < _FEW_WORDS:
        yield FEW_WORDS_KNOWN
    if matter.message.subject is None:
        yield say("The subject is not known.")
    if matter.is_cut:
        yield say("The mail is very long; only its beginning was weighed.")
