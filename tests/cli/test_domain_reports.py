"""What is published for a domain, reports and their sources, and STARTTLS, on the command line."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dns_checks.mta_sts.policy import parse_policy
from mailtypes.clock import SystemClock
from postwright.api.examples import EXAMPLES
from postwright.sandbox.authority import Authority
from postwright.sandbox.layout import SandboxLayout

Command = Callable[..., Any]
REPORT = str(EXAMPLES["create_report"].body)
NAME = "news.acme.test"


@pytest.fixture
def domain(postwright: Command) -> Command:
    assert postwright("domain", "add", NAME).code == 0
    return postwright


def test_what_is_set_is_proposed(domain: Command) -> None:
    given = (
        "--logo",
        "https://acme.test/l.svg",
        "--mta-sts",
        "testing",
        "--mx",
        "mx1.acme.test",
        "--mx",
        "*.acme.test",
    )
    made = domain("domain", "set", NAME, *given, "--json")
    assert made.code == 0, made.err
    values = {one["name"]: one["value"] for one in made.objects}
    assert values[f"default._bimi.{NAME}"] == "v=BIMI1; l=https://acme.test/l.svg; a=;"
    assert values[f"_smtp._tls.{NAME}"] == f"v=TLSRPTv1; rua=mailto:reports@bounce.{NAME}"
    assert values[f"_mta-sts.{NAME}"].startswith("v=STSv1; id=")
    file = domain("domain", "records", NAME, "--mta-sts").out
    assert parse_policy(file).patterns == ("mx1.acme.test", "*.acme.test")
    assert file in domain("domain", "records", NAME).out
    assert domain("domain", "set", NAME, "--mta-sts", "").code == 0
    assert domain("domain", "records", NAME, "--mta-sts").code == 66


def test_what_is_wrong_is_told_with_the_option_to_mend(domain: Command) -> None:
    assert domain("domain", "set", NAME).code == 64
    found = domain("domain", "set", NAME, "--dmarc", "strict", "--report-address", "nobody")
    assert found.code == 1
    assert "dmarc_policy: 'strict' is none of none, quarantine, reject." in found.err
    assert "report_address" in found.err
    assert domain("domain", "set", "other.test", "--dmarc", "none").code == 66


def test_the_plan(domain: Command) -> None:
    steps = domain("domain", "plan", NAME, "--json").objects
    assert [(one["policy"], one["progress"]) for one in steps] == [
        ("none", "next"),
        ("quarantine", "next"),
        ("reject", "next"),
    ]
    assert "Go on when:" in domain("domain", "plan", NAME).out


def test_reports_are_imported_once_and_summed_up(domain: Command, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(REPORT)
    (tmp_path / "b.xml.gz").write_bytes(gzip.compress(REPORT.encode()))
    (tmp_path / "c.txt").write_text("no report")
    found = domain("domain", "report", "import", "a.xml", "b.xml.gz", "c.txt", "--json")
    assert found.code == 1
    assert [(one["stored"], one["new"], one["kind"]) for one in found.objects] == [
        (True, True, "aggregate"),
        (True, False, "aggregate"),
        (True, True, "unread"),
    ]
    assert found.objects[2]["cause"]
    told = domain("domain", "report", "import", "a.xml", "c.txt")
    assert "a.xml: known already: aggregate report by receiver.test on acme.test" in told.out
    assert "c.txt: known, but it cannot be read." in told.out
    assert domain("domain", "report", "import", "a.xml").code == 0
    assert domain("domain", "report", "import", "nowhere.xml").code == 66
    listed = domain("domain", "report", "list", "--domain", "acme.test", "--json").objects
    assert [one["report_id"] for one in listed] == ["2026-02-28.1"]
    time = ("--since", "2026-02-01", "--until", "2026-03-01")
    (source,) = domain("domain", "sources", NAME, *time, "--json").objects
    assert (source["source_ip"], source["messages"], source["passes"]) == ("192.0.2.7", 120, True)
    assert "SPF or DKIM passes for the author domain." in domain("domain", "sources", NAME, *time).out
    assert "No report of that time" in domain("domain", "sources", NAME, "--until", "2026-02-01").out
    assert domain("domain", "sources", "other.test").code == 66


@contextmanager
def mail_host() -> Iterator[int]:
    """A mail host on loopback that offers nothing; it serves until it is told to end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ending = threading.Event()

        def serve() -> None:
            while not ending.is_set():
                try:
                    peer, _ = server.accept()
                except TimeoutError:
                    continue
                with peer, peer.makefile("rwb") as stream:
                    stream.write(b"220 mx.acme.test ESMTP\r\n")
                    stream.flush()
                    for line in stream:
                        stream.write(b"221 bye\r\n" if line.startswith(b"QUIT") else b"250 mx.acme.test\r\n")
                        stream.flush()
                        if line.startswith(b"QUIT"):
                            break

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ending.set()
            thread.join()


def test_starttls_of_the_mail_hosts(bare: Command, tmp_path: Path) -> None:
    records = ("acme.test. SOA . . 1 1 1 1 1", "acme.test. MX 5 mx.acme.test.", "mx.acme.test. A 127.0.0.1")
    (tmp_path / "a.zone").write_text("\n".join(records) + "\n")
    (tmp_path / "dns.toml").write_text('[dns]\nnameservers = ["127.0.0.1"]\nport = 9\ntimeout = 0.2\n')
    wanted = ("check", "domain", "acme.test", "--zone", "a.zone", "--starttls")
    config = tmp_path / "postwright.toml"
    config.write_text((tmp_path / "dns.toml").read_text())
    assert bare(*wanted, "--offline").code == 64
    # Strangers' hosts within our own network are not spoken to.
    (host,) = bare(*wanted, "--json").objects[0]["starttls"]
    assert (host["host"], host["state"]) == ("mx.acme.test", "unknown")
    assert "no public address" in host["findings"][0]["sentence"]
    with mail_host() as port:
        layout = SandboxLayout(tmp_path / "sandbox", smtp_port=port)
        layout.save()
        Authority(layout.authority_directory, SystemClock())
        config.write_text((tmp_path / "dns.toml").read_text() + '[sandbox]\ndir = "sandbox"\n')
        (host,) = bare(*wanted, "--json").objects[0]["starttls"]
        assert (host["state"], host["tls_version"]) == ("absent", None)
        told = bare(*wanted).out
    assert "STARTTLS of the mail hosts\n! mx.acme.test does not offer STARTTLS" in told
