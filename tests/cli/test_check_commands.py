"""``postwright check``: without an install, over zone files, every exit code, the JSON that others build on."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import authres
import pytest

from dns_checks.dkim import SignaturePolicy, SigningRequest, sign
from dns_checks.dkim.keys import generate_rsa_key, key_record_text
from mailtypes.clock import SystemClock
from mailtypes.domain import DomainName
from mailtypes.questions import Absence, Absent, DnsAnswer, DnsQuestion, Found, RecordType, Unanswered
from postwright.cli.check_ground import _Live

Command = Callable[..., Any]
KEY = generate_rsa_key(2048)
TEXT = key_record_text(KEY)
ADDRESS = "20.1.2.3"  # a public one: documentation addresses are told to be out of reach
ZONE = f"""
$ORIGIN good.test.
@ SOA ns hostmaster 1 3600 600 86400 300
@ MX 10 mx
@ TXT "v=spf1 ip4:{ADDRESS} -all"
mx A {ADDRESS}
pw1._domainkey TXT "{TEXT[:200]}" "{TEXT[200:]}"
_dmarc TXT "v=DMARC1; p=reject; rua=mailto:d@good.test"
_smtp._tls TXT "v=TLSRPTv1; rua=mailto:t@good.test"
3.2.1.20.in-addr.arpa. PTR mx.good.test.

$ORIGIN bad.test.
@ MX 10 mx.good.test.
@ TXT "v=spf1 ip4:1.2.3.400 -all"
off._domainkey TXT "v=DKIM1; p="

$ORIGIN soft.test.
@ TXT "v=spf1 exp=why.soft.test -all"
why TXT "Not from %{{i}}"

slow.test. TXT "v=spf1 include:gone.test -all"
;; TIMEOUT gone.test
;; SERVFAIL dark.test
;; SERVFAIL _dmarc.dark.test
;; SERVFAIL pw1._domainkey.dark.test
"""
MESSAGE = b"From: Ann <ann@good.test>\r\nTo: bo@example.test\r\nSubject: Hi\r\n\r\nHello\r\n"
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" version="1.2" baseProfile="tiny-ps" viewBox="0 0 100 100">
<title>Acme</title><rect width="100" height="100" fill="#246"/></svg>"""
REPORT = """<feedback><report_metadata><org_name>Doar</org_name><email>r@doar.test</email><report_id>1</report_id>
<date_range><begin>1750000000</begin><end>1750086399</end></date_range></report_metadata>
<policy_published><domain>good.test</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.1</source_ip><count>3</count><policy_evaluated><disposition>none</disposition>
<dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>good.test</header_from></identifiers>
<auth_results><spf><domain>good.test</domain><result>fail</result></spf></auth_results></record></feedback>"""


def signed(domain: str = "good.test") -> bytes:
    request = SigningRequest(DomainName(domain), "pw1", KEY, SignaturePolicy())
    return sign(MESSAGE, request, SystemClock().now()) + MESSAGE


@pytest.fixture
def check(bare: Command, tmp_path: Path) -> Command:
    """``check`` over the zone file alone, in a folder without an install."""
    (tmp_path / "dns.zone").write_text(ZONE)
    (tmp_path / "good.eml").write_bytes(signed())
    (tmp_path / "plain.eml").write_bytes(MESSAGE)
    (tmp_path / "broken.eml").write_bytes(signed().replace(b"Hello", b"Hallo"))
    (tmp_path / "dark.eml").write_bytes(signed("dark.test"))
    (tmp_path / "good.svg").write_text(LOGO)
    (tmp_path / "bad.svg").write_text(LOGO.replace("<title>", "<script/><title>"))
    (tmp_path / "report.xml").write_text(REPORT)
    (tmp_path / "noreport.xml").write_text("<html/>")
    return lambda command, *arguments: bare("check", command, *arguments, "--zone", "dns.zone", "--offline")


