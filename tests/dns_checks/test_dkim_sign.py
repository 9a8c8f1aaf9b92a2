"""Signing: what a signature covers, how it is laid out, what is refused, and that dkimpy agrees."""

from datetime import timedelta

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from dns_checks.dkim import (
    DkimResult,
    SignaturePolicy,
    Signer,
    SigningRequest,
    UnsignableMessageError,
    sign,
    verify,
)
from dns_checks.dkim.keys import generate_ed25519_key, generate_rsa_key, key_record_text
from dns_checks.dkim.sealing import seal_all
from dns_checks.dkim.sign import unsealed_all, unsealed_canonical
from dns_checks.testing import Zone, run
from mailtypes.clock import SECOND, Microseconds
from mailtypes.domain import DomainName
from mailtypes.questions import RecordType

DOMAIN = DomainName("news.acme.test")
NOW = Microseconds(1_750_000_000 * SECOND + 999_999)
RSA = generate_rsa_key(2048)
ED25519 = generate_ed25519_key()
HEADER = (
    b"From: Acme <news@news.acme.test>\r\nTo: noa@example.test\r\nSubject: Hello\r\nDate: Fri, 11 Jul 2025 21:00:37 "
    b"+0000\r\nMessage-ID: <1@news.acme.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
    b"List-Id: <weekly.news.acme.test>\r\nList-Unsubscribe: <https://c.acme.test/u/1>,\r\n <mailto:u@acme.test>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nFeedback-ID: 1:acme:bulk:pw\r\n"
)
MESSAGE = HEADER + b"\r\nHello  there \r\n\r\nBye\r\n\r\n"


def request(key: RSAPrivateKey | Ed25519PrivateKey = RSA, **policy: object) -> SigningRequest:
    selector = "rsa1" if isinstance(key, RSAPrivateKey) else "ed1"
    return SigningRequest(DOMAIN, selector, key, SignaturePolicy(**policy))  # type: ignore[arg-type]


ZONE = Zone.from_records(
    {
        ("rsa1._domainkey.news.acme.test", RecordType.TXT): [key_record_text(RSA)],
        ("ed1._domainkey.news.acme.test", RecordType.TXT): [key_record_text(ED25519)],
    }
)


def dkimpy_accepts(message: bytes) -> bool:
    return bool(dkimpy.verify(message, dnsfunc=lambda name, timeout=5: key_record_text(RSA).encode()))


def tags_of(field: bytes) -> dict[str, str]:
    value = field.decode().partition(":")[2]
    return {name.strip(): "".join(v.split()) for name, _, v in (part.partition("=") for part in value.split(";"))}


def results(message: bytes) -> list[DkimResult]:
    return [verdict.result for verdict in run(verify(message, NOW), ZONE)]


class TestWhatIsCovered:
    def test_dkimpy_and_we_verify_it(self) -> None:
        signed = sign(MESSAGE, request(), NOW) + MESSAGE
        assert dkimpy_accepts(signed)
        assert results(signed) == [DkimResult.PASS]

    def test_h_lists_what_the_message_has_and_oversigns(self) -> None:
        names = tags_of(sign(MESSAGE, request(), NOW))["h"].lower().split(":")
        counts = {name: names.count(name) for name in names}
        for twice in ("from", "to", "subject", "date", "list-id", "list-unsubscribe", "list-unsubscribe-post"):
            assert counts[twice] == 2, twice
        for covered in ("feedback-id", "message-id", "mime-version", "content-type"):
            assert counts[covered] >= 1, covered
        assert counts["reply-to"] == 1
        assert "list-help" not in counts

    @pytest.mark.parametrize("name", ["From", "Subject", "To", "Date", "Reply-To", "List-Unsubscribe", "Content-Type"])
    @pytest.mark.parametrize("at_the_top", [True, False])
    def test_an_added_field_breaks_the_signature(self, name: str, at_the_top: bool) -> None:
        field = sign(MESSAGE, request(), NOW)
        added = name.encode() + b": something else\r\n"
        changed = added + field + MESSAGE if at_the_top else field + HEADER + added + MESSAGE[len(HEADER) :]
        assert results(changed) == [DkimResult.FAIL]
        assert not dkimpy_accepts(changed)

    def test_every_covered_octet_counts(self) -> None:
        signed = sign(MESSAGE, request(), NOW) + MESSAGE
        for before, after in ((b"Acme", b"Acne"), (b"/u/1", b"/u/2"), (b"Bye", b"By"), (b"bulk", b"bulb")):
            assert signed.count(before) >= 1
            assert results(signed.replace(before, after)) != [DkimResult.PASS], before

    def test_fields_that_occur_twice_are_taken_from_the_bottom_up(self) -> None:
        message = b"References: one\r\nReferences: two\r\n" + MESSAGE
        signed = sign(message, request(), NOW) + message
        assert dkimpy_accepts(signed)
        swapped = signed.replace(b"References: one\r\nReferences: two", b"References: two\r\nReferences: one")
        assert results(swapped) == [DkimResult.FAIL]

    def test_ed25519_and_rsa_side_by_side(self) -> None:
        both = [Signer(request()), Signer(request(ED25519))]
        signed = b"".join(seal_all(unsealed_all(both, MESSAGE, NOW))) + MESSAGE
        assert results(signed) == [DkimResult.PASS, DkimResult.PASS]
        fields = [b"DKIM-Signature:" + part for part in signed.split(b"DKIM-Signature:")[1:]]
        assert [tags_of(field)["a"] for field in fields] == ["rsa-sha256", "ed25519-sha256"]


