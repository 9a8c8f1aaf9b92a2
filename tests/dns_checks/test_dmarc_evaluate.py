"""The tree walk, policy discovery, alignment, result and disposition."""

import pytest

from dns_checks.dmarc import Alignment, DmarcResult, DmarcVerdict, Identifier, Policy, evaluate
from dns_checks.dmarc.tree_walk import targets, walk
from dns_checks.testing import Zone, run
from mailtypes.domain import DomainName
from mailtypes.questions import DnsAnswer, DnsQuestion, Unanswered
from mailtypes.questions import RecordType as T


class Watched:
    """A zone that remembers what it was asked."""

    def __init__(self, **records: str | list[str]) -> None:
        zone = {}
        for name, value in records.items():
            zone[f"_dmarc.{name.replace('_', '.')}", T.TXT] = [value] if isinstance(value, str) else value
        failing = {key: Unanswered("servfail") for key, value in zone.items() if value == ["SERVFAIL"]}
        # The hosts exist; whatever is not listed does not.
        hosts = {(name, T.A): ["192.0.2.1"] for name in ("news.acme.test", "acme.test")}
        self.zone = Zone.from_records({**zone, **failing, **hosts})
        self.asked: list[str] = []

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        self.asked.append(question.name)
        return self.zone.answer(question)


def name(text: str) -> DomainName:
    return DomainName.parse(text)


def judge(
    author: str, watched: Watched, spf: tuple[str, str] | None = None, dkim: list[tuple[str, str]] | None = None
) -> DmarcVerdict:
    spf_identifier = Identifier(name(spf[0]), spf[1]) if spf else None
    dkim_identifiers = [Identifier(name(domain), result) for domain, result in dkim or []]
    return run(evaluate(name(author), spf_identifier, dkim_identifiers), watched)


def organizational(domain: str, watched: Watched) -> str:
    found = run(walk(name(domain)), watched).organizational_domain
    assert found is not None
    return found.ascii


