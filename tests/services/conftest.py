"""All services over one SQLite file, a clock that is moved by hand, and a DNS that is a dictionary."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from functools import cache
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Connection, text

from dns_checks.dkim.keys import generate_rsa_key
from dns_checks.publish import as_zone_text
from dns_checks.testing import Zone, run
from mailtypes.clock import ManualClock
from mailtypes.domain import DomainName
from mailtypes.questions import DnsAnswer, DnsEvaluation, DnsQuestion
from mailtypes.smtp import SmtpReply
from mta.delivery import Happening
from mta.feedback_token import FeedbackKey
from mta.ports import AttemptOutcome, Delivery
from mta.signing import ChunkPreparer, MessageSigner
from postwright.keyrings import read_key_ring, write_new_key
from postwright.services import accounts, signing_keys
from postwright.services.accounts import Accounts, Client, KeyScope, KeyTerms
from postwright.services.audiences import AudienceDraft
from postwright.services.bounces import Bounces
from postwright.services.bulks import Bulks
from postwright.services.campaign_drafts import CampaignDraft
from postwright.services.campaign_start import CampaignStart
from postwright.services.campaigns import Campaigns
from postwright.services.composition import StoredComposer
from postwright.services.delivery_queue import StoredQueue, WorkerIdentity
from postwright.services.engagement import Engagement
from postwright.services.failure_notices import FailureNotices
from postwright.services.frozen_runs import FrozenRuns
from postwright.services.immediate_release import ImmediateRelease
from postwright.services.imports import ContactImports
from postwright.services.log import Log
from postwright.services.message_intake import MessageIntake
from postwright.services.preflight import PreflightCheck
from postwright.services.routing import Router
from postwright.services.scheduling import Scheduler, SideWork
from postwright.services.sender_domains import PublicHosts, SenderDomains
from postwright.services.sending_places import SendingPlaces
from postwright.services.signing_keys import StoredKeys
from postwright.services.smtp_submissions import SmtpSubmissions
from postwright.services.submissions import Submissions
from postwright.services.suppression_list import SuppressionList
from postwright.services.templates import Templates
from postwright.services.warm_up_days import WarmUpDays
from postwright.services.warm_up_release import EgressPlace, WarmUpRelease
from postwright.services.warm_ups import Start, WarmUps, WarmUpStatus
from postwright.services.whole_messages import StoredMessages
from postwright.store.campaigns import Campaign
from postwright.store.database import Database, open_engine, read_url
from postwright.store.imports import ImportJob, Refusal
from postwright.store.tables import metadata
from postwright.store.templates import TemplateText
from postwright.store.workspaces import PooledSource, create_workspace, set_egress_sources
from tracking.tokens import TokenKeys

SENDER = "news.acme.test"
EGRESS = "192.0.2.7"
PLACES = (EgressPlace(EGRESS, "default"), EgressPlace("192.0.2.8", "default"))
BODY = """<mjml><mj-body><mj-section><mj-column><mj-text>Hello {{ contact.first_name | default: "you" }}</mj-text>
<mj-button href="https://acme.test/spring?from=mail">See it</mj-button>
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>"""
HOSTS = f"links.postwright.test. 300 IN A {EGRESS}\nmx.postwright.test. 300 IN A {EGRESS}\n"
RECIPIENTS = """
example.test. 300 IN MX 10 mx.example.test.
mx.example.test. 300 IN A 192.0.2.20
other.test. 300 IN MX 10 mx.other.test.
mx.other.test. 300 IN A 192.0.2.21
null.test. 300 IN MX 0 .
;; SERVFAIL silent.test
"""


class ZoneResolver:
    """Answers from a zone that a test can change."""

    def __init__(self) -> None:
        self.zone = Zone.parse(RECIPIENTS)

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        return self.zone.answer(question)

    async def evaluate(self, evaluation: DnsEvaluation[Any]) -> Any:
        return run(evaluation, self.zone)


class World:
    """One install with one workspace."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.folder, self.clock, self.resolver = folder, clock, ZoneResolver()
        self.url = f"sqlite:///{folder / 'postwright.db'}"
        (folder / "postwright.db").write_bytes(_empty_database())
        write_new_key(folder / "master.key")
        write_new_key(folder / "erasure.key")
        self.erasure = read_key_ring(folder / "erasure.key")
        database = self.database = Database(self.url, clock, lambda: self.erasure)
        self.workspace = 0
        self.master = read_key_ring(folder / "master.key")
        self.token_keys = TokenKeys(1, {1: b"t" * 32})
        self.feedback_keys = {1: FeedbackKey(1, b"f" * 32)}
        hosts = PublicHosts(DomainName("mx.postwright.test"), DomainName("links.postwright.test"))
        resolver: Any = self.resolver
        self.accounts = Accounts(database, clock, timedelta(hours=1))
        self.sender_domains = SenderDomains(database, resolver, clock, self.master, hosts)
        self.imports = ContactImports(database, clock, test_environment=True)
        self.suppression_list = SuppressionList(database, clock, test_environment=True)
        self.templates = Templates(database, clock)
        start = CampaignStart(database, clock, PreflightCheck(database, clock, 443), 1)
        self.campaigns = Campaigns(database, clock, start)
        self.log = Log(database)
        self.engagement = Engagement(database, clock, self.token_keys)
        self.bounces = Bounces(database, clock, self.feedback_keys.values())
        router = Router(database, resolver, clock, timedelta(hours=1))
        self.places = SendingPlaces(database, clock, 1)
        self.intake = MessageIntake(database, clock, self.places, self.feedback_keys)
        self.submissions = Submissions(database, clock, ImmediateRelease(PLACES))
        self.bulks = Bulks(database, clock, self.places, self.intake)
        self.smtp_submissions = SmtpSubmissions(
            self.accounts, clock, self.places, self.intake, self.submissions, "mx.postwright.test"
        )
        self.notices = FailureNotices(database, clock, self.places, self.intake, "mx.postwright.test")
        self.warm_ups = WarmUps(database, clock, PLACES)
        release = WarmUpRelease(database, clock, PLACES)
        beside = SideWork(steps=(self.notices, WarmUpDays(database, clock)), release=release)
        self.scheduler = Scheduler(database, clock, router, self.imports, 60_000_000, beside)
        self.stored_keys = StoredKeys(database, self.master, clock)
        self.queue = self.make_queue("one")
        self.composer = StoredComposer(self.token_keys, self.feedback_keys, StoredMessages(database))
        self.preparer = ChunkPreparer(self.composer, MessageSigner(self.stored_keys))

    def make_queue(self, name: str, egress: str = EGRESS) -> StoredQueue:
        """The queue as another process sees it."""
        runs = FrozenRuns(self.database, 443)
        identity = WorkerIdentity(name, timedelta(minutes=10), egress)
        return StoredQueue(self.database, runs, self.stored_keys, self.feedback_keys, random.Random(1), identity)

    async def begin(self) -> "World":
        self.workspace = await self.database.write(lambda c: create_workspace(c, "main", self.clock.now()))
        await self.database.write(
            lambda c: set_egress_sources(c, self.workspace, [PooledSource(EGRESS, "mx.postwright.test")], {})
        )
        return self

    def rows(self, statement: str, **values: Any) -> Sequence[Any]:
        """What a plain SQL question finds in the file."""
        engine = open_engine(read_url(self.url))
        try:
            with engine.connect() as connection:
                return connection.execute(text(statement), values).all()
        finally:
            engine.dispose()

    async def change(self, statement: str, **values: Any) -> None:
        """A plain SQL change."""

        def work(connection: Connection) -> None:
            connection.execute(text(statement), values)

        await self.database.write(work)

    async def imported(self, content: str | bytes, name: str = "Gardeners") -> tuple[ImportJob, list[Refusal]]:
        """Import a file to its end."""
        octets = content if isinstance(content, bytes) else content.encode()
        job_id = await self.imports.start(self.workspace, name, "contacts.csv", octets)
        await self.imports.run_jobs()
        job = await self.imports.job(self.workspace, job_id)
        return job, await self.imports.refusals(self.workspace, job_id, limit=100_000)

    async def list_id(self, name: str = "Gardeners") -> int:
        return int(self.rows("SELECT id FROM contact_list WHERE name = :name", name=name)[0][0])

    async def publish(self, *, without: str = "\0", extra: str = "") -> None:
        """Put the records of the sender domain into the DNS, but for the lines with a text in them."""
        domain = await self.sender_domains.get(self.workspace, SENDER)
        lines = as_zone_text(tuple(await self.sender_domains.records(domain))).splitlines()
        kept = [line for line in lines if without not in line]
        self.resolver.zone = Zone.parse("\n".join(kept) + "\n" + HOSTS + RECIPIENTS + extra)

    async def warmed_up(self, preset: str = "postmark", subject: str = SENDER, **plan: Any) -> WarmUpStatus:
        """Start a warm-up; without more said, a day's budget may go in one hour."""
        document = {"preset": preset, "hourly_share": "1", **plan}
        return await self.warm_ups.start(self.workspace, Start(subject, document, "admin@acme.test", "for a test"))

    async def verified(self) -> None:
        await self.sender_domains.add(self.workspace, SENDER)
        await self.publish()
        domain, report = await self.sender_domains.verify(self.workspace, SENDER)
        assert domain.state == "verified", report.findings

    async def draft(self, people: str = "", **changes: Any) -> Campaign:
        """A campaign that can be sent, to ``people`` (rows of ``email,first_name,language``)."""
        if not self.rows("SELECT 1 FROM sender_domain WHERE state = 'verified'"):
            await self.verified()
        body = changes.pop("body", BODY)
        rows = people or "".join(f"reader{number}@example.test,Reader {number},en\n" for number in range(3))
        list_name = changes.pop("list_name", "Gardeners")
        await self.imported("email,first_name,language\n" + rows, list_name)
        template = await self.templates.save(
            self.workspace, "Spring", TemplateText(body, "mjml", "Hello {{ contact.first_name }}", "Flowers")
        )
        wanted: dict[str, Any] = {
            "name": "Spring letter",
            "audience": AudienceDraft(await self.list_id(list_name)),
            "template_id": template.template.id,
            "from_address": f"letter@{SENDER}",
            "from_name": "Acme",
            **changes,
        }
        return await self.campaigns.create(self.workspace, CampaignDraft(**wanted))

    async def sending(self, people: str = "", *, steps: int = 3, **changes: Any) -> Campaign:
        """A campaign under way; after three steps of the scheduler its recipients are ready."""
        campaign = await self.draft(people, **changes)
        await self.campaigns.send(self.workspace, campaign.id)
        for _ in range(steps):
            await self.scheduler.step()
        return campaign

    async def leased(self, limit: int = 100, queue: StoredQueue | None = None) -> list[Delivery]:
        """Whatever is due, leased."""
        now = self.clock.now()
        taken: list[Delivery] = []
        for destination in await (queue or self.queue).due_destinations(now):
            taken += await (queue or self.queue).lease(destination.destination_id, limit, now)
        return taken

    async def transmit(self, deliveries: Sequence[Delivery]) -> frozenset[int]:
        return await self.queue.mark_transmitting(deliveries, self.clock.now())

    async def answer(self, deliveries: Sequence[Delivery], reply: str, retry: timedelta = timedelta(hours=1)) -> None:
        """Let the receiving side say ``reply`` to each of these."""
        said = SmtpReply.of(int(reply[:3]), reply[4:])
        now = self.clock.now()
        kind = (
            Happening.ACCEPTED if said.code < 400 else Happening.TRANSIENT if said.code < 500 else Happening.PERMANENT
        )
        again = now + retry // timedelta(microseconds=1) if kind is Happening.TRANSIENT else None
        await self.queue.record([AttemptOutcome(one, kind, now, said, retry_at=again) for one in deliveries])

    async def states(self, campaign: Campaign) -> dict[str, int]:
        counts = (await self.campaigns.status(self.workspace, campaign.id)).counts
        return counts.by_state if counts else {}

    async def client(self, terms: KeyTerms | None = None) -> Client:
        """An API client with a key for sending."""
        scopes = frozenset({KeyScope.SEND})
        _, key = await self.accounts.create_key(self.workspace, "shop", scopes, terms)
        client = await self.accounts.client(key)
        assert client is not None
        return client

    def messages(self, deliveries: Sequence[Delivery]) -> list[bytes]:
        """The signed messages of leased deliveries."""
        prepared = self.preparer.prepare(deliveries, self.clock.now()).items
        assert [one.cause for one in prepared] == [""] * len(deliveries)
        return [_read(one.transmission.content) for one in prepared if one.transmission]


