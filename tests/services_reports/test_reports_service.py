"""Taking reports and summing them up, over one SQLite file."""

import gzip
import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from dns_checks.reports import MAX_OCTETS, Reason
from mailtypes.clock import DAY, ManualClock
from mailtypes.domain import DomainSyntaxError
from mailtypes.errors import StorageFullError
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.reports import Reports, TakenReport
from postwright.store import domains, schema, workspaces
from postwright.store.database import Database

BEGIN = 1_700_000_000


def record(source_ip: str, count: int, dkim: str, spf: str, spf_domain: str = "x.test") -> str:
    return f"""<record><row><source_ip>{source_ip}</source_ip><count>{count}</count><policy_evaluated>
<disposition>{"none" if "pass" in (dkim, spf) else "reject"}</disposition><dkim>{dkim}</dkim><spf>{spf}</spf>
</policy_evaluated></row><identifiers><header_from>acme.test</header_from></identifiers><auth_results>
<spf><domain>{spf_domain}</domain><result>{"pass" if spf_domain != "x.test" else "fail"}</result></spf>
</auth_results></record>"""


def aggregate(*records: str, report_id: str = "<report_id>r-1</report_id>", organisation: str = "Example") -> bytes:
    return f"""<feedback><report_metadata><org_name>{organisation}</org_name>{report_id}<date_range>
<begin>{BEGIN}</begin><end>{BEGIN + 86400}</end></date_range></report_metadata><policy_published>
<domain>acme.test</domain><p>reject</p></policy_published>{"".join(records)}</feedback>""".encode()


ARF = b"""From: Abuse Desk <abuse@isp.test>
Message-ID: <m1@isp.test>
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: message/feedback-report

Feedback-Type: auth-failure
Version: 1
Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000
Reported-Domain: acme.test
--b
Content-Type: message/rfc822

Subject: secret

secret
--b--
"""
TLS = b"""{"organization-name": "Example", "report-id": "t-1", "policies": [{"policy": {"policy-type": "sts",
"policy-domain": "acme.test"}, "summary": {"total-successful-session-count": 2, "total-failure-session-count": 0}}]}"""


