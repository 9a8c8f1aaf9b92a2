"""The real app over a real SQLite file, with two workspaces; only the DNS is a dictionary."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI

from dns_checks.dkim.keys import PrivateKey, generate_rsa_key
from dns_checks.testing import Zone, run
from mailtypes.clock import ManualClock, Microseconds
from mailtypes.domain import DomainName
from mailtypes.questions import DnsAnswer, DnsEvaluation, DnsQuestion
from mta.feedback_token import FeedbackKey
from postwright.api import ApiServices, create_router, install_error_handlers
from postwright.api.examples import EXAMPLE_MOMENT
from postwright.api.limits import RateLimits
from postwright.keyrings import KeyRing, read_key_ring, write_new_key
from postwright.outbound_http import HttpPosted, OutboundHttp
from postwright.services import accounts, signing_keys
from postwright.services.accounts import Accounts, KeyScope
from postwright.services.bulks import Bulks
from postwright.services.campaign_start import CampaignStart
from postwright.services.campaigns import Campaigns
from postwright.services.confirmations import LinkMeans
from postwright.services.domain_checks import DomainChecks
from postwright.services.imports import ContactImports
from postwright.services.log import Log
from postwright.services.message_intake import MessageIntake
from postwright.services.preflight import PreflightCheck
from postwright.services.proofs import Proofs
from postwright.services.reports import Reports
from postwright.services.sender_domains import PublicHosts, SenderDomains
from postwright.services.sending_places import SendingPlaces
from postwright.services.submissions import Submissions
from postwright.services.suppression_list import SuppressionList
from postwright.services.templates import Templates
from postwright.services.webhook_endpoints import Webhooks
from postwright.store.campaigns import runs_in_state
from postwright.store.database import Database, open_engine, read_url
from postwright.store.preparation import Placing, prepare_chunk
from postwright.store.tables import metadata
from postwright.store.workspaces import PooledSource, create_workspace, list_workspaces, set_egress_sources
from tracking.tokens import TokenKeys

DATABASE = "postwright.db"
MAX_UPLOAD = 200_000
TEMPLATE = """<mjml><mj-body><mj-section><mj-column><mj-text>Hello {{ contact.first_name | default: "you" }}</mj-text>
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>"""


class ZoneResolver:
    """Answers from a zone that a test can change."""

    def __init__(self) -> None:
        self.zone = Zone()

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        return self.zone.answer(question)

    async def evaluate(self, evaluation: DnsEvaluation[Any]) -> Any:
        return run(evaluation, self.zone)


@dataclass
class Client:
    """Talks to the API with one key and checks the form of every problem."""

    http: httpx.AsyncClient
    key: str | None

    async def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if self.key is not None:
            headers.setdefault("Authorization", f"Bearer {self.key}")
        answer = await self.http.request(method, path, headers=headers, **options)
        assert answer.headers["X-Request-Id"]
        if answer.status_code >= 400:
            check_problem(answer)
        return answer

    async def good(self, method: str, path: str, **options: Any) -> Any:
        answer = await self(method, path, **options)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def all_of(self, path: str, limit: int) -> list[Any]:
        """Every item of a list, page by page."""
        found: list[Any] = []
        cursor: dict[str, str] = {}
        for _ in range(1000):
            page = await self.good("GET", str(httpx.URL(path).copy_merge_params({"limit": limit, **cursor})))
            found += page["data"]
            assert len(page["data"]) <= limit
            if not page["has_more"]:
                return found
            assert len(page["data"]) == limit
            cursor = {"cursor": page["next_cursor"]}
        raise AssertionError("the list has no end")


def check_problem(answer: httpx.Response) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) - {"refused"} == {"type", "title", "status", "detail", "instance", "errors"}
    assert problem["status"] == answer.status_code
    assert problem["type"].startswith("/problems/")
    assert " " not in problem["type"]
    assert "_" not in problem["type"]
    assert problem["instance"] == f"/requests/{answer.headers['X-Request-Id']}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["errors"]
    for item in problem["errors"]:
        assert set(item) <= {"code", "detail", "field", "pointer", "place", "next_step"}
        assert item["code"]
        assert item["detail"]


@dataclass
class World:
    """Workspace A with a key for each scope, workspace B with one key; ``admin`` has all scopes."""

    app: FastAPI
    services: ApiServices
    clock: ManualClock
    resolver: ZoneResolver
    http: httpx.AsyncClient
    workspaces: list[int] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)

    def client(self, name: str | None) -> Client:
        return Client(self.http, self.keys[name] if name else None)

    @property
    def admin(self) -> Client:
        return self.client("admin")

    async def publish(self, name: str = "news.acme.test", but: Sequence[str] = ()) -> None:
        """Put what the API says into the DNS, but for some purposes."""
        records = (await self.admin.good("GET", f"/v1/domains/{name}/records"))["data"]
        answer = await self.admin("GET", f"/v1/domains/{name}/records", headers={"Accept": "text/dns"})
        lines = answer.text.splitlines()
        assert len(lines) == len(records)
        kept = [line for line, record in zip(lines, records, strict=True) if record["purpose"].split(":")[0] not in but]
        hosts = "links.postwright.test. 300 IN A 192.0.2.7\nmx.postwright.test. 300 IN A 192.0.2.7\n"
        self.resolver.zone = Zone.parse("\n".join(kept) + "\n" + hosts)

    async def verified_domain(self) -> None:
        await self.admin.good("POST", "/v1/domains", json={"name": "news.acme.test"})
        await self.publish()
        assert (await self.admin.good("POST", "/v1/domains/news.acme.test/verify"))["state"] == "verified"

    async def imported(self, rows: int = 3, name: str = "Gardeners") -> str:
        """Import contacts; returns the list's id."""
        content = "email,first_name\n" + "".join(f"reader{n}@example.test,Reader {n}\n" for n in range(rows))
        options: dict[str, Any] = {"content": content, "headers": {"Content-Type": "text/csv"}}
        job = await self.admin.good("POST", "/v1/imports", params={"list": name}, **options)
        await self.services.imports.run_jobs()
        return str(job["list"]["id"])

    async def template(self, **changes: Any) -> str:
        wanted = {"name": "Spring", "subject": "Hello {{ contact.first_name }}", "body": TEMPLATE} | changes
        return str((await self.admin.good("POST", "/v1/templates", json=wanted))["id"])

    async def draft(self, **changes: Any) -> dict[str, Any]:
        """What a campaign that can be sent is created from."""
        await self.verified_domain()
        return {
            "name": "Spring letter",
            "list": await self.imported(),
            "template": await self.template(),
            "from_address": "letter@news.acme.test",
            **changes,
        }

    async def campaign(self, **changes: Any) -> str:
        created = await self.admin.good("POST", "/v1/campaigns", json=await self.draft(**changes))
        return str(created["id"])

    async def prepare(self) -> None:
        """Write the recipients of runs that are being prepared, as the scheduler does."""
        database, now = self.services.database, self.clock.now()
        for one in await database.read(lambda connection: runs_in_state(connection, "preparing")):
            while await database.write(partial(prepare_chunk, run_id=one.id, placing=Placing(lambda _: 0), now=now)):
                continue

    async def events_shown(self) -> None:
        """Let what has happened come into the event log: it is shown two seconds after it was recorded."""
        self.clock.advance(timedelta(seconds=3))

    async def sent(self, rows: int = 3) -> str:
        """A campaign that is being sent; returns its id."""
        campaign = await self.campaign(list=await self.imported(rows))
        await self.admin.good("POST", f"/v1/campaigns/{campaign}/send")
        await self.prepare()
        await self.events_shown()
        return campaign