GOOD_CLIENT = ("--ip", ADDRESS, "--mail-from", "a@good.test", "--helo", "mx.good.test")
OTHER_CLIENT = ("--ip", "20.9.9.9", "--mail-from", "a@good.test", "--helo", "mx.good.test")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("domain", "good.test", "--selector", "pw1", "--ip", ADDRESS), 0),
        (("domain", "good.test"), 2),  # no selector is known
        (("domain", "bad.test", "--selector", "pw1"), 1),
        (("domain", "dark.test", "--selector", "pw1"), 2),
        (("domain", "good.test", "bad.test", "--selector", "pw1"), 1),
        (("domain", "good.test", "--selector", "pw1", "--ip", "20.9.9.9"), 1),
        (("domain",), 64),
        (("domain", "a..b"), 64),
        (("domain", "good.test", "--ip", "1.2.3"), 64),
        (("domain", "good.test", "--selector", "a b"), 64),
        (("spf", *GOOD_CLIENT), 0),
        (("spf", *OTHER_CLIENT), 1),
        (("spf", "--ip", ADDRESS, "--mail-from", "a@nothing.test"), 1),
        (("spf", "--ip", ADDRESS, "--mail-from", "a@bad.test"), 1),
        (("spf", "--ip", ADDRESS, "--mail-from", "a@slow.test"), 2),
        (("spf", "--ip", ADDRESS, "--mail-from", "", "--helo", "good.test"), 0),
        (("spf", "--ip", ADDRESS), 64),
        (("spf", "--mail-from", "a@good.test"), 64),
        (("spf", "--ip", "x", "--mail-from", "a@good.test"), 64),
        (("dkim", "good.eml"), 0),
        (("dkim", "broken.eml"), 1),
        (("dkim", "plain.eml"), 1),
        (("dkim", "dark.eml"), 2),
        (("dkim", "dark.eml", "good.eml"), 2),
        (("dkim", "dark.eml", "broken.eml", "good.eml"), 1),
        (("dkim",), 64),
        (("dkim", "nothing.eml"), 66),
        (("message", "good.eml", *OTHER_CLIENT), 0),
        (("message", "plain.eml", *GOOD_CLIENT), 0),
        (("message", "plain.eml", *OTHER_CLIENT), 1),
        (("message", "good.eml"), 0),
        (("message", "dark.eml", "--ip", ADDRESS, "--mail-from", "a@dark.test"), 2),
        (("message", "good.eml", "--helo", "x.test"), 64),
        (("message", "good.eml", "--authserv-id", "a\nb"), 65),
        (("bimi", "good.test"), 0),
        (("bimi", "dark.test"), 2),  # whether another domain's record applies is not known
        (("bimi", "good.test", "--selector", "../x y"), 64),
        (("domain", "192.0.2.1"), 64),
        (("svg", "good.svg"), 0),
        (("svg", "good.svg", "bad.svg"), 1),
        (("svg", "nothing.svg"), 66),
        (("report", "report.xml"), 0),
        (("report", "report.xml", "noreport.xml"), 1),
        (("report", "nothing.xml"), 66),
    ],
)
def test_exit_codes(check: Command, arguments: tuple[str, ...], code: int) -> None:
    plain, as_json = check(*arguments), check(*arguments, "--json")
    assert (plain.code, as_json.code) == (code, code), plain.out + plain.err
    if code <= 2:
        assert plain.out
        assert as_json.objects
    else:
        assert (plain.out, as_json.out) == ("", "")
        assert plain.err


@pytest.mark.parametrize("command", ["domain", "spf", "dkim", "message", "bimi", "svg", "report"])
def test_offline_needs_a_zone(bare: Command, tmp_path: Path, command: str) -> None:
    (tmp_path / "x").write_bytes(MESSAGE)
    envelope = ("--ip", ADDRESS, "--mail-from", "a@good.test")
    arguments = {"spf": envelope, "domain": ("good.test",), "bimi": ("good.test",)}.get(command, ("x",))
    found = bare("check", command, *arguments, "--offline")
    assert (found.code, "--zone" in found.err) == (64, True)


