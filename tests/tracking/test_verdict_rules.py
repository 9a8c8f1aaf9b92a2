"""Each rule by itself: fetches that it decides, and the nearest ones that it does not."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.clock import SECOND
from tracking.verdicts import (
    AgentFamily,
    Decision,
    Features,
    Fetch,
    FetchKind,
    NetworkClass,
    RulesSyntaxError,
    Verdict,
    derive,
    read_rules,
    shipped_judge,
)
from tracking.verdicts.features import HONEYPOT_LINK

SENT = 1_700_000_000 * SECOND
JUDGE = shipped_judge()
A, N = AgentFamily, NetworkClass


def opened(at: float, agent: A = A.BROWSER, network: N = N.OTHER, near: int = 1) -> Fetch:
    return Fetch(FetchKind.OPEN, SENT + int(at * SECOND), agent, network, 0, near)


def clicked(at: float, link: int = 1, agent: A = A.BROWSER, network: N = N.OTHER, near: int = 1) -> Fetch:
    return Fetch(FetchKind.CLICK, SENT + int(at * SECOND), agent, network, link, near)


def looked(at: float, link: int = 1) -> Fetch:
    return Fetch(FetchKind.LOOK, SENT + int(at * SECOND), A.BROWSER, N.OTHER, link)


def caught(at: float, agent: A = A.BROWSER, network: N = N.OTHER) -> Fetch:
    return Fetch(FetchKind.HONEYPOT, SENT + int(at * SECOND), agent, network, HONEYPOT_LINK)


def decisions(*fetches: Fetch, sent_at: int | None = SENT) -> list[Decision | None]:
    return [settled and settled.decision for settled in JUDGE.settle(fetches, sent_at)]


def rules(*fetches: Fetch, sent_at: int | None = SENT) -> list[str | None]:
    return [decision and decision.rule for decision in decisions(*fetches, sent_at=sent_at)]


# rule: fetches whose last one it decides, and fetches that differ in one thing and whose last one it does not decide
CASES: dict[str, tuple[Sequence[Fetch], Sequence[Fetch]]] = {
    "honeypot": ([opened(900), caught(901)], [opened(900), clicked(901, HONEYPOT_LINK)]),
    "scanner_named": ([clicked(900, agent=A.TOOL)], [clicked(900, agent=A.OTHER)]),
    "scanner_network": ([opened(900, network=N.SCANNER)], [opened(900, network=N.DATACENTER)]),
    "apple_mail_privacy": ([opened(900, A.APPLE_MAIL_PRIVACY)], [clicked(900, agent=A.APPLE_MAIL_PRIVACY)]),
    "gmail_prefetch": ([opened(9, A.GMAIL_PREFETCH, N.GOOGLE)], [opened(9, A.GMAIL_PROXY, N.GOOGLE)]),
    "head_first": (
        [opened(800), looked(880, 2), clicked(900, 2)],
        [opened(800), looked(839, 2), looked(880, 1), clicked(900, 2)],
    ),
    "many_links_at_once": (
        [opened(900), clicked(901, 3), clicked(903, 1), clicked(909, 2)],
        [opened(900), clicked(901, 3), clicked(903, 1), clicked(912, 2)],
    ),
    "links_in_order": (
        [opened(90), clicked(100, 1), clicked(115, 2), clicked(130, 4)],
        [opened(90), clicked(100, 1), clicked(115, 4), clicked(130, 2)],
    ),
    "two_links_in_the_burst": (
        [opened(40), clicked(43, 5), clicked(50, 2)],
        [opened(40), clicked(43, 5), clicked(50, 5)],
    ),
    "many_recipients_at_once": (
        [opened(30), clicked(43, near=5)],
        [opened(30), clicked(43, near=4)],
    ),
    "hosted_burst": ([clicked(119, network=N.MICROSOFT)], [clicked(120, network=N.MICROSOFT)]),
    "hosted_open": ([opened(119, network=N.DATACENTER)], [opened(119, network=N.MICROSOFT)]),
    "at_once": ([opened(1.9)], [opened(2)]),
    "among_machines": (
        [clicked(30, 3), clicked(31, 1), clicked(32, 2), opened(50)],
        [clicked(30, 3), clicked(31, 1), clicked(32, 2), opened(50, A.DESKTOP_CLIENT)],
    ),
    "reader_who_clicked": (
        [opened(800), clicked(900), opened(950, A.GMAIL_PROXY, N.GOOGLE)],
        [opened(800), clicked(900, agent=A.OTHER), opened(950, A.GMAIL_PROXY, N.GOOGLE)],
    ),
    "gmail_proxy": ([opened(900, A.GMAIL_PROXY, N.GOOGLE)], [opened(900, A.BROWSER, N.GOOGLE)]),
    "yahoo_proxy": ([opened(900, A.YAHOO_PROXY, N.YAHOO)], [opened(900, A.BROWSER, N.YAHOO)]),
    "outlook_proxy": ([opened(900, network=N.MICROSOFT)], [opened(900, network=N.OTHER)]),
    "preview_pane": ([opened(900, A.DESKTOP_CLIENT)], [opened(900, A.BROWSER)]),
    "person_clicked": ([opened(900), clicked(930)], [clicked(930)]),
    "click_without_images": ([clicked(930)], [clicked(930, agent=A.OTHER)]),
    "person_opened": ([opened(10)], [opened(9.9)]),
}


def test_every_rule_has_a_case() -> None:
    assert list(CASES) == [rule.name for rule in JUDGE.rules]


@pytest.mark.parametrize("rule", JUDGE.rules, ids=lambda rule: rule.name)
def test_the_rule_decides_what_it_is_for(rule) -> None:
    found = decisions(*CASES[rule.name][0])[-1]
    assert found == Decision(rule.verdict, rule.name)


@pytest.mark.parametrize("name", CASES)
def test_the_rule_leaves_its_neighbour_alone(name: str) -> None:
    assert rules(*CASES[name][1])[-1] != name


def test_the_whole_burst_is_a_machine_and_the_reader_who_comes_later_is_not() -> None:
    burst = [opened(42), *(clicked(43 + number, 6 - number) for number in range(6))]
    reader = [opened(5_000), clicked(5_020, 2)]
    found = [decision.verdict for decision in decisions(*burst, *reader) if decision]
    assert found == [Verdict.MACHINE] * 7 + [Verdict.HUMAN] * 2


def test_whoever_took_the_honeypot_takes_the_clicks_beside_it_along() -> None:
    fetches = [opened(800), clicked(860, 2), caught(915), clicked(930, 3, A.DESKTOP_CLIENT), clicked(980, 1)]
    found = decisions(*fetches)
    assert found[1] == Decision(Verdict.MACHINE, "among_machines")
    assert found[3] == Decision(Verdict.HUMAN, "person_clicked"), "another program"
    assert found[4] == Decision(Verdict.HUMAN, "person_clicked"), "more than a minute later"


def test_what_nobody_knows_stays_probable() -> None:
    assert decisions(opened(900, A.OTHER)) == [Decision(Verdict.PROBABLE, "unknown")]
    assert decisions(opened(900), sent_at=None) == [Decision(Verdict.PROBABLE, "unknown")]


def test_looks_are_not_judged() -> None:
    assert decisions(looked(3), opened(900))[0] is None


def test_a_provisional_verdict_knows_only_what_came_before() -> None:
    fetches = [opened(30), clicked(43, 1), clicked(44, 2), clicked(45, 3)]
    first = JUDGE.provisional(fetches[:2], SENT)
    assert first
    assert first.decision.verdict is Verdict.HUMAN
    settled = JUDGE.settle(fetches, SENT)[1]
    assert settled
    assert settled.decision == Decision(Verdict.MACHINE, "many_links_at_once")


def test_the_order_of_time_is_insisted_on() -> None:
    with pytest.raises(ValueError, match="order of time"):
        derive([opened(5), opened(4)], SENT)


fetch_lists = st.lists(
    st.builds(
        Fetch,
        st.sampled_from(FetchKind),
        st.integers(0, 400).map(lambda seconds: SENT + seconds * SECOND),
        st.sampled_from(AgentFamily),
        st.sampled_from(NetworkClass),
        st.integers(0, 8),
        st.integers(1, 9),
    ),
    max_size=12,
).map(lambda found: sorted(found, key=lambda fetch: fetch.at))


@given(fetch_lists, st.none() | st.just(SENT))
def test_stored_features_are_judged_as_the_fetches_were(fetches: list[Fetch], sent_at: int | None) -> None:
    for settled in JUDGE.settle(fetches, sent_at):
        if settled is not None:
            again = Features.from_dict({**settled.features.as_dict(), "feature_of_a_later_release": 1})
            assert again == settled.features
            assert JUDGE.judge(again) == settled.decision


@given(fetch_lists)
def test_settling_again_changes_nothing(fetches: list[Fetch]) -> None:
    assert JUDGE.settle(fetches, SENT) == JUDGE.settle(fetches, SENT)


@given(fetch_lists, st.integers(3600, 7200))
def test_what_lies_far_apart_does_not_change_a_verdict_on_a_click(fetches: list[Fetch], later: int) -> None:
    alone = JUDGE.settle(fetches, SENT)
    both = JUDGE.settle([*fetches, clicked(later, 3, A.OTHER)], SENT)
    assert both[:-1] == alone


def test_thousands_of_fetches_of_one_mail_take_no_quadratic_time() -> None:
    flood = [clicked(30 + number / 10_000, number % 50) for number in range(10_000)]
    assert {decision.rule for decision in decisions(*flood) if decision} == {"many_links_at_once"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[rule]]\nname='a'\nverdict='human'\nsource='s'",
        "[[rule]]\nname='a'\nverdict='human'\nsource='s'\nwhen={}",
        "[[rule]]\nname='a'\nverdict='human'\nsource=''\nwhen={kind='open'}",
        "[[rule]]\nname='a'\nverdict='robot'\nsource='s'\nwhen={kind='open'}",
        "[[rule]]\nname='a'\nverdict='human'\nsource='s'\nwhen={kind='opened'}",
        "[[rule]]\nname='a'\nverdict='human'\nsource='s'\nwhen={links={at_least=1}}",
        "[[rule]]\nname='a'\nverdict='human'\nsource='s'\nwhen={links_near={above=1}}",
        "[[rule]]\nname='a'\nverdict='human'\nsource='s'\nwhen={links_near={}}",
        "[[rule]]\nname='a'\nverdict='human'\nsource='s'\nwhen={in_order=1}",
        "[[rule]]\nname='a'\nverdict='human'\nsource='s'\nwhen={kind='open'}\nunless={}",
        "[[rule]]\nname='unknown'\nverdict='human'\nsource='s'\nwhen={kind='open'}",
    ],
)
def test_rules_that_would_never_decide_are_refused(text: str) -> None:
    with pytest.raises(RulesSyntaxError):
        read_rules(text)
