"""What RFC 7489 with the public suffix list decides, and where that differs from RFC 9989."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.dmarc import (
    Comparison,
    DmarcResult,
    Identifier,
    OlderVerdict,
    Policy,
    PublicSuffixes,
    bundled_suffixes,
    compare,
    evaluate_7489,
    walk,
)
from dns_checks.testing import Zone, run
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.questions import DnsAnswer, DnsQuestion, RecordType, Unanswered

SHARED = Path(os.environ.get("POSTWRIGHT_SHARED", Path(__file__).parents[3] / "shared"))
VECTORS = SHARED / "conformance" / "psl" / "tests.txt"
SUFFIXES = PublicSuffixes("// ===BEGIN ICANN DOMAINS===\ntest\nco.test\nbank\n// ===END ICANN DOMAINS===\n")


class TestPublicSuffixes:
    def test_the_vectors(self) -> None:
        if not VECTORS.exists():
            assert "CI" not in os.environ, "the conformance data has to be there"
            pytest.skip(f"no vectors at {VECTORS}")
        lines = [line.split() for line in VECTORS.read_text(encoding="utf-8").splitlines() if line.strip()]
        pairs = [line for line in lines if not line[0].startswith("//")]
        judged = 0
        for given_name, expected in pairs:
            try:
                name = DomainName.parse(given_name)
            except DomainSyntaxError:
                assert expected == "null", given_name
                continue
            wanted = None if expected == "null" or given_name == "null" else DomainName.parse(expected)
            assert bundled_suffixes().registered(name) == wanted, given_name
            judged += 1
        assert judged > 50

    def test_a_list_of_ones_own(self) -> None:
        assert SUFFIXES.registered(DomainName("a.b.co.test")) == DomainName("b.co.test")
        assert SUFFIXES.is_suffix(DomainName("co.test"))
        assert not SUFFIXES.is_suffix(DomainName("acme.test"))


def txt(name: str, *texts: str) -> str:
    return "".join(f'_dmarc.{name}. TXT "{text}"\n' for text in texts)


def older(zone: str, author: str, spf: str = "", *dkim: str) -> OlderVerdict:
    identifiers = [_identifier(one) for one in dkim]
    return run(
        evaluate_7489(DomainName(author), _identifier(spf) if spf else None, identifiers, SUFFIXES), Zone.parse(zone)
    )


def both(zone: str, author: str, *dkim: str) -> Comparison:
    identifiers = [_identifier(one) for one in dkim]
    return run(compare(DomainName(author), None, identifiers, SUFFIXES), Zone.parse(zone))


def _identifier(text: str) -> Identifier:
    domain, result = text.split()
    return Identifier(DomainName(domain), result)


class TestOlder:
    def test_the_organizational_domain_is_the_lists(self) -> None:
        found = older(txt("acme.test", "v=DMARC1; p=reject"), "a.b.acme.test", "z.acme.test pass").verdict
        assert (found.result, found.policy_domain) == (DmarcResult.PASS, DomainName("acme.test"))
        assert found.organizational_domain == DomainName("acme.test")

    def test_two_questions_at_most(self) -> None:
        asked: list[str] = []

        class Watched:
            def answer(self, question: DnsQuestion) -> DnsAnswer:
                asked.append(question.name)
                return Zone.parse("").answer(question)

        run(evaluate_7489(DomainName("a.b.c.acme.co.test"), None, (), SUFFIXES), Watched())
        assert asked == ["_dmarc.a.b.c.acme.co.test", "_dmarc.acme.co.test"]

    def test_strict_and_strangers(self) -> None:
        zone = txt("acme.test", "v=DMARC1; p=reject; adkim=s")
        assert older(zone, "acme.test", "", "a.acme.test pass").verdict.result is DmarcResult.FAIL
        assert older(zone, "acme.test", "a.acme.test pass").verdict.result is DmarcResult.PASS
        assert older(zone, "acme.test", "other.test pass").verdict.disposition is Policy.REJECT
        assert older(zone, "acme.test", "acme.test temperror").verdict.result is DmarcResult.TEMPERROR

    def test_sp_but_not_np_nor_t(self) -> None:
        zone = txt("acme.test", "v=DMARC1; p=none; sp=reject; np=none; t=y")
        found = older(zone, "gone.acme.test").verdict
        assert (found.policy, found.disposition) == (Policy.REJECT, Policy.REJECT)

    def test_a_wrong_np_harms_nothing(self) -> None:
        assert older(txt("acme.test", "v=DMARC1; p=reject; np=x"), "acme.test").verdict.policy is Policy.REJECT
        assert older(txt("acme.test", "v=DMARC1; p=reject; sp=x"), "acme.test").verdict.result is DmarcResult.PERMERROR
        watching = older(txt("acme.test", "v=DMARC1; p=x; rua=mailto:a@acme.test"), "acme.test").verdict
        assert (watching.result, watching.policy) == (DmarcResult.FAIL, Policy.NONE)

    @pytest.mark.parametrize(("pct", "percent"), [("50", 50), ("0", 0), ("100", 100), ("101", 100), ("x", 100)])
    def test_pct(self, pct: str, percent: int) -> None:
        found = older(txt("acme.test", f"v=DMARC1; p=reject; pct={pct}"), "acme.test")
        assert (found.percent, found.rest) == (percent, Policy.QUARANTINE)

    def test_several_records_end_the_search(self) -> None:
        zone = txt("a.acme.test", "v=DMARC1; p=none", "v=DMARC1; p=reject") + txt("acme.test", "v=DMARC1; p=reject")
        assert older(zone, "a.acme.test").verdict.result is DmarcResult.NONE

    def test_silence(self) -> None:
        assert older(";; SERVFAIL _dmarc.acme.test\n", "a.acme.test").verdict.result is DmarcResult.TEMPERROR


class TestCompare:
    def test_no_difference(self) -> None:
        found = both(txt("acme.test", "v=DMARC1; p=reject"), "news.acme.test", "acme.test pass")
        assert found.differences == ()
        assert not found.is_visible

    def subjects(self, found: Comparison) -> dict[str, tuple[str, str]]:
        return {one.subject: (one.current, one.older) for one in found.differences}

    def test_a_suffix_that_the_dns_does_not_know(self) -> None:
        zone = txt("co.test", "v=DMARC1; p=reject") + txt("one.co.test", "v=DMARC1; p=reject")
        found = both(zone, "one.co.test", "two.co.test pass")
        assert self.subjects(found)["result"] == ("pass", "fail")
        assert self.subjects(found)["organizational_domain"] == ("co.test", "one.co.test")
        assert found.is_visible

    def test_an_organization_that_only_the_dns_knows(self) -> None:
        zone = txt("news.acme.test", "v=DMARC1; p=reject; psd=n") + txt("acme.test", "v=DMARC1; p=reject")
        found = both(zone, "news.acme.test", "acme.test pass")
        assert self.subjects(found)["result"] == ("fail", "pass")
        assert "walks the DNS tree" in found.differences[0].sentence

    def test_the_policy_of_a_public_suffix(self) -> None:
        found = both(txt("bank", "v=DMARC1; p=reject; psd=y"), "one.bank")
        assert self.subjects(found)["result"] == ("fail", "none")
        assert self.subjects(found)["policy_domain"] == ("bank", "none")

    def test_testing_mode(self) -> None:
        found = both(txt("acme.test", "v=DMARC1; p=reject; t=y"), "acme.test")
        assert self.subjects(found) == {"disposition": ("quarantine", "reject")}
        assert "t=y" in found.differences[0].sentence

    def test_percent(self) -> None:
        found = both(txt("acme.test", "v=DMARC1; p=reject; pct=20"), "acme.test")
        assert self.subjects(found) == {"disposition": ("reject", "reject for 20 % and quarantine for the others")}
        none_done = both(txt("acme.test", "v=DMARC1; p=quarantine; pct=0"), "acme.test")
        assert self.subjects(none_done) == {"disposition": ("quarantine", "none")}
        assert both(txt("acme.test", "v=DMARC1; p=none; pct=20"), "acme.test").differences == ()

    def test_np(self) -> None:
        found = both(txt("acme.test", "v=DMARC1; p=none; np=reject"), "gone.acme.test")
        assert self.subjects(found)["disposition"] == ("reject", "none")

    def test_several_records(self) -> None:
        zone = txt("a.acme.test", "v=DMARC1; p=none", "v=DMARC1; p=quarantine") + txt("acme.test", "v=DMARC1; p=reject")
        assert self.subjects(both(zone, "a.acme.test"))["result"] == ("fail", "none")

    def test_silence_is_no_difference(self) -> None:
        assert (
            both(";; SERVFAIL _dmarc.test\n" + txt("acme.test", "v=DMARC1; p=reject"), "a.acme.test").differences == ()
        )


labels = st.lists(st.sampled_from(["a", "b", "co", "x" * 60]), min_size=1, max_size=30)
texts = st.sampled_from(
    ["v=DMARC1; p=none", "v=DMARC1; p=reject; psd=y", "v=DMARC1; p=none; psd=n", "v=DMARC1", "v=spf1 -all"]
)


@given(labels, st.data())
def test_no_walk_asks_more_than_eight_questions_nor_one_twice(names: list[str], data: st.DataObject) -> None:
    name = ".".join(names)[-250:].strip(".")
    domain = DomainName(name)
    asked: list[str] = []

    class Random:
        def answer(self, question: DnsQuestion) -> DnsAnswer:
            asked.append(question.name)
            kind = data.draw(st.integers(0, 5))
            if kind == 0:
                return Unanswered("timeout")
            drawn = data.draw(st.lists(texts, max_size=2)) if kind < 4 else []
            return Zone.from_records({(question.name, RecordType.TXT): drawn}).answer(question)

    tree = run(walk(domain), Random())
    assert len(asked) <= 8
    assert len(asked) == len(set(asked))
    assert all(len(one) <= 253 for one in asked)
    organizational = tree.organizational_domain
    assert (organizational is None) == bool(tree.unanswered)
    assert organizational is None or domain.is_within(organizational)
