"""A message as a whole: the author domain, the verdicts together, the Authentication-Results field."""

import random
from ipaddress import ip_address

import authres
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.dkim import SignaturePolicy, SigningRequest, sign
from dns_checks.dkim.keys import generate_ed25519_key, key_record_text
from dns_checks.dkim.parse import HeaderField, split_message
from dns_checks.dmarc import DmarcResult
from dns_checks.message import (
    AuthservIdSyntaxError,
    MessageVerdict,
    authentication_results,
    find_author,
    strip_results,
    verify_message,
)
from dns_checks.testing import Zone, run
from mailtypes.clock import SECOND, Microseconds
from mailtypes.domain import DomainName

NOW = Microseconds(1_750_000_000 * SECOND)
KEY = generate_ed25519_key()
RECORDS = f"""
$ORIGIN acme.test.
@ TXT "v=spf1 -all"
bounce TXT "v=spf1 ip4:192.0.2.1 -all"
s1._domainkey TXT "{key_record_text(KEY)}"
_dmarc TXT "v=DMARC1; p=reject"
s1._domainkey.esp.test. TXT "{key_record_text(KEY)}"
"""
MESSAGE = b"From: Ann <ann@acme.test>\r\nTo: bo@example.test\r\nSubject: Hi\r\n\r\nHello\r\n"


def signed(message: bytes = MESSAGE, domain: str = "acme.test") -> bytes:
    return sign(message, SigningRequest(DomainName(domain), "s1", KEY, SignaturePolicy()), NOW) + message


def verdict(
    message: bytes, ip: str | None = "192.0.2.1", mail_from: str = "b@bounce.acme.test", more: str = ""
) -> MessageVerdict:
    zone = Zone.parse(RECORDS + more)
    return run(verify_message(message, ip and ip_address(ip), mail_from, "mta.acme.test", NOW), zone)  # type: ignore[arg-type]


def author(*fields: str) -> str | None:
    found = find_author([HeaderField("from", b"From: " + field.encode()) for field in fields])
    assert (found.domain is None) is bool(found.cause)
    return found.domain and found.domain.ascii


@pytest.mark.parametrize(
    ("field", "domain"),
    [
        ("ann@acme.test", "acme.test"),
        ("Ann <ann@acme.test>", "acme.test"),
        ("Ann@evil.test <ann@acme.test>", "acme.test"),
        ('"a@evil.test, <b@evil.test>" <ann@acme.test>', "acme.test"),
        ('"Ann \\" <x@evil.test>" <ann@Acme.Test>', "acme.test"),
        ("ann@acme.test (<x@evil.test>, (\\) nested))", "acme.test"),
        ("<ann@\r\n acme.test>", "acme.test"),
        ('"a@evil.test"@acme.test', "acme.test"),
        ("=?UTF-8?Q?Ann?= <ann@דוגמה.test>", "xn--7dbdlj3a.test"),
        ("Team: ann@acme.test;", "acme.test"),
        ("<@evil.test,@x.test:ann@acme.test>", "acme.test"),
        (",ann@acme.test,", "acme.test"),
        ("ann@acme.test, bo@acme.test", None),
        ("<ann@acme.test> <bo@evil.test>", None),
        ("<ann@acme.test", None),
        ("ann@acme.test> bo", None),
        ("Ann ann@acme.test", None),
        ("<ann@acme.test> bo@evil.test", None),
        ("ann@acme.test@evil.test", None),
        ('"ann <ann@acme.test>', None),
        ("ann@acme.test (", None),
        (") ann@acme.test", None),
        ("ann@[192.0.2.1]", None),
        ("ann@-.test", None),
        ("ann", None),
        ("Nobody:;", None),
        ("", None),
        ("x" * 20_000 + "@acme.test", None),
    ],
)
def test_author(field: str, domain: str | None) -> None:
    if domain == "xn--7dbdlj3a.test":
        domain = DomainName.parse("דוגמה.test").ascii
    assert author(field) == domain


def test_author_needs_one_field() -> None:
    assert author() is None
    assert author("a@acme.test", "a@acme.test") is None


@given(st.text(alphabet='"()<>@,:;\\[] \tab.é\r\n', max_size=40))
def test_author_reads_anything(text: str) -> None:
    author(text)


def test_everything_passes() -> None:
    found = verdict(signed())
    assert found.spf is not None
    assert (found.spf.result, found.dkim[0].result, found.dmarc_result) == ("pass", "pass", "pass")
    assert found.arc.result == "none"


