"""What people (and machines) do with a mail: open, click, unsubscribe.

Where there is an ``Intake`` (the journal of the tracking role), clicks are durable there before the answer and opens
are handed over; both reach the database a moment later. Without one they go straight into the database.
"""

from functools import partial
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from mailtypes.clock import Clock, Microseconds
from mailtypes.errors import StorageError
from postwright.services.engagement_records import Criteria, Visit, VisitKind, record_visits
from postwright.services.link_targets import LinkTargets
from postwright.services.withdrawals import Breadth, MailPlace, TakenBack, Withdrawal, place_of, take_back, withdraw
from postwright.store import engagements
from postwright.store.database import Database
from tracking.links import is_trackable
from tracking.tokens import TokenClaims, TokenKeys, TokenKind, make, read
from tracking.verdicts.features import HONEYPOT_LINK


class Visitor(NamedTuple):
    """Who asked, as far as the request tells."""

    address: str = ""
    user_agent: str = ""


NOBODY_KNOWN = Visitor()
_WAYS = ("one_click", "page")
_BREADTHS = len(_WAYS)
"""In the journal the link of an unsubscribe is its way, plus this for each step of its breadth."""


class Intake(Protocol):
    """Takes visits in faster than a database does, and hands them to it."""

    def soon(self, visit: Visit) -> bool:
        """Take a visit that may be lost with the process; ``False`` where there is no room, and it is lost."""
        ...

    async def durably(self, visit: Visit) -> None:
        """Take a visit; returns once it is on the disk. Raises ``StorageError`` where it could not be."""
        ...


