"""Checks of any domain: what is read, what is kept for a minute, what a draft changes, who is spoken to."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from dns_checks.audit import Verdict
from dns_checks.testing import Zone
from mailtypes.auth import Finding
from mailtypes.clock import ManualClock
from mailtypes.questions import DnsAnswer, DnsQuestion, Unanswered
from postwright.services import domain_checks
from postwright.services.domain_checks import DomainCheck, DomainChecks, check_document
from postwright.services.errors import RefusedError
from postwright.starttls_probe import ProbePolicy, StartTlsProbe

LIVE = 'acme.test. TXT "v=spf1 ip4:20.1.2.3 -all"\nacme.test. MX 10 mx.acme.test.\nmx.acme.test. A 127.0.0.9\n'


class Counting:
    """A zone that counts its questions."""

    def __init__(self, text: str = LIVE) -> None:
        self.zone, self.asked = Zone.parse(text), 0

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        self.asked += 1
        return self.zone.answer(question)


def problems(*arguments: Any, **options: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(RefusedError) as error:
        DomainCheck.parse(*arguments, **options)
    return [(one.code, one.field, one.place) for one in error.value.problems]


def test_everything_that_is_wrong_is_named_with_its_place() -> None:
    assert problems("a..b", ["s1", "b d"], ["20.1.2.3", "1.2.3.400", "fe80::1%eth0"]) == [
        ("domain_syntax", "name", "line 1, column 2"),
        ("domain_syntax", "selectors.1", "line 1, column 1"),
        ("address_syntax", "ips.1", ""),
        ("address_syntax", "ips.2", ""),
    ]
    assert problems("a.test", ["s"] * 21) == [("too_many", "selectors", "")]
    assert problems("a.test", zone=";" * 300_000) == [("zone_too_large", "zone", "")]


def test_two_spellings_are_one_check() -> None:
    assert DomainCheck.parse("ACME.test.", ["S1", "s1"], ["20.1.2.3", "20.1.2.3"]) == DomainCheck.parse(
        "acme.test", ["s1"], [" 20.1.2.3"]
    )


async def test_an_answer_is_given_again_for_a_minute_to_those_who_let_it() -> None:
    world, clock = Counting(), ManualClock()
    checks, wanted = DomainChecks(world, clock), DomainCheck.parse("acme.test", ips=["20.1.2.3"])
    first = await checks.check(wanted)
    asked = world.asked
    clock.advance(timedelta(seconds=59))
    assert await checks.check(wanted, fresh=False) is first
    assert world.asked == asked
    assert await checks.check(DomainCheck.parse("acme.test"), fresh=False) is not first
    again = await checks.check(wanted)
    assert again.checked_at == clock.now() != first.checked_at
    clock.advance(timedelta(seconds=60))
    assert (await checks.check(wanted, fresh=False)).checked_at == clock.now()


async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain_checks, "_MOST_KEPT", 2)
    checks = DomainChecks(Counting(), ManualClock())
    for name in ("a.test", "b.test", "c.test"):
        await checks.check(DomainCheck.parse(name))
    assert [one.domain.ascii for one in checks._kept] == ["b.test", "c.test"]


async def test_a_draft_is_laid_over_live_dns() -> None:
    checks = DomainChecks(Counting(), ManualClock())

    async def codes(zone: str = "") -> set[str]:
        checked = await checks.check(DomainCheck.parse("acme.test", ips=["20.1.2.3"], zone=zone))
        return {finding.code for finding in checked.report.findings}

    assert "spf.authorised" in await codes()
    changed = await codes('acme.test. TXT "v=spf1 -all"\n')
    assert "spf.not_authorised" in changed
    assert "mx.hosts" in changed
    with pytest.raises(RefusedError) as error:
        await codes("acme.test. TXT ok\nacme.test. A 1.2.3\n")
    (problem,) = error.value.problems
    assert (problem.code, problem.field, problem.place) == ("zone_syntax", "zone", "line 2, column 1")


async def test_silence_is_unknown_and_not_absent() -> None:
    class Silence:
        async def ask(self, question: DnsQuestion) -> DnsAnswer:
            return Unanswered("timeout")

    checked = await DomainChecks(Silence(), ManualClock()).check(DomainCheck.parse("acme.test"))
    document = check_document(checked.report, checked.mail_hosts)
    assert checked.report.verdict is Verdict.UNKNOWN
    assert {finding["state"] for finding in document["findings"]} == {Finding.UNKNOWN}
    assert document["starttls"] is None


async def test_mail_hosts_are_spoken_to_on_request_alone_and_never_within_our_network() -> None:
    world, clock = Counting(), ManualClock()
    connected: list[int] = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(1)
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.9", 0)
    policy = ProbePolicy("mta.test", port=server.sockets[0].getsockname()[1])
    checks = DomainChecks(world, clock, probing=lambda asker: StartTlsProbe(asker, policy, clock))
    assert (await checks.check(DomainCheck.parse("acme.test"))).mail_hosts is None
    checked = await checks.check(DomainCheck.parse("acme.test", starttls=True))
    server.close()
    (host,) = check_document(checked.report, checked.mail_hosts)["starttls"]
    assert (host["host"], host["state"], host["certificate"]) == ("mx.acme.test", "unknown", None)
    assert "no public address" in host["findings"][0]["sentence"]
    assert connected == []
    with pytest.raises(RefusedError, match="not spoken to"):
        await DomainChecks(world, clock).check(DomainCheck.parse("acme.test", starttls=True))


async def test_a_host_that_drags_on_leaves_it_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain_checks, "LONGEST_PROBE", timedelta(milliseconds=20))

    async def forever(*_: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(StartTlsProbe, "probe_domain", forever)
    clock = ManualClock()
    checks = DomainChecks(Counting(), clock, probing=lambda asker: StartTlsProbe(asker, ProbePolicy("mta.test"), clock))
    checked = await checks.check(DomainCheck.parse("acme.test", starttls=True))
    assert checked.mail_hosts is not None
    assert [(one.host, one.starttls) for one in checked.mail_hosts] == [("acme.test", Finding.UNKNOWN)]