class TestLayout:
    def test_deterministic_and_dated_by_the_caller(self) -> None:
        signer = Signer(request(lifetime=timedelta(days=7)))
        first = signer.sign(MESSAGE, NOW)
        assert first == signer.sign(MESSAGE, NOW) == sign(MESSAGE, request(lifetime=timedelta(days=7)), NOW)
        assert tags_of(first)["t"] == "1750000000"
        assert tags_of(first)["x"] == str(1_750_000_000 + 7 * 86_400)

    def test_lines_are_short_and_crlf_only(self) -> None:
        field = sign(MESSAGE, request(lifetime=timedelta(days=7), identity="@mail.news.acme.test"), NOW)
        assert field.startswith(b"DKIM-Signature: v=1;")
        assert field.endswith(b"\r\n")
        lines = field[:-2].split(b"\r\n")
        assert max(map(len, lines)) < 78
        assert all(line.startswith(b" ") for line in lines[1:])
        assert b"\n" not in field.replace(b"\r\n", b"")

    def test_a_signer_meets_many_shapes_of_header(self) -> None:
        signer = Signer(request())
        for count in range(300):
            message = b"References: r\r\n" * count + MESSAGE
            assert results(signer.sign(message, NOW) + message) == [DkimResult.PASS]

    def test_header_and_body_apart_give_the_same(self) -> None:
        body = b"Hello there\r\n\r\nBye\r\n"
        fields = unsealed_canonical([Signer(request())], HEADER, body, NOW)
        assert seal_all(fields) == [sign(HEADER + b"\r\n" + body, request(), NOW)]


class TestRefusals:
    @pytest.mark.parametrize(
        ("message", "why"),
        [
            (MESSAGE.replace(b"From:", b"Form:"), "From"),
            (b"From: a@b.test\r\n" + MESSAGE, "From"),
            (MESSAGE + b"bare\nline\r\n", "bare"),
            (MESSAGE + b"bare\rline\r\n", "bare"),
            (MESSAGE + b"\n\r", "bare"),
            (MESSAGE + b"\r\r\n", "bare"),
            (MESSAGE.replace(b"\r\n", b"\n"), "bare"),
            (MESSAGE.replace(b"Hello\r\n", b"Hel\nlo\r\n", 1), "bare"),
            (MESSAGE + b"\0\r\n", "NUL"),
            (MESSAGE.replace(b"Hello", b"Hel\0lo", 1), "NUL"),
            (MESSAGE.replace(b"Hello", "שלום".encode(), 1), "header"),
            (MESSAGE.replace(b"Hello", b"Hel\x0blo", 1), "header"),
            (HEADER[:-2], "empty line"),
            (b"no field here\r\n" + MESSAGE, "no field"),
            (b" folded: first\r\n" + MESSAGE, "no field"),
            (b"\r\n" + MESSAGE, "no field"),
            (b": nameless\r\n" + MESSAGE, "no field"),
            (b"", "empty line"),
        ],
    )
    def test_refused_with_the_reason(self, message: bytes, why: str) -> None:
        with pytest.raises(UnsignableMessageError) as caught:
            sign(message, request(), NOW)
        assert why in caught.value.message
        assert caught.value.next_step

    def test_utf8_headers_only_by_policy_and_only_valid(self) -> None:
        message = MESSAGE.replace(b"Hello", "שלום".encode(), 1)
        signed = sign(message, request(allow_utf8_headers=True), NOW) + message
        assert results(signed) == [DkimResult.PASS]
        with pytest.raises(UnsignableMessageError, match="UTF-8"):
            sign(MESSAGE.replace(b"Hello", b"\xd7\xff", 1), request(allow_utf8_headers=True), NOW)

    def test_policies_and_requests_that_cannot_work(self) -> None:
        with pytest.raises(ValueError, match="From"):
            SignaturePolicy(oversigned=("To",), signed=())
        with pytest.raises(ValueError, match="twice"):
            SignaturePolicy(signed=("FROM",))
        with pytest.raises(ValueError, match="identity"):
            Signer(request(identity="@elsewhere.test"))
        with pytest.raises(ValueError, match="local part"):
            Signer(request(identity="a\r\nBcc: x;@news.acme.test"))
        with pytest.raises(Exception, match="label"):
            Signer(SigningRequest(DOMAIN, "s;\r\nBcc: x", RSA))


ascii_text = st.text(st.sampled_from("ab: \t;=<>@,"), max_size=30)
values = st.lists(ascii_text, min_size=1, max_size=3).map("\r\n ".join)
names = st.sampled_from(
    ["To", "Cc", "Subject", "Date", "Message-ID", "X-Other", "List-Id", "subject", "CONTENT-TYPE", "Sender"]
)
bodies = st.lists(st.text(st.sampled_from("ab \t.\u05d0"), max_size=20), max_size=12).map(
    lambda lines: "".join(line + "\r\n" for line in lines).encode()
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(names, values), max_size=8), bodies, st.sampled_from([" ", "", "\t", " \r\n "]))
def test_dkimpy_verifies_whatever_we_sign(fields: list[tuple[str, str]], body: bytes, gap: str) -> None:
    header = "".join(f"{name}:{gap}{value}\r\n" for name, value in fields) + "From: a@news.acme.test\r\n"
    message = header.encode() + b"\r\n" + body
    signed = sign(message, request(), NOW) + message
    assert dkimpy_accepts(signed)
    assert results(signed) == [DkimResult.PASS]


def test_the_body_hash_is_the_rfcs_own() -> None:
    # RFC 6376 section 3.4.4: the hash of an empty body in relaxed form.
    message = HEADER + b"\r\n"
    expected = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert tags_of(sign(message, request(), NOW))["bh"] == expected
    assert tags_of(sign(message + b" \r\n\t\r\n", request(), NOW))["bh"] == expected
