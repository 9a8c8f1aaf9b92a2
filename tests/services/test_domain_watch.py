import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dns_checks.findings import CheckFinding, Severity
from dns_checks.name_servers import ServerAnswer
from dns_checks.testing import Zone
from mailtypes.auth import Finding
from mailtypes.clock import DAY, HOUR, MINUTE
from mailtypes.domain import DomainName
from mailtypes.questions import DnsAnswer, DnsQuestion, RecordType, Unanswered
from postwright.services import domain_watch
from postwright.services.domain_watch import Change, DomainWatch, Knowledge, drift, found_out, next_check
from postwright.services.errors import RefusedError
from postwright.services.name_servers import EachNameServer, OneNameServer
from postwright.services.scheduling import Scheduler, SideWork
from postwright.services.signing_keys import KeyRotation, StoredKeys, keys_to_audit, open_key
from postwright.store import domains
from postwright.store.domains import WatchedDomain

SENDER = "news.acme.test"


class Silence:
    """A world in which nobody answers."""

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        return Unanswered("servfail")


class Setting:
    """A world with a watch, and short words for what the tests do with it."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.watch = DomainWatch(world.database, world.clock, world.sender_domains, OneNameServer(world.resolver))
        self.rotation = KeyRotation(world.database, world.clock, world.master)

    async def look(self, after: timedelta = timedelta(0)) -> int:
        self.world.clock.advance(after)
        return await self.watch.look()

    async def rotate(self, **options: bool) -> Sequence[domains.DkimKey]:
        domain = await self.world.sender_domains.get(self.world.workspace, SENDER)
        return await self.rotation.rotate(domain, **options)

    def keys(self) -> dict[str, str]:
        return dict(tuple(row) for row in self.world.rows("SELECT selector, state FROM dkim_key ORDER BY id"))

    def told(self, kind: str) -> list[Any]:
        rows = self.world.rows("SELECT data FROM event WHERE kind = :kind ORDER BY id", kind=kind)
        return [json.loads(row[0]) for row in rows]

    def next_check_in(self) -> int:
        return int(self.world.rows("SELECT next_check_at FROM sender_domain")[0][0]) - int(self.world.clock.now())


@pytest.fixture
async def setting(world: Any) -> Setting:
    """A verified domain that has been looked at once."""
    made = Setting(world)
    await world.verified()
    assert await made.look() == 1
    return made


async def test_a_pending_domain_is_verified_by_itself(world: Any) -> None:
    made = Setting(world)
    await world.sender_domains.add(world.workspace, SENDER)
    assert await made.look() == 1
    assert made.next_check_in() == 10 * MINUTE
    assert await made.look(timedelta(minutes=9)) == 0
    await world.publish()
    assert await made.look(timedelta(minutes=1)) == 1
    assert (await world.sender_domains.get(world.workspace, SENDER)).state == "verified"
    assert made.keys() == {"pw1": "active"}
    assert 0 < made.next_check_in() <= DAY


async def test_after_three_days_a_pending_domain_waits_a_day(world: Any) -> None:
    made = Setting(world)
    await world.sender_domains.add(world.workspace, SENDER)
    await made.look(timedelta(days=3, minutes=-1))
    assert made.next_check_in() == 10 * MINUTE
    await made.look(timedelta(minutes=10))
    assert made.next_check_in() > 10 * MINUTE


async def test_a_verified_domain_is_looked_at_once_a_day(setting: Setting) -> None:
    setting.world.clock.advance(timedelta(microseconds=setting.next_check_in()))
    assert await setting.look() == 1
    assert setting.next_check_in() == DAY
    assert await setting.look(timedelta(hours=23)) == 0
    assert await setting.look(timedelta(hours=1)) == 1


def test_the_times_of_the_day_are_spread(world: Any) -> None:
    now = world.clock.now()
    found = [next_check(WatchedDomain(one, 1, "a", "verified", 0, 0, None), "verified", [], now) for one in range(24)]
    assert all(now < moment <= now + DAY for moment in found)
    hours = {(moment - now) // (4 * HOUR) for moment in found}
    assert len(hours) == 6


async def test_a_rotation_from_its_beginning_to_its_end(setting: Setting) -> None:
    world = setting.world
    (made,) = await setting.rotate()
    assert (made.selector, made.state, made.algorithm) == ("pw2", "made", "rsa")
    await setting.look()
    assert setting.keys() == {"pw1": "active", "pw2": "made"}
    await world.publish()
    await setting.look(timedelta(minutes=10))
    assert setting.keys() == {"pw1": "active", "pw2": "published"}
    keys = StoredKeys(world.database, world.master, world.clock)
    await keys.prefetch(DomainName(SENDER), world.workspace)
    assert [one.selector for one in keys.signing_keys(DomainName(SENDER), world.workspace)] == ["pw1"]
    await setting.look(timedelta(minutes=10))
    assert setting.keys() == {"pw1": "retiring", "pw2": "active"}
    await keys.prefetch(DomainName(SENDER), world.workspace)
    assert [one.selector for one in keys.signing_keys(DomainName(SENDER), world.workspace)] == ["pw2"]
    for _ in range(7):
        assert setting.keys() == {"pw1": "retiring", "pw2": "active"}
        await setting.look(timedelta(days=1))
    await setting.look(timedelta(days=1))
    assert setting.keys() == {"pw1": "retired", "pw2": "active"}
    moved = [(one["selector"], one["before"], one["after"]) for one in setting.told("dkim_key_moved")]
    assert moved == [
        ("pw2", "made", "published"),
        ("pw2", "published", "active"),
        ("pw1", "active", "retiring"),
        ("pw1", "retiring", "retired"),
    ]
    assert setting.told("dkim_rotation_begun") == [{"domain": SENDER, "selectors": ["pw2"]}]
    assert (await setting.rotate())[0].selector == "pw3"


async def test_a_pair_is_made_and_the_next_one_is_a_pair_too(setting: Setting) -> None:
    made = await setting.rotate(with_ed25519=True)
    assert [(one.selector, one.algorithm) for one in made] == [("pw2", "rsa"), ("pw2-ed25519", "ed25519")]
    opened = [type(open_key(setting.world.master, one)) for one in made]
    assert [one.__name__ for one in opened] == ["RSAPrivateKey", "Ed25519PrivateKey"]
    await setting.world.publish()
    for _ in range(2):
        await setting.look(timedelta(minutes=10))
    assert setting.keys() == {"pw1": "retiring", "pw2": "active", "pw2-ed25519": "active"}
    assert [one.selector for one in await setting.rotate()] == ["pw3", "pw3-ed25519"]


async def test_rotations_do_not_overlap(setting: Setting) -> None:
    results = await asyncio.gather(setting.rotate(), setting.rotate(), return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["RefusedError", "list"]
    with pytest.raises(RefusedError, match="not in use yet: pw2"):
        await setting.rotate()
    assert setting.keys() == {"pw1": "active", "pw2": "made"}


async def test_without_a_key_in_use_there_is_nothing_to_rotate(world: Any) -> None:
    await world.sender_domains.add(world.workspace, SENDER)
    with pytest.raises(RefusedError, match="not in use yet"):
        await Setting(world).rotate()


async def test_verifying_does_not_make_a_rotated_key_sign(setting: Setting) -> None:
    await setting.rotate()
    await setting.world.publish()
    setting.world.clock.advance(timedelta(minutes=1))
    await setting.world.sender_domains.verify(setting.world.workspace, SENDER)
    assert setting.keys() == {"pw1": "active", "pw2": "made"}


async def test_silence_changes_nothing_at_all(setting: Setting) -> None:
    await setting.rotate()
    await setting.world.publish()
    await setting.look(timedelta(minutes=10))
    before = setting.keys(), setting.world.rows("SELECT state, known_findings FROM sender_domain")
    assert before[0] == {"pw1": "active", "pw2": "published"}
    events = setting.world.rows("SELECT count(*) FROM event")
    setting.world.resolver.zone = Silence()
    for _ in range(3):
        assert await setting.look(timedelta(days=1)) == 1
    assert (setting.keys(), setting.world.rows("SELECT state, known_findings FROM sender_domain")) == before
    assert setting.world.rows("SELECT count(*) FROM event") == events


async def test_a_key_that_vanished_is_an_alarm_once_and_goes_on_where_there_is_no_other(setting: Setting) -> None:
    await setting.world.publish(without="_domainkey")
    for _ in range(3):
        await setting.look(timedelta(days=1))
    (alarm,) = setting.told("dkim_key_missing")
    assert (alarm["domain"], alarm["selector"]) == (SENDER, "pw1")
    assert setting.keys() == {"pw1": "active"}
    assert setting.next_check_in() == HOUR
    assert (await setting.world.sender_domains.get(setting.world.workspace, SENDER)).state == "failing"
    await setting.world.publish()
    await setting.look(timedelta(hours=1))
    assert [one["selector"] for one in setting.told("dkim_key_back")] == ["pw1"]
    await setting.world.publish(without="_domainkey")
    await setting.look(timedelta(days=1))
    assert len(setting.told("dkim_key_missing")) == 2


async def test_what_drifted_is_told_once_with_its_codes(setting: Setting) -> None:
    await setting.world.publish(without="_dmarc")
    for _ in range(2):
        await setting.look(timedelta(days=1))
    (told,) = setting.told("domain_drift")
    changes = {one["code"]: (one["before"], one["after"]) for one in told["changes"]}
    assert changes["dmarc.published"] == ("present", None)
    assert changes["dmarc.missing"] == (None, "absent")
    setting.world.resolver.zone = Silence()
    await setting.look(timedelta(days=1))
    await setting.world.publish(without="_dmarc")
    await setting.look(timedelta(days=1))
    assert len(setting.told("domain_drift")) == 1  # silence between is no change
    await setting.world.publish()
    await setting.look(timedelta(days=1))
    assert len(setting.told("domain_drift")) == 2


def finding(code: str, state: Finding) -> CheckFinding:
    return CheckFinding(code, Severity.ERROR, state, (), "A sentence.", "")


def test_knowledge_keeps_what_was_known_of_uncertain_topics() -> None:
    here, gone = finding("ptr.confirmed", Finding.PRESENT), finding("ptr.missing", Finding.ABSENT)
    unknown, spf = finding("ptr.unknown", Finding.UNKNOWN), finding("spf.record", Finding.PRESENT)
    known = found_out([here, spf], {})
    assert known == {"ptr": {"ptr.confirmed": "present"}, "spf": {"spf.record": "present"}}
    assert found_out([here, unknown, spf], known) == found_out([spf], known) == known
    assert drift(known, found_out([here, gone], known)) == (Change("ptr.missing", None, "absent"),)
    worst = found_out([replace(here, state=Finding.ABSENT), here], {})
    assert worst == {"ptr": {"ptr.confirmed": "absent"}}
    assert drift({}, known) == ()


def test_an_expiry_is_news_until_the_certificate_is_renewed() -> None:
    soon = finding("bimi.certificate_expires_soon", Finding.PRESENT)
    first = Knowledge({}).after([soon])
    assert first.expiring == {"bimi.certificate_expires_soon"}
    assert Knowledge.read(first.write()) == first
    assert first.after([finding("bimi.unknown", Finding.UNKNOWN)]).expiring == first.expiring
    assert first.after([finding("bimi.certificate_validity", Finding.PRESENT)]).expiring == frozenset()


async def test_an_expiry_is_told_once(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    verify = setting.world.sender_domains.verify

    async def with_certificate(workspace_id: int, name: str) -> Any:
        domain, report = await verify(workspace_id, name)
        soon = finding("bimi.certificate_expires_soon", Finding.PRESENT)
        return domain, replace(report, findings=(*report.findings, soon))

    monkeypatch.setattr(setting.world.sender_domains, "verify", with_certificate)
    for _ in range(2):
        await setting.look(timedelta(days=1))
    (told,) = setting.told("domain_expiring")
    assert told == {"domain": SENDER, "code": "bimi.certificate_expires_soon", "sentence": "A sentence."}


async def test_several_watches_never_look_at_the_same_domain(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        await world.sender_domains.add(world.workspace, f"d{number}.acme.test")
    checked: list[str] = []

    async def check(self: DomainWatch, claimed: WatchedDomain) -> None:
        checked.append(claimed.name)
        await asyncio.sleep(0)

    monkeypatch.setattr(DomainWatch, "check", check)
    assert sum(await asyncio.gather(*(Setting(world).watch.look() for _ in range(3)))) == 6
    assert sorted(checked) == [f"d{number}.acme.test" for number in range(6)]
    # Whoever claimed them died: they come round again when the claim has run out.
    assert await Setting(world).look(timedelta(minutes=14)) == 0
    assert await Setting(world).look(timedelta(minutes=1)) == 6


async def test_keys_that_somebody_else_has_moved_are_left_alone(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await setting.rotate()
    await setting.world.publish()
    ask_all = OneNameServer.ask_all

    async def meanwhile(self: OneNameServer, question: DnsQuestion) -> Sequence[ServerAnswer]:
        await setting.world.change("UPDATE dkim_key SET state = 'published' WHERE selector = 'pw2'")
        return await ask_all(self, question)

    monkeypatch.setattr(OneNameServer, "ask_all", meanwhile)
    await setting.look()
    assert setting.told("dkim_key_moved") == []


async def test_what_refuses_to_be_verified_comes_round_again(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    await setting.world.change("DELETE FROM egress_source")
    assert await setting.look(timedelta(days=1)) == 1
    assert "No address to send from" in caplog.text
    assert 0 < setting.next_check_in() <= DAY


async def test_the_scheduler_begins_a_look_at_most_once_a_minute(setting: Setting) -> None:
    world = setting.world
    scheduler = Scheduler(world.database, world.clock, None, world.imports, 1, SideWork(setting.watch))  # type: ignore[arg-type]
    world.clock.advance(timedelta(days=1))
    await scheduler.step()
    assert not setting.watch.begin_look()
    async with asyncio.timeout(10):
        while setting.next_check_in() <= domain_watch.CLAIM:  # noqa: ASYNC110  what is waited for is in the file
            await asyncio.sleep(0.01)
    assert not setting.watch.begin_look()
    world.clock.advance(timedelta(minutes=1))
    async with asyncio.timeout(10):
        while not setting.watch.begin_look():  # noqa: ASYNC110  the first look may be about to end
            await asyncio.sleep(0.01)
    await setting.watch.aclose()


async def test_keys_to_audit_are_those_that_sign(setting: Setting) -> None:
    await setting.rotate()
    domain = await setting.world.sender_domains.get(setting.world.workspace, SENDER)
    keys = await setting.world.sender_domains.keys(domain)
    assert [one.selector for one in keys_to_audit(keys)] == ["pw1"]
    assert [one.selector for one in keys_to_audit(keys[1:])] == ["pw2"]


async def test_each_name_server_is_asked_but_not_at_private_addresses(world: Any) -> None:
    world.resolver.zone = Zone.parse(
        "acme.test. 300 IN NS ns1.acme.test.\nacme.test. 300 IN NS ns2.acme.test.\n"
        "ns1.acme.test. 300 IN A 8.8.8.8\nns2.acme.test. 300 IN A 127.0.0.1\n"
    )
    asked: list[str] = []

    class At:
        async def __aenter__(self) -> "At":
            return self

        async def __aexit__(self, *exception: object) -> None:
            pass

        async def ask(self, question: DnsQuestion) -> DnsAnswer:
            asked.append(question.name)
            return Unanswered("refused")

    def at_address(address: str) -> Any:
        asked.append(address)
        return At()

    question = DnsQuestion(f"pw1._domainkey.{SENDER}", RecordType.TXT)
    found = await EachNameServer(world.resolver, at_address).ask_all(question)
    assert list(found) == [  # type: ignore[arg-type]
        ServerAnswer("ns1.acme.test", (Unanswered("refused"),)),
        ServerAnswer("ns2.acme.test", ()),
    ]
    assert asked == ["8.8.8.8", question.name]
