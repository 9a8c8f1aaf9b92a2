"""DMARC records: defaults, faults that are passed over, and texts that are no records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.dmarc.record import (
    AlignmentMode,
    DmarcSyntaxError,
    Policy,
    PublicSuffix,
    is_policy_record,
    parse_record,
)


def test_defaults() -> None:
    record = parse_record("v=DMARC1; p=reject")
    assert (record.p, record.sp, record.np) == (Policy.REJECT, None, None)
    assert (record.adkim, record.aspf) == (AlignmentMode.RELAXED, AlignmentMode.RELAXED)
    assert (record.rua, record.ruf, record.fo) == ((), (), ("0",))
    assert (record.psd, record.is_testing, record.remarks) == (PublicSuffix.UNKNOWN, False, ())


def test_everything_given() -> None:
    record = parse_record(
        "v = DMARC1 ;p=Quarantine; sp=none;np=reject; adkim=s; aspf=S; psd=n; t=y; fo=d:s;"
        " rua=mailto:a@acme.test , https://r.acme.test/x; ruf=mailto:b@acme.test; later=thing;"
    )
    assert (record.p, record.sp, record.np) == (Policy.QUARANTINE, Policy.NONE, Policy.REJECT)
    assert (record.adkim, record.aspf) == (AlignmentMode.STRICT, AlignmentMode.STRICT)
    assert record.rua == ("mailto:a@acme.test", "https://r.acme.test/x")
    assert (record.psd, record.is_testing, record.fo) == (PublicSuffix.NO, True, ("d", "s"))
    assert record.remarks == ()


@pytest.mark.parametrize(
    "text", ["", "v=DMARC2; p=none", "v=dmarc1; p=none", "p=none; v=DMARC1", "v=DMARC1 p=none", "v=DMARC12", "v=spf1"]
)
def test_no_records_at_all(text: str) -> None:
    assert not is_policy_record(text)
    with pytest.raises(DmarcSyntaxError) as caught:
        parse_record(text)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("v=DMARC1; p=none; adkim=x", "x"),
        ("v=DMARC1; p=none; rua=a@acme.test", "a@acme.test"),
        ("v=DMARC1; p=none; rua=mailto:ok@acme.test,mailto:nobody", "mailto:nobody"),
        ("v=DMARC1; p=none; rua=mailto:ok@acme.test!10m", "mailto:ok@acme.test!10m"),
        ("v=DMARC1; p=none; pct=50", "pct"),
        ("v=DMARC1; p=none; fo=2", "2"),
        ("v=DMARC1; p=none; psd=maybe", "maybe"),
        ("v=DMARC1; p=none; t=1", "1"),
        ("v=DMARC1; p=none; nonsense", "nonsense"),
        ("v=DMARC1; p=none; p=reject", "p"),
        ("v=DMARC1; p=noone; rua=mailto:a@acme.test", "noone"),
    ],
)
def test_faults_are_marked_and_passed_over(text: str, marked: str) -> None:
    record = parse_record(text)
    (remark,) = record.remarks
    assert text[remark.span.start : remark.span.end] == marked
    assert remark.next_step
    assert record.policy_for(subdomain=False, exists=True) is Policy.NONE
    assert record.adkim is AlignmentMode.RELAXED


def test_the_rest_of_a_record_with_a_broken_tag_still_counts() -> None:
    record = parse_record("v=DMARC1; nonsense; p=reject; rua=mailto:ok@acme.test!10m")
    assert record.p is Policy.REJECT
    assert record.rua == ("mailto:ok@acme.test",)


@pytest.mark.parametrize("fault", ["", "p=bad;", "p=reject; sp=bad;", "p=reject; np=bad;"])
def test_a_faulty_policy_counts_as_none_only_with_a_report_address(fault: str) -> None:
    silent = parse_record(f"v=DMARC1; {fault} adkim=s")
    assert not silent.is_applicable
    asking = parse_record(f"v=DMARC1; {fault} rua=mailto:a@acme.test")
    assert asking.is_applicable
    assert asking.policy_for(subdomain=True, exists=False) is Policy.NONE
    assert asking.remarks


@pytest.mark.parametrize(
    ("tags", "own", "below", "nonexistent"),
    [
        ("p=reject", "reject", "reject", "reject"),
        ("p=reject; sp=none", "reject", "none", "none"),
        ("p=none; np=reject", "none", "none", "reject"),
        ("p=none; sp=quarantine; np=reject", "none", "quarantine", "reject"),
    ],
)
def test_which_policy_is_whose(tags: str, own: str, below: str, nonexistent: str) -> None:
    record = parse_record(f"v=DMARC1; {tags}")
    assert record.policy_for(subdomain=False, exists=True) == own
    assert record.policy_for(subdomain=True, exists=True) == below
    assert record.policy_for(subdomain=True, exists=False) == nonexistent


@given(st.text(max_size=60) | st.text("vptsra=;:, nonejctmilo@!19\u05d0", max_size=80))
def test_nothing_else_is_raised_and_every_span_lies_in_the_record(text: str) -> None:
    whole = "v=DMARC1;" + text
    record = parse_record(whole)
    for remark in record.remarks:
        assert 0 <= remark.span.start <= remark.span.end <= len(whole)
    try:
        parse_record(text)
    except DmarcSyntaxError as error:
        error.explain()
