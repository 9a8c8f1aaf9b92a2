"""A real install in a folder: a database filled through the services, mailboxes, and the pages over both."""

import asyncio
import io
import json
import os
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pytest
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import Connection
from sqlalchemy import text as sql

from dns_checks.publish import as_zone_text
from dns_checks.testing import Zone
from dns_checks.testing_pages import Pages
from hygiene.segments.fields import FieldDefinition, FieldKind
from hygiene.segments.parse import parse
from mailtypes.clock import DAY, HOUR, MINUTE, ManualClock, SystemClock, as_datetime
from mailtypes.domain import DomainName
from mailtypes.questions import DnsAnswer, DnsQuestion, HttpAnswer, HttpFetch
from mta.delivery import Happening
from postwright.keyrings import write_new_key
from postwright.sandbox.mailboxes import Mailboxes, MailboxWriter, ReceivedMessage
from postwright.services import accounts
from postwright.services.accounts import Role
from postwright.services.audiences import AudienceDraft
from postwright.services.campaign_drafts import CampaignDraft
from postwright.services.contacts import BulkChange
from postwright.services.hygiene_terms import PlanTerms
from postwright.services.sender_domains import AuditMeans, PublicHosts, SenderDomains
from postwright.services.warm_up_plans import stored_plan
from postwright.services.warm_up_states import judged, state_of
from postwright.services.warm_ups import Start, WarmUps
from postwright.services.webhook_endpoints import EndpointChanges
from postwright.settings import (
    DatabaseSettings,
    DeliverSettings,
    DnsSettings,
    EgressSettings,
    KeySettings,
    SandboxSettings,
    Settings,
)
from postwright.store import domains, events, leases, recipients, routes, schema, warm_ups, workspaces
from postwright.store.campaigns import Campaign, Run
from postwright.store.contact_book import ContactQuery
from postwright.store.contacts import list_lists
from postwright.store.domains import SenderDomain
from postwright.store.recipients import DeliveryFilter
from postwright.store.records import table
from postwright.store.templates import TemplateText
from postwright.web import WebServices, create_pages, hrefs, static_files
from postwright.wiring.application import Application
from warmup.feedback import ProviderDay
from warmup.ramp import daily_step

if TYPE_CHECKING:
    from playwright.sync_api import Browser as ChromiumBrowser

CHROMIUM = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

T = TypeVar("T")
PASSWORD = "correct horse battery"
HOSTILE = "<script>alert(1)</script>"
HEBREW_SUBJECT = "שלום נועה, מדריך הקציר שלך"
NEWSLETTER = """<mjml><mj-body>
<mj-section><mj-column><mj-text>Hello {{ contact.first_name }} in {{ contact.city }}</mj-text>
<mj-button href="https://www.acme.test/guide">Open the guide</mj-button>
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section>
</mj-body></mjml>"""
_FIRST_NAMES = ("Ruby", "נועה", "Theo", "ענת", "Clara", "דוד")
_CITIES = ("Leeds", "חיפה", "Perth", "זכרון יעקב")
_DOMAINS = ("mailhub.test", "postbox.test", "doar.test")

SURROUNDINGS = """
mx.postwright.test. 300 IN A 93.184.215.20
track.postwright.test. 300 IN A 93.184.215.21
2.0.0.127.in-addr.arpa. 300 IN PTR mta.acme.test.
mta.acme.test. 300 IN A 127.0.0.2
"""

REPLIES = {
    Happening.ACCEPTED: (250, "2.0.0 Accepted, thank you"),
    Happening.TRANSIENT: (451, "4.7.1 Greylisted, come again in 30 s"),
    Happening.PERMANENT: (550, "5.1.1 No such user here"),
    Happening.UNKNOWN: (None, "The connection was lost after the final dot."),
}