def _read(content: bytes) -> bytes:
    """What a server reads until the final dot (RFC 5321 section 4.5.2)."""
    assert content.endswith(b"\r\n.\r\n")
    lines = content.removesuffix(b".\r\n").split(b"\r\n")
    return b"\r\n".join(line.removeprefix(b".") for line in lines)


@cache
def _empty_database() -> bytes:
    """A file with all tables, made once."""
    with TemporaryDirectory() as folder:
        engine = open_engine(read_url(f"sqlite:///{folder}/empty.db"))
        metadata.create_all(engine)
        engine.dispose()  # the last one to leave writes the log back into the file
        return (Path(folder) / "empty.db").read_bytes()


@cache
def _some_keys() -> list[Any]:
    return [generate_rsa_key() for _ in range(3)]


def make_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out what costs a tenth of a second for each install: argon2's 64 MiB, and fresh RSA keys."""
    keys = cycle(_some_keys())
    monkeypatch.setattr(accounts, "PasswordHasher", lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    monkeypatch.setattr(signing_keys, "generate_rsa_key", lambda: next(keys))


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], World]:
    make_cheap(monkeypatch)
    return lambda: World(tmp_path, ManualClock())


@pytest.fixture
async def world(make_world: Callable[[], World]) -> AsyncIterator[World]:
    made = await make_world().begin()
    yield made
    await made.database.close()
