"""Sender domains over time: looked at again and again, their keys moved on, drift and expiry made known.

Several processes may watch: a domain is claimed by one conditional update, and its claim runs out by itself. A look
that cannot find something out changes nothing.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from dns_checks.dkim.rotation import KeyHappening, KeyState, Sighting, WatchedKey, judge, sighting_of
from dns_checks.findings import CheckFinding
from mailtypes.auth import Finding
from mailtypes.clock import DAY, HOUR, MINUTE, Clock, Microseconds
from mailtypes.errors import PostwrightError, StorageError
from mailtypes.questions import DnsQuestion, RecordType
from postwright.services.name_servers import AuthoritativeAsk
from postwright.services.sender_domains import SenderDomains
from postwright.store import domains, events
from postwright.store.database import Database
from postwright.store.domains import DkimKey, WatchedDomain
from postwright.store.events import NewEvent

_LOG = logging.getLogger(__name__)
LOOK_EVERY = MINUTE
CLAIM = 15 * MINUTE
"""How long a claim holds: far longer than an audit and the questions to name servers may take."""
SOON = 10 * MINUTE
"""Between looks at what somebody is just setting up: a pending domain, a new key."""
SETTING_UP = 3 * DAY
"""How long that is taken to last; from then on once a day will do."""
FAILING_EVERY = HOUR
_AT_ONCE = 8
_SPREAD = 2_654_435_761  # Knuth's multiplicative hash: neighbouring ids come to lie far apart in the day

_EXPIRING = frozenset({"bimi.certificate_expires_soon", "bimi.certificate_expired"})
_NOT_EXPIRING = "bimi.certificate_validity"
_WORST = (Finding.ABSENT, Finding.UNKNOWN, Finding.PRESENT)
Known = Mapping[str, Mapping[str, str]]
"""By topic and code, the state that was found out last."""


@dataclass(frozen=True, slots=True)
class Change:
    """A finding whose state is not what it was; ``None``: the audit did not say it."""

    code: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What looks have found out so far: findings that are certain, and which expiries have been made known."""

    findings: Known
    expiring: frozenset[str] = frozenset()

    @classmethod
    def read(cls, document: str | None) -> "Knowledge | None":
        """From JSON; ``None`` before the first look."""
        if document is None:
            return None
        stored = json.loads(document)
        return cls(stored["findings"], frozenset(stored["expiring"]))

    def write(self) -> str:
        """As JSON."""
        return json.dumps({"findings": self.findings, "expiring": sorted(self.expiring)}, sort_keys=True)

    def after(self, findings: Sequence[CheckFinding]) -> "Knowledge":
        """What is known after an audit that found this."""
        said = {finding.code for finding in findings}
        expiring = said & _EXPIRING
        kept = frozenset[str]() if _NOT_EXPIRING in said else self.expiring
        return Knowledge(found_out(findings, self.findings), frozenset(expiring) or kept)


def found_out(findings: Sequence[CheckFinding], known: Known) -> dict[str, dict[str, str]]:
    """The states by topic: topics with anything unknown, or that were not looked at, stay as they were known."""
    topics: dict[str, dict[str, str]] = {}
    uncertain = {finding.topic for finding in findings if finding.state is Finding.UNKNOWN}
    for finding in findings:
        if finding.topic not in uncertain:
            codes = topics.setdefault(finding.topic, {})
            said = Finding(codes.get(finding.code, finding.state))
            codes[finding.code] = str(min(said, finding.state, key=_WORST.index))
    kept = {topic: dict(codes) for topic, codes in known.items() if topic not in topics}
    return topics | kept


def drift(before: Known, after: Known) -> tuple[Change, ...]:
    """What changed between two states of knowledge, by code. A topic that was not known before has not drifted."""
    changes = []
    for topic in sorted(before):
        old, new = before[topic], after.get(topic, {})
        changes += [Change(code, old.get(code), new.get(code)) for code in sorted({*old, *new})]
    return tuple(change for change in changes if change.before != change.after)


def next_check(domain: WatchedDomain, state: str, keys: Sequence[DkimKey], now: int) -> int:
    """When to look again: soon while something is set up, hourly while a domain fails, else at its time of the day."""
    began = [key.created_at for key in keys if key.state in {"made", "published"}]
    if state == "pending":
        began.append(domain.created_at)
    if any(now - moment < SETTING_UP for moment in began):
        return now + SOON
    if state == "failing" or any(key.missing_since is not None and key.state == "active" for key in keys):
        return now + FAILING_EVERY
    time_of_day = domain.id * _SPREAD % (1 << 32) * DAY >> 32
    return now + DAY - (now - time_of_day) % DAY