def settings_in(folder: Path) -> Settings:
    keys = {name: folder / f"{name}.key" for name in ("master_file", "token_file", "return_path_file", "erasure_file")}
    for path in keys.values():
        write_new_key(path)
    return Settings(
        database=DatabaseSettings(url=f"sqlite:///{folder / 'postwright.db'}"),
        keys=KeySettings(**keys),
        # Nobody answers there: what the pages say about the DNS is "unknown" unless a test has stored more.
        dns=DnsSettings(nameservers=("127.0.0.1",), port=9, timeout=timedelta(milliseconds=50)),
        deliver=DeliverSettings(egress=(EgressSettings(ip="127.0.0.2", ehlo="mta.acme.test"),)),
        sandbox=SandboxSettings(dir=folder),
    )


class World:
    """A zone in place of a resolver, and pages in place of the web; a test changes them under an open install."""

    def __init__(self) -> None:
        self.zone, self.pages = Zone(), Pages()

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        return self.zone.answer(question)

    async def fetch(self, fetch: HttpFetch) -> HttpAnswer:
        return self.pages.answer(fetch)


def app_over(services: WebServices) -> FastAPI:
    """The pages as the web application has them."""
    pages = create_pages(services)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(pages.router)
    app.mount("/static", static_files())
    for status in (404, 405):
        app.add_exception_handler(status, pages.not_found)
    return app


