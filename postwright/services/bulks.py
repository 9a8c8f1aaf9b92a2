"""Bulks of API clients: one template, recipients with their own data, added in chunks, sent when committed."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy import Connection

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.clock import DAY, Clock, Microseconds
from mailtypes.saying import say
from postwright.services.accounts import Client
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.message_intake import MessageIntake, problem_of
from postwright.services.sending_places import SendingPlaces
from postwright.services.submissions import Answered, quota_of, same_request
from postwright.services.template_parts import freeze, has_includes
from postwright.services.warm_up_patience import patience
from postwright.store import budgets, campaigns, client_runs, idempotency, recipients, suppressions, templates
from postwright.store.campaigns import FrozenVariant, Run
from postwright.store.client_runs import COLLECTING_FOR, BulkRecipient
from postwright.store.database import Database
from postwright.store.idempotency import KeptAnswer
from postwright.store.recipients import RunCounts
from rendering.compose import HeaderSyntaxError, Mailbox, address_lines
from rendering.links import Tracking

MOST_AT_ONCE = 10_000
"""How many recipients one call may bring; streams are cut into chunks."""
CHUNK = 1000
"""Recipients that are stored in one transaction; a longer one would keep all other writers waiting."""
_MOST_DATA = 64 * 1024


@dataclass(frozen=True, slots=True)
class BulkWanted:
    """A bulk as a client opens it; without ``subject`` the template's own is taken."""

    author: EmailAddress
    author_name: str
    template_id: int
    reply_to: EmailAddress | None = None
    subject: str | None = None
    stream: str = "marketing"
    tags: tuple[str, ...] = ()
    send_at: Microseconds | None = None