def test_dmarc_takes_any_aligned_pass() -> None:
    # SPF fails and the first signature is somebody else's; the second is aligned.
    both = sign(signed(), SigningRequest(DomainName("esp.test"), "s1", KEY, SignaturePolicy()), NOW) + signed()
    found = verdict(both, ip="203.0.113.9")
    assert found.spf is not None
    assert [one.domain for one in found.dkim] == ["esp.test", "acme.test"]
    assert (found.spf.result, found.dmarc_result) == ("fail", "pass")
    assert verdict(signed(domain="esp.test"), ip="203.0.113.9").dmarc_result is DmarcResult.FAIL
    # A forwarder's SPF pass is not aligned, and no signature helps.
    assert verdict(MESSAGE, mail_from="x@esp.test", more='esp.test. TXT "v=spf1 +all"').dmarc_result == "fail"


def test_without_an_address_dmarc_rests_on_dkim() -> None:
    found = verdict(signed(), ip=None)
    assert (found.spf, found.dmarc_result) == (None, "pass")
    assert verdict(MESSAGE, ip=None).dmarc_result == "fail"


def test_an_empty_reverse_path_uses_helo() -> None:
    found = verdict(MESSAGE, mail_from="", more='mta.acme.test. TXT "v=spf1 ip4:192.0.2.1 -all"')
    assert found.dmarc_result is DmarcResult.PASS
    assert "smtp.helo=mta.acme.test" in authentication_results("mx.test", found)


def test_two_authors_are_a_permerror() -> None:
    found = verdict(signed(MESSAGE.replace(b"From: Ann <ann@acme.test>", b"From: ann@acme.test, bo@evil.test")))
    assert (found.dmarc, found.dmarc_result) == (None, "permerror")
    assert "2 addresses" in found.dmarc_cause


def test_silence_is_no_failure() -> None:
    assert verdict(MESSAGE, more="\n;; TIMEOUT bounce.acme.test\n").dmarc_result is DmarcResult.TEMPERROR
    found = verdict(MESSAGE, more="\n;; SERVFAIL _dmarc.acme.test\n")
    assert found.dmarc_result is DmarcResult.TEMPERROR


def read(text: str) -> authres.AuthenticationResultsHeader:
    for line in text.split("\r\n"):
        assert len(line) <= 998
        assert line.isascii()
        assert line.replace("\t", "").isprintable()
    return authres.AuthenticationResultsHeader.parse(text)


def test_authres_reads_the_field() -> None:
    text = authentication_results("mx.example.test", verdict(signed(), ip="203.0.113.9"))
    assert max(map(len, text.split("\r\n"))) <= 120
    header = read(text)
    assert header.authserv_id == "mx.example.test"
    found = {one.method: one for one in header.results}
    assert {name: one.result for name, one in found.items()} == {
        "spf": "fail",
        "dkim": "pass",
        "dmarc": "pass",
        "arc": "none",
    }
    assert found["spf"].smtp_mailfrom == "b@bounce.acme.test"
    assert (found["dkim"].header_d, found["dkim"].header_a, found["dkim"].header_s) == (
        "acme.test",
        "ed25519-sha256",
        "s1",
    )
    assert [f"{one.type}.{one.name}={one.value}" for one in found["dmarc"].properties] == ["header.from=acme.test"]
    assert "-all matches" in found["spf"].reason


def test_an_unsigned_message() -> None:
    header = read(authentication_results("mx.test", verdict(MESSAGE, ip=None)))
    assert [f"{one.method}={one.result}" for one in header.results] == ["dkim=none", "dmarc=fail", "arc=none"]


@pytest.mark.parametrize(
    "mail_from",
    [
        'x"y@acme.test', "a b@acme.test", "a;dkim=pass@acme.test", "a(b@acme.test", "a@acme.test; dmarc=pass",
        "a\r\nX: y@acme.test", "a\\@acme.test", "é@acme.test", "\ud800@acme.test", "@", "a@", "@acme.test",
    ],
)  # fmt: skip
def test_what_the_client_says_cannot_break_out(mail_from: str) -> None:
    header = read(authentication_results("mx.test", verdict(MESSAGE, mail_from=mail_from)))
    assert [one.method for one in header.results] == ["spf", "dkim", "dmarc", "arc"]
    assert header.results[2].result != "pass"


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_envelope_is_written_cleanly(mail_from: str, helo: str) -> None:
    found = run(verify_message(MESSAGE, ip_address("192.0.2.1"), mail_from, helo, NOW), Zone.parse(RECORDS))
    header = read(authentication_results("mx.test", found))
    assert [one.method for one in header.results] == ["spf", "dkim", "dmarc", "arc"]