@dataclass
class Install:
    """One install; ``begin`` makes the workspace ``main`` with one person of each role."""

    folder: Path
    application: Application = field(init=False)
    workspace: int = 0
    world: World | None = None
    password = PASSWORD
    hostile = HOSTILE
    hebrew_subject = HEBREW_SUBJECT

    def __post_init__(self) -> None:
        self.application = Application(settings_in(self.folder), SystemClock())

    @property
    def mailboxes_path(self) -> Path:
        return self.folder / "mailboxes.sqlite3"

    async def write(self, work: Callable[[Connection], object]) -> object:
        return await self.application.database.write(work)

    async def begin(self, name: str = "main") -> "Install":
        now = self.application.clock.now()
        found = await self.application.database.write(lambda c: workspaces.create_workspace(c, name, now))
        self.workspace = found
        await self.write(
            lambda c: workspaces.set_egress_sources(
                c, found, [workspaces.PooledSource("127.0.0.2", "mta.acme.test")], {}
            )
        )
        for role in Role:
            await self.application.accounts.save_user(found, f"{role}@{name}.test", PASSWORD, role)
        return self

    async def domain(self, name: str = "news.acme.test", state: str = "verified") -> SenderDomain:
        domain = await self.application.sender_domains.add(self.workspace, name)
        now = self.application.clock.now()
        await self.write(lambda c: domains.save_audit(c, domain.id, state, json.dumps(audit(domain, state)), now))
        return await self.application.sender_domains.get(self.workspace, name)

    def live(self, zone: str, pages: Mapping[str, HttpAnswer] | None = None) -> "Install":
        """Give the sender domains a DNS that answers, and a web; the first time before ``app`` is made."""
        if self.world is None:
            application, self.world = self.application, World()
            hosts = PublicHosts(DomainName("mx.postwright.test"), DomainName("track.postwright.test"))
            means = AuditMeans(http=self.world, block_lists=())
            resolver: Any = self.world
            application.__dict__["sender_domains"] = SenderDomains(
                application.database, resolver, application.clock, application.master_keys, hosts, means
            )
        self.world.zone, self.world.pages = Zone.parse(zone), Pages(pages)
        return self

    async def zone_of(self, domain: SenderDomain) -> str:
        """All records to publish, as a zone, with what lies around them."""
        records = await self.application.sender_domains.records(domain)
        return as_zone_text(tuple(records)) + SURROUNDINGS

    async def contacts(self, count: int, list_name: str = "Readers", extra: Sequence[str] = ()) -> int:
        rows = [
            f"person{n}@{_DOMAINS[n % 3]},{_FIRST_NAMES[n % 6]},{_CITIES[n % 4]},{'he' if n % 2 else 'en'}"
            for n in range(count)
        ]
        content = "\n".join(["email,first_name,city,language", *rows, *extra]).encode()
        job = await self.application.imports.start(self.workspace, list_name, "readers.csv", content)
        await self.application.imports.run_jobs()
        return job

    async def list_id(self, name: str = "Readers") -> int:
        found = await self.application.database.read(lambda c: list_lists(c, self.workspace))
        return next(item.id for item, _ in found if item.name == name)

    async def draft(self, name: str = "Spring letter", subject: str = "Hello {{ contact.first_name }}") -> Campaign:
        template = await self.application.templates.save(
            self.workspace, "newsletter", TemplateText(NEWSLETTER, "mjml", "Hello {{ contact.first_name }}")
        )
        return await self.application.campaigns.create(
            self.workspace,
            CampaignDraft(
                name,
                AudienceDraft(await self.list_id()),
                template.template.id,
                "hello@news.acme.test",
                "Acme Garden",
                None,
                subject,
            ),
        )

    async def send(self, campaign: Campaign) -> int:
        """Send it, write its recipients, release them all; returns the run's id."""
        status = await self.application.campaigns.send(self.workspace, campaign.id)
        assert status.run is not None
        return await self.release(status.run)

    async def release(self, run: Run) -> int:
        """Write the recipients of a run that began, release them all; returns the run's id."""
        while await self.application.scheduler.prepare(run):
            pass
        now = self.application.clock.now()
        for domain in _DOMAINS:
            destination = await self.application.database.write(
                lambda c, domain=domain: routes.save_destination(
                    c, self.workspace, f"mx1.{domain}", domain.split(".")[0], ((f"mx1.{domain}",),)
                )
            )
            await self.write(
                lambda c, domain=domain, destination=destination: recipients.release(
                    c, run.id, domain, destination, now, limit=100_000
                )
            )
        return run.id

    async def deliver(self, happening: Happening, count: int) -> int:
        """Bring the next ``count`` deliveries that are due to that outcome; returns how many there were."""
        done = 0
        now = self.application.clock.now()
        for destination in await self.application.database.read(lambda c: leases.due_destinations(c, now)):
            held = await self.application.database.write(
                lambda c, d=destination, left=count - done: leases.lease(
                    c, leases.Taker("w1", 10 * MINUTE), d, left, now
                )
            )
            if held:
                await self.write(lambda c, held=held: leases.mark_transmitting(c, held, 10 * MINUTE, now))
                code, reply = REPLIES[happening]
                retry_at = now + HOUR if happening in {Happening.TRANSIENT, Happening.UNKNOWN} else None
                detail = {"remote": "mx1.mailhub.test [127.0.0.3]", "tls": "TLSv1.3"}
                if retry_at:
                    detail["retry_at"] = retry_at
                outcomes = [leases.Outcome(one, happening, now, retry_at, code, reply, detail) for one in held]
                await self.write(lambda c, outcomes=outcomes: leases.record(c, outcomes, now))
            done += len(held)
            if done >= count:
                break
        return done

    async def receive(self, *mails: tuple[str, str, bytes]) -> None:
        """Put mails into the mailboxes: recipient, subject, octets."""
        writer = MailboxWriter(self.mailboxes_path)
        writer.start()
        for recipient, subject, raw in mails:
            await writer.store([received(recipient, subject, raw, self.application.clock.now())], raw)
        await writer.close()

    def app(self, *, secure: bool = False, mailboxes: bool = True) -> FastAPI:
        return app_over(self.services(secure=secure, mailboxes=mailboxes))

    def services(self, *, secure: bool = False, mailboxes: bool = True) -> WebServices:
        application = self.application
        return WebServices(
            accounts=application.accounts,
            account_changes=application.account_changes,
            campaigns=application.campaigns,
            experiment_runs=application.experiment_runs,
            statistics=application.statistics,
            campaign_ends=application.campaign_ends,
            campaign_comparisons=application.campaign_comparisons,
            best_sending_hours=application.best_sending_hours,
            sender_domains=application.sender_domains,
            key_rotation=application.key_rotation,
            reports=application.reports,
            imports=application.imports,
            contacts=application.contacts,
            contact_lists=application.contact_lists,
            contact_timeline=application.contact_timeline,
            contact_fields=application.contact_fields,
            segments=application.segments,
            suppression_list=application.suppression_list,
            hygiene_plans=application.hygiene_plans,
            hygiene_schedule=application.hygiene_schedule,
            lists_health=application.lists_health,
            templates=application.templates,
            log=application.log,
            destinations=application.destinations,
            event_search=application.event_search,
            overview=application.overview,
            audit_log=application.audit_log,
            webhooks=application.webhooks,
            warm_ups=application.warm_ups,
            clock=application.clock,
            mailboxes=Mailboxes(self.mailboxes_path) if mailboxes else None,
            secure_cookies=secure,
        )

    async def close(self) -> None:
        await self.application.database.close()

    async def filled(self, people: int = 60) -> dict[str, str]:
        """Something of everything, part of it hostile; returns the address of every kind of page."""
        return await _fill(self, people)

    @staticmethod
    def mail(recipient: str, subject: str, html: str, text: str = "Hello there.") -> tuple[str, str, bytes]:
        """A mail as ``receive`` takes it."""
        return mail(recipient, subject, html, text)


