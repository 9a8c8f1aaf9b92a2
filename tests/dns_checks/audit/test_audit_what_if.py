"""A draft over live DNS: which of the two answers, and what the audits beside each other say."""

from ipaddress import ip_address
from typing import Any

import pytest

from dns_checks.audit import DraftOverlay, Effect, RequirementState, Verdict, run_audit, what_if
from dns_checks.evaluation import evaluate
from dns_checks.spf import SpfResult, check_host
from dns_checks.testing import Zone
from mailtypes.questions import Absent, DnsQuestion, Found, RecordType, Unanswered
from mailtypes.questions import RecordType as T

LIVE = """
acme.test. 300 IN SOA ns.acme.test. h.acme.test. 1 2 3 4 60
acme.test. 300 IN TXT "v=spf1 ip4:192.0.2.1 -all"
acme.test. 300 IN MX 10 mx.acme.test.
mx.acme.test. 300 IN A 192.0.2.1
www.acme.test. 300 IN CNAME edge.other.test.
edge.other.test. 300 IN A 192.0.2.2
sub.acme.test. 300 IN A 192.0.2.3
other.test. 300 IN TXT "live"
"""


class Live:
    def __init__(self, text: str = LIVE) -> None:
        self.zone = Zone.parse(text)

    async def ask(self, question: DnsQuestion) -> Any:
        return self.zone.answer(question)


async def shown(draft: str, name: str, record_type: RecordType) -> str:
    answer = await DraftOverlay(Zone.parse(draft), Live()).ask(DnsQuestion(name, record_type))
    match answer:
        case Found(records):
            return " ".join(str(getattr(one, "address", getattr(one, "joined", one))) for one in records)
        case Absent(absence):
            return str(absence)
        case Unanswered(cause):
            return str(cause)


SOA = "acme.test. 300 IN SOA ns.acme.test. h.acme.test. 2 2 3 4 60\n"


@pytest.mark.parametrize(
    ("draft", "name", "record_type", "expected"),
    [
        # A list of changes: set by set.
        ('acme.test. IN TXT "new"', "acme.test", T.TXT, "b'new'"),
        ('acme.test. IN TXT "new"', "ACME.test", T.MX, "MxRecord(preference=10, exchange='mx.acme.test')"),
        ('acme.test. IN TXT "new"', "mx.acme.test", T.A, "192.0.2.1"),
        ('a.b.acme.test. IN TXT "new"', "b.acme.test", T.A, "nxdomain"),
        ("sub.acme.test. IN CNAME mx.acme.test.", "sub.acme.test", T.A, "192.0.2.1"),
        ("sub.acme.test. IN CNAME new.acme.test.\nnew.acme.test. IN A 192.0.2.9", "sub.acme.test", T.A, "192.0.2.9"),
        ("sub.acme.test. IN CNAME mx.acme.test.", "sub.acme.test", T.TXT, "nodata"),
        ("sub.acme.test. IN CNAME sub.acme.test.", "sub.acme.test", T.A, "servfail"),
        # A live alias ends where the draft says something else, or where only the draft says something.
        ("edge.other.test. IN A 192.0.2.8", "www.acme.test", T.A, "192.0.2.8"),
        ('edge.other.test. IN TXT "new"', "www.acme.test", T.TXT, "b'new'"),
        (";; SERVFAIL mx.acme.test A", "mx.acme.test", T.A, "servfail"),
        (";; SERVFAIL mx.acme.test A", "mx.acme.test", T.AAAA, "nodata"),
        # A whole zone: what it lacks will not exist.
        (SOA, "acme.test", T.TXT, "nodata"),
        (SOA, "mx.acme.test", T.A, "nxdomain"),
        (SOA, "other.test", T.TXT, "b'live'"),
        (SOA, "edge.other.test", T.A, "192.0.2.2"),
        (SOA + "acme.test. IN NS ns.acme.test.", "sub.acme.test", T.A, "nxdomain"),
        (SOA + "sub.acme.test. IN NS ns.elsewhere.test.", "sub.acme.test", T.A, "192.0.2.3"),
        (SOA + "www.acme.test. IN CNAME edge.other.test.", "www.acme.test", T.A, "192.0.2.2"),
    ],
)
async def test_which_of_the_two_answers(draft: str, name: str, record_type: RecordType, expected: str) -> None:
    assert await shown(draft, name, record_type) == expected


