"""Verification: the RFCs' examples, dkimpy's signatures, broken and hostile ones."""

import os
import time
from datetime import timedelta
from pathlib import Path

import dkim as dkimpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dns_checks.dkim import DkimResult, DkimVerdict, SignaturePolicy, SigningRequest, VerifyPolicy, sign, verify
from dns_checks.dkim.canonical import relaxed_body, relaxed_header_field
from dns_checks.dkim.keys import generate_rsa_key, key_record_text, private_key_to_pem
from dns_checks.dkim.parse import split_message
from dns_checks.testing import RecordsByQuestion, Zone, run
from mailtypes.clock import SECOND, Microseconds, SystemClock
from mailtypes.domain import DomainName
from mailtypes.questions import RecordType, Unanswered

SHARED = Path(os.environ.get("POSTWRIGHT_SHARED", Path(__file__).parents[3] / "shared"))
EXAMPLES = SHARED / "conformance" / "dkim"
NOW = Microseconds(1_750_000_000 * SECOND)
DOMAIN = DomainName("acme.test")
KEY = generate_rsa_key(2048)
KEY_NAME = "s1._domainkey.acme.test"
RECORD = key_record_text(KEY)
MESSAGE = b"From: a@acme.test\r\nTo: b@example.test\r\nSubject: Hi\r\n\r\nHello\r\nBye\r\n"

