"""Reading records: what stands where, and what is said of faults."""

import time
from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dns_checks.spf import SpfSyntaxError, is_spf_record, parse_record, read_record
from dns_checks.spf.macros import expand_domain, parse_macro_string
from dns_checks.spf.terms import (
    A,
    All,
    Directive,
    DualPrefix,
    Exists,
    Explanation,
    Include,
    Ip4,
    Ip6,
    Mx,
    Ptr,
    Qualifier,
    Redirect,
    UnknownModifier,
)

RECORD = "v=spf1  a:a.test/24//64 mx -ptr ~ip4:192.0.2.9/24 ?ip6:2001:db8::1/32 exists:%{i}.x.test "
RECORD += "include:b.test exp=e.test op=x redirect=r.test all"


def test_every_term_with_its_place() -> None:
    record = parse_record(RECORD)
    assert [RECORD[term.span.start : term.span.end] for term in record.terms] == RECORD.split()[1:]
    assert [term.text for term in record.terms] == RECORD.split()[1:]
    mechanisms = [directive.mechanism for directive in record.directives]
    assert [type(mechanism) for mechanism in mechanisms] == [A, Mx, Ptr, Ip4, Ip6, Exists, Include, All]
    a, mx, _, ip4, ip6, *_ = mechanisms
    assert isinstance(a, A)
    assert isinstance(mx, Mx)
    assert (a.domain and a.domain.text, a.prefix) == ("a.test", DualPrefix(24, 64))
    assert (mx.domain, mx.prefix) == (None, DualPrefix(32, 128))
    assert ip4 == Ip4(IPv4Network("192.0.2.0/24"))
    assert ip6 == Ip6(IPv6Network("2001:db8::/32"))
    assert "".join(directive.qualifier for directive in record.directives) == "++-~?+++"
    assert [type(term) for term in record.terms if not isinstance(term, Directive)] == [
        Explanation,
        UnknownModifier,
        Redirect,
    ]
    assert record.redirect is not None
    assert record.redirect.domain.text == "r.test"


@pytest.mark.parametrize(
    ("record", "marked", "hint"),
    [
        ("v=spf10 -all", "v=spf1", "v=spf1 "),
        ("v=spf1 a:192.0.2.1 -all", "192.0.2.1", "ip4:192.0.2.1"),
        ("v=spf1 ipv4:192.0.2.1 -all", "ipv4:192.0.2.1", "ip4"),
        ("v=spf1 redirect:a.test", "redirect:a.test", "redirect="),
        ("v=spf1 include -all", "include", "include:"),
        ("v=spf1 include: -all", "include:", "domain"),
        ("v=spf1 a/33 -all", "33", "0 to 32"),
        ("v=spf1 a//129 -all", "129", "0 to 128"),
        ("v=spf1 a/024 -all", "024", "leading zeros"),
        ("v=spf1 a/24/64 -all", "/24/64", "/24//64"),
        ("v=spf1 ip4:192.0.2.0/24/24", "192.0.2.0/24/24", "192.0.2.0/24"),
        ("v=spf1 ip4:192.0.2 -all", "192.0.2", "192.0.2.0/24"),
        ("v=spf1 ip4:192.0.02.1 -all", "192.0.02.1", "192.0.2.0/24"),
        ("v=spf1 ip6:fe80::1%eth0 -all", "fe80::1%eth0", "2001:db8::/32"),
        ("v=spf1 -all:x", ":x", "-all"),
        ("v=spf1 exists:%{z}.x.test", "z", "letters"),
        ("v=spf1 exists:%{c}.x.test", "c", "letters"),
        ("v=spf1 exists:%{i0}.x.test", "0", "1 or more"),
        ("v=spf1 exists:%{ir", "%{", "%{letter}"),
        ("v=spf1 exists:%(i).x.test", "%(", "%{letter}"),
        ("v=spf1 exists:a%", "%", "%%"),
        ("v=spf1 a:x%%-", "x%%-", "full domain"),
        ("v=spf1 exp=a.test -all exp=b.test", "exp=b.test", "one of them"),
        ("v=spf1 a:b\xe9.test -all", "\xe9", "ASCII"),
        ("v=spf1 a\r-all", "a\r-all", "mechanism"),
        ("v=spf1 ,all", ",all", "mechanism"),
    ],
)
def test_a_fault_is_marked_and_its_mend_named(record: str, marked: str, hint: str) -> None:
    with pytest.raises(SpfSyntaxError) as caught:
        parse_record(record)
    span = caught.value.span
    assert span is not None
    assert record[span.start : span.end] == marked
    assert hint in caught.value.next_step
    assert caught.value.message.isprintable()


