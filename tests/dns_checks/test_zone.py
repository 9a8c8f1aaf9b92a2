"""The dictionary zone answers as a resolver in front of the same records would."""

import time
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.testing import Zone, ZoneSyntaxError
from mailtypes.questions import (
    Absence,
    Absent,
    AddressRecord,
    DnsAnswer,
    DnsQuestion,
    Found,
    MxRecord,
    NameRecord,
    OtherRecord,
    RecordType,
    TxtRecord,
    Unanswered,
)

TEXT = """\
$ORIGIN example.com.
$TTL 600
@           3600 SOA ns hostmaster 1 2 3 4 60
            NS ns.example.net.
            MX 10 mail
            MX 0 .
mail        300 A 192.0.2.1
            AAAA 2001:db8::1
www         200 CNAME mail
loop        CNAME pool
pool        CNAME loop
dangling    CNAME nowhere.example.net.
a.b.c       TXT "one" "two \\233"
*.wild      TXT "wild"
deep.wild   A 192.0.2.2
odd\\.label  A 192.0.2.3
_25._tcp    TLSA 3 1 0 00
host        SRV 0 0 25 mail
$ORIGIN example.net.
ns          A 192.0.2.4
;; SERVFAIL broken.example.com
;; TIMEOUT half.example.com TXT
;; REFUSED shut.example.com.
"""
ZONE = Zone.parse(TEXT)


def ask(name: str, record_type: RecordType) -> DnsAnswer:
    return ZONE.answer(DnsQuestion(name, record_type))


def address(text: str) -> AddressRecord:
    return AddressRecord(IPv4Address(text))


R = RecordType
NO_NAME, NO_DATA = Absent(Absence.NO_SUCH_NAME, 60), Absent(Absence.NO_DATA, 60)


@pytest.mark.parametrize(
    ("name", "record_type", "answer"),
    [
        ("mail.example.com", R.A, Found((address("192.0.2.1"),), 300, "mail.example.com")),
        ("MAIL.Example.com", R.A, Found((address("192.0.2.1"),), 300, "MAIL.Example.com")),
        ("ns.example.net", R.A, Found((address("192.0.2.4"),), 600, "ns.example.net")),
        ("example.com", R.NS, Found((NameRecord("ns.example.net"),), 600, "example.com")),
        ("example.com", R.MX, Found((MxRecord(10, "mail.example.com"), MxRecord(0, "")), 600, "example.com")),
        ("a.b.c.example.com", R.TXT, Found((TxtRecord((b"one", b"two \xe9")),), 600, "a.b.c.example.com")),
        ("_25._tcp.example.com", R.TLSA, Found((OtherRecord("3 1 0 00"),), 600, "_25._tcp.example.com")),
        # aliases
        ("www.example.com", R.A, Found((address("192.0.2.1"),), 200, "mail.example.com")),
        ("www.example.com", R.CNAME, Found((NameRecord("mail.example.com"),), 200, "www.example.com")),
        ("www.example.com", R.TXT, NO_DATA),
        ("loop.example.com", R.A, Unanswered("servfail")),
        ("dangling.example.com", R.A, Absent(Absence.NO_SUCH_NAME, 0)),
        # absence
        ("mail.example.com", R.TXT, NO_DATA),
        ("nobody.example.com", R.TXT, NO_NAME),
        ("b.c.example.com", R.TXT, NO_DATA),  # RFC 8020: an empty non-terminal exists
        ("x.c.example.com", R.TXT, NO_NAME),
        ("com", R.TXT, Absent(Absence.NO_DATA, 0)),
        ("host.example.com", R.A, NO_DATA),  # a type that we do not ask for makes the name exist all the same
        ("x.mail.example.com", R.A, NO_NAME),
        # wildcards, RFC 4592
        ("x.wild.example.com", R.TXT, Found((TxtRecord((b"wild",)),), 600, "x.wild.example.com")),
        ("x.y.wild.example.com", R.TXT, Found((TxtRecord((b"wild",)),), 600, "x.y.wild.example.com")),
        ("x.wild.example.com", R.A, NO_DATA),
        ("wild.example.com", R.TXT, NO_DATA),
        ("deep.wild.example.com", R.TXT, NO_DATA),  # a name that exists is not covered
        ("x.deep.wild.example.com", R.TXT, NO_NAME),  # nor is what lies below it
        # names that cannot be
        ("odd.label.example.com", R.A, NO_NAME),
        ("mail..example.com", R.A, Absent(Absence.NO_SUCH_NAME)),
        ("x" * 64 + ".example.com", R.A, Absent(Absence.NO_SUCH_NAME)),
        # failures
        ("broken.example.com", R.A, Unanswered("servfail")),
        ("broken.example.com", R.TXT, Unanswered("servfail")),
        ("half.example.com", R.TXT, Unanswered("timeout")),
        ("half.example.com", R.A, NO_DATA),
        ("shut.example.com", R.A, Unanswered("refused")),
    ],
)
def test_answers(name: str, record_type: RecordType, answer: DnsAnswer) -> None:
    assert ask(name, record_type) == answer


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a.test. A 192.0.2.1\nb.test. A 192.0.2\n", 2),
        ("a.test. A 192.0.2.1\nb.test. MX\nc.test. A 192.0.2.1\n", 2),
        ("a.test. CNAME b.test.\na.test. A 192.0.2.1\n", 2),
        ("a.test. A 192.0.2.1\na.test. CNAME b.test.\n", 2),
        ("\na..test. A 192.0.2.1\n", 2),
        ('\n\na.test. TXT "open\n', 3),
        ("$INCLUDE /etc/passwd\n", 1),
        ("$GENERATE 1-100000000 h$ A 192.0.2.1\n", 1),
        ("\n;; TIMEOUT\n", 2),
        ("\n;; TIMEOUT a.test NAPTR\n", 2),
        ("\n;; SERVFAIL a..test\n", 2),
    ],
)
def test_a_fault_names_its_line(text: str, line: int) -> None:
    with pytest.raises(ZoneSyntaxError) as caught:
        Zone.parse(text)
    assert caught.value.line_and_column == (line, 1)
    assert caught.value.next_step