def audit(domain: SenderDomain, state: str) -> dict[str, object]:
    """An audit as it is stored: all well, or without the DKIM key and with a silent DMARC."""
    good = state == "verified"

    def finding(code: str, found: str, question: str, answer: str, sentence: str, step: str = "") -> dict[str, object]:
        evidence = [{"question": question, "answer": answer}]
        return {
            "code": code, "severity": "error", "state": found, "evidence": evidence, "sentence": sentence,
            "next_step": step,
        }  # fmt: skip

    name, host = domain.name, domain.return_path_host
    key = f"pw1._domainkey.{name}"
    return {
        "version": 1,
        "verdict": "verified" if good else "not_verified",
        "facts": {},
        "findings": [
            finding("spf.authorised", "present", f"{host} TXT", "v=spf1 ip4:127.0.0.2 -all", f"{host} lets us send."),
            finding("dkim.published", "present", f"{key} TXT", "v=DKIM1; p=MIIB", "The key pw1 is published.")
            if good
            else finding(
                "dkim.missing", "absent", f"{key} TXT", "no such record (nxdomain)",
                "There is no key under the selector pw1.", f"Publish the TXT record of {key}.",
            ),
            finding("dmarc.published", "present", f"_dmarc.{name} TXT", "v=DMARC1; p=none", "There is a policy: none.")
            if good
            else finding(
                "dmarc.unknown", "unknown", f"_dmarc.{name} TXT", "could not be found out: timeout",
                "Nobody could say whether there is a DMARC policy.", "Try again in a minute.",
            ),
        ],
    }  # fmt: skip


def received(recipient: str, subject: str, raw: bytes, now: int) -> ReceivedMessage:
    provider = recipient.rpartition("@")[2].split(".")[0]
    return ReceivedMessage(
        provider=provider, folder="inbox", received_at=now, client_ip="127.0.0.2", helo="mta.acme.test",
        mail_from="b-abc234@bounce.news.acme.test", rcpt_to=recipient, rcpt_key=recipient, message_id="<1@acme.test>",
        subject=subject, size=len(raw), spf="pass", dkim="pass", dmarc="pass", spf_domain="bounce.news.acme.test",
        dkim_domain="news.acme.test", author_domain="news.acme.test", aligned="dkim,spf", tls="TLSv1.3",
    )  # fmt: skip