# As printed in RFC 6376 appendix C and RFC 8463 appendix A.2.
BRISBANE_RSA = (
    "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt"
    "IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi"
    "tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)
TEST_RSA = (
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bd"
    "OKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLz"
    "BfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
)
BRISBANE_ED25519 = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
EXAMPLE_ZONE = Zone.from_records(
    {
        ("brisbane._domainkey.example.com", RecordType.TXT): [BRISBANE_RSA],
        ("brisbane._domainkey.football.example.com", RecordType.TXT): [BRISBANE_ED25519],
        ("test._domainkey.football.example.com", RecordType.TXT): [TEST_RSA],
    }
)


def zone(*records: str) -> Zone:
    return Zone.from_records({(KEY_NAME, RecordType.TXT): list(records)})


def verdicts(message: bytes, *records: str, policy: VerifyPolicy | None = None) -> tuple[DkimVerdict, ...]:
    # dkimpy dates its signatures by the machine's clock, ours are dated NOW: the later moment suits both.
    now = max(NOW, SystemClock().now())
    return run(verify(message, now, policy or VerifyPolicy()), zone(*(records or (RECORD,))))


def only(message: bytes, *records: str) -> DkimVerdict:
    (verdict,) = verdicts(message, *records)
    return verdict


def signed(message: bytes = MESSAGE, **policy: object) -> bytes:
    request = SigningRequest(DOMAIN, "s1", KEY, SignaturePolicy(**policy))  # type: ignore[arg-type]
    return sign(message, request, NOW) + message


def by_dkimpy(message: bytes, **options: object) -> bytes:
    field: bytes = dkimpy.sign(message, b"s1", b"acme.test", private_key_to_pem(KEY), **options)
    return field + message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rfc6376-A.2", ["pass"]),
        ("rfc6376-A.2-body_modified", ["fail"]),
        ("rfc6376-A.2-header_subject_modified", ["fail"]),
        ("rfc6376-A.2-ill_formed-list_id", ["pass"]),
        ("rfc6376-A.2-ill_formed-missing_v", ["permerror"]),
        ("rfc8463-A.3", ["pass", "pass"]),
        ("rfc8463-A.3-key_algo_mismatch", ["permerror", "permerror"]),
    ],
)
def test_the_examples_of_the_rfcs(name: str, expected: list[str]) -> None:
    if not EXAMPLES.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"no conformance data at {EXAMPLES}")
        pytest.skip(f"no conformance data at {EXAMPLES}")
    message = (EXAMPLES / f"{name}.eml").read_bytes()
    for form in (message, message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")):
        assert [verdict.result for verdict in run(verify(form, NOW), EXAMPLE_ZONE)] == expected


names = st.sampled_from(["To", "Cc", "Subject", "Date", "Message-ID", "X-Other", "Reply-To", "subject"])
texts = st.text("ab: \t;=<>@,\u05d0", max_size=30)
bodies = st.lists(st.text("ab \t.\u05d0", max_size=20), max_size=12)
ways = st.sampled_from([b"simple", b"relaxed"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(names, texts, texts), max_size=8), bodies, ways, ways)
def test_what_dkimpy_signs_we_verify(
    fields: list[tuple[str, str, str]], lines: list[str], header_way: bytes, body_way: bytes
) -> None:
    header = "".join(f"{name}: {first}\r\n\t{second}\r\n" for name, first, second in fields)
    message = (header + "From: a@acme.test\r\n\r\n" + "".join(line + "\r\n" for line in lines)).encode()
    whole = by_dkimpy(message, canonicalize=(header_way, body_way), identity=b"@acme.test")
    assert dkimpy.verify(whole, dnsfunc=lambda name, timeout=5: RECORD.encode())
    assert only(whole).result is DkimResult.PASS
    assert only(whole + b"more\r\n").result is DkimResult.FAIL


class TestVerdicts:
    def test_none(self) -> None:
        assert only(MESSAGE).result is DkimResult.NONE

    def test_pass_says_who(self) -> None:
        verdict = only(signed())
        assert (verdict.result, verdict.domain, verdict.selector) == (DkimResult.PASS, "acme.test", "s1")
        assert (verdict.algorithm, verdict.identity, verdict.key_bits) == ("rsa-sha256", "@acme.test", 2048)
        assert "subject" in verdict.signed_names

    def test_selector_unknown_is_not_the_same_as_could_not_find_out(self) -> None:
        absent = run(verify(signed(), NOW), Zone.from_records({}))[0]
        assert (absent.result, absent.cause) == (DkimResult.PERMERROR, "no key for signature")
        failing: RecordsByQuestion = {(KEY_NAME, RecordType.TXT): Unanswered("timeout")}
        unknown = run(verify(signed(), NOW), Zone.from_records(failing))[0]
        assert unknown.result is DkimResult.TEMPERROR
        assert "timeout" in unknown.cause

    @pytest.mark.parametrize(
        ("record", "why"),
        [
            ("v=DKIM1; p=", "revoked"),
            (RECORD.replace("k=rsa;", "k=rsa; h=sha1;"), "h="),
            (RECORD.replace("k=rsa;", "k=rsa; s=tlsrpt;"), "s="),
            (RECORD.replace("DKIM1", "DKIM2"), "version"),
            (BRISBANE_ED25519, "ed25519"),
            ("not a key", "not valid"),
        ],
    )
    def test_records_that_do_not_serve(self, record: str, why: str) -> None:
        verdict = only(signed(), record)
        assert verdict.result is DkimResult.PERMERROR
        assert why in verdict.cause

    def test_another_key_fails(self) -> None:
        assert only(signed(), key_record_text(generate_rsa_key(2048))).result is DkimResult.FAIL

    def test_one_good_record_among_several_is_enough(self) -> None:
        assert only(signed(), "v=spf1 -all", RECORD).result is DkimResult.PASS

    def test_short_keys_are_refused_by_policy(self) -> None:
        policy = VerifyPolicy(min_rsa_bits=3072)
        assert verdicts(signed(), policy=policy)[0].result is DkimResult.POLICY

    def test_testing_flag_is_told(self) -> None:
        verdict = only(signed(), key_record_text(KEY, testing=True))
        assert (verdict.result, verdict.is_testing) == (DkimResult.PASS, True)

    def test_strict_flag_wants_the_very_domain(self) -> None:
        strict = RECORD.replace("k=rsa;", "k=rsa; t=s;")
        assert only(signed(identity="x@acme.test"), strict).result is DkimResult.PASS
        below = signed(identity="x@mail.acme.test")
        assert only(below).result is DkimResult.PASS
        assert only(below, strict).result is DkimResult.PERMERROR


class TestTimes:
    def at(self, message: bytes, seconds: int) -> DkimVerdict:
        return run(verify(message, Microseconds(NOW + seconds * SECOND)), zone(RECORD))[0]

    def test_expiry(self) -> None:
        message = signed(lifetime=timedelta(hours=1))
        assert self.at(message, 3600).result is DkimResult.PASS
        expired = self.at(message, 3601)
        assert (expired.result, expired.cause) == (DkimResult.PERMERROR, "the signature has expired")

    def test_dated_in_the_future(self) -> None:
        assert self.at(signed(), -3600).result is DkimResult.PASS
        assert self.at(signed(), -3601).result is DkimResult.NEUTRAL


class TestBodyLength:
    def test_what_lies_behind_is_not_vouched_for(self) -> None:
        message = by_dkimpy(MESSAGE, length=True, canonicalize=(b"relaxed", b"relaxed"))
        whole = only(message)
        assert (whole.result, whole.body_length) == (DkimResult.PASS, len(b"Hello\r\nBye\r\n"))
        longer = message + b"<a href=evil>\r\n"
        assert only(longer).result is DkimResult.POLICY
        tolerant = VerifyPolicy(accept_partial_body=True)
        assert verdicts(longer, policy=tolerant)[0].result is DkimResult.PASS
        assert only(message[:-5]).result is DkimResult.PERMERROR


class TestBrokenFields:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (b"v=1;", b""),
            (b"v=1;", b"v=2;"),
            (b"v=1;", b"v=1; v=1;"),
            (b"a=rsa-sha256", b"a=rsa-sha1"),
            (b"a=rsa-sha256", b"a=none"),
            (b"c=relaxed/relaxed", b"c=relaxed/loose"),
            (b"d=acme.test", b"d=-"),
            (b"s=s1", b"s=s 1"),
            (b"h=From:From", b"h=X"),
            (b"t=1750000000", b"t=soon"),
            (b"t=1750000000", b"t=1750000000; x=1750000000"),
            (b"t=1750000000", b"t=1750000000; l=-1"),
            (b"t=1750000000", b"t=1750000000; l=999999"),
            (b"t=1750000000", b"t=1750000000; i=@evil.test"),
            (b"t=1750000000", b"t=1750000000; i=@notacme.test"),
            (b"t=1750000000", b"t=1750000000; q=http"),
            (b"bh=", b"bh=#"),
            (b" b=", b" b=#"),
        ],
    )
    def test_permerror_with_a_cause(self, before: bytes, after: bytes) -> None:
        message = signed(oversigned=("From",), signed=("To",))
        assert message.count(before) == 1
        verdict = only(message.replace(before, after))
        assert verdict.result is DkimResult.PERMERROR
        assert verdict.cause

    def test_only_so_many_signatures_are_looked_at(self) -> None:
        questions = 0

        class Counting(Zone):
            def answer(self, question):  # type: ignore[no-untyped-def]
                nonlocal questions
                questions += 1
                return super().answer(question)

        message = signed()[: -len(MESSAGE)] * 500 + MESSAGE
        found = run(verify(message, NOW, VerifyPolicy(max_signatures=4)), Counting())
        assert [v.result for v in found] == [DkimResult.PERMERROR] * 4 + [DkimResult.NEUTRAL]
        assert found[-1].cause == "496 more signatures are not evaluated: at most 4 are"
        assert questions == 4

    def test_long_fields_and_lines_are_refused_by_policy(self) -> None:
        policy = VerifyPolicy(max_field_octets=300, max_line_octets=100)
        assert verdicts(signed(), policy=policy)[0].result is DkimResult.POLICY
        policy = VerifyPolicy(max_line_octets=100)
        assert verdicts(signed(MESSAGE + b"x" * 101 + b"\r\n"), policy=policy)[0].result is DkimResult.POLICY

    def test_a_header_without_end_is_not_split_into_fields(self) -> None:
        flood = b"X: y\r\n" * 100_000
        (verdict,) = verdicts(flood + signed())
        assert (verdict.result, verdict.cause) == (DkimResult.POLICY, "the header has too many lines")
        assert verdicts(flood.replace(b"\r", b""))[0].result is DkimResult.POLICY
        # Bare LFs end no header of the wire, and what stands in the body is no header.
        assert verdicts(b"A: b\r\n\n\n" + flood)[0].result is DkimResult.POLICY
        assert verdicts(b"\r\n" + flood)[0].result is DkimResult.NONE
        assert only(signed(MESSAGE + flood)).result is DkimResult.PASS

    def test_a_field_name_that_only_looks_signed_is_not_taken(self) -> None:
        message = signed()
        assert only(message.replace(b"Subject: Hi", b"Sub ject: Hi")).result is DkimResult.FAIL


def test_a_line_of_200_000_spaces_verifies_quickly() -> None:
    message = signed(MESSAGE + b" " * 200_000 + b"x\r\n")
    durations = []
    for _ in range(3):
        start = time.process_time()
        assert only(message).result is DkimResult.PASS
        durations.append(time.process_time() - start)
    assert min(durations) < 0.05


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_messages_never_raise_and_never_pass_with_another_subject(data: st.DataObject) -> None:
    message = bytearray(signed())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(message) - 1))
        message[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    octets = bytes(message)
    for verdict in verdicts(octets):
        assert verdict.cause
        if verdict.result is DkimResult.PASS:
            assert relaxed_body(split_message(octets)[1]) == b"Hello\r\nBye\r\n"
            assert any(relaxed_header_field(field.octets) == b"subject:Hi" for field in split_message(octets)[0])


@given(st.binary(max_size=200))
def test_random_octets_never_raise(octets: bytes) -> None:
    verdicts(octets)
    verdicts(b"DKIM-Signature: " + octets + b"\r\n" + MESSAGE)