class Engagement:
    """Reads tokens, records what they tell of."""

    def __init__(
        self, database: Database, clock: Clock, token_keys: TokenKeys, criteria: Criteria | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._token_keys = token_keys
        self._criteria = criteria or Criteria()
        self._targets = LinkTargets(database)
        self.intake: Intake | None = None

    def claims(self, token: str, kind: TokenKind) -> TokenClaims | None:
        """What a genuine token of this kind says, ``None`` for any other."""
        claims = read(token, self._token_keys)
        return claims if claims is not None and claims.kind is kind else None

    async def opened(self, claims: TokenClaims, visitor: Visitor = NOBODY_KNOWN) -> bool:
        """The pixel was fetched, by whomever; ``False`` where there was no room to record that."""
        visit = self._visit(VisitKind.OPEN, claims, visitor)
        if self.intake is not None:
            return self.intake.soon(visit)
        await self._store([visit])
        return True

    async def clicked(self, claims: TokenClaims, visitor: Visitor = NOBODY_KNOWN, *, is_fetch: bool) -> str | None:
        """Record a click and return its target, ``None`` where there is none (any more).

        ``is_fetch`` is false for HEAD, by which only machines look: it is answered, counts as no click, and helps to
        tell the clicks that follow it. The click is durable when this returns.
        """
        if claims.link == HONEYPOT_LINK:
            return None  # whatever a link table says: this one leads nowhere
        target = await self._targets.find(claims.delivery_id, claims.link)
        if target is None or not is_trackable(target):
            return None
        if is_fetch:
            await self._take_durably(self._visit(VisitKind.CLICK, claims, visitor))
        elif self.intake is not None:
            self.intake.soon(self._visit(VisitKind.LOOK, claims, visitor))
        else:
            await self._store([self._visit(VisitKind.LOOK, claims, visitor)])
        return target

    async def found_honeypot(self, claims: TokenClaims, visitor: Visitor = NOBODY_KNOWN) -> None:
        """The link that no reader sees was fetched: kept to tell machines by, and no event.

        Nothing is kept where honeypots are off, though mail from before may still have some.
        """
        if not self._criteria.honeypots:
            return
        visit = self._visit(VisitKind.HONEYPOT, claims, visitor)
        if self.intake is not None:
            self.intake.soon(visit)
        else:
            await self._store([visit])

    async def load_targets(self) -> None:
        """Read the link tables of the newest runs, so that their links work while the database is away."""
        await self._targets.load_newest()

    async def place(self, claims: TokenClaims) -> MailPlace | None:
        """The mail that a token is about, ``None`` where it is gone."""
        return await self._database.read(partial(place_of, delivery_id=claims.delivery_id))

    async def unsubscribe(self, claims: TokenClaims, asked: Withdrawal) -> bool:
        """Suppress the recipient as asked, at once and for queued mail too; ``False`` if the mail is unknown.

        Mail of API clients goes to no list of ours: there it is the stream. A receipt is stopped by ``Breadth.ALL``
        alone, since it comes by another stream.
        """
        now = self._clock.now()
        try:
            return await self._database.write(
                partial(_unsubscribe, delivery_id=claims.delivery_id, asked=asked, now=now)
            )
        except StorageError:
            if self.intake is None:
                raise
            # Nothing is sent either while the database is away, and the journal follows as soon as it is back.
            link = _WAYS.index(asked.way) + _BREADTHS * asked.breadth.number
            await self.intake.durably(Visit(VisitKind.UNSUBSCRIBE, claims.delivery_id, asked.occurred_at, link))
            return True

    async def take_back(self, claims: TokenClaims, asked: Withdrawal) -> TakenBack:
        """Undo what ``unsubscribe`` did, within ten minutes."""
        now = self._clock.now()

        def work(connection: Connection) -> TakenBack:
            place = place_of(connection, claims.delivery_id)
            return TakenBack.UNKNOWN if place is None else take_back(connection, place, asked, now)

        return await self._database.write(work)

    def now(self) -> Microseconds:
        """The moment of a request."""
        return self._clock.now()

    def token(self, kind: TokenKind, delivery_id: int, link: int = 0) -> str:
        """A token for one of our pages."""
        return make(kind, delivery_id, link, self._token_keys)

    async def _take_durably(self, visit: Visit) -> None:
        if self.intake is not None:
            await self.intake.durably(visit)
        else:
            await self._store([visit])

    def _visit(self, kind: VisitKind, claims: TokenClaims, visitor: Visitor) -> Visit:
        return Visit(kind, claims.delivery_id, self._clock.now(), claims.link, visitor.address, visitor.user_agent)

    async def _store(self, visits: list[Visit]) -> None:
        now = self._clock.now()
        await self._database.write(partial(record_visits, visits=visits, criteria=self._criteria, now=now))

    async def take_from_journal(self, journal_id: str, span: tuple[int, int], visits: list[Visit]) -> int:
        """Store what stands in the octets ``span`` of a journal, once however often that is tried.

        Returns how many were dropped, since one recipient's mail was fetched more often than anybody reads.
        """
        now = self._clock.now()

        def store(connection: Connection) -> int:
            if not engagements.take_of_journal(connection, journal_id, span, now):
                return 0
            for visit in visits:
                if visit.kind is VisitKind.UNSUBSCRIBE:
                    _unsubscribe(connection, visit.delivery_id, _asked(visit), now)
            return record_visits(connection, visits, self._criteria, now)

        return await self._database.write(store)

    async def taken_of_journal(self, journal_id: str) -> int:
        """How many octets of a journal are in the database."""
        return await self._database.read(partial(engagements.taken_of_journal, journal_id=journal_id))

    async def forget_journal(self, journal_id: str) -> None:
        """The file is gone, since all of it is in the database."""
        await self._database.write(partial(engagements.forget_journal, journal_id=journal_id))


def _asked(visit: Visit) -> Withdrawal:
    """What the journal says of an unsubscribe."""
    breadth = Breadth.of_number(visit.link // _BREADTHS) or Breadth.LIST
    return Withdrawal(_WAYS[visit.link % _BREADTHS], visit.at, breadth)


def _unsubscribe(connection: Connection, delivery_id: int, asked: Withdrawal, now: Microseconds) -> bool:
    place = place_of(connection, delivery_id)
    if place is None:
        return False
    withdraw(connection, place, asked, now)
    return True