def mail(recipient: str, subject: str, html: str, text: str = "Hello there.") -> tuple[str, str, bytes]:
    message = EmailMessage(policy=SMTP)
    message["From"] = "Acme Garden <hello@news.acme.test>"
    message["To"] = recipient
    message["Subject"] = subject
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return recipient, subject, message.as_bytes()


class Browser(httpx.AsyncClient):
    """A client that keeps cookies and sends what browsers send with forms."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8025", follow_redirects=False, timeout=30
        )

    async def sign_in(self, role: Role = Role.ADMIN, workspace: str = "main") -> "Browser":
        answer = await self.post(
            "/sign-in",
            data={"address": f"{role}@{workspace}.test", "password": PASSWORD},
            headers={"Origin": "http://127.0.0.1:8025"},
        )
        assert answer.status_code == 303, answer.text
        return self

    async def token(self) -> str:
        page = (await self.get("/")).text
        return page.partition('name="csrf_token" value="')[2].partition('"')[0]

    async def submit(self, path: str, **data: str) -> httpx.Response:
        return await self.post(path, data={"csrf_token": await self.token(), **data})


@pytest.fixture(scope="session", autouse=True)
def _cheap_hashes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        hasher = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(accounts, "PasswordHasher", hasher)
        yield


def run_alone(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run on an event loop of its own, whatever loop this thread has."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(lambda: asyncio.run(work())).result(120)


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an install with the workspace ``main`` and its people; tests work on copies."""
    folder = tmp_path_factory.mktemp("begun")
    schema.upgrade(f"sqlite:///{folder / 'postwright.db'}")

    async def begin() -> None:
        await (await Install(folder).begin()).close()

    run_alone(begin)
    return folder


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory, begun: Path) -> tuple[Path, dict[str, str]]:
    """The folder of an install with something of everything, and the address of every kind of page."""
    folder = tmp_path_factory.mktemp("full") / "install"
    shutil.copytree(begun, folder)

    async def fill() -> dict[str, str]:
        install = Install(folder, workspace=1)
        try:
            return await install.filled()
        finally:
            await install.close()

    return folder, run_alone(fill)


@pytest.fixture
def pages(full: tuple[Path, dict[str, str]]) -> dict[str, str]:
    """The address of every kind of page; with it, ``install`` has something of everything."""
    return full[1]


@pytest.fixture
async def install(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Install]:
    source = request.getfixturevalue("full")[0] if "pages" in request.fixturenames else request.getfixturevalue("begun")
    shutil.copytree(source, tmp_path / "install")
    made = Install(tmp_path / "install", workspace=1)
    yield made
    await made.close()


@pytest.fixture(scope="session")
def install_in() -> type[Install]:
    """For tests that open an install on an event loop of their own."""
    return Install


class Served:
    """An install behind uvicorn on a free loopback port, in a thread with an event loop of its own.

    ``prepare`` is done before the pages are made; ``addresses`` are those of a filled install.
    """

    def __init__(
        self,
        folder: Path,
        *,
        prepare: Callable[[Install], Coroutine[Any, Any, None]] | None = None,
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        self.addresses = addresses or {}
        self._folder, self._prepare = folder, prepare
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> "Served":
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def run(self, work: Callable[[Install], Coroutine[Any, Any, T]]) -> T:
        """Do what the other roles of Postwright, or the world, do meanwhile; playwright has the loop of this thread."""
        return asyncio.run_coroutine_threadsafe(work(self.install), self._loop).result(60)

    async def _serve(self) -> None:
        self._loop, self.install = asyncio.get_running_loop(), Install(self._folder, workspace=1)
        if self._prepare is not None:
            await self._prepare(self.install)
        listener = socket.create_server(("127.0.0.1", 0))  # it listens already, so nobody has to wait for uvicorn
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self.install.app(), log_level="warning", lifespan="off"))
        self._ready.set()
        await self._server.serve([listener])
        await self.install.close()


@pytest.fixture(scope="session")
def serve() -> type[Served]:
    """For tests that need a real browser: ``with serve(folder) as server``."""
    return Served


