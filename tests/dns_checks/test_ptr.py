"""Reverse names, forward confirmation, and names that look generic."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.ptr import PtrCheck, check_ptr, looks_generic
from dns_checks.testing import Zone, run
from mailtypes.domain import DomainName

REVERSE = "1.2.0.192.in-addr.arpa."


def check(zone: str, address: str = "192.0.2.1", ehlo: str = "mail.acme.test") -> PtrCheck:
    return run(check_ptr(ip_address(address), DomainName(ehlo)), Zone.parse(zone))


@pytest.mark.parametrize(
    ("zone", "state", "codes"),
    [
        (f"{REVERSE} PTR mail.acme.test.\nmail.acme.test. A 192.0.2.1", "present", "ptr.confirmed ptr.ehlo_matches"),
        (f"{REVERSE} PTR MAIL.acme.test.\nmail.acme.test. A 192.0.2.1", "present", "ptr.confirmed ptr.ehlo_matches"),
        (f"{REVERSE} PTR out.acme.test.\nout.acme.test. A 192.0.2.1", "present", "ptr.confirmed ptr.ehlo_differs"),
        (f"{REVERSE} PTR mail.acme.test.\nmail.acme.test. A 192.0.2.2", "absent", "ptr.not_confirmed"),
        (f"{REVERSE} PTR mail.acme.test.\nmail.acme.test. AAAA 2001:db8::1", "absent", "ptr.not_confirmed"),
        (f"{REVERSE} PTR mail.acme.test.\n;; SERVFAIL mail.acme.test", "unknown", "ptr.forward_unknown"),
        (f";; TIMEOUT {REVERSE}", "unknown", "ptr.unknown"),
        ("acme.test. A 192.0.2.1", "absent", "ptr.missing"),
        (
            f"{REVERSE} PTR bad.acme.test.\n{REVERSE} PTR mail.acme.test.\nmail.acme.test. A 192.0.2.1\n"
            ";; TIMEOUT bad.acme.test",
            "present",
            "ptr.confirmed ptr.ehlo_matches",
        ),
        (
            f"{REVERSE} PTR 192-0-2-1.pool.isp.test.\n192-0-2-1.pool.isp.test. A 192.0.2.1",
            "present",
            "ptr.confirmed ptr.generic_name ptr.ehlo_differs",
        ),
    ],
)
def test_states(zone: str, state: str, codes: str) -> None:
    found = check(zone)
    assert found.fcrdns == state
    assert " ".join(finding.code for finding in found.findings) == codes
    assert all(finding.evidence for finding in found.findings)


def test_ip6() -> None:
    reverse = ip_address("2001:db8::1").reverse_pointer
    found = check(f"{reverse}. PTR mail.acme.test.\nmail.acme.test. AAAA 2001:db8::1", "2001:db8::1")
    assert found.confirmed == ("mail.acme.test",)


def test_a_hundred_names_cost_ten_queries() -> None:
    zone = "\n".join(f"{REVERSE} PTR m{number}.acme.test." for number in range(100))
    found = check(zone)
    assert (len(found.names), len(found.findings[0].evidence)) == (10, 11)
    assert "ptr.many_names" in {finding.code for finding in found.findings}


@pytest.mark.parametrize(
    ("name", "address", "is_generic"),
    [
        ("mail.example.com", "192.0.2.1", False),
        ("o1.mail.example.com", "192.0.2.1", False),
        ("mta-17.example.com", "192.0.2.17", False),
        ("mail.cable.example", "192.0.2.1", False),  # a domain may be called anything
        ("pool.ntp.example", "192.0.2.1", True),
        ("192-0-2-1.static.example.net", "192.0.2.1", True),
        ("1.2.0.192.example.net", "192.0.2.1", True),
        ("host192.0.2.1.example.net", "192.0.2.1", True),
        ("c0000201.example.net", "192.0.2.1", True),
        ("192000002001.example.net", "192.0.2.1", True),
        ("dsl-4711.isp.example.net", "192.0.2.1", True),
        ("customer17.isp.example.net", "192.0.2.1", True),
        ("dynamics.example.com", "192.0.2.1", False),
        ("2001-db8-0-0-0-0-0-1.example.net", "2001:db8::1", True),
        ("mail.example.com", "2001:db8::1", False),
    ],
)
def test_generic_names(name: str, address: str, is_generic: bool) -> None:
    assert looks_generic(name, ip_address(address)) is is_generic


@given(st.text(max_size=60), st.ip_addresses())
def test_no_name_makes_it_raise(name, address) -> None:  # type: ignore[no-untyped-def]
    looks_generic(name, address)


def step_of(zone: str, address: str = "192.0.2.1") -> str:
    (finding,) = (one for one in check(zone, address).findings if one.code in {"ptr.not_confirmed", "ptr.missing"})
    return f"{finding.sentence} {finding.next_step}"


def test_next_steps_can_be_done() -> None:
    assert "address record for a.test with 192.0.2.1" in step_of(f"{REVERSE} PTR a.test.")
    # Nobody can publish an address record for an address.
    assert "record for 192.0.2.1" not in step_of(f"{REVERSE} PTR 192.0.2.1.")
    assert "name a host" in step_of(f"{REVERSE} PTR 192.0.2.1.")
    assert "no public address" in step_of("a.test. A 10.0.0.1", "10.0.0.1")
    assert "no public address" not in step_of("a.test. A 10.0.0.1", "20.1.2.3")