@dataclass(frozen=True, slots=True)
class BulkRow:
    """One recipient as it came: ``key`` is the client's own name for it, ``data`` its merge fields."""

    address: str
    data: Mapping[str, object]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A recipient that was not taken; ``index`` is its place in the call, from 0."""

    index: int
    key: str | None
    address: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class BulkChunk:
    """What became of a chunk: delivery ids of the accepted by index, how many were there already, who was refused."""

    accepted: Mapping[int, int]
    repeated: int
    refused: tuple[RefusedRow, ...]


@dataclass(frozen=True, slots=True)
class BulkStatus:
    """A bulk and where its recipients stand."""

    run: Run
    counts: RunCounts


@dataclass(frozen=True, slots=True)
class BulkSent:
    """A bulk that came in one call: what became of its recipients; ``accepted`` tells how many."""

    run: Run
    accepted: int
    repeated: int
    refused: tuple[RefusedRow, ...]


@dataclass(frozen=True, slots=True)
class BulkOnce:
    """A call that may be asked twice; ``render`` turns what was stored into the answer: status and body."""

    key: str
    request_sha256: str
    render: Callable[[BulkSent], tuple[int, str]]


@dataclass(slots=True)
class _Checked:
    """A chunk after everything that needs no database."""

    good: dict[int, BulkRecipient] = field(default_factory=dict)
    refused: list[RefusedRow] = field(default_factory=list)
    twice: int = 0


class Bulks:
    """Bulks of all workspaces."""

    def __init__(self, database: Database, clock: Clock, places: SendingPlaces, intake: MessageIntake) -> None:
        self._database = database
        self._clock = clock
        self._places = places
        self._intake = intake

    async def open(self, client: Client, wanted: BulkWanted) -> Run:
        """Freeze the template and open a bulk that collects recipients; raises ``RefusedError``."""
        place = await self._places.sender(client, wanted.author, wanted.stream)
        starts_at = self._places.moment(wanted.send_at)
        layouts = await self._intake.layouts(client.workspace_id, wanted.template_id)
        version = await self._database.read(partial(templates.latest_version, template_id=wanted.template_id))
        assert version is not None  # its layouts are there
        _check_names(wanted)
        now, expiry = self._clock.now(), place.stream.expiry
        waits = await self._database.read(partial(patience, kind=place.stream.kind, domain_id=place.domain.id))
        if has_includes(version.text):
            frozen = partial(freeze, workspace_id=client.workspace_id, version=version, now=now)
            version = await self._database.write(frozen)
        if version.body != layouts.template.source.body:
            raise RefusedError("template_changed", say("The template was changed meanwhile; please try again."))
        terms = replace(
            self._places.run_terms(place, "bulk", starts_at, is_test=client.terms.is_test),
            state="collecting",
            expires_at=max(starts_at or 0, now + COLLECTING_FOR) + max(expiry, waits),
            expiry=expiry if waits > expiry else None,
            from_address=wanted.author.text,
            from_name=wanted.author_name,
            reply_to=wanted.reply_to.text if wanted.reply_to else None,
            tags=json.dumps(wanted.tags, ensure_ascii=False),
        )
        links = layouts.template.links
        tracked = tuple((link.number, link.url) for link in links if link.tracking is Tracking.TRACKED)
        subject = version.subject if wanted.subject is None else wanted.subject
        variant = FrozenVariant(version.id, subject, 1.0, tracked)
        run_id = await self._database.write(lambda connection: client_runs.add_run(connection, terms, now, [variant]))
        return await self.find(client, run_id)

    async def add(self, client: Client, run_id: int, rows: Sequence[BulkRow]) -> BulkChunk:
        """Add a chunk of recipients, durable when this returns; a recipient that is there already is counted.

        Raises ``NotFoundError``, and ``RefusedError`` where the bulk no longer collects. Whoever is refused does not
        keep the others away.
        """
        await self.find_to_change(client, run_id)
        checked = await asyncio.to_thread(_check_rows, rows)
        now = self._clock.now()
        destination_id = await self._places.test_destination(client.workspace_id) if client.terms.is_test else None
        placement: dict[str, object] = {"state": "held", "waits_for": "route", "destination_id": destination_id}

        def store(connection: Connection) -> BulkChunk:
            run = client_runs.lock_collecting(connection, client.workspace_id, run_id)
            if run is None:
                raise RefusedError(
                    "bulk_closed", say("The bulk takes no more recipients: it is committed or cancelled.")
                )
            return _add(connection, client, run, checked, placement, now)

        return await self._database.write(store)

    async def send(
        self, client: Client, wanted: BulkWanted, rows: Sequence[BulkRow], once: BulkOnce | None, *, commit: bool
    ) -> BulkSent | Answered:
        """Open a bulk, add its recipients, and with ``commit`` let it go if anybody was accepted.

        The answer is kept in the transaction that lets it go: whatever ends the process before leaves a bulk that
        collects, which is never sent. Raises ``RefusedError`` and ``KeyReusedError``.
        """
        run = await self.open(client, wanted)
        accepted = repeated = 0
        refused: list[RefusedRow] = []
        for first in range(0, len(rows), CHUNK):
            chunk = await self.add(client, run.id, rows[first : first + CHUNK])
            accepted, repeated = accepted + len(chunk.accepted), repeated + chunk.repeated
            refused += [replace(row, index=first + row.index) for row in chunk.refused]
        sent = BulkSent(run, accepted, repeated, tuple(refused))
        if commit and not accepted:
            return replace(sent, run=(await self.cancel(client, run.id)).run)
        now = self._clock.now()
        done = await self._database.write(lambda connection: _finish(connection, client, sent, once, (commit, now)))
        if isinstance(done, BulkSent):
            return done
        # Another process was asked the same at the same moment, and was first.
        await self.cancel(client, run.id)
        return same_request(done, once.request_sha256 if once else "")

    async def commit(self, client: Client, run_id: int) -> BulkStatus:
        """Let the bulk go; asking again changes nothing."""
        run = await self.find_to_change(client, run_id)
        if run.state == "cancelled":
            raise RefusedError("bulk_closed", say("The bulk is cancelled."))
        now = self._clock.now()

        def let_go(connection: Connection) -> None:
            locked = client_runs.lock_collecting(connection, client.workspace_id, run_id)
            if locked is not None:
                client_runs.commit_bulk(connection, locked, now)

        await self._database.write(let_go)
        return await self.status(client, run_id)

    async def cancel(self, client: Client, run_id: int) -> BulkStatus:
        """Send no more of it, for good; what is being transmitted still ends by itself."""
        run = await self.find_to_change(client, run_id)
        now = self._clock.now()
        active = ("collecting", "scheduled", "sending", "paused", "preparing")
        await self._database.write(lambda connection: campaigns.move_run(connection, run.id, active, "cancelled", now))
        while await self._database.write(lambda connection: recipients.cancel(connection, run, now)):
            continue
        return await self.status(client, run_id)

    async def status(self, client: Client, run_id: int) -> BulkStatus:
        """Where a bulk stands; raises ``NotFoundError``."""
        run = await self.find(client, run_id)
        counts = await self._database.read(lambda connection: recipients.count_run(connection, run.id))
        return BulkStatus(run, counts)

    async def find(self, client: Client, run_id: int) -> Run:
        """The bulk's run; raises ``NotFoundError``."""
        run = await self._database.read(lambda connection: campaigns.get_run(connection, run_id))
        if run is None or run.workspace_id != client.workspace_id or run.kind != "bulk":
            raise NotFoundError("bulk")
        return run

    async def find_to_change(self, client: Client, run_id: int) -> Run:
        """The bulk's run for a client who may send it; raises ``NotFoundError`` and ``RefusedError``.

        Whoever adds to a bulk or lets it go sends by its sender, so the key has to be for that one, too. A test key
        never touches what is delivered, nor another key what is not.
        """
        run = await self.find(client, run_id)
        if not client.may_send_from(EmailAddress.parse(run.from_address)):
            raise RefusedError(
                "sender_not_allowed",
                say("This API key may not send from %(author)s.", author=run.from_address),
                next_step=say("Take a key for this sender."),
            )
        if run.is_test != client.terms.is_test:
            kind = say("a test key") if run.is_test else say("a key that is no test key")
            raise RefusedError(
                "bulk_of_other_kind",
                say("The bulk was opened with %(kind)s.", kind=kind),
                next_step=say("Take %(kind)s.", kind=kind),
            )
        return run


