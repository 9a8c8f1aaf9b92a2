"""Block lists: the suite of falsities, and the laws of the table."""

from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dns_checks import dnsbl_lists
from dns_checks.dnsbl import Listing, check_dnsbl, check_list, entry_of, findings_of
from dns_checks.dnsbl_lists import DEFAULT_LISTS, ERROR_NETWORK, LISTING_NETWORK, Subject
from dns_checks.testing import Zone, run
from mailtypes.domain import DomainName
from mailtypes.questions import AddressRecord, DnsQuestion, Found

CASES = yaml.safe_load(Path(__file__).with_name("falsities.yaml").read_text("utf-8"))
ADDRESS = ip_address("198.51.100.7")
DOMAIN = DomainName("acme.test")


def subject_of(text: str):  # type: ignore[no-untyped-def]
    try:
        return ip_address(text)
    except ValueError:
        return DomainName.parse(text)


@pytest.mark.parametrize("case", CASES, ids=[case["why"] for case in CASES])
def test_falsities(case: dict[str, str]) -> None:
    block_list = getattr(dnsbl_lists, case["list"])
    (answer,) = run(check_list(block_list, [subject_of(case["subject"])]), Zone.parse(case["zone"]))
    assert answer.listing == case["expect"], answer
    assert case.get("meaning", "") in "; ".join(answer.meanings)
    assert case.get("cause", "") in answer.cause
    assert bool(answer.cause) is (answer.listing is Listing.UNKNOWN)
    assert answer.evidence
    (finding,) = findings_of([answer])
    assert finding.code == f"dnsbl.{case['expect']}"
    assert finding.state == {"listed": "absent", "not_listed": "present", "unknown": "unknown"}[case["expect"]]


def test_a_list_is_asked_only_what_it_can_list_and_its_controls_once() -> None:
    asked = []

    class Counting(Zone):
        def answer(self, question):  # type: ignore[no-untyped-def]
            asked.append(question.name)
            return super().answer(question)

    zone = Counting.parse("2.0.0.127.bl.spamcop.net. A 127.0.0.2")
    subjects = [ADDRESS, DOMAIN, ip_address("2001:db8::1"), ip_address("198.51.100.8")]
    answers = run(check_list(dnsbl_lists.SPAMCOP, subjects), zone)
    assert [answer.subject for answer in answers] == [ADDRESS, ip_address("198.51.100.8")]
    assert asked == [f"{entry}.bl.spamcop.net" for entry in ("1.0.0.127", "2.0.0.127", "7.100.51.198", "8.100.51.198")]


def test_all_default_lists_at_once() -> None:
    tests = "\n".join(f"{each.listed_entry}.{each.zone}. A 127.0.0.2" for each in DEFAULT_LISTS if each.listed_entry)
    answers = run(check_dnsbl([ADDRESS, DOMAIN]), Zone.parse(tests))
    assert len(answers) == len(DEFAULT_LISTS)
    assert {answer.listing for answer in answers} == {Listing.NOT_LISTED}
    with pytest.raises(ValueError):
        run(check_dnsbl([ADDRESS] * 101), Zone.parse(tests))


def test_entries() -> None:
    assert entry_of(ip_address("192.0.2.99")) == "99.2.0.192"  # RFC 5782 section 2.1
    assert entry_of(ip_address("2001:db8:1:2:3:4:567:89ab")) == (
        "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"
    )


@pytest.mark.parametrize("block_list", DEFAULT_LISTS, ids=lambda each: each.zone)
def test_the_table(block_list: dnsbl_lists.BlockList) -> None:
    assert block_list.source.startswith("https://")
    assert block_list.removal.startswith("https://")
    assert bool(block_list.codes) != bool(block_list.bits)
    assert all(code in LISTING_NETWORK and code not in ERROR_NETWORK for code in block_list.codes)
    assert not set(block_list.codes) & set(block_list.refusals)
    assert not block_list.has_ip6 or block_list.subject is Subject.ADDRESS


@given(st.lists(st.ip_addresses(), max_size=4), st.lists(st.ip_addresses(), max_size=4))
def test_no_answer_makes_it_raise_and_only_loopback_answers_list(control, answered) -> None:  # type: ignore[no-untyped-def]
    class Any:
        def answer(self, question: DnsQuestion) -> Found:
            addresses = control if question.name.startswith("invalid.") else answered
            return Found(tuple(AddressRecord(address) for address in addresses))

    for block_list in (dnsbl_lists.SURBL, dnsbl_lists.SPAMHAUS_ZEN):
        for answer in run(check_list(block_list, [ADDRESS, DOMAIN]), Any()):
            assert answer.listing is Listing.UNKNOWN  # the entry that cannot be listed got an answer