def test_all_faults_are_told_beside_what_can_be_read() -> None:
    record, faults = read_record("v=spf1 bogus mx a/33 -all")
    assert [term.text for term in record.terms] == ["mx", "-all"]
    assert [fault.source[fault.span.start : fault.span.end] for fault in faults if fault.span] == ["bogus", "33"]


@pytest.mark.parametrize("term", ["a:%{d}", "a:x%%", "a:x%-", "a:.com", "a:a:b/c.com", "a:1-2.1-2", "a:x.y./0"])
def test_odd_but_right_domains(term: str) -> None:
    assert parse_record(f"v=spf1 {term}").terms


@pytest.mark.parametrize("text", [b"v=spf1", b"V=SPF1 ", b"v=spf1 \xff"])
def test_meant_as_spf(text: bytes) -> None:
    assert is_spf_record(text)


@pytest.mark.parametrize("text", [b"", b"v=spf10", b" v=spf1", b"v=spf1\t-all", b"spf1 -all"])
def test_not_meant_as_spf(text: bytes) -> None:
    assert not is_spf_record(text)


# RFC 7208 section 7.4, the examples.
@pytest.mark.parametrize(
    ("macro", "expansion"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{d99999999}", "email.example.com"),
        ("%{d10}", "email.example.com"),
        ("%{d002}", "example.com"),
        ("a%%b%_c%-d", "a%b c%20d"),
    ],
)
def test_macros_of_the_rfc(macro: str, expansion: str) -> None:
    values = {
        "s": "strong-bad@email.example.com",
        "l": "strong-bad",
        "o": "email.example.com",
        "d": "email.example.com",
        "i": "192.0.2.3",
        "v": "in-addr",
    }
    assert parse_macro_string(macro).expand(values) == expansion


def test_a_long_name_loses_labels_on_the_left() -> None:
    spec = parse_macro_string("%{l}.example.com.")
    labels = ".".join(["x" * 60] * 5)
    name = expand_domain(spec, {"l": labels})
    assert name == ".".join(["x" * 60] * 3 + ["example", "com"])
    assert expand_domain(spec, {"l": "ab." + "x" * 241}) == "x" * 241 + ".example.com"  # 253 octets stay whole
    assert len(expand_domain(spec, {"l": "y." + "x" * 239 + ".zz"})) <= 253


@given(st.binary(max_size=80))
@example(b"v=spf1 a:%{d99999999999999999999}/\xd9\xa2")
def test_any_octets_are_a_record_or_a_syntax_error(text: bytes) -> None:
    for octets in (text, b"v=spf1 " + text):
        try:
            parse_record(octets)
        except SpfSyntaxError as error:
            place = error.line_and_column
            error.explain()
        else:
            place = 1, 1
        assert place is not None


PIECES = [
    "a",
    "mx",
    ":",
    "/",
    "//",
    "24",
    "%{",
    "}",
    "%{d}",
    "%",
    ".com",
    "ip4",
    "ip6",
    "::",
    "1.2.3.4",
    "=",
    "exp",
    "-",
]


@given(
    st.lists(st.sampled_from([*PIECES, " ", " ", "redirect", "include", "exists", "~", "all", "%{ir-}"]), max_size=14)
)
def test_what_is_read_can_be_read_again(pieces: list[str]) -> None:
    record, faults = read_record("v=spf1 " + "".join(pieces))
    again = parse_record(" ".join(["v=spf1", *(term.text for term in record.terms)]))
    assert [type(term) for term in again.terms] == [type(term) for term in record.terms]
    assert [term.text for term in again.terms] == [term.text for term in record.terms]
    assert bool(faults) == (len(record.terms) < len("".join(pieces).split()))


@pytest.mark.parametrize(
    "term", ["a:" + "/1" * 30000, "a:" + "-" * 60000, "ip4:" + "1." * 30000, "%{" * 30000, "a" + "0" * 60000]
)
def test_long_terms_take_little_time(term: str) -> None:
    start = time.process_time()
    with pytest.raises(SpfSyntaxError):
        parse_record("v=spf1 " + term)
    assert time.process_time() - start < 3


def test_qualifiers_are_the_rfcs() -> None:
    assert {qualifier.value for qualifier in Qualifier} == set("+-~?")
