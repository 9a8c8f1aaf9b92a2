"""The name server's rules, asked over UDP and TCP by dnspython."""

import asyncio
import struct
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.clock import ManualClock
from mailtypes.domain import DomainSyntaxError
from postwright.sandbox.nameserver import NameServer, Responder
from postwright.sandbox.zones import Zone, ZoneDirectory, ZoneSyntaxError, publish_zone, withdraw_zone

ACME = """
@       300 MX 10 mx.acme.test.
@       TXT "v=spf1 " "-all"
mx      A 127.0.0.9
www     CNAME pages.host.test.
loop    CNAME loop
lost    CNAME nowhere.host.test.
far     CNAME outside.example.
*.wild  TXT "any"
a.wild  A 127.0.0.8
deep.below.ent TXT "x"
big     TXT "{0}" "{0}" "{0}" "{0}" "{0}" "{0}" "{0}"
""".format("b" * 250)


@pytest.fixture(params=["udp", "tcp"])
async def ask(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator:
    publish_zone(tmp_path, "acme.test", ACME)
    publish_zone(tmp_path, "host.test", "pages A 127.0.0.7\n")
    server = NameServer(ZoneDirectory(tmp_path, [Zone.parse("builtin.test", "@ A 127.0.0.5\n")]))
    port = await server.start()

    async def ask(name: str, rdtype: str, **options) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype, **options)
        send = dns.asyncquery.udp if request.param == "udp" else dns.asyncquery.tcp
        return await send(query, "127.0.0.1", timeout=5, port=port)

    ask.transport, ask.directory, ask.port = request.param, tmp_path, port
    yield ask
    await server.close()


def texts(response: dns.message.Message) -> list[str]:
    return [rrset.to_text() for rrset in response.answer]


async def test_records_and_flags(ask) -> None:
    response = await ask("ACME.test", "MX")
    assert response.question[0].name.to_text() == "ACME.test."  # as it was asked
    assert [text.lower() for text in texts(response)] == ["acme.test. 300 in mx 10 mx.acme.test."]
    assert response.flags & dns.flags.AA
    assert response.flags & dns.flags.RA
    assert texts(await ask("acme.test", "TXT")) == ['acme.test. 1 IN TXT "v=spf1 " "-all"']
    assert texts(await ask("builtin.test", "A")) == ["builtin.test. 1 IN A 127.0.0.5"]


@pytest.mark.parametrize(
    ("name", "rcode", "soa"),
    [
        ("mx.acme.test", "NOERROR", "acme.test."),  # other types exist
        ("none.acme.test", "NXDOMAIN", "acme.test."),
        ("below.ent.acme.test", "NOERROR", "acme.test."),  # empty non-terminal
        ("ent.acme.test", "NOERROR", "acme.test."),
        ("x.ent.acme.test", "NXDOMAIN", "acme.test."),
        ("unheard-of.example", "NXDOMAIN", "."),
        ("b.wild.acme.test", "NOERROR", "acme.test."),  # the wildcard has no AAAA
        ("b.a.wild.acme.test", "NXDOMAIN", "acme.test."),  # the closest encloser is a.wild
    ],
)
async def test_absence_says_which_kind_and_carries_the_soa(ask, name: str, rcode: str, soa: str) -> None:
    response = await ask(name, "AAAA")
    assert dns.rcode.to_text(response.rcode()) == rcode
    assert not response.answer
    assert [(r.name.to_text(), r.rdtype) for r in response.authority] == [(soa, dns.rdatatype.SOA)]


async def test_wildcards(ask) -> None:
    assert texts(await ask("b.wild.acme.test", "TXT")) == ['b.wild.acme.test. 1 IN TXT "any"']
    assert texts(await ask("c.b.wild.acme.test", "TXT")) == ['c.b.wild.acme.test. 1 IN TXT "any"']
    assert not (await ask("a.wild.acme.test", "TXT")).answer  # what exists is not covered


async def test_aliases_are_followed_across_zones(ask) -> None:
    assert texts(await ask("www.acme.test", "A")) == [
        "www.acme.test. 1 IN CNAME pages.host.test.",
        "pages.host.test. 1 IN A 127.0.0.7",
    ]
    assert len((await ask("www.acme.test", "CNAME")).answer) == 1
    for name in ("lost", "far"):
        response = await ask(f"{name}.acme.test", "A")
        assert response.rcode() == dns.rcode.NXDOMAIN
        assert len(response.answer) == 1
    assert (await ask("loop.acme.test", "A")).rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("options", [{}, {"use_edns": 0, "payload": 1232}, {"use_edns": 0, "payload": 65000}])