def test_zone_files_are_read_strictly(bare: Command, tmp_path: Path) -> None:
    arguments = ("check", "bimi", "good.test", "--offline", "--zone", "x.zone")
    assert bare(*arguments).code == 66
    (tmp_path / "x.zone").write_text("good.test. TXT ok\ngood.test. NONSENSE\n")
    found = bare(*arguments)
    assert (found.code, "good.test. NONSENSE\n" in found.err, "^^^" in found.err) == (65, True, True)


def test_domain_for_people(check: Command) -> None:
    text = check("domain", "bad.test", "--selector", "off", "--ip", ADDRESS).out
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if "1.2.3.400" in line and line.startswith("    "))
    assert lines[at][lines[at + 1].index("^") : lines[at + 1].rindex("^") + 1] == "1.2.3.400"
    assert "Write it as 192.0.2.0/24." in text
    for heading in ("SPF", "DKIM", "DMARC", "Mail hosts (MX)", "Reverse names (PTR)", "What providers ask"):
        assert heading in lines
    assert "✗ The key at off._domainkey.bad.test is revoked (p= is empty)." in lines
    assert "5.7.26" in text
    assert "Spamhaus" not in text  # the zone file has nothing of it
    assert lines[-1].endswith("errors.")
    assert "→" in check("domain", "bad.test", "--verbose").out


def test_domain_as_json(check: Command) -> None:
    good, bad = check("domain", "good.test", "bad.test", "--selector", "pw1", "--json").objects
    assert (good["domain"], good["verdict"], good["dmarc_policy"]) == ("good.test", "verified", "reject")
    assert (bad["domain"], bad["verdict"]) == ("bad.test", "not_verified")
    fault = next(one for one in bad["findings"] if "mark" in one)
    mark = fault["mark"]
    assert mark["text"][mark["start"] : mark["end"]] == "1.2.3.400"
    assert (fault["severity"], fault["state"], fault["code"].partition(".")[0]) == ("error", "absent", "spf")
    assert fault["next_step"]
    assert fault["evidence"][0]["question"] == "bad.test TXT"
    assert {one["provider"] for one in good["requirements"]} == {"gmail", "yahoo", "microsoft", "apple"}


def test_a_listing_in_the_zone_file_counts(check: Command, tmp_path: Path) -> None:
    entries = [f"{name}.zen.spamhaus.org. A 127.0.0.2" for name in ("2.0.0.127", "3.2.1.20")]
    (tmp_path / "dns.zone").write_text(ZONE + "\n".join(entries) + "\n")
    found = check("domain", "good.test", "--selector", "pw1", "--ip", ADDRESS)
    assert (found.code, "Spamhaus" in found.out) == (1, True)


def test_what_lies_on_the_web_stays_unknown_offline(check: Command, tmp_path: Path) -> None:
    (tmp_path / "dns.zone").write_text(ZONE + '_mta-sts.good.test. TXT "v=STSv1; id=1;"\n')
    found = check("domain", "good.test", "--selector", "pw1")
    assert (found.code, "? The policy could not be fetched" in found.out) == (0, True)


def test_spf_as_json(check: Command) -> None:
    (found,) = check("spf", *OTHER_CLIENT, "--json").objects
    assert found["result"] == "fail"
    assert [one["term"] for one in found["trace"]] == [f"ip4:{ADDRESS}", "-all"]
    assert (found["ip"], found["mail_from"], found["helo"]) == ("20.9.9.9", "a@good.test", "mx.good.test")
    assert found["record"] == f"v=spf1 ip4:{ADDRESS} -all"


def test_spf_for_people(check: Command) -> None:
    arguments = ("spf", "--ip", ADDRESS, "--mail-from", "a@soft.test")
    text = check(*arguments).out
    assert f"The domain's owner says: Not from {ADDRESS}" in text
    assert f"add ip4:{ADDRESS} to the record" in text
    assert "lookups" not in text
    assert "soft.test: -all → match" in check(*arguments, "--verbose").out


