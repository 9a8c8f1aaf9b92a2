"""A whole install in one process: the real application, its workers, receivers on loopback, and weeks in seconds.

Everything is wired as ``postwright serve`` wires it: scheduler, delivery workers with their pace, store, DNS over UDP,
SMTP over TCP. Only the calendar is ours: ``live`` runs what is due and then goes on to the next moment that matters.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic_ns
from typing import Any

import pytest
from sqlalchemy import text

from dns_checks.publish import as_zone_text
from mailtypes.address import EmailAddress
from mailtypes.clock import DAY, HOUR, MINUTE, SECOND, Microseconds, microseconds
from mailtypes.domain import DomainName
from mailtypes.smtp import SmtpReply
from mta.engine import Deliver, DeliveryEngine, SleepUntil
from postwright.sandbox.layout import SandboxLayout
from postwright.sandbox.mailboxes import Mailboxes, MailboxWriter
from postwright.sandbox.nameserver import NameServer
from postwright.sandbox.providers import Approach, Provider, Refusal, RefusalKind, built_in_zones
from postwright.sandbox.receiving import MxHost, ReceivingParts
from postwright.sandbox.zones import Zone, ZoneDirectory, publish_zone
from postwright.services.audiences import AudienceDraft
from postwright.services.campaign_drafts import CampaignDraft
from postwright.services.warm_ups import Start, WarmUpStatus
from postwright.settings import (
    AuditSettings,
    DeliverSettings,
    DnsSettings,
    EgressSettings,
    SandboxSettings,
    Settings,
    SmtpSettings,
    TrackSettings,
)
from postwright.store import contacts, workspaces
from postwright.store.campaigns import Campaign
from postwright.store.templates import TemplateText
from postwright.wiring.application import Application
from postwright.wiring.delivery import DeliveryWorker, egress_units
from tests.services.conftest import _empty_database, make_cheap
from tests.web.conftest import settings_in

SENDER = "news.acme.test"
ADMIN = "admin@acme.test"
EGRESS = ("127.0.0.2", "127.0.0.3")
_PROVIDERS: Mapping[str, tuple[str, str]] = {
    # The hosts are named as Google's, so that the rules for its replies hold; nothing here leaves the machine.
    "google": ("127.0.0.21", "aspmx.l.google.com"),
    "doar": ("127.0.0.22", "mx1.doar.test"),
}
_BODY = """<mjml><mj-body><mj-section><mj-column><mj-text>Hello, spring is here.</mj-text>
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>"""
_BEGIN = 1_772_409_600 * SECOND  # Monday, 2026-03-02, 00:00 UTC
_SPEED = 30  # what an engine sleeps between two messages of a slowed pace is half a minute a second
_MOST_ROUNDS = 2_000
_OFTEN, _SELDOM = 10 * MINUTE, 8 * HOUR
_AFTER_MIDNIGHT = 5 * SECOND  # yesterday's events have settled by then


class Calendar:
    """A clock that is set forward; in between it runs with the machine's, so that a pace a second passes."""

    def __init__(self) -> None:
        self._base, self._since = _BEGIN, monotonic_ns()

    def now(self) -> Microseconds:
        return Microseconds(self._base + _SPEED * ((monotonic_ns() - self._since) // 1_000))

    def go_to(self, moment: int) -> None:
        assert moment >= self.now() - SECOND, "time does not run backwards"
        self._base, self._since = max(moment, self.now()), monotonic_ns()


@dataclass
class Temper:
    """How a provider is: what it takes a day (UTC; ``None``: all), and what it says beyond that or in a block."""

    tolerated: int | None = None
    too_much: str = (
        "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address."
    )
    blocks_with: str = ""
    taken: dict[int, int] = field(default_factory=dict)

    def answer(self, now: Microseconds) -> str:
        """A refusal, or nothing."""
        if self.blocks_with:
            return self.blocks_with
        day = now // DAY
        if self.tolerated is not None and self.taken.get(day, 0) >= self.tolerated:
            return self.too_much
        self.taken[day] = self.taken.get(day, 0) + 1
        return ""


@dataclass(frozen=True, slots=True)
class TemperedProvider(Provider):
    """A provider of the sandbox with a temper."""

    temper: Temper = field(default_factory=Temper)

    def answer_rcpt(self, approach: Approach, now: Microseconds) -> Refusal | EmailAddress:
        found = Provider.answer_rcpt(self, approach, now)
        if isinstance(found, Refusal) or not (told := self.temper.answer(now)):
            return found
        return Refusal(RefusalKind.TEMPORARY, SmtpReply.of(int(told[:3]), told[4:]))


class Receivers:
    """The providers' hosts and their DNS, on loopback."""

    def __init__(self, folder: Path, clock: Calendar) -> None:
        self.tempers = {name: Temper() for name in _PROVIDERS}
        providers = tuple(
            TemperedProvider(name, address, (host,), (DomainName(f"{name}.test"),), temper=self.tempers[name])
            for name, (address, host) in _PROVIDERS.items()
        )
        self._writer = MailboxWriter(folder / "mailboxes.db")
        self.mailboxes = Mailboxes(folder / "mailboxes.db")
        parts = ReceivingParts(self._writer, None, clock)
        self._hosts = [MxHost(provider, parts, None) for provider in providers]
        zones = built_in_zones(providers, "127.0.0.1")
        zones["l.google.com"] = f"aspmx A {_PROVIDERS['google'][0]}\n"
        zones["google.test"] = zones["google.test"].replace("aspmx.l.google.com. A", "also A")
        zones["postwright.test"] = "mx A 127.0.0.2\nlinks A 127.0.0.2\n"
        zones["acme.test"] = "".join(f"mta{n} A {ip}\n" for n, ip in enumerate(EGRESS))
        for n, ip in enumerate(EGRESS):
            zones[".".join(reversed(ip.split("."))) + ".in-addr.arpa"] = f"@ PTR mta{n}.acme.test.\n"
        self.zones = folder / "zones"
        self.zones.mkdir()
        directory = ZoneDirectory(self.zones, [Zone.parse(*one) for one in zones.items()], clock)
        self._names = NameServer(directory, "127.0.0.1", 0)
        self.dns_port = self.smtp_port = 0

    async def start(self) -> None:
        self._writer.start()
        self.dns_port = await self._names.start()
        for attempt in range(20):
            try:
                for host in self._hosts:
                    self.smtp_port = await host.start(self.smtp_port)
            except OSError:  # the port of the first is taken at the second's address
                assert attempt < 19
                self.smtp_port = 0
                for host in self._hosts:
                    await host.close()
            else:
                return

    async def close(self) -> None:
        for host in self._hosts:
            await host.close()
        await self._names.close()
        await self._writer.close()


class Stage:
    """An install with a verified sender domain, an admin, and receivers."""

    def __init__(self, folder: Path, clock: Calendar, receivers: Receivers, egress: Sequence[str]) -> None:
        self.clock, self.receivers = clock, receivers
        folder.joinpath("postwright.db").write_bytes(_empty_database())
        given = settings_in(folder)
        deliver = DeliverSettings(
            egress=tuple(EgressSettings(ip=ip, ehlo=f"mta{n}.acme.test") for n, ip in enumerate(egress)),
            smtp_port=receivers.smtp_port,
            allow_private_destinations=True,
        )
        dns = DnsSettings(nameservers=("127.0.0.1",), port=receivers.dns_port, timeout=timedelta(seconds=10))
        SandboxLayout(folder).save()
        self.settings: Settings = given.model_copy(
            update={
                "dns": dns,
                "deliver": deliver,
                "sandbox": SandboxSettings(dir=folder),
                "smtp": SmtpSettings(hostname="mx.postwright.test"),
                "track": TrackSettings(hostname="links.postwright.test"),
                "audit": AuditSettings(block_lists=False, web=False),
            }
        )
        self.application = Application(self.settings, clock)
        self.workspace = 0
        self._executor = ThreadPoolExecutor(1)
        self.engines: list[DeliveryEngine] = []

    async def begin(self) -> "Stage":
        now, database = self.clock.now(), self.application.database
        self.workspace = await database.write(lambda c: workspaces.create_workspace(c, "main", now))
        sources = [workspaces.PooledSource(str(one.ip), one.ehlo) for one in self.settings.deliver.egress]
        await database.write(lambda c: workspaces.set_egress_sources(c, self.workspace, sources, {}))
        domain = await self.application.sender_domains.add(self.workspace, SENDER)
        records = as_zone_text(tuple(await self.application.sender_domains.records(domain)))
        publish_zone(self.receivers.zones, SENDER, records)
        verified, report = await self.application.sender_domains.verify(self.workspace, SENDER)
        assert verified.state == "verified", report.findings
        for unit in egress_units(self.settings):
            self.engines.append(DeliveryWorker(self.application, unit).engine(self._executor))
        return self

    async def close(self) -> None:
        for engine in self.engines:
            await engine.close()
        self._executor.shutdown()
        await self.application.close()

    def rows(self, statement: str, **values: Any) -> Any:
        """What a plain SQL question finds, as a coroutine."""
        return self.application.database.read(lambda c: c.execute(text(statement), values).all())

    async def people(self, name: str, number: int, provider: str = "google", prefix: str = "p") -> int:
        """A list of so many people with a provider; returns its id. They have been there for a year."""
        then = Microseconds(self.clock.now() - 365 * DAY)
        people = [
            contacts.NewContact(f"{prefix}{n}@{provider}.test", f"{prefix}{n}@{provider}.test", f"{provider}.test", {})
            for n in range(number)
        ]

        def put(connection: Any) -> int:
            found = contacts.ensure_list(connection, self.workspace, name, then)
            contacts.put_on_list(connection, found, people, "test", then)
            return found.id

        return await self.application.database.write(put)

    async def warm_up(self, caps: Sequence[int], subject: str = SENDER, **plan: Any) -> WarmUpStatus:
        """Start one by a table; a day's budget may go in one hour."""
        document = {"table": {"name": "small", "daily_caps": list(caps)}, "hourly_share": "1", **plan}
        return await self.application.warm_ups.start(self.workspace, Start(subject, document, ADMIN, "for a test"))

    async def campaign(self, list_id: int, name: str = "Spring", **changes: Any) -> Campaign:
        """A campaign that is being sent."""
        application = self.application
        wording = TemplateText(_BODY, "mjml", "Hello", "")
        template = await application.templates.save(self.workspace, name, wording)
        wanted = {"name": name, "audience": AudienceDraft(list_id), "template_id": template.template.id, **changes}
        made = await application.campaigns.create(
            self.workspace, CampaignDraft(**{"from_address": f"letter@{SENDER}", "from_name": "Acme", **wanted})
        )
        await application.campaigns.send(self.workspace, made.id)
        return made

    async def states(self, campaign: Campaign) -> dict[str, int]:
        counts = (await self.application.campaigns.status(self.workspace, campaign.id)).counts
        return dict(counts.by_state) if counts else {}

    async def waits(self) -> set[str]:
        """What held recipients are told to wait for."""
        return {row[0] for row in await self.rows("SELECT DISTINCT waits_for FROM delivery WHERE state = 'held'")}

    async def events(self, kind: str) -> list[dict[str, Any]]:
        found = await self.rows("SELECT data FROM event WHERE kind = :kind ORDER BY recorded_at, id", kind=kind)
        return [json.loads(row[0]) for row in found]

    def received(self, day: int | None = None, client_ip: str = "") -> list[str]:
        """The recipients of what was taken, all or those of a day (counted from the first)."""
        return [
            one.rcpt_to
            for one in self.receivers.mailboxes.list_messages(limit=10_000)
            if day in (None, (one.received_at - _BEGIN) // DAY) and client_ip in ("", one.client_ip)
        ]

    async def settle(self) -> Microseconds | None:
        """Do whatever is due now; returns when an engine wants to be asked again."""
        for _ in range(_MOST_ROUNDS):
            did = (await self.application.scheduler.step()).did_something
            again: list[Microseconds] = []
            for engine in self.engines:
                match await engine.step():
                    case Deliver(destinations):
                        did = True
                        for destination in destinations:
                            await engine.deliver_one_batch(destination)
                    case SleepUntil(moment):
                        again.append(moment)
            if not did:
                return min(again, default=None)
        raise AssertionError("it does not come to rest")

    async def live(self, until: int) -> None:
        """Live on until ``until``, from one moment at which something is due to the next."""
        for _ in range(_MOST_ROUNDS):
            again = await self.settle()
            now = self.clock.now()
            if now >= until:
                return
            moving = await self.rows("SELECT 1 FROM delivery WHERE state IN ('ready', 'deferred') LIMIT 1")
            moments = [until, (now // DAY + 1) * DAY + _AFTER_MIDNIGHT, now + (_OFTEN if moving else _SELDOM)]
            if again is not None and again > now:
                moments.append(again)
            self.clock.go_to(min(moments))
        raise AssertionError("the days do not pass")

    async def next_day(self) -> None:
        """Live on until yesterday has been judged and what today allows is out."""
        midnight = (self.clock.now() // DAY + 1) * DAY
        await self.live(midnight + microseconds(timedelta(minutes=2)))

    async def ramp(self, subject: str = SENDER, provider: str = "google") -> Any:
        status = await self.application.warm_ups.status(self.workspace, subject)
        return next(one for one in status.ramps if one.provider == provider)


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    """One loop is enough here; both are taken through the engine's own scenarios."""
    return asyncio.DefaultEventLoopPolicy()


@pytest.fixture
async def make_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Any]]:
    make_cheap(monkeypatch)
    clock = Calendar()
    receivers = Receivers(tmp_path, clock)
    await receivers.start()
    made: list[Stage] = []

    async def make(*egress: str) -> Stage:
        made.append(Stage(tmp_path, clock, receivers, egress or EGRESS[:1]))
        return await made[-1].begin()

    yield make
    for stage in made:
        await stage.close()
    await receivers.close()


@pytest.fixture
async def stage(make_stage: Callable[..., Any]) -> Any:
    return await make_stage()