class DomainWatch:
    """Looks at every sender domain when its time has come."""

    def __init__(
        self, database: Database, clock: Clock, sender_domains: SenderDomains, name_servers: AuthoritativeAsk
    ) -> None:
        self._database = database
        self._clock = clock
        self._sender_domains = sender_domains
        self._name_servers = name_servers
        self._next_look = 0
        self._look: asyncio.Task[None] | None = None

    def begin_look(self) -> bool:
        """Look at what is due beside whatever else goes on, at most once a minute; whether a look has begun.

        The scheduler calls this, since mail must not wait for the name servers of strangers.
        """
        now = self._clock.now()
        if now < self._next_look or (self._look is not None and not self._look.done()):
            return False
        self._next_look = now + LOOK_EVERY
        self._look = asyncio.create_task(self._look_and_tell())
        return True

    async def aclose(self) -> None:
        """Give up the look that is under way; its domain comes round again when the claim has run out."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)

    async def _look_and_tell(self) -> None:
        try:
            await self.look()
        except StorageError as error:
            # The scheduler's own steps meet the same database, and decide what becomes of the process.
            _LOG.error("sender domains could not be looked at: %s", error)
        except Exception:
            _LOG.exception("sender domains could not be looked at")

    async def look(self) -> int:
        """Look at the domains that are due, some at once, until none is left; returns how many."""
        looked = await asyncio.gather(*(self._look_at_due() for _ in range(_AT_ONCE)))
        return sum(looked)

    async def _look_at_due(self) -> int:
        started, looked = self._clock.now(), 0
        while True:
            until = self._clock.now() + CLAIM
            # What comes due while we look is left to the next look, so that this one ends.
            claimed = await self._database.write(partial(domains.claim_due, now=started, until=until))
            if claimed is None:
                return looked
            await self.check(claimed)
            looked += 1

    async def check(self, claimed: WatchedDomain) -> None:
        """Move the keys of a claimed domain on, verify it again, and write down what changed."""
        known = Knowledge.read(claimed.known_findings)
        after, told, state = known, list[NewEvent](), claimed.state
        try:
            await self._look_at_keys(claimed)
            domain, report = await self._sender_domains.verify(claimed.workspace_id, claimed.name)
        except StorageError:
            raise
        except PostwrightError as error:
            _LOG.error("%s could not be verified again: %s", claimed.name, error)
        else:
            after, state = (known or Knowledge({})).after(report.findings), domain.state
            told = self._what_changed(claimed, known, after, report.findings)
        keys = await self._database.read(lambda connection: domains.list_keys(connection, claimed.id))
        now = self._clock.now()

        def store(connection: Connection) -> None:
            document = None if after is None else after.write()
            if domains.finish_check(connection, claimed, next_check(claimed, state, keys, now), document):
                events.append(connection, told, now)

        await self._database.write(store)

    def _what_changed(
        self, claimed: WatchedDomain, known: Knowledge | None, after: Knowledge, findings: Sequence[CheckFinding]
    ) -> list[NewEvent]:
        changes = drift(known.findings, after.findings) if known is not None else ()
        told = []
        if changes:
            shown = [{"code": one.code, "before": one.before, "after": one.after} for one in changes]
            told.append(self._event(claimed, "domain_drift", changes=shown))
        news = after.expiring - (known.expiring if known is not None else frozenset())
        told += [
            self._event(claimed, "domain_expiring", code=finding.code, sentence=finding.sentence)
            for finding in findings
            if finding.code in news
        ]
        return told

    def _event(self, claimed: WatchedDomain, kind: str, **data: object) -> NewEvent:
        return NewEvent(claimed.workspace_id, kind, self._clock.now(), data={"domain": claimed.name, **data})

    async def _look_at_keys(self, claimed: WatchedDomain) -> None:
        stored = await self._database.read(lambda connection: domains.list_keys(connection, claimed.id))
        keys = [key for key in stored if key.state != KeyState.RETIRED]
        sightings = await asyncio.gather(*(self._sighting(claimed, key) for key in keys))
        now = self._clock.now()
        await self._database.write(
            lambda connection: self._move_keys(connection, claimed, list(zip(keys, sightings, strict=True)), now)
        )

    async def _sighting(self, claimed: WatchedDomain, key: DkimKey) -> Sighting:
        question = DnsQuestion(f"{key.selector}._domainkey.{claimed.name}", RecordType.TXT)
        return sighting_of(key.public_record, await self._name_servers.ask_all(question))

    def _move_keys(
        self,
        connection: Connection,
        claimed: WatchedDomain,
        looked: Sequence[tuple[DkimKey, Sighting]],
        now: Microseconds,
    ) -> None:
        """All moves of a look in one transaction; none where a key has been moved by somebody else meanwhile."""
        present = {key.id: key.state for key in domains.list_keys(connection, claimed.id)}
        if any(present.get(key.id) != key.state for key, _ in looked):
            return
        told = []
        for key, sighting in looked:
            domains.note_sighting(connection, key.id, sighting.sentence)
            kind = _alarm(connection, key, sighting, now)
            if kind is not None:
                told.append(self._event(claimed, kind, selector=key.selector, sentence=sighting.sentence))
        selectors = {key.id: key.selector for key, _ in looked}
        for move in judge([_watched(key, sighting) for key, sighting in looked], now):
            if domains.move_key(connection, move.number, move.before, move.after, now):
                change = {"selector": selectors[move.number], "before": str(move.before), "after": str(move.after)}
                told.append(self._event(claimed, "dkim_key_moved", **change))
        events.append(connection, told, now)


def _alarm(connection: Connection, key: DkimKey, sighting: Sighting, now: Microseconds) -> str | None:
    """An alarm once for each time that a signing key goes, and the news that it is back."""
    if key.state != KeyState.ACTIVE:
        return None
    if sighting.happening is KeyHappening.NOT_SEEN and domains.note_missing(connection, key.id, now):
        return "dkim_key_missing"
    if sighting.happening is KeyHappening.SEEN_EVERYWHERE and domains.note_missing(connection, key.id, None):
        return "dkim_key_back"
    return None


def _watched(key: DkimKey, sighting: Sighting) -> WatchedKey:
    state = KeyState(key.state)
    return WatchedKey(key.id, key.algorithm, state, sighting.happening, key.published_at, key.retiring_at)