@pytest.fixture(scope="module")
def chromium() -> Iterator["ChromiumBrowser"]:
    """Debian's Chromium, which speaks to nobody but us. By module: playwright's loop is in the way of others.

    Its headless shell does a third less for the same pages, since it has no windows and menus to draw for nobody.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - half a second that few tests of the room need

    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing: nobody would see the pages")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def open_browser() -> type[Browser]:
    return Browser


class Exchangeable:
    """Stands for the services of the test that runs: to build all routes takes longer than most tests.

    Pages may keep a service from the beginning, so that each of them is looked up anew, too.
    """

    def __init__(self, install: Install) -> None:
        self.now = install.services()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.now, name)
        return value if isinstance(value, int | None) else _Service(self, name)


class _Service:
    def __init__(self, services: Exchangeable, name: str) -> None:
        self._services, self._name = services, name

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._services.now, self._name), name)


@pytest.fixture(scope="session")
def built() -> dict[str, Any]:
    """The app that ``browser`` looks at, and its services, once it is there."""
    return {}


@pytest.fixture
async def browser(install: Install, built: dict[str, Any]) -> AsyncIterator[Browser]:
    if not built:
        built["services"] = Exchangeable(install)
        built["app"] = app_over(built["services"])
    built["services"].now = install.services()
    async with Browser(built["app"]) as client:
        yield client


async def _fill(install: Install, people: int) -> dict[str, str]:
    await install.domain()
    await install.domain("letters.acme.test", "failing")
    job = await install.contacts(people, extra=("no-at-sign,X,Y,en", f"{HOSTILE}@mailhub.test,A,B,en"))
    finished = await install.draft("Winter letter " + HOSTILE, "Winter " + HOSTILE)
    await install.send(finished)
    share = people // 10
    await install.deliver(Happening.PERMANENT, share)
    await install.deliver(Happening.TRANSIENT, share)
    await install.deliver(Happening.UNKNOWN, share // 3)
    while await install.deliver(Happening.ACCEPTED, people):
        pass
    running = await install.draft("אביב 2026: מדריך הקציר", "שלום {{ contact.first_name }}")
    run_id = await install.send(running)
    await install.deliver(Happening.PERMANENT, 2)
    await install.deliver(Happening.ACCEPTED, people // 2)
    draft = await install.draft("Summer letter")
    await install.receive(
        mail("ruby@mailhub.test", "Hello " + HOSTILE, f"<p>Hello {HOSTILE}<img src=x onerror=alert(2)></p>"),
        mail(
            "noa@doar.test",
            HEBREW_SUBJECT,
            '<html dir="rtl" lang="he"><body><p id="greeting">שלום נועה, האביב כאן.</p></body></html>',
            "שלום נועה, האביב כאן.",
        ),
    )
    await _counted(install)
    await install.application.suppression_list.add(install.workspace, "left@example.test", "manual", note="By phone")
    older = "UPDATE contact SET created_at = created_at - 77760000000000 WHERE id % 10 = 1"  # by 900 days
    await install.write(lambda connection: connection.execute(sql(older)) and None)
    everybody = PlanTerms(tree=parse({"all": []}), ask_first=False)
    plan_id = await install.application.hygiene_plans.make(install.workspace, everybody, None, by="schedule")
    await install.application.hygiene_plans.finish(install.workspace, plan_id)
    return await _addresses(install, [finished, running, draft], run_id, job)


async def _counted(install: Install) -> None:
    """Bring the statistics up to date."""
    later = install.application.clock.now() + MINUTE  # the watermark stays behind by some seconds
    await install.write(lambda c: events.roll_up(c, install.workspace, later))
    while await install.application.statistics.step():
        pass


async def _contact_addresses(install: Install) -> dict[str, str]:
    """The pages of contacts and of what they are sorted by, with something of each."""
    application, workspace = install.application, install.workspace
    people = await application.contacts.page(workspace, ContactQuery(), limit=3)
    change = BulkChange(add_tags=["vip", "<b>bold</b>"], fields={"note": install.hostile})
    await application.contacts.change_many(workspace, [one.card.id for one in people], change)
    await application.contact_fields.define(workspace, FieldDefinition("plan", FieldKind.CHOICE, ("basic", "club")))
    tree = {"all": [{"tag": "vip"}, {"not": {"activity": "clicked", "op": "none", "within_days": 60}}]}
    segment = await application.segments.create(workspace, "Busy readers", tree)
    upload = io.BytesIO("דואל;שם\nruth@mailhub.test;רות\n".encode("cp1255"))
    draft = await application.imports.store_draft(workspace, "Readers", "people.csv", upload)
    return {
        "contacts": "/contacts",
        "contacts-found": "/contacts?find=a&archived=",
        "contact": hrefs.contact_href(people[0].card),
        "lists": "/contacts/lists",
        "fields": "/contacts/fields",
        "segments": "/segments",
        "segment": hrefs.segment_href(segment),
        "new-segment": "/segments/new",
        "import-columns": hrefs.import_href(await application.imports.job(workspace, draft)),
    }


async def _warm_up_addresses(install: Install) -> dict[str, str]:
    """A warm-up a week old: three good days, one on which the provider put us off, one of bounces that paused it."""
    application, day = install.application, timedelta(days=1)
    clock = ManualClock(application.clock.now() - 7 * DAY)
    plan = {"preset": "postmark", "providers": {"google": {"first": 400}}, "zone": "Asia/Jerusalem"}
    wanted = Start("letters.acme.test", plan, "admin@main.test", "לקוחות ותיקים, ידועים לנו")
    await WarmUps(application.database, clock).start(install.workspace, wanted)
    active = await application.database.read(warm_ups.all_active)
    warm_up = next(one for one in active if one.name == "letters.acme.test")
    for sent, deferrals, bounces in (
        (400, 0, 0),
        (800, 0, 2),
        (1600, 9, 4),
        (2300, 700, 5),
        (3000, 0, 20),
        (2500, 9, 620),
    ):
        clock.advance(day)
        today = as_datetime(clock.now() - DAY).date()
        counts = {"attempts": sent + deferrals + bounces, "sent": sent, "deferrals": deferrals, "hard_bounces": bounces}
        lived = ProviderDay(today, **counts)
        row = {"workspace_id": install.workspace, "subject": warm_up.subject, "provider": "google"}
        stored = {
            **row,
            "day": today.isoformat(),
            "blocks": "{}",
            "complaints": 0,
            "engaged": 0,
            "untracked": 0,
            **counts,
        }

        def judge(connection: Connection, stored: Any = stored, lived: Any = lived) -> None:
            connection.execute(table("provider_day").insert().values(stored))
            (ramp,) = warm_ups.ramps_of(connection, [warm_up.id], "google")
            outcome = daily_step(stored_plan(warm_up.plan), state_of(ramp), [lived])
            judged(connection, (warm_up, ramp), outcome, clock.now())

        await install.write(judge)
    here = "/domains/letters.acme.test/warm-up"
    return {
        "warm-ups": "/warm-up",
        "warm-up": here,
        "warm-up-provider": f"{here}?provider=google",
        "warm-up-start": "/domains/news.acme.test/warm-up",
    }


async def _webhook_addresses(install: Install) -> dict[str, str]:
    """One endpoint that is told, with something of each state in its log, and one that was disabled."""
    webhooks, now = install.application.webhooks, install.application.clock.now()
    wanted = EndpointChanges("https://shop.acme.test/hooks", "הזמנות <b>", ["delivered", "bounced"])
    told, _ = await webhooks.create(install.workspace, wanted)
    gone, _ = await webhooks.create(install.workspace, EndpointChanges("https://old.acme.test/", "", []))
    await webhooks.disable(install.workspace, gone.endpoint.id, "It has taken nothing for 5 days.")
    feed = told.live
    rows = [
        {
            "workspace_id": install.workspace, "endpoint_id": told.endpoint.id, "feed_id": feed.id, "event_id": number,
            "event_recorded_at": now - number * MINUTE, "kind": "delivered", "state": state, "attempts": 1 + number % 4,
            "status": None if number % 3 == 2 else 200 if state == "delivered" else 503, "duration": 40_000 * number,
            "answer": install.hostile if number % 2 else "", "cause": "timeout" if number % 3 == 2 else "",
            "first_attempt_at": now - number * MINUTE, "last_attempt_at": now - number * MINUTE,
        }
        for number, state in enumerate(("failing", "delivered", "given_up", "skipped", "delivered"), 1)
    ]  # fmt: skip
    late = {"failures": 3, "next_attempt_at": now + HOUR, "head_event_id": 1, "head_since": now, "head_attempts": 3}
    await install.write(lambda c: c.execute(table("webhook_delivery").insert(), rows))
    feeds = table("webhook_feed")
    await install.write(lambda c: c.execute(feeds.update().where(feeds.c.id == feed.id).values(**late)))
    await webhooks.replay(install.workspace, told.endpoint.id, now - DAY, now)
    here, there = told.endpoint.public_id, gone.endpoint.public_id
    return {"webhooks": "/webhooks", "webhook": f"/webhooks/{here}", "webhook-disabled": f"/webhooks/{there}"}


async def _addresses(install: Install, found: Sequence[Campaign], run_id: int, job: int) -> dict[str, str]:
    application = install.application
    deliveries = await application.log.deliveries(install.workspace, DeliveryFilter(run_id=run_id), limit=1)
    template = (await application.templates.list(install.workspace))[0].template
    finished, running, draft = (hrefs.campaign_href(one) for one in found)
    return {
        "home": "/",
        "campaigns": "/campaigns",
        "finished": finished,
        "running": running,
        "draft": draft,
        "preflight": f"{draft}/preflight",
        "new-campaign": "/campaigns/new",
        "change-campaign": f"{draft}/edit",
        "report": f"{finished}/report",
        "empty-report": f"{draft}/report",
        "best-hours": "/campaigns/hours",
        "messages": "/messages",
        "found": f"/messages?address={deliveries[0].address}",
        "message": hrefs.message_href(deliveries[0]),
        "templates": "/templates",
        "template": hrefs.template_href(template),
        **await _contact_addresses(install),
        "imports": "/imports",
        "import": hrefs.import_href(await application.imports.job(install.workspace, job)),
        **await _warm_up_addresses(install),
        **await _webhook_addresses(install),
        "domains": "/domains",
        "domain": "/domains/news.acme.test",
        "domain-what-if": "/domains/news.acme.test/what-if",
        "domain-keys": "/domains/news.acme.test/keys",
        "domain-reports": "/domains/news.acme.test/reports",
        "domain-logo": "/domains/news.acme.test/logo",
        "domain-history": "/domains/news.acme.test/history",
        "failing-domain": "/domains/letters.acme.test",
        "mailboxes": "/sandbox",
        "mail": "/sandbox/2",
        "hostile-mail": "/sandbox/1",
        "mail-text": "/sandbox/2?view=text",
        "mail-headers": "/sandbox/2?view=headers",
        "mail-source": "/sandbox/2?view=source",
        "suppressions": "/suppressions",
        "hygiene": "/hygiene",
        "hygiene-plan": "/hygiene/1",
        "queue": "/queue",
        "destination": "/queue/1",
        "events": "/events",
        "settings": "/settings",
        "settings-sessions": "/settings/sessions",
        "settings-people": "/settings/people",
        "settings-keys": "/settings/keys",
        "settings-audit": "/settings/audit",
        "missing": "/no-such-page",
    }