class TestTreeWalk:
    def test_the_eight_queries_of_the_rfcs_example(self) -> None:
        watched = Watched()
        run(walk(name("a.b.c.d.e.f.g.h.i.j.mail.example.com")), watched)
        assert watched.asked == [
            "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com",
            "_dmarc.g.h.i.j.mail.example.com",
            "_dmarc.h.i.j.mail.example.com",
            "_dmarc.i.j.mail.example.com",
            "_dmarc.j.mail.example.com",
            "_dmarc.mail.example.com",
            "_dmarc.example.com",
            "_dmarc.com",
        ]

    @pytest.mark.parametrize(("labels", "queries"), [(1, 1), (2, 2), (7, 7), (8, 8), (9, 8), (60, 8)])
    def test_never_more_than_eight(self, labels: int, queries: int) -> None:
        found = list(targets(name(".".join(["a"] * labels))))
        assert len(found) == queries
        assert found[-1] == name("a")

    @pytest.mark.parametrize(
        ("records", "expected"),
        [
            # RFC 9989 section 4.10.2, the three examples.
            ({"mail_example_com": "v=DMARC1; p=none", "example_com": "v=DMARC1; p=none"}, "example.com"),
            (
                {"mail_example_com": "v=DMARC1; p=none; psd=n", "example_com": "v=DMARC1; p=none"},
                "mail.example.com",
            ),
            ({"com": "v=DMARC1; p=none; psd=y"}, "example.com"),
            ({}, "a.mail.example.com"),
            ({"a_mail_example_com": "v=DMARC1; p=none; psd=y"}, "a.mail.example.com"),
            ({"mail_example_com": "v=DMARC1; p=none; psd=y"}, "a.mail.example.com"),
            ({"example_com": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, "a.mail.example.com"),
            ({"example_com": ["v=DMARC1; p=none", "v=spf1 -all"]}, "example.com"),
            ({"mail_example_com": "v=DMARC1; p=none; psd=u", "com": "v=DMARC1; p=none; psd=y"}, "example.com"),
        ],
    )
    def test_the_organizational_domain(self, records: dict[str, str | list[str]], expected: str) -> None:
        assert organizational("a.mail.example.com", Watched(**records)) == expected

    def test_psd_stops_the_walk(self) -> None:
        watched = Watched(mail_example_com="v=DMARC1; p=none; psd=n")
        run(walk(name("a.mail.example.com")), watched)
        assert watched.asked == ["_dmarc.a.mail.example.com", "_dmarc.mail.example.com"]

    def test_silence_is_not_absence(self) -> None:
        found = run(walk(name("a.acme.test")), Watched(acme_test="SERVFAIL"))
        assert found.unanswered == "servfail"
        assert found.organizational_domain is None

    def test_a_domain_too_long_for_a_record_is_not_asked(self) -> None:
        watched = Watched()
        long = ".".join(["a" * 60] * 4) + ".acme.tst"
        assert len(long) == 252
        run(walk(name(long)), watched)
        assert all(len(asked) <= 253 for asked in watched.asked)


class TestResults:
    def test_pass_by_dkim_alone(self) -> None:
        watched = Watched(acme_test="v=DMARC1; p=reject")
        verdict = judge("acme.test", watched, ("other.test", "pass"), [("x.test", "pass"), ("acme.test", "pass")])
        assert (verdict.result, verdict.policy, verdict.disposition) == (DmarcResult.PASS, Policy.REJECT, Policy.NONE)
        assert verdict.spf is not None
        assert verdict.spf.is_aligned is False
        assert [alignment.is_aligned for alignment in verdict.dkim] == [False, True]

    def test_pass_by_spf_in_relaxed_mode(self) -> None:
        watched = Watched(acme_test="v=DMARC1; p=reject")
        assert judge("news.acme.test", watched, ("bounce.acme.test", "pass")).result is DmarcResult.PASS

    def test_strict_mode_wants_the_same_domain(self) -> None:
        watched = Watched(acme_test="v=DMARC1; p=reject; aspf=s")
        assert judge("acme.test", watched, ("bounce.acme.test", "pass")).result is DmarcResult.FAIL
        assert judge("acme.test", watched, None, [("mail.acme.test", "pass")]).result is DmarcResult.PASS

    @pytest.mark.parametrize("result", ["fail", "softfail", "neutral", "none", "permerror", "policy"])
    def test_what_did_not_pass_does_not_count(self, result: str) -> None:
        watched = Watched(acme_test="v=DMARC1; p=quarantine")
        verdict = judge("acme.test", watched, ("acme.test", result), [("acme.test", result)])
        assert (verdict.result, verdict.disposition) == (DmarcResult.FAIL, Policy.QUARANTINE)

    def test_a_parent_does_not_vouch_for_an_organization_below_it(self) -> None:
        watched = Watched(acme_test="v=DMARC1; p=none", news_acme_test="v=DMARC1; p=reject; psd=n")
        assert judge("news.acme.test", watched, ("acme.test", "pass")).result is DmarcResult.FAIL
        assert judge("news.acme.test", watched, ("b.news.acme.test", "pass")).result is DmarcResult.PASS

    def test_names_that_only_end_alike_are_strangers(self) -> None:
        watched = Watched(acme_test="v=DMARC1; p=reject", notacme_test="v=DMARC1; p=none")
        assert judge("acme.test", watched, ("notacme.test", "pass")).result is DmarcResult.FAIL

    def test_testing_mode_is_one_level_below(self) -> None:
        for asked, done in (("reject", "quarantine"), ("quarantine", "none"), ("none", "none")):
            verdict = judge("acme.test", Watched(acme_test=f"v=DMARC1; p={asked}; t=y"))
            assert (verdict.policy, verdict.disposition) == (asked, done)

    def test_no_record_and_several(self) -> None:
        assert judge("acme.test", Watched()).result is DmarcResult.NONE
        verdict = judge("acme.test", Watched(acme_test=["v=DMARC1; p=none", "v=DMARC1; p=reject"]))
        assert verdict.result is DmarcResult.NONE
        assert "several" in verdict.cause

    def test_a_record_without_policy(self) -> None:
        assert judge("acme.test", Watched(acme_test="v=DMARC1")).result is DmarcResult.PERMERROR
        watching = judge("acme.test", Watched(acme_test="v=DMARC1; rua=mailto:a@acme.test"))
        assert (watching.result, watching.disposition) == (DmarcResult.FAIL, Policy.NONE)


class TestDiscovery:
    def test_the_own_record_comes_before_the_organizations(self) -> None:
        watched = Watched(acme_test="v=DMARC1; p=reject; sp=reject", news_acme_test="v=DMARC1; p=none; sp=reject")
        verdict = judge("news.acme.test", watched)
        assert (verdict.policy_domain, verdict.policy) == (name("news.acme.test"), Policy.NONE)
        assert verdict.organizational_domain == name("acme.test")

    def test_records_between_are_passed_over(self) -> None:
        watched = Watched(acme_test="v=DMARC1; p=quarantine", news_acme_test="v=DMARC1; p=reject")
        verdict = judge("a.news.acme.test", watched)
        assert (verdict.policy_domain, verdict.policy) == (name("acme.test"), Policy.QUARANTINE)

    def test_the_public_suffix_speaks_for_those_who_say_nothing(self) -> None:
        watched = Watched(test="v=DMARC1; p=reject; psd=y; np=quarantine")
        assert judge("acme.test", watched).policy is Policy.REJECT
        assert judge("nowhere.test", watched).policy is Policy.QUARANTINE

    def test_subdomains_existing_or_not(self) -> None:
        watched = Watched(acme_test="v=DMARC1; p=none; sp=quarantine; np=reject")
        assert judge("acme.test", watched).policy is Policy.NONE
        assert judge("news.acme.test", watched).policy is Policy.QUARANTINE
        assert judge("gone.acme.test", watched).policy is Policy.REJECT


class TestSilence:
    def test_of_the_policy(self) -> None:
        assert judge("acme.test", Watched(acme_test="SERVFAIL")).result is DmarcResult.TEMPERROR

    def test_of_the_parent_matters_only_where_it_decides(self) -> None:
        watched = Watched(news_acme_test="v=DMARC1; p=reject", acme_test="SERVFAIL")
        assert judge("news.acme.test", watched, ("news.acme.test", "pass")).result is DmarcResult.PASS
        assert judge("news.acme.test", watched, ("b.news.acme.test", "pass")).result is DmarcResult.TEMPERROR
        assert judge("news.acme.test", watched, ("b.news.acme.test", "fail")).result is DmarcResult.FAIL

    def test_of_dkim_or_spf(self) -> None:
        watched = Watched(acme_test="v=DMARC1; p=reject")
        assert judge("acme.test", watched, None, [("acme.test", "temperror")]).result is DmarcResult.TEMPERROR
        both = judge("acme.test", watched, ("acme.test", "pass"), [("acme.test", "temperror")])
        assert both.result is DmarcResult.PASS


def test_nothing_is_asked_twice_and_a_flood_of_signatures_costs_little() -> None:
    watched = Watched(acme_test="v=DMARC1; p=reject")
    broken = [(f"a{n}.example.test", "fail") for n in range(200)]
    verdict = judge("acme.test", watched, None, [*broken, ("sig.acme.test", "pass")])
    assert verdict.result is DmarcResult.PASS
    assert isinstance(verdict.dkim[0], Alignment)
    assert len(watched.asked) == len(set(watched.asked)) < 10