class World:
    """A workspace with one sender domain and one address to send from."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'postwright.db'}"
        schema.upgrade(url)
        self.clock = ManualClock()
        self.database = Database(url, self.clock)
        self.reports = Reports(self.database, self.clock)
        self.workspace = 0

    async def begin(self) -> "World":
        now = self.clock.now()
        self.workspace = await self.database.write(lambda c: workspaces.create_workspace(c, "main", now))
        hosts = ("bounce.acme.test", "links.acme.test")
        await self.database.write(lambda c: domains.add_domain(c, self.workspace, "acme.test", hosts, now))
        egress = [workspaces.PooledSource("192.0.2.7", "mx.postwright.test")]
        await self.database.write(lambda c: workspaces.set_egress_sources(c, self.workspace, egress, {}))
        return self

    async def take(self, octets: bytes, name: str = "") -> TakenReport:
        return await self.reports.take(self.workspace, octets, name)

    async def rows(self, statement: str) -> Sequence[Any]:
        return await self.database.read(lambda connection: connection.execute(text(statement)).all())

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        found = await self.rows("SELECT kind, data FROM event ORDER BY id")
        return [(row.kind, json.loads(row.data)) for row in found]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path).begin()
    yield made
    await made.database.close()


async def test_a_report_is_taken_once(world: World) -> None:
    octets = aggregate(record("192.0.2.7", 3, "pass", "pass"))
    taken = await world.take(octets, "a.xml")
    assert taken.is_new
    assert (taken.report.kind, taken.report.organisation, taken.report.domain) == ("aggregate", "Example", "acme.test")
    assert taken.report.ends_at - taken.report.begins_at == DAY
    again = await world.take(gzip.compress(octets), "a.xml.gz")
    assert (again.is_new, again.report) == (False, taken.report)
    assert [kind for kind, _ in await world.events()] == ["report_stored"]
    ((_, blob, size, count),) = await world.rows("SELECT id, content, size, reference_count FROM blob")
    assert (blob, size, count) == (octets, len(octets), 1)
    document = json.loads(taken.report.document)
    assert document["policy"]["p"] == "reject"
    assert "rows" not in document


async def test_the_same_octets_again_leave_one_reference(world: World) -> None:
    for _ in range(3):
        await world.take(TLS)
    assert [row[0] for row in await world.rows("SELECT reference_count FROM blob")] == [1]


async def test_failure_and_tls_reports(world: World) -> None:
    failure, tls = (await world.take(ARF)).report, (await world.take(gzip.compress(TLS))).report
    assert (failure.kind, failure.organisation, failure.report_id) == ("failure", "isp.test", "<m1@isp.test>")
    assert failure.begins_at == failure.ends_at == BEGIN * 1_000_000
    assert "secret" not in failure.document
    assert (tls.kind, tls.report_id, tls.ends_at) == ("tls", "t-1", world.clock.now())
    assert json.loads(tls.document)["policies"][0]["successful"] == 2
    listed = await world.reports.list(world.workspace, "Acme.test")
    assert [one.kind for one in listed] == ["failure", "tls"]
    assert await world.reports.get(world.workspace, tls.id) == tls
    with pytest.raises(NotFoundError):
        await world.reports.get(world.workspace + 1, tls.id)


@pytest.mark.parametrize("octets", [b"", b"\x00", b"\x1f\x8bnothing", aggregate()[:90], b"Subject: hi\n\nhi"])
async def test_nothing_that_cannot_be_read_is_dropped(world: World, octets: bytes) -> None:
    taken = await world.take(octets, "a" * 1_000)
    assert (taken.report.kind, taken.is_new) == ("unread", True)
    assert taken.problem is not None
    assert taken.problem.next_step
    again = await world.take(octets, "another name")
    assert (again.report, again.is_new, again.problem) == (taken.report, False, taken.problem)
    assert [row[0] for row in await world.rows("SELECT reference_count FROM blob")] == [1]
    ((kind, data),) = await world.events()
    assert kind == "report_unread"
    assert data["cause"] == taken.problem.sentence
    kept = await world.rows(f"SELECT content FROM blob WHERE id = {data['blob']}")
    assert [bytes(row[0]) for row in kept] == [octets]


async def test_the_place_of_the_fault_is_in_the_event(world: World) -> None:
    await world.take(gzip.compress(aggregate("<record>")), "x.xml.gz")
    ((_, data),) = await world.events()
    assert data["place"].startswith("line 3, column ")
    assert data["within"] == "x.xml"


async def test_what_is_too_large_is_refused_whole(world: World) -> None:
    with pytest.raises(RefusedError):
        await world.take(b"x" * (MAX_OCTETS + 1))
    assert await world.events() == []


async def test_a_report_without_an_id_is_known_by_its_octets(world: World) -> None:
    first = await world.take(aggregate(record("192.0.2.7", 1, "pass", "pass"), report_id=""))
    second = await world.take(aggregate(record("192.0.2.7", 2, "pass", "pass"), report_id=""))
    again = await world.take(aggregate(record("192.0.2.7", 2, "pass", "pass"), report_id=""))
    assert (first.is_new, second.is_new, again.is_new) == (True, True, False)
    assert first.report.report_id.startswith("sha256:")


async def test_overlong_names_are_told_apart(world: World) -> None:
    taken = [await world.take(aggregate(organisation="ä" * 2_000 + end)) for end in ("a", "b", "b")]
    assert [one.is_new for one in taken] == [True, True, False]
    assert len(taken[0].report.organisation.encode()) < 255


async def test_sums_by_source(world: World) -> None:
    await world.take(
        aggregate(
            record("192.0.2.7", 90, "pass", "pass"),
            record("192.0.2.7", 5, "fail", "fail"),
            record("198.51.100.1", 3, "pass", "fail"),
            record("198.51.100.2", 2, "pass", "fail", "bounce.acme.test"),
            record("203.0.113.9", 7, "fail", "fail"),
        )
    )
    await world.take(aggregate(record("192.0.2.7", 10, "pass", "fail"), organisation="Other"))
    sums = await world.reports.by_source(world.workspace, "Acme.test.", world.clock.now())
    assert [(one.source_ip, one.is_ours, one.passes, one.reason, one.messages) for one in sums] == [
        ("192.0.2.7", True, True, Reason.ALIGNED_PASS, 100),
        ("203.0.113.9", False, False, Reason.UNKNOWN_SOURCE, 7),
        ("192.0.2.7", True, False, Reason.OURS_UNAUTHENTICATED, 5),
        ("198.51.100.1", False, True, Reason.FORWARDED, 3),
        ("198.51.100.2", True, True, Reason.ALIGNED_PASS, 2),
    ]
    assert sums[1].rejected == 7
    assert await world.reports.by_source(world.workspace, "other.test", world.clock.now()) == []
    late = world.clock.now()
    assert await world.reports.by_source(world.workspace, "acme.test", type(late)(late + 2 * DAY)) == []
    with pytest.raises(DomainSyntaxError):
        await world.reports.by_source(world.workspace, "a..b", world.clock.now())


async def test_mail_to_a_report_address_is_stored_for_whoever_has_the_domain(world: World) -> None:
    now = world.clock.now()
    other = await world.database.write(lambda c: workspaces.create_workspace(c, "other", now))
    hosts = ("bounce.acme.test", "links.acme.test")
    await world.database.write(lambda c: domains.add_domain(c, other, "acme.test", hosts, now))
    await world.reports.take_mail("Bounce.acme.test", ARF)
    await world.reports.take_mail("bounce.stranger.test", ARF)
    for workspace in (world.workspace, other):
        assert [one.kind for one in await world.reports.list(workspace)] == ["failure"]


async def test_unread_mail_is_kept_up_to_a_days_measure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.services.reports.UNREAD_MAIL_A_DAY", 25)
    await world.reports.take_mail("bounce.acme.test", b"no report at all, 1")
    with pytest.raises(StorageFullError):
        await world.reports.take_mail("bounce.acme.test", b"no report at all, 2")
    await world.reports.take_mail("bounce.acme.test", b"no report at all, 1")  # known, so it takes no room
    await world.reports.take_mail("bounce.acme.test", TLS)  # what can be read has no measure
    assert (await world.take(b"no report at all, 3")).is_new  # nor has what was given by hand
    assert [row[0] for row in await world.rows("SELECT count(*) FROM blob")] == [3]
    world.clock.advance(timedelta(days=1))
    await world.reports.take_mail("bounce.acme.test", b"no report at all, 2")


async def test_what_one_report_says_by_source(world: World) -> None:
    await world.take(aggregate(record("192.0.2.9", 4, "pass", "pass"), organisation="Other"))
    taken = await world.take(
        aggregate(record("192.0.2.7", 90, "pass", "pass"), record("203.0.113.9", 7, "fail", "fail"))
    )
    sums = await world.reports.sources_of(taken.report)
    assert [(one.source_ip, one.messages, one.is_ours) for one in sums] == [
        ("192.0.2.7", 90, True),
        ("203.0.113.9", 7, False),
    ]
