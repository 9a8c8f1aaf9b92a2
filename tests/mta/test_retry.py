import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.clock import Microseconds
from mailtypes.smtp import SmtpReply
from mta.delivery import Happening
from mta.ports import RetryPolicy
from mta.retry import happening_instead_of_retry, looks_like_greylisting, retry_at

NOW = Microseconds(1_700_000_000_000_000)
PLAIN = RetryPolicy(jitter=0.0)


def waits(policy, attempts, **settings):
    return [(retry_at(policy, attempt, NOW, random.Random(1), **settings) - NOW) / 60e6 for attempt in attempts]


def test_waits_double_up_to_the_longest():
    assert waits(PLAIN, range(1, 9)) == [5, 10, 20, 40, 80, 160, 240, 240]
    assert waits(PLAIN, [1], greylisted=True) == [2]


@given(st.integers(-5, 10_000), st.integers(), st.floats(0, 1), st.booleans())
def test_a_retry_is_always_later_and_within_the_jitter(attempt, seed, jitter, greylisted):
    policy = RetryPolicy(jitter=jitter)
    moment = retry_at(policy, attempt, NOW, random.Random(seed), greylisted=greylisted)
    assert NOW + 1_000_000 <= moment <= NOW + 4 * 3600 * 1_000_000 * (1 + jitter) + 1
    assert isinstance(moment, int)


def test_jitter_draws_a_crowd_apart():
    chance = random.Random(1)
    moments = {retry_at(RetryPolicy(first=timedelta(hours=1)), 1, NOW, chance) for _ in range(100)}
    assert len(moments) == 100
    assert max(moments) - min(moments) > timedelta(minutes=15) / timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("code", "text", "attempt", "expected"),
    [
        (450, "4.7.1 Greylisted", 1, True),
        (451, "4.7.1 try again", 1, True),
        (451, "Temporarily deferred", 1, True),
        (450, "4.7.1 Greylisted", 2, False),
        (450, "4.2.2 mailbox full", 1, False),
        (452, "4.3.1 no space", 1, False),
        (421, "service not available", 1, False),
        (421, "4.7.1 too fast", 1, True),
        (550, "5.7.1 no", 1, False),
    ],
)
def test_what_looks_like_greylisting(code, text, attempt, expected):
    assert looks_like_greylisting(SmtpReply.of(code, text), attempt) is expected


def test_no_reply_is_no_greylisting():
    assert not looks_like_greylisting(None, 1)


def test_expiry_is_decided_by_the_next_attempt():
    assert happening_instead_of_retry(Microseconds(NOW + 1), Microseconds(NOW)) is Happening.EXPIRE
    assert happening_instead_of_retry(NOW, NOW) is Happening.EXPIRE
    assert happening_instead_of_retry(NOW, Microseconds(NOW + 1)) is None
