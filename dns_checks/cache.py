"""Answers kept for as long as the DNS allows, in a bounded table."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import timedelta

from mailtypes.clock import SECOND, Clock, Microseconds, microseconds
from mailtypes.questions import DnsAnswer, DnsQuestion, Found, RecordType, TxtRecord, Unanswered

_OCTETS_OF_OTHER_RECORDS = 64


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How many answers are kept and for how long at most.

    ``failure_ttl``: RFC 9520 section 3.2 asks for at least one second, so that a broken name server is not asked
    again for each mail, and forbids more than five minutes. ``longest_negative_ttl``: RFC 2308 section 5 recommends
    one to three hours. An answer of more than ``octets_per_answer`` is not kept.
    """

    answers: int = 20_000
    octets_per_answer: int = 8_192
    longest_ttl: timedelta = timedelta(days=1)
    longest_negative_ttl: timedelta = timedelta(hours=1)
    failure_ttl: timedelta = timedelta(seconds=1)


class DnsCache:
    """The answers of one resolver; when it is full, the one that was not used for longest goes."""

    def __init__(self, clock: Clock, policy: CachePolicy) -> None:
        self._clock = clock
        self._policy = policy
        self._entries: OrderedDict[tuple[str, RecordType], tuple[DnsAnswer, Microseconds]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, question: DnsQuestion) -> DnsAnswer | None:
        """The answer with what is left of its TTL, or ``None`` where there is none that still holds."""
        key = _key(question)
        entry = self._entries.get(key)
        if entry is None:
            return None
        answer, expires_at = entry
        left = expires_at - self._clock.now()
        if left <= 0:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return answer if isinstance(answer, Unanswered) else replace(answer, ttl=left // SECOND)

    def put(self, question: DnsQuestion, answer: DnsAnswer) -> None:
        """Keep ``answer`` for its TTL; one with a TTL of 0 is not kept."""
        lifetime = self._lifetime(answer)
        if lifetime <= 0 or _octets(answer) > self._policy.octets_per_answer:
            return
        key = _key(question)
        self._entries[key] = (answer, Microseconds(self._clock.now() + lifetime))
        self._entries.move_to_end(key)
        while len(self._entries) > self._policy.answers:
            self._entries.popitem(last=False)

    def _lifetime(self, answer: DnsAnswer) -> int:
        if isinstance(answer, Unanswered):
            return microseconds(self._policy.failure_ttl)
        longest = self._policy.longest_ttl if isinstance(answer, Found) else self._policy.longest_negative_ttl
        return min(answer.ttl * SECOND, microseconds(longest))


def _key(question: DnsQuestion) -> tuple[str, RecordType]:
    return question.name.lower(), question.record_type


def _octets(answer: DnsAnswer) -> int:
    if not isinstance(answer, Found):
        return 0
    return sum(
        len(record.joined) if isinstance(record, TxtRecord) else _OCTETS_OF_OTHER_RECORDS for record in answer.records
    )
