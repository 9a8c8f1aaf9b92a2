"""ARC chains: the ARC test suite's, chains that dkimpy seals, keys that do not answer, hostile ones."""

import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import dkim as dkimpy
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dns_checks import arc
from dns_checks.arc import ArcResult
from dns_checks.dkim.keys import generate_rsa_key, key_record_text, private_key_to_pem
from dns_checks.testing import Zone, run
from mailtypes.questions import RecordType, Unanswered

SHARED = Path(os.environ.get("POSTWRIGHT_SHARED", Path(__file__).parents[4] / "shared"))
SUITE = SHARED / "conformance" / "arc" / "arc-draft-validation-tests.yml"
# Chains that a seal's cv=fail ended: the suite (of a draft) gives them no status, RFC 8617 section 5.2 step 2 "fail".
DIFFERENT = {"cv_fail_i1_as_cv_fail", "cv_fail_i2_as2_fail", "cv_fail_i2_as1_fail"}
KEY = generate_rsa_key(1024)
ZONE = Zone.from_records({("s._domainkey.relay.test", RecordType.TXT): [key_record_text(KEY)]})
MESSAGE = b"From: a@acme.test\r\nTo: b@example.test\r\nSubject: Hi\r\n\r\nHello  \r\nBye\r\n"
RESULTS = b"Authentication-Results: relay.test; spf=pass smtp.mailfrom=a@acme.test%s\r\n"


@cache
def suite() -> list[dict[str, Any]]:
    with SUITE.open() as file:
        return list(yaml.safe_load_all(file))


def cases() -> list[Any]:
    if not SUITE.exists():
        return []
    return [
        pytest.param(number, name, id=f"{number}-{name}")
        for number, scenario in enumerate(suite())
        for name in scenario["tests"]
    ]


def test_the_suite_is_there() -> None:
    if not SUITE.exists() and not os.environ.get("CI"):
        pytest.skip(f"{SUITE} is not there")
    assert len(cases()) > 150


@pytest.mark.parametrize(("number", "name"), cases())
def test_arc_suite(number: int, name: str) -> None:
    scenario = suite()[number]
    case = scenario["tests"][name]
    records = {(host, RecordType.TXT): [text] for host, text in scenario["txt-records"].items()}
    verdict = run(arc.verify(case["message"].encode()), Zone.from_records(records))
    wanted = "fail" if name in DIFFERENT else str(case["cv"] or "none").lower()
    assert str(verdict.result) == wanted, verdict.cause


def sealed(message: bytes = MESSAGE, results: bytes = b"") -> bytes:
    stamped = RESULTS % results + message
    fields = dkimpy.arc_sign(stamped, b"s", b"relay.test", private_key_to_pem(KEY), b"relay.test")
    return b"".join(fields) + stamped


def test_a_chain_of_two() -> None:
    first = sealed()
    verdict = run(arc.verify(first), ZONE)
    assert (verdict.result, [one.instance for one in verdict.sets]) == (ArcResult.PASS, [1])
    assert (verdict.sets[0].domain, verdict.sets[0].selector) == ("relay.test", "s")
    assert "spf=pass" in verdict.sets[0].results
    second = sealed(first.replace(b"Authentication-Results: relay", b"X: relay", 1), b";\r\n arc=pass")
    verdict = run(arc.verify(second), ZONE)
    assert (verdict.result, [one.instance for one in verdict.sets]) == (ArcResult.PASS, [2, 1])


def test_a_changed_body_breaks_the_chain_and_added_white_space_does_not() -> None:
    message = sealed()
    assert run(arc.verify(message.replace(b"Bye", b"Buy")), ZONE).result is ArcResult.FAIL
    assert run(arc.verify(message.replace(b"Bye\r\n", b"Bye \t \r\n\r\n")), ZONE).result is ArcResult.PASS
    assert run(arc.verify(message.replace(b"\r\n", b"\n")), ZONE).result is ArcResult.PASS


def test_a_key_that_does_not_answer_is_no_failure() -> None:
    silent = Zone.from_records({("s._domainkey.relay.test", RecordType.TXT): Unanswered("timeout")})
    verdict = run(arc.verify(sealed()), silent)
    assert (verdict.result, "timeout" in verdict.cause) == (ArcResult.UNKNOWN, True)
    assert run(arc.verify(sealed()), Zone()).result is ArcResult.FAIL


def test_no_set_asks_nothing() -> None:
    assert run(arc.verify(MESSAGE), None).result is ArcResult.NONE  # type: ignore[arg-type]


def test_white_space_costs_linear_time() -> None:
    head, _, _ = sealed().partition(b"\r\n\r\n")
    message = head + b"\r\n\r\n" + b" " * 200_000 + b"x\r\n"
    started = time.process_time()
    assert run(arc.verify(message), ZONE).result is ArcResult.FAIL
    assert run(arc.verify(message.replace(b"relaxed/relaxed", b"relaxed/simple")), ZONE).result is ArcResult.FAIL
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("field", "cause"),
    [
        (b"ARC-Seal: i=1; " + b"x" * 20_000, "too long"),
        (b"\r\n".join([b"ARC-Seal: i=1"] * 200), "more than 50"),
        (b"ARC-Message-Signature: i=1; h=" + b"a:" * 600, "too many fields"),
        (b"ARC-Seal: i=99999999999999999999", ""),
    ],
)
def test_too_much_is_not_looked_at(field: bytes, cause: str) -> None:
    verdict = run(arc.verify(field + b"\r\n" + MESSAGE), ZONE)
    assert (verdict.result, cause in verdict.cause) == (ArcResult.FAIL, True)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 3000), st.binary(max_size=8), st.integers(0, 8))
def test_mutated_messages_raise_nothing(at: int, put: bytes, cut: int) -> None:
    message = sealed()
    assert run(arc.verify(message[:at] + put + message[at + cut :]), ZONE).result in ArcResult


@given(st.binary(max_size=300))
def test_random_octets_raise_nothing(octets: bytes) -> None:
    run(arc.verify(octets), ZONE)
    run(arc.verify(b"ARC-Seal:" + octets), ZONE)