async def test_what_does_not_fit_is_truncated(ask, options: dict[str, int]) -> None:
    response = await ask("big.acme.test", "TXT", **options)
    if ask.transport == "tcp":
        assert len(response.answer[0][0].strings) == 7
    else:
        assert response.flags & dns.flags.TC
        assert not response.answer


async def test_what_is_not_a_plain_question(ask) -> None:
    assert (await ask("acme.test", "AXFR" if ask.transport == "udp" else "ANY")).rcode() == dns.rcode.REFUSED
    assert (await ask("acme.test", "MX", rdclass="CH")).rcode() == dns.rcode.REFUSED
    notify = dns.message.make_query("acme.test", "SOA")
    notify.set_opcode(4)
    assert (await dns.asyncquery.udp(notify, "127.0.0.1", port=ask.port, timeout=5)).rcode() == dns.rcode.NOTIMP


async def test_what_is_published_counts_at_once(ask) -> None:
    for number in range(20):  # far quicker than the file system's clock ticks
        publish_zone(ask.directory, "new.test", f'@ TXT "{number}"\n')
        assert texts(await ask("new.test", "TXT")) == [f'new.test. 1 IN TXT "{number}"']
    withdraw_zone(ask.directory, "new.test")
    assert (await ask("new.test", "TXT")).rcode() == dns.rcode.NXDOMAIN


async def test_a_broken_file_leaves_the_last_good_zone_or_fails(ask) -> None:
    (ask.directory / "acme.test.zone").write_text("@ MX broken")
    assert texts(await ask("mx.acme.test", "A"))
    (ask.directory / "sad.test.zone").write_text("@ MX broken")
    assert (await ask("www.sad.test", "A")).rcode() == dns.rcode.SERVFAIL


async def test_many_questions_on_one_tcp_connection(ask) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ask.port)
    wire = dns.message.make_query("mx.acme.test", "A").to_wire()
    writer.write((struct.pack("!H", len(wire)) + wire) * 3)
    for _ in range(3):
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        assert dns.message.from_wire(await reader.readexactly(length)).answer
    writer.close()


def test_a_zone_edited_in_place_is_found_within_a_second(tmp_path: Path) -> None:
    clock = ManualClock(4_000_000_000_000_000)  # far after the files' times: the directory is quiet
    path = publish_zone(tmp_path, "slow.test", "@ A 127.0.0.1\n")
    zones = ZoneDirectory(tmp_path, clock=clock)
    zones.refresh()
    zones.refresh()
    before = zones.generation
    path.write_text("@ A 127.0.0.1\nb A 127.0.0.2\n")
    zones.refresh()
    assert zones.generation == before
    clock.advance(timedelta(seconds=1))
    zones.refresh()
    assert zones.generation == before + 1


def test_bad_zones_are_refused_with_the_place(tmp_path: Path) -> None:
    with pytest.raises(ZoneSyntaxError) as refused:
        publish_zone(tmp_path, "bad.test", "@ A 127.0.0.1\nb A not-an-address\n")
    assert refused.value.line_and_column == (2, 1)
    assert "b A not-an-address" in refused.value.explain()
    for name in ("../escape", "a/b.test", ""):
        with pytest.raises(DomainSyntaxError):
            publish_zone(tmp_path, name, "@ A 127.0.0.1\n")
    with pytest.raises(ZoneSyntaxError):
        publish_zone(tmp_path, "bad.test", "$INCLUDE /etc/hostname\n")
    assert list(tmp_path.iterdir()) == []


@given(st.binary(max_size=80))
def test_no_datagram_makes_it_stumble(data: bytes) -> None:
    responder = Responder(ZoneDirectory(Path("/nonexistent"), [Zone.parse("acme.test", ACME)]))
    response = responder.respond(data)
    if len(data) < 12 or data[2] & 0x80:
        assert response is None
    else:
        assert response is not None
        assert response[:2] == data[:2]
        assert response[2] & 0x80