def test_dkim_as_json(check: Command) -> None:
    good, broken = check("dkim", "good.eml", "broken.eml", "--json").objects
    assert (good["file"], good["result"], broken["result"]) == ("good.eml", "pass", "fail")
    assert (good["signatures"][0]["domain"], good["signatures"][0]["selector"]) == ("good.test", "pw1")


def test_message_as_json(check: Command) -> None:
    (found,) = check("message", "good.eml", *OTHER_CLIENT, "--authserv-id", "mx.test", "--json").objects
    assert (found["result"], found["spf"]["result"], found["author_domain"]) == ("pass", "fail", "good.test")
    assert ([one["result"] for one in found["dkim"]], found["arc"]["result"]) == (["pass"], "none")
    assert found["dmarc"]["policy"] == "reject"
    header = authres.AuthenticationResultsHeader.parse(found["authentication_results"])
    assert header.authserv_id == "mx.test"
    assert {one.method: one.result for one in header.results} == {
        "spf": "fail", "dkim": "pass", "dmarc": "pass", "arc": "none",
    }  # fmt: skip
    text = check("message", "plain.eml", *OTHER_CLIENT).out
    assert "The owner asks for: reject." in text
    assert "Authentication-Results: localhost;" in text


def test_svg_and_bimi_as_json(check: Command) -> None:
    good, bad = check("svg", "good.svg", "bad.svg", "--json").objects
    assert (good["valid"], good["title"], good["findings"]) == (True, "Acme", [])
    assert (bad["valid"], bad["findings"][0]["line"], bad["findings"][0]["severity"]) == (False, 2, "error")
    (found,) = check("bimi", "good.test", "--json").objects
    assert (found["domain"], found["result"]) == ("good.test", "none")
    assert found["findings"][0]["code"] == "bimi.no_record"


def test_report_as_json(check: Command) -> None:
    good, bad = check("report", "report.xml", "noreport.xml", "--json").objects
    assert (good["valid"], good["kind"], good["organisation"], good["domain"]) == (
        True,
        "aggregate",
        "Doar",
        "good.test",
    )
    assert (good["rows"][0]["count"], good["begin"][:10]) == (3, "2025-06-15")
    assert (bad["valid"], bad["file"]) == (False, "noreport.xml")
    assert bad["next_step"]
    assert "3 of 3 messages passed DMARC" in check("report", "report.xml").out


def test_what_strangers_write_moves_no_cursor(check: Command, tmp_path: Path) -> None:
    (tmp_path / "dns.zone").write_text('x.test. TXT "v=spf1 [red]ip4:\\027[2J\\155 -all"\n')
    for command in (("domain", "x.test"), ("spf", "--ip", ADDRESS, "--mail-from", "\x1b[2J[bold]@x.test")):
        text = check(*command).out
        assert "\x1b" not in text
        assert "\x9b" not in text
    assert "[red]" in check("domain", "x.test").out


def test_live_dns_that_is_silent_is_not_an_answer(bare: Command, tmp_path: Path) -> None:
    # Nobody answers at this resolver.
    (tmp_path / "postwright.toml").write_text('[dns]\nnameservers = ["127.0.0.1"]\nport = 9\ntimeout = 0.2\n')
    (tmp_path / "good.eml").write_bytes(signed())
    started = time.perf_counter()
    for arguments in (
        ("domain", "good.test", "--ip", ADDRESS),
        ("spf", *GOOD_CLIENT),
        ("dkim", "good.eml"),
        ("message", "good.eml", *GOOD_CLIENT),
        ("bimi", "good.test"),
    ):
        assert bare("check", *arguments).code == 2, arguments
    assert time.perf_counter() - started < 60  # each waits a few times 0.2 s; unbounded waiting is minutes
    # What the zone file has is known all the same, and what it leads to is not.
    (tmp_path / "dns.zone").write_text('good.test. TXT "v=spf1 ip4:20.1.2.3 include:other.test -all"\n')
    assert bare("check", "spf", *GOOD_CLIENT, "--zone", "dns.zone").code == 0
    assert bare("check", "spf", *OTHER_CLIENT, "--zone", "dns.zone").code == 2


