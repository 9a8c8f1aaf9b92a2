"""When to try again after a transient failure, and when to give up; pure."""

import random

from mailtypes.clock import Microseconds
from mailtypes.smtp import SmtpReply
from mta.delivery import Happening
from mta.ports import RetryPolicy

_GREYLISTING_CODES = frozenset({421, 450, 451})
_MAX_EXPONENT = 64  # far beyond any queue life; keeps the power finite


def looks_like_greylisting(reply: SmtpReply | None, attempt: int) -> bool:
    """Whether a first attempt was put off the way greylisting does it (RFC 6647 section 2.1: 450 or 451, x.7.1).

    A reply that names another subject (mailbox full is 4.2.2, system full 4.3.1) is taken at its word.
    """
    if attempt != 1 or reply is None or reply.code not in _GREYLISTING_CODES:
        return False
    status = reply.enhanced_status
    if status is None:
        return reply.code != 421
    return status.subject == 7 if reply.code != 421 else (status.subject, status.detail) == (7, 1)


def retry_at(
    policy: RetryPolicy, attempt: int, now: Microseconds, random: random.Random, *, greylisted: bool = False
) -> Microseconds:
    """The moment of the attempt after ``attempt`` (counted from 1), with jitter; never before ``now`` plus a second."""
    if greylisted:
        wait = policy.greylisted.total_seconds()
    else:
        growth = policy.factor ** min(max(attempt - 1, 0), _MAX_EXPONENT)
        wait = min(policy.first.total_seconds() * growth, policy.longest.total_seconds())
    wait *= 1 + policy.jitter * random.uniform(-1.0, 1.0)
    return Microseconds(now + max(round(wait * 1_000_000), 1_000_000))


def happening_instead_of_retry(retry_at: Microseconds, expires_at: Microseconds) -> Happening | None:
    """``Happening.EXPIRE`` where the next attempt would come too late, ``None`` where it may be made.

    The owner of the queue asks this after a transient outcome, so that nobody waits hours for a bounce
    that is already certain.
    """
    return Happening.EXPIRE if retry_at >= expires_at else None
