"""Assertion records: what is read, what is passed over, and where the faults are marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.bimi import AvatarPreference, BimiSyntaxError, parse_record
from dns_checks.bimi.record import is_assertion_record, record_name
from mailtypes.domain import DomainName


def test_everything_given() -> None:
    record = parse_record(
        "v = BIMI1 ; l=https://acme.test/a%2Cb.svg ;a= https://acme.test:8443/vmc.pem; lps=Brand-,news , x; avp=brand;"
    )
    assert record.location == "https://acme.test/a%2Cb.svg"
    assert record.authority == "https://acme.test:8443/vmc.pem"
    assert record.local_part_prefixes == ("brand-", "news", "x")
    assert record.avatar_preference is AvatarPreference.BRAND
    assert not record.is_declined
    assert record.remarks == ()


def test_little_given() -> None:
    record = parse_record("v=BIMI1; l=https://acme.test/logo.svgz")
    assert (record.authority, record.local_part_prefixes, record.avatar_preference) == ("", None, None)
    assert record.remarks == ()


@pytest.mark.parametrize("text", ["v=BIMI1; l=; a=;", "v=BIMI1;l=", "v=BIMI1; l= ; a= "])
def test_declined(text: str) -> None:
    assert parse_record(text).is_declined


def test_a_certificate_without_a_logo_is_no_declination() -> None:
    record = parse_record("v=BIMI1; l=; a=https://acme.test/vmc.pem")
    assert not record.is_declined
    assert [remark.message for remark in record.remarks] == ["l= is empty, but a= is not"]


@pytest.mark.parametrize(
    "text", ["", "v=BIMI2; l=", "v=bimi1; l=", "l=; v=BIMI1", "v=BIMI1 l=", "v=BIMI12; l=", "v=spf1 -all"]
)
def test_no_records_at_all(text: str) -> None:
    assert not is_assertion_record(text)
    with pytest.raises(BimiSyntaxError) as caught:
        parse_record(text)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("v=BIMI1; a=", "v=BIMI1; a="),
        ("v=BIMI1; L=https://acme.test/a.svg", "v=BIMI1; L=https://acme.test/a.svg"),
        ("v=BIMI1; l=http://acme.test/a.svg", "http://acme.test/a.svg"),
        ("v=BIMI1; l=//acme.test/a.svg", "//acme.test/a.svg"),
        ("v=BIMI1; l=acme.test/a.svg", "acme.test/a.svg"),
        ("v=BIMI1; l=https:///a.svg", "https:///a.svg"),
        ("v=BIMI1; l=https://localhost/a.svg", "https://localhost/a.svg"),
        ("v=BIMI1; l=https://[::1/a.svg", "https://[::1/a.svg"),
        ("v=BIMI1; l=https://acme.test:99999/a.svg", "https://acme.test:99999/a.svg"),
        ("v=BIMI1; l=https://u:p@acme.test/a.svg", "https://u:p@acme.test/a.svg"),
        ("v=BIMI1; l=https://acme.test/a b.svg", "https://acme.test/a b.svg"),
        ("v=BIMI1; l=https://a.test/a.svg,https://b.test/b.svg", "https://a.test/a.svg,https://b.test/b.svg"),
        ("v=BIMI1; l=https://acme.test/\xe9.svg", "https://acme.test/\xe9.svg"),
        ("v=BIMI1; l=; a=http://acme.test/v.pem", "http://acme.test/v.pem"),
        ("v=BIMI1; l=; l=", "l"),
        ("v=BIMI1; l=; nonsense", "nonsense"),
        ("v=BIMI1;; l=", ";"),
    ],
)
def test_unusable_records_have_their_fault_marked(text: str, marked: str) -> None:
    with pytest.raises(BimiSyntaxError) as caught:
        parse_record(text)
    span = caught.value.span
    assert span is not None
    assert text[span.start : span.end] == marked
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("rest", "marked"),
    [
        ("avp=Personal", "Personal"),
        ("avp=", ""),
        ("lps=ok,-bad", "-bad"),
        ("lps=a b", "a b"),
        ("p=x", "p"),
        ("A=https://acme.test/v.pem", "A"),
    ],
)
def test_faults_that_receivers_pass_over_are_remarks(rest: str, marked: str) -> None:
    text = f"v=BIMI1; l=https://acme.test/a.svg; {rest}"
    (remark,) = parse_record(text).remarks
    assert text[remark.span.start : remark.span.end] == marked
    assert remark.next_step


def test_a_logo_under_another_name_is_remarked_on() -> None:
    assert parse_record("v=BIMI1; l=https://acme.test/logo.png").remarks
    assert not parse_record("v=BIMI1; l=https://acme.test/logo.SVG?size=1").remarks


def test_names_of_records() -> None:
    assert record_name("default", DomainName("acme.test")) == "default._bimi.acme.test"
    assert record_name("Brand.x", DomainName("acme.test")) == "brand.x._bimi.acme.test"
    assert record_name("default", DomainName(".".join(["a" * 60] * 4))) is None
    for selector in ("", "-a", "a b", "a..b", "x" * 64, "é", "a;b"):
        with pytest.raises(BimiSyntaxError):
            record_name(selector, DomainName("acme.test"))


PIECES = st.lists(
    st.sampled_from(
        [
            "v=BIMI1",
            ";",
            "l=",
            "a=",
            "lps=",
            "avp=",
            "https://",
            "acme.test",
            "/a.svg",
            "[",
            "@",
            ":",
            ",",
            " ",
            "%",
            "é",
        ]
    ),
    max_size=20,
).map("".join)


@given(st.one_of(st.text(max_size=60), st.text(max_size=40).map("v=BIMI1; l=".__add__), PIECES))
def test_any_text(text: str) -> None:
    try:
        record = parse_record(text)
    except BimiSyntaxError as error:
        span = error.span
        error.explain()
    else:
        span = None
        assert is_assertion_record(text)
        assert all(remark.span.end <= len(text) for remark in record.remarks)
        assert not record.location or record.location.lower().startswith("https://")
    assert span is None or span.end <= len(text)
