"""What a classified failure means for its recipient."""

import pytest

from hygiene.consequences import BounceKind, consequence_of
from mailtypes.bounce import BLAMES, DEAD_REASONS, Blame, BounceReason

R, K = BounceReason, BounceKind


@pytest.mark.parametrize("reason", BounceReason)
def test_only_what_is_the_recipients_can_be_a_hard_bounce(reason: BounceReason) -> None:
    for dead in (True, False):
        found = consequence_of(reason, is_recipient_dead=dead, evidence="rule 1")
        assert (found.reason, found.rule) == (str(reason), "rule 1")
        if BLAMES[reason] is Blame.SENDER and reason is not R.COMPLAINT:
            assert found.kind is K.NONE
        if reason in DEAD_REASONS:
            assert (found.kind is K.HARD_BOUNCE) is dead
    assert (consequence_of(reason, is_recipient_dead=False).kind is K.COMPLAINT) == (reason is R.COMPLAINT)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (R.MAILBOX_FULL, K.SOFT_BOUNCE),
        (R.SUSPENDED, K.SOFT_BOUNCE),
        (R.FILTERED, K.SOFT_BOUNCE),
        (R.EXPIRED, K.SOFT_BOUNCE),
        (R.NETWORK_ERROR, K.SOFT_BOUNCE),
        (R.SYSTEM_ERROR, K.SOFT_BOUNCE),
        (R.GREYLISTED, K.NONE),
        (R.AUTO_REPLY, K.NONE),
        (R.DELIVERED, K.NONE),
        (R.UNKNOWN, K.NONE),
    ],
)
def test_what_does_not_kill(reason: BounceReason, kind: BounceKind) -> None:
    assert consequence_of(reason, is_recipient_dead=False).kind is kind