class TakesEverything:
    """Stands for the hosts of webhooks."""

    def target(self, url: str, max_answer: int = 0) -> Any:
        return self

    async def __aenter__(self) -> "TakesEverything":
        return self

    async def __aexit__(self, *error: object) -> None:
        return None

    async def post(self, body: bytes, headers: dict[str, str]) -> HttpPosted:
        return HttpPosted(200, b"thanks")


def open_services(folder: Path, clock: ManualClock, resolver: Any) -> ApiServices:
    database = Database(f"sqlite:///{folder / DATABASE}", clock, lambda: KeyRing("1", {"1": b"e" * 32}))
    hosts = PublicHosts(DomainName("mx.postwright.test"), DomainName("links.postwright.test"), "reports")
    keys = {1: FeedbackKey(1, b"f" * 32)}
    places = SendingPlaces(database, clock, 1)
    intake = MessageIntake(database, clock, places, keys)
    return ApiServices(
        clock=clock,
        database=database,
        accounts=Accounts(database, clock, timedelta(hours=1)),
        sender_domains=SenderDomains(database, resolver, clock, read_key_ring(folder / "master.key"), hosts),
        domain_checks=DomainChecks(resolver, clock),
        reports=Reports(database, clock),
        imports=ContactImports(database, clock, test_environment=True),
        suppression_list=SuppressionList(database, clock, test_environment=True),
        templates=Templates(database, clock, proofs=Proofs(database, intake, Submissions(database, clock))),
        campaigns=Campaigns(database, clock, CampaignStart(database, clock, PreflightCheck(database, clock, 443), 1)),
        log=Log(database),
        message_intake=intake,
        submissions=Submissions(database, clock),
        bulks=Bulks(database, clock, places, intake),
        webhooks=Webhooks(
            database, clock, read_key_ring(folder / "master.key"), OutboundHttp(resolver).check_url, TakesEverything()
        ),
        limits=RateLimits(),
        max_upload=MAX_UPLOAD,
        link_means=LinkMeans(TokenKeys(1, {1: b"t" * 32}), 443),
    )


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fresh install with two workspaces."""
    folder = tmp_path_factory.mktemp("installed")
    write_new_key(folder / "master.key")
    engine = open_engine(read_url(f"sqlite:///{folder / DATABASE}"))
    metadata.create_all(engine)
    with engine.begin() as connection:
        for name in ("A", "B"):
            workspace = create_workspace(connection, name, Microseconds(EXAMPLE_MOMENT))
            set_egress_sources(connection, workspace, [PooledSource("192.0.2.7", "mx.test")], {})
    engine.dispose()
    return folder


class Exchangeable:
    """Stands for the services of the test that runs: to build the app takes longer than most tests."""

    services: ApiServices

    def __getattr__(self, name: str) -> Any:
        return getattr(self.services, name)


@pytest.fixture(scope="session")
def exchangeable() -> Exchangeable:
    return Exchangeable()


@pytest.fixture(scope="session")
def app(exchangeable: Exchangeable) -> FastAPI:
    app = FastAPI()
    app.include_router(create_router(cast(ApiServices, exchangeable)))
    install_error_handlers(app)
    return app


@pytest.fixture(scope="session")
def signing_key() -> PrivateKey:
    return generate_rsa_key()


@pytest.fixture
async def world(
    tmp_path: Path,
    installed: Path,
    app: FastAPI,
    exchangeable: Exchangeable,
    signing_key: PrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    # What is slow on purpose or by nature, and is tested where it belongs.
    monkeypatch.setattr(signing_keys, "generate_rsa_key", lambda: signing_key)
    monkeypatch.setattr(accounts, "PasswordHasher", partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1))
    shutil.copytree(installed, tmp_path, dirs_exist_ok=True)
    clock, resolver = ManualClock(EXAMPLE_MOMENT), ZoneResolver()
    services = open_services(tmp_path, clock, resolver)
    exchangeable.services = services
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as http:
        world = World(app, services, clock, resolver, http)
        world.workspaces = [one.id for one in await services.database.read(list_workspaces)]
        _, key = await services.accounts.create_key(world.workspaces[0], "all", frozenset({KeyScope.ADMIN}))
        world.keys["admin"] = key
        yield world
    await services.database.close()


@pytest.fixture
async def keys(world: World) -> dict[str, str]:
    """Keys with less than all scopes, and the other workspace's."""
    for scope in (KeyScope.READ, KeyScope.SEND):
        _, world.keys[scope] = await world.services.accounts.create_key(world.workspaces[0], scope, frozenset({scope}))
    _, world.keys["other"] = await world.services.accounts.create_key(
        world.workspaces[1], "all", frozenset({KeyScope.ADMIN})
    )
    return world.keys