@pytest.mark.parametrize("name", ["", "a\r\nb", "é.test", "x" * 300, "a\0"])
def test_the_authserv_id_is_checked(name: str) -> None:
    with pytest.raises(AuthservIdSyntaxError):
        authentication_results(name, verdict(MESSAGE))


OURS = [
    b"Authentication-Results: mx.test; dkim=pass\r\n",
    b"authentication-results:\tMX.Test; dkim=pass\r\n",
    b"Authentication-Results : mx.test 1; dkim=pass\r\n",
    b"Authentication-Results:\r\n (other.test; (\\) x)) mx.test;\r\n\tdkim=pass\r\n",
    b'Authentication-Results: "mx\\.test"; dkim=pass\r\n',
    b'Authentication-Results: "mx.test; dkim=pass\r\n',
    b"Authentication-Results: (never ends mx.test; dkim=pass\r\n",
    b"Authentication-Results:\r\n",
    b"Authentication-Results: mx.test;dkim=pass\n",
]
OTHERS = [
    b"Authentication-Results: other.test; dkim=pass\r\n",
    b"Authentication-Results: notmx.test; dkim=pass (mx.test)\r\n",
    b"X-Authentication-Results: mx.test; dkim=pass\r\n",
    b"ARC-Authentication-Results: i=1; mx.test; dkim=pass\r\n",
]


@pytest.mark.parametrize("field", OURS)
def test_forged_fields_are_removed(field: bytes) -> None:
    assert strip_results(b"X: 1\r\n y\r\n" + field + MESSAGE, "mx.test") == b"X: 1\r\n y\r\n" + MESSAGE
    assert strip_results(field + MESSAGE, "mx.test") == MESSAGE


@pytest.mark.parametrize("field", OTHERS)
def test_others_fields_stay(field: bytes) -> None:
    assert strip_results(field + MESSAGE + OURS[0], "mx.test") == field + MESSAGE + OURS[0]


def test_line_ends_stay_as_they_are() -> None:
    message = (OTHERS[0] + OURS[3] + MESSAGE).replace(b"\r\n", b"\n")
    assert strip_results(message, "mx.test") == (OTHERS[0] + MESSAGE).replace(b"\r\n", b"\n")
    assert strip_results(b"\r\n" + OURS[0] + b"\r\n\r\n", "mx.test") == b"\r\n" + OURS[0] + b"\r\n\r\n"
    assert strip_results(OURS[0], "mx.test") == b""
    name = "דוגמה.test"
    field = f"Authentication-Results: {DomainName.parse(name).ascii}; dkim=pass\r\n".encode()
    assert strip_results(field + MESSAGE, name) == MESSAGE


@given(st.binary(max_size=200))
def test_stripping_takes_any_octets(octets: bytes) -> None:
    strip_results(octets, "mx.test")
    stripped = strip_results(b"Authentication-Results: " + octets + b"\r\n\r\n", "mx.test")
    assert b"\nauthentication-results: mx.test;" not in b"\n" + stripped.partition(b"\r\n\r\n")[0].lower()


def test_mutated_messages_raise_nothing() -> None:
    chance = random.Random(7)
    message = bytearray(signed())
    for _ in range(300):
        copy = bytearray(message)
        for _ in range(chance.randint(1, 6)):
            copy[chance.randrange(len(copy))] = chance.randrange(256)
        found = verdict(bytes(copy))
        read(authentication_results("mx.test", found))
    assert split_message(bytes(message))


def test_a_header_without_end_is_judged_without_reading_it() -> None:
    found = verdict(b"X: y\r\n" * 100_000 + signed())
    assert (str(found.dkim[0].result), str(found.dmarc_result), str(found.arc.result)) == (
        "policy",
        "permerror",
        "fail",
    )
    assert found.dmarc_cause == "the header has too many lines"


def test_signatures_by_the_thousand_make_no_long_results_field() -> None:
    one = signed()[: -len(MESSAGE)]
    field = authentication_results("mx.example.test", verdict(one * 3_000 + MESSAGE))
    assert field.count("dkim=") == 11
    assert len(field) < 4_000
