"""The life of one DKIM key as one literal table, and what one look at a domain's keys leads to.

Why the table looks as it does:

- Whatever cannot be found out (``unknown``: silence, or some name servers have the record and others not yet) changes
  nothing: neither does it make a key sign nor does it take one out.
- A key signs only after all of the domain's name servers have shown it. ``published`` stands between ``made`` and
  ``active`` since a receiver may have asked too early and believes the absence for a while (RFC 2308), and since one
  address may stand for several machines: beside a key that signs, the new one waits for ``SETTLE`` and a second look.
- A ``published`` key that is absent again goes back to ``made``; no mail has been signed with it.
- An ``active`` key that is absent stays ``active`` by itself: what becomes of it depends on the others (``judge``).
  Without one that is visible, taking it out would only stop mail whose signature may be good again in a minute.
- A ``retiring`` key signs nothing, but what it has signed is still in queues, ours and those of others: it has to stay
  published for longer than the longest queue life (RFC 5321 section 4.5.4.1: 4 to 5 days). There is no way back from
  it: who wants to sign again makes a new key.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dns_checks.dkim.keys import KeyRecordSyntaxError, parse_key_record
from dns_checks.name_servers import ServerAnswer
from mailtypes.clock import DAY, MINUTE
from mailtypes.questions import Absent, DnsAnswer, Found, TxtRecord, Unanswered
from mailtypes.saying import joined, say

SETTLE = 10 * MINUTE
"""How long a new key has been visible everywhere before it takes over from one that signs."""

KEEP_PUBLISHED = 5 * DAY + 2 * DAY
"""How long a key stays published after its last signature: the longest queue life, and a margin."""


class KeyState(StrEnum):
    """Where a key stands."""

    MADE = "made"
    PUBLISHED = "published"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


class KeyHappening(StrEnum):
    """What can happen to a key."""

    SEEN_EVERYWHERE = "seen_everywhere"  # every name server of the domain shows this key
    NOT_SEEN = "not_seen"  # every name server says that it is not there
    UNKNOWN = "unknown"  # silence, or the name servers do not agree
    ACTIVATE = "activate"  # it begins to sign
    RETIRE = "retire"  # it signs no more
    EXPIRE = "expire"  # what it signed has arrived or is given up


S, H = KeyState, KeyHappening

NEXT_KEY_STATE: dict[tuple[KeyState, KeyHappening], KeyState] = {
    (S.MADE, H.SEEN_EVERYWHERE): S.PUBLISHED,
    (S.MADE, H.NOT_SEEN): S.MADE,
    (S.MADE, H.UNKNOWN): S.MADE,
    (S.PUBLISHED, H.SEEN_EVERYWHERE): S.PUBLISHED,
    (S.PUBLISHED, H.NOT_SEEN): S.MADE,
    (S.PUBLISHED, H.UNKNOWN): S.PUBLISHED,
    (S.PUBLISHED, H.ACTIVATE): S.ACTIVE,
    (S.ACTIVE, H.SEEN_EVERYWHERE): S.ACTIVE,
    (S.ACTIVE, H.NOT_SEEN): S.ACTIVE,
    (S.ACTIVE, H.UNKNOWN): S.ACTIVE,
    (S.ACTIVE, H.RETIRE): S.RETIRING,
    (S.RETIRING, H.SEEN_EVERYWHERE): S.RETIRING,
    (S.RETIRING, H.NOT_SEEN): S.RETIRING,
    (S.RETIRING, H.UNKNOWN): S.RETIRING,
    (S.RETIRING, H.EXPIRE): S.RETIRED,
}


def next_key_state(state: KeyState, happening: KeyHappening) -> KeyState | None:
    """The state after ``happening``, or ``None`` where it cannot happen in ``state`` (the key is left alone)."""
    return NEXT_KEY_STATE.get((state, happening))


@dataclass(frozen=True, slots=True)
class Sighting:
    """Whether a key is visible: ``seen_everywhere``, ``not_seen`` or ``unknown``, and the same as a sentence."""

    happening: KeyHappening
    sentence: str


def sighting_of(public_record: str, answers: Sequence[ServerAnswer] | Unanswered) -> Sighting:
    """What the name servers' answers about a key's TXT record come to.

    Only the same public key counts as seen; a foreign, revoked or unreadable record is as good as none, and so are
    several records (RFC 6376 section 3.6.2.2: the result is undefined).
    """
    if isinstance(answers, Unanswered):
        return Sighting(H.UNKNOWN, say("The domain's name servers could not be found: %(cause)s.", cause=answers.cause))
    shown = {one.server: _at_server(public_record, one.answers) for one in answers}
    seen = [server for server, state in shown.items() if state is H.SEEN_EVERYWHERE]
    absent = [server for server, state in shown.items() if state is H.NOT_SEEN]
    silent = [server for server, state in shown.items() if state is H.UNKNOWN]
    if not shown:
        return Sighting(H.UNKNOWN, say("The domain has no name server."))
    if len(seen) == len(shown):
        return Sighting(H.SEEN_EVERYWHERE, say("Visible at all %(count)s name servers.", count=len(shown)))
    if len(absent) == len(shown):
        return Sighting(H.NOT_SEEN, say("Not there at any of %(count)s name servers.", count=len(shown)))
    parts = [say("Visible at %(seen)s of %(count)s name servers", seen=len(seen), count=len(shown))]
    parts += [say("not at %(absent)s", absent=", ".join(sorted(absent)))] if absent else []
    parts += [say("no answer from %(silent)s", silent=", ".join(sorted(silent)))] if silent else []
    return Sighting(H.UNKNOWN, say("%(places)s.", places=joined(parts, "; ")))


def _at_server(public_record: str, answers: Iterable[DnsAnswer]) -> KeyHappening:
    """One name server at all of its addresses: silent ones do not matter where another one speaks."""
    states = {_in_answer(public_record, answer) for answer in answers}
    return next((one for one in (H.NOT_SEEN, H.SEEN_EVERYWHERE) if one in states), H.UNKNOWN)


def _in_answer(public_record: str, answer: DnsAnswer) -> KeyHappening:
    match answer:
        case Found(records):
            texts = [one.joined.decode("latin-1") for one in records if isinstance(one, TxtRecord)]
            same = len(texts) == 1 and _is_same_key(public_record, texts[0])
            return H.SEEN_EVERYWHERE if same else H.NOT_SEEN
        case Absent():
            return H.NOT_SEEN
        case Unanswered():
            return H.UNKNOWN


def _is_same_key(public_record: str, text: str) -> bool:
    ours = parse_key_record(public_record).public_key
    try:
        return ours is not None and parse_key_record(text).publishes(ours)
    except KeyRecordSyntaxError:
        return False


@dataclass(frozen=True, slots=True)
class WatchedKey:
    """A key as one look finds it; a later key has a higher ``number``. Moments in microseconds, ``None``: not yet.

    ``seen`` is one of ``seen_everywhere``, ``not_seen``, ``unknown``.
    """

    number: int
    algorithm: str
    state: KeyState
    seen: KeyHappening
    published_at: int | None = None
    retiring_at: int | None = None


@dataclass(frozen=True, slots=True)
class KeyMove:
    """One change of state that a look leads to."""

    number: int
    before: KeyState
    after: KeyState


def judge(keys: Sequence[WatchedKey], now: int) -> tuple[KeyMove, ...]:
    """The moves that one look at all keys of a domain leads to, in their order; each is one step in the table.

    Keys replace keys of the same algorithm: a receiver that knows no Ed25519 (RFC 8463) needs an RSA signature.
    """
    standing = {key.number: key for key in keys}
    moves: list[KeyMove] = []

    def happen(number: int, happening: KeyHappening) -> None:
        key = standing[number]
        after = next_key_state(key.state, happening)
        if after is None or after is key.state:
            return
        moves.append(KeyMove(number, key.state, after))
        published_at = now if after is S.PUBLISHED else key.published_at
        standing[number] = replace(key, state=after, published_at=published_at)

    for key in keys:
        happen(key.number, key.seen)
        if key.retiring_at is not None and key.retiring_at + KEEP_PUBLISHED <= now:
            happen(key.number, H.EXPIRE)
    for key in list(standing.values()):
        if _may_sign(key, standing.values(), now):
            happen(key.number, H.ACTIVATE)
    for number in _replaced(standing.values()):
        happen(number, H.RETIRE)
    return tuple(moves)


def _may_sign(key: WatchedKey, keys: Iterable[WatchedKey], now: int) -> bool:
    """A published key that is visible at this look; at once where nothing visible signs, else after ``SETTLE``."""
    if key.state is not S.PUBLISHED or key.seen is not H.SEEN_EVERYWHERE:
        return False
    in_use = any(one.state is S.ACTIVE and one.seen is not H.NOT_SEEN for one in keys)
    return not in_use or (key.published_at is not None and key.published_at + SETTLE <= now)


def _replaced(keys: Iterable[WatchedKey]) -> list[int]:
    """Active keys that a visible one makes superfluous: older ones, and absent ones of any age."""
    active = [key for key in keys if key.state is S.ACTIVE]
    newest: dict[str, int] = {}
    for key in active:
        if key.seen is H.SEEN_EVERYWHERE:
            newest[key.algorithm] = max(key.number, newest.get(key.algorithm, key.number))
    return [
        key.number
        for key in active
        if key.algorithm in newest
        and key.number != newest[key.algorithm]
        and (key.number < newest[key.algorithm] or key.seen is H.NOT_SEEN)
    ]