def _finish(
    connection: Connection, client: Client, sent: BulkSent, once: BulkOnce | None, how: tuple[bool, Microseconds]
) -> BulkSent | KeptAnswer:
    """The last transaction of ``Bulks.send``: let the run go and keep the answer; or what is kept already."""
    commit, now = how
    place = (client.family_id, once.key) if once else None
    if place is not None:
        before = idempotency.find_answers(connection, [place], now).get(place)
        if before is not None:
            return before
    locked = client_runs.lock_collecting(connection, client.workspace_id, sent.run.id)
    if commit and locked is not None:
        client_runs.commit_bulk(connection, locked, now)
    done = replace(sent, run=campaigns.get_run(connection, sent.run.id) or sent.run)
    if once is not None:
        status, body = once.render(done)
        kept = KeptAnswer(client.workspace_id, client.family_id, once.key, once.request_sha256, status, body, now)
        idempotency.keep_answers(connection, [kept])
    return done


def _check_names(wanted: BulkWanted) -> None:
    boxes = [("from_name", "From", Mailbox(wanted.author, wanted.author_name))]
    if wanted.reply_to is not None:
        boxes.append(("reply_to", "Reply-To", Mailbox(wanted.reply_to)))
    for name, header, box in boxes:
        try:
            address_lines(header, [box])
        except HeaderSyntaxError as error:
            raise RefusedError.of([problem_of(error, name)]) from error


def _check_rows(rows: Sequence[BulkRow]) -> _Checked:
    checked = _Checked()
    seen: set[str] = set()
    for index, row in enumerate(rows):
        try:
            address = EmailAddress.parse(row.address)
        except AddressSyntaxError as error:
            checked.refused.append(_refused(index, row, Problem.of(error, "invalid", "address")))
            continue
        data = json.dumps(row.data, ensure_ascii=False, separators=(",", ":"))
        if address.needs_smtputf8:
            sentence = say("The part before the @ needs SMTPUTF8 (RFC 6531), which is not offered.")
            checked.refused.append(_refused(index, row, Problem("smtputf8_needed", sentence, "address")))
        elif len(data) > _MOST_DATA:
            sentence = say("The data of one recipient have %(most_data)s KiB at most.", most_data=_MOST_DATA // 1024)
            checked.refused.append(_refused(index, row, Problem("data_too_large", sentence, "data")))
        elif address.key in seen:
            checked.twice += 1
        else:
            seen.add(address.key)
            checked.good[index] = BulkRecipient(row.key, address.text, address.key, address.domain.ascii, data)
    return checked


def _refused(index: int, row: BulkRow, problem: Problem) -> RefusedRow:
    return RefusedRow(index, row.key, row.address[:320], problem)


def _add(
    connection: Connection,
    client: Client,
    run: Run,
    checked: _Checked,
    placement: Mapping[str, object],
    now: Microseconds,
) -> BulkChunk:
    keys = [item.address_key for item in checked.good.values()]
    barred = suppressions.reasons(connection, run.workspace_id, keys, (run.stream_id, None), now)
    refused = list(checked.refused)
    wanted: dict[int, BulkRecipient] = {}
    for index, item in checked.good.items():
        reason = barred.get(item.address_key)
        if reason is None:
            wanted[index] = item
            continue
        problem = Problem("suppressed", say("The address is suppressed: %(reason)s.", reason=reason), "address")
        refused.append(RefusedRow(index, item.record_key, item.address, problem))
    granted = _take_quota(connection, client, len(wanted), now)
    for index in list(wanted)[granted:]:
        item = wanted.pop(index)
        problem = Problem(
            "over_quota", say("The key's quota of today is used up."), "", "", say("Go on tomorrow (UTC).")
        )
        refused.append(RefusedRow(index, item.record_key, item.address, problem))
    added = client_runs.add_recipients(connection, run, list(wanted.values()), placement, now)
    _give_back_quota(connection, client, len(wanted) - len(added), now)
    accepted = {index: added[item.address_key] for index, item in wanted.items() if item.address_key in added}
    refused.sort(key=lambda row: row.index)
    return BulkChunk(accepted, len(wanted) - len(added) + checked.twice, tuple(refused))


def _take_quota(connection: Connection, client: Client, count: int, now: Microseconds) -> int:
    limit = client.terms.daily_quota
    if limit is None or not count:
        return count
    return budgets.reserve(connection, client.workspace_id, quota_of(client), (now // DAY * DAY, limit), count)


def _give_back_quota(connection: Connection, client: Client, count: int, now: Microseconds) -> None:
    if client.terms.daily_quota is not None and count:
        budgets.give_back(connection, client.workspace_id, quota_of(client), now // DAY * DAY, count)