def test_a_faulty_configuration_is_told(bare: Command, tmp_path: Path) -> None:
    (tmp_path / "postwright.toml").write_text("[dns]\nnameserver = 1\n")
    found = bare("check", "bimi", "good.test")
    assert (found.code, "dns.nameserver" in found.err) == (78, True)


class _Server:
    def __init__(self, answers: dict[str, DnsAnswer]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        self.asked.append(question.name)
        return self.answers.get(question.name, Absent(Absence.NO_SUCH_NAME))


def ask(live: _Live, *names: str) -> list[DnsAnswer]:
    async def body() -> list[DnsAnswer]:
        return [await live.ask(DnsQuestion(name, RecordType.NS)) for name in names]

    return asyncio.run(body())


def test_a_server_that_is_cut_off_is_not_believed_what_it_denies() -> None:
    there = Found(())
    server = _Server({"own.test": there})
    answers = ask(_Live(server, is_believed=False), "own.test", "a.test", "b.test")
    assert answers[0] == there
    assert all(isinstance(one, Unanswered) and "cut off" in one.cause for one in answers[1:])
    assert server.asked.count("arpa") == 1
    assert isinstance(ask(_Live(_Server({"arpa": there}), is_believed=False), "a.test")[0], Absent)
    believed = _Server({})
    assert isinstance(ask(_Live(believed, is_believed=True), "a.test")[0], Absent)
    assert believed.asked == ["a.test"]


def test_silence_is_waited_for_once() -> None:
    silent = _Server({"a.test": Unanswered("timeout"), "b.test": Unanswered("timeout")})
    ask(_Live(silent, is_believed=True), "a.test", "b.test", "c.test")
    assert silent.asked == ["a.test"]
    talks = _Server({"a.test": Found(()), "b.test": Unanswered("timeout")})
    ask(_Live(talks, is_believed=True), "a.test", "b.test", "c.test")
    assert talks.asked == ["a.test", "b.test", "c.test"]


def test_objects_are_one_a_line(check: Command) -> None:
    out = check("dkim", "good.eml", "plain.eml", "--json").out
    assert [json.loads(line)["file"] for line in out.splitlines()] == ["good.eml", "plain.eml"]


@pytest.mark.parametrize("command", ["spf --mail-from a@good.test", "domain good.test"])
def test_addresses_are_taken_for_what_they_are(check: Command, command: str) -> None:
    name, *arguments = command.split()
    assert check(name, *arguments, "--ip", "fe80::1%eth0").code == 64
    found = check(name, *arguments, "--ip", f"::ffff:{ADDRESS}", "--json")
    assert f"::ffff:{ADDRESS}" not in found.out
    assert "::ffff" not in found.out
    assert ADDRESS in found.out


def test_a_client_without_a_domain_is_not_told_to_publish_one(check: Command) -> None:
    found = check("spf", "--ip", ADDRESS, "--helo", "[]")
    assert found.code == 1
    assert "record at []" not in found.out
    assert "Give a full domain" in found.out


def test_offline_the_next_step_for_what_lies_on_the_web_is_to_go_online(check: Command, tmp_path: Path) -> None:
    more = (
        '_mta-sts.good.test. TXT "v=STSv1; id=1"\ndefault._bimi.good.test. TXT "v=BIMI1; l=https://good.test/l.svg"\n'
    )
    (tmp_path / "dns.zone").write_text(ZONE + more)
    findings = json.loads(check("domain", "good.test", "--json").out)["findings"]
    steps = {
        one["code"]: one["next_step"] for one in findings if one["code"] in {"mta_sts.policy_unknown", "bimi.logo"}
    }
    assert len(steps) == 2
    assert all("offline" in step for step in steps.values())