async def test_check_host_against_a_draft() -> None:
    draft = Zone.parse(
        'acme.test. IN TXT "v=spf1 include:_spf.acme.test -all"\n_spf.acme.test. IN TXT "v=spf1 a:mx.acme.test"'
    )
    live = Live()
    for address, before, after in (
        ("192.0.2.1", SpfResult.PASS, SpfResult.PASS),
        ("192.0.2.2", SpfResult.FAIL, SpfResult.FAIL),
    ):
        check = (ip_address(address), "acme.test", "a@acme.test")
        assert (await evaluate(check_host(*check), live)).result is before
        assert (await evaluate(check_host(*check), DraftOverlay(draft, live))).result is after
    gone = DraftOverlay(Zone.parse('acme.test. IN TXT "something else"'), live)
    assert (await evaluate(check_host(ip_address("192.0.2.1"), "acme.test", "a@acme.test"), gone)).result == "none"


async def both(ground: Any, draft: str, changes: dict[Any, Any] | None = None) -> Any:
    live = ground.asker(ground.zone(changes))
    before = await run_audit(ground.request, live, ground.pages())
    after = await run_audit(ground.request, DraftOverlay(Zone.parse(draft), live), ground.pages())
    return what_if(before, after)


def codes(found: Any, effect: Effect) -> list[str]:
    return [change.finding.code for change in found.of(effect)]


async def test_what_would_break(ground: Any) -> None:
    found = await both(ground, 'bounce.news.acme.test. IN TXT "v=spf1 ip4:93.184.215.10 -all"')
    assert (found.before, found.after) == (Verdict.VERIFIED, Verdict.NOT_VERIFIED)
    assert codes(found, Effect.BREAKS) == ["spf.not_authorised"]
    assert codes(found, Effect.HEALS) == codes(found, Effect.UNCLEAR) == []
    assert {(one.code, one.after) for one in found.requirements} == {("spf", RequirementState.FAIL)}


async def test_what_would_heal(ground: Any) -> None:
    draft = '_dmarc.news.acme.test. IN TXT "v=DMARC1; p=none; rua=mailto:d@news.acme.test"'
    found = await both(ground, draft, {("_dmarc.news.acme.test", T.TXT): []})
    assert (found.before, found.after) == (Verdict.NOT_VERIFIED, Verdict.VERIFIED)
    assert "dmarc.missing" in codes(found, Effect.HEALS)
    # The draft is published, but it only watches: said, and not grave.
    assert {change.finding.severity for change in found.of(Effect.BREAKS)} == {"info"}
    assert {one.before for one in found.requirements} == {RequirementState.FAIL}


async def test_one_fault_in_place_of_another_in_one_check(ground: Any) -> None:
    draft = 'rsa1._domainkey.news.acme.test. IN TXT "v=DKIM1; p="'
    found = await both(ground, draft, {("rsa1._domainkey.news.acme.test", T.TXT): []})
    assert codes(found, Effect.BREAKS) == ["dkim.revoked"]
    assert codes(found, Effect.HEALS) == ["dkim.missing"]


async def test_the_same_fault_in_other_words_is_no_change(ground: Any) -> None:
    draft = '_dmarc.news.acme.test. IN TXT "v=DMARC1; p=none; sp=non; rua=mailto:d@news.acme.test"'
    live = {("_dmarc.news.acme.test", T.TXT): ["v=DMARC1; p=none; sp=nono; rua=mailto:d@news.acme.test"]}
    found = await both(ground, draft, live)
    assert found.changes == ()


async def test_a_draft_that_changes_nothing(ground: Any) -> None:
    found = await both(ground, 'other.test. IN TXT "x"')
    assert found.changes == ()
    assert found.requirements == ()


async def test_what_becomes_silent_is_unclear_and_heals_nothing(ground: Any) -> None:
    missing = {("rsa1._domainkey.news.acme.test", T.TXT): []}
    found = await both(ground, ";; SERVFAIL rsa1._domainkey.news.acme.test", missing)
    assert codes(found, Effect.HEALS) == codes(found, Effect.BREAKS) == []
    assert set(codes(found, Effect.UNCLEAR)) == {"dkim.missing", "dkim.unknown"}
    silent = {("rsa1._domainkey.news.acme.test", T.TXT): Unanswered("timeout")}
    found = await both(ground, 'rsa1._domainkey.news.acme.test. IN TXT "v=DKIM1; p="', silent)
    assert codes(found, Effect.UNCLEAR) == ["dkim.revoked"]


async def test_a_whole_zone_that_forgets_records(ground: Any) -> None:
    zone = "news.acme.test. IN SOA ns.acme.test. h.acme.test. 2 2 3 4 60\n"
    found = await both(ground, zone)
    assert found.after is Verdict.NOT_VERIFIED
    broken = set(codes(found, Effect.BREAKS))
    assert broken >= {"spf.missing", "dkim.missing", "dmarc.missing", "return_path.no_mx", "mta_sts.missing"}
    gravity = [change.finding.severity for change in found.of(Effect.BREAKS)]
    assert gravity == sorted(gravity, key=["error", "warning", "info"].index)
