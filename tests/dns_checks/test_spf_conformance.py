"""The openspf RFC 7208 suite: all its cases, with explanations."""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from dns_checks.spf import SpfReceiver, SpfResult, check_mail_from
from dns_checks.testing import Zone, run
from mailtypes.questions import (
    AddressRecord,
    DnsRecord,
    MxRecord,
    NameRecord,
    RecordType,
    TxtRecord,
    Unanswered,
)

try:
    import yaml
except ImportError:  # the suite is YAML; CI has to have both
    yaml = None

SHARED = Path(os.environ.get("POSTWRIGHT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
SUITE = SHARED / "conformance" / "spf" / "rfc7208-tests.yml"
CASES = 200  # as the file has them; each has one result


def load_suite() -> list[dict[str, Any]]:
    if yaml is None or not SUITE.exists():
        return []
    # The suite writes octets above 127 as \xNN and line ends in double quotes; the file itself is ASCII.
    return list(yaml.safe_load_all(SUITE.read_text("ascii")))


def to_record(kind: str, value: Any) -> DnsRecord:
    match kind:
        case "A" | "AAAA":
            return AddressRecord(ip_address(value))
        case "MX":
            return MxRecord(int(value[0]), value[1].removesuffix("."))
        case "PTR" | "CNAME":
            return NameRecord(value.removesuffix("."))
        case "TXT":
            strings = value if isinstance(value, list) else [value]
            return TxtRecord(tuple(string.encode("latin-1") for string in strings))
    raise ValueError(kind)


def to_zone(zonedata: dict[str, list[Any]]) -> Zone:
    """The suite's rules: SPF records stand for TXT where the name has no TXT; TIMEOUT is for all types not given."""
    content: dict[tuple[str, RecordType], list[DnsRecord] | Unanswered] = {}
    for name, entries in zonedata.items():
        given = [next(iter(entry.items())) for entry in entries if isinstance(entry, dict)]
        kinds = {kind for kind, _ in given}
        if "TXT" not in kinds:
            given += [("TXT", value) for kind, value in given if kind == "SPF"]
        records: dict[RecordType, list[DnsRecord]] = {}
        for kind, value in given:
            if kind != "SPF" and value != "NONE":
                records.setdefault(RecordType(kind), []).append(to_record(kind, value))
        for record_type in RecordType:
            if record_type in records:
                content[name, record_type] = records[record_type]
            elif "TIMEOUT" in entries:
                content[name, record_type] = Unanswered("timeout")
    return Zone.from_records(content)


SUITE_CASES = [
    pytest.param(case, document["zonedata"], id=f"{document['description'].split()[0]}-{name}")
    for document in load_suite()
    for name, case in document["tests"].items()
]


def test_the_suite_is_here_and_whole() -> None:
    if not SUITE_CASES:
        if os.environ.get("CI"):
            pytest.fail(f"{SUITE} or PyYAML is missing")
        pytest.skip(f"{SUITE} or PyYAML is missing")
    assert len(SUITE_CASES) == CASES


@pytest.mark.parametrize(("case", "zonedata"), SUITE_CASES)
def test_openspf(case: dict[str, Any], zonedata: dict[str, list[Any]]) -> None:
    verdict = run(
        check_mail_from(
            ip_address(case["host"]), case["mailfrom"], case["helo"], receiver=SpfReceiver("receiver.example.net")
        ),
        to_zone(zonedata),
    )
    expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert verdict.result in [SpfResult(result) for result in expected], verdict.cause
    if "explanation" in case:
        explanation = None if case["explanation"] == "DEFAULT" else case["explanation"]
        assert verdict.explanation == explanation