def test_records_as_people_write_them() -> None:
    zone = Zone.from_records(
        {
            ("a.test", R.A): ["192.0.2.1", address("192.0.2.2"), "192.0.2.1"],
            ("a.test", R.MX): ["10 mail.a.test."],
            ("a.test", R.TXT): ["x" * 300],
            ("b.test", R.A): Unanswered("timeout"),
        }
    )
    assert zone.answer(DnsQuestion("a.test", R.A)) == Found((address("192.0.2.1"), address("192.0.2.2")), 300, "a.test")
    assert zone.answer(DnsQuestion("a.test", R.MX)) == Found((MxRecord(10, "mail.a.test"),), 300, "a.test")
    assert zone.answer(DnsQuestion("a.test", R.TXT)) == Found((TxtRecord((b"x" * 255, b"x" * 45)),), 300, "a.test")
    assert zone.answer(DnsQuestion("b.test", R.A)) == Unanswered("timeout")
    assert zone.answer(DnsQuestion("b.test", R.TXT)) == Absent(Absence.NO_DATA)


@given(st.text(st.one_of(st.characters(), st.sampled_from('aA1. "\\\n\t();$@*;:')), max_size=60))
def test_any_text_is_a_zone_or_a_syntax_error(text: str) -> None:
    try:
        Zone.parse(text)
    except ZoneSyntaxError as error:
        error.explain()


@given(st.data())
def test_mutated_zone_files_raise_nothing_else(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT) - 1))
    length = data.draw(st.integers(0, 5))
    text = TEXT[:at] + data.draw(st.text(max_size=5)) + TEXT[at + length :]
    try:
        zone = Zone.parse(text)
    except ZoneSyntaxError:
        return
    zone.answer(DnsQuestion("example.com", R.TXT))


@given(st.text(max_size=30), st.sampled_from(RecordType))
def test_any_question_has_an_answer(name: str, record_type: RecordType) -> None:
    assert isinstance(ask(name, record_type), Found | Absent | Unanswered)


def test_many_records_at_one_name_are_read_in_linear_time() -> None:
    text = "".join(f'@ TXT "{number}"\n@ MX {number} mail\n' for number in range(5_000))
    start = time.process_time()
    zone = Zone.parse(f'$ORIGIN a.test.\n{text}@ TXT "0"\n')
    assert time.process_time() - start < 8  # under 2 s; half a minute where a set is hashed anew for each record
    for record_type in (RecordType.TXT, RecordType.MX):
        answer = zone.answer(DnsQuestion("a.test", record_type))
        assert isinstance(answer, Found)
        assert len(answer.records) == 5_000  # the one that is there twice counts once