class Server:
    """The app on a port of its own, in a thread with an event loop of its own; ``key`` may do everything in A."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock, self.resolver = ManualClock(EXAMPLE_MOMENT), ZoneResolver()
        self.ready = threading.Event()
        self.key = self.url = ""
        self.port = 0
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self.services = open_services(self.folder, self.clock, self.resolver)
        app = FastAPI()
        app.include_router(create_router(self.services))
        install_error_handlers(app)
        _, self.key = await self.services.accounts.create_key(1, "all", frozenset({KeyScope.ADMIN}))
        self.server = uvicorn.Server(
            uvicorn.Config(app, port=0, http="httptools", log_config=None, access_log=False, lifespan="off")
        )
        serving = asyncio.ensure_future(self.server.serve())
        while not self.server.started:  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.01)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.ready.set()
        await serving
        await self.services.database.close()

    def client(self) -> httpx.Client:
        """A client with the key."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=30)

    def verified_domain(self) -> None:
        """Add the sender domain of the examples, publish its records, verify it."""
        with self.client() as client:
            client.post("/v1/domains", json={"name": "news.acme.test"}).raise_for_status()
            records = client.get("/v1/domains/news.acme.test/records", headers={"Accept": "text/dns"}).text
            hosts = "links.postwright.test. 300 IN A 192.0.2.7\nmx.postwright.test. 300 IN A 192.0.2.7\n"
            self.resolver.zone = Zone.parse(records + hosts)
            assert client.post("/v1/domains/news.acme.test/verify").json()["state"] == "verified"

    def template(self) -> str:
        """Store a template; its id."""
        with self.client() as client:
            wanted = {"name": "Spring", "subject": "Hello", "body": TEMPLATE}
            return str(client.post("/v1/templates", json=wanted).json()["id"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, installed: Path, signing_key: PrivateKey) -> Iterator[Server]:
    """A real server over a database of its own."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(installed, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing_keys, "generate_rsa_key", lambda: signing_key)
        hasher = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(accounts, "PasswordHasher", hasher)
        server = Server(folder)
        server.thread.start()
        assert server.ready.wait(30)
        yield server
        server.server.should_exit = True
        server.thread.join(30)
