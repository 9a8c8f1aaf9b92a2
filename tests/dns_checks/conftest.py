"""A name server on loopback that answers from a ``Zone``, over UDP and TCP, and misbehaves where told to."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from dns_checks.rdata import from_dns_name, to_dns_name
from dns_checks.testing import Zone
from mailtypes.questions import (
    Absence,
    Absent,
    AddressRecord,
    DnsQuestion,
    DnsRecord,
    Found,
    MxRecord,
    NameRecord,
    OtherRecord,
    RecordType,
    TxtRecord,
    Unanswered,
)


def presentation(record: DnsRecord) -> str:
    match record:
        case AddressRecord(address):
            return str(address)
        case NameRecord(target):
            return to_dns_name(target).to_text()
        case MxRecord(preference, exchange):
            return f"{preference} {to_dns_name(exchange).to_text()}"
        case TxtRecord(strings):
            return " ".join('"' + "".join(f"\\{octet:03d}" for octet in string) + '"' for string in strings)
        case OtherRecord(text):
            return text


class NameServer(asyncio.DatagramProtocol):
    """``asked`` counts the questions that came in; the switches are for whoever wants trouble."""

    def __init__(self, zone: Zone, negative_ttl: int | None = 60) -> None:
        self.zone = zone
        self.negative_ttl = negative_ttl
        self.asked: Counter[DnsQuestion] = Counter()
        self.over_tcp = 0
        self.follow_aliases = True
        self.refer = False
        self.delay = 0.0
        self.refuse = False
        self.authenticated = False
        self.forge_first = ""  # "id", "question" or "garbage"
        self.drop = 0
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, stack: AsyncExitStack, address: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._serve_tcp, address, port)
        stack.push_async_callback(server.wait_closed)
        stack.callback(server.close)
        self.port = server.sockets[0].getsockname()[1]
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(address, self.port))
        self._transport = transport
        stack.callback(transport.close)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer_datagram(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_datagram(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        query = dns.message.from_wire(data)
        if self.drop:
            self.drop -= 1
            return
        if self.forge_first:
            self._transport.sendto(self._forge(query), addr)
        response = self._respond(query, limit=1232)
        self.asked[self._question(query)] += 1
        await asyncio.sleep(self.delay)
        if response.answer or response.authority or response.rcode() or response.flags & dns.flags.TC:
            self._transport.sendto(response.to_wire(), addr)

    def _forge(self, query: dns.message.Message) -> bytes:
        """An answer that whoever did not see the query might send: that there is no such name."""
        if self.forge_first == "garbage":
            return b"\0" * 30
        forged = dns.message.make_response(query)
        forged.set_rcode(dns.rcode.NXDOMAIN)
        if self.forge_first == "id":
            forged.id = (query.id + 1) % 65536
        else:
            forged.question[0] = dns.rrset.RRset(to_dns_name("other.test"), dns.rdataclass.IN, dns.rdatatype.A)
        return forged.to_wire()

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        query = dns.message.from_wire(await reader.readexactly(size))
        self.over_tcp += 1
        wire = self._respond(query, limit=65535).to_wire(max_size=65535)
        writer.write(len(wire).to_bytes(2, "big") + wire)
        await writer.drain()
        writer.close()

    def _question(self, query: dns.message.Message) -> DnsQuestion:
        asked = query.question[0]
        return DnsQuestion(from_dns_name(asked.name), RecordType(dns.rdatatype.to_text(asked.rdtype)))

    def _respond(self, query: dns.message.Message, limit: int) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True)
        question = self._question(query)
        if self.refer:
            response.flags &= ~(dns.flags.RA | dns.flags.AA)
            response.authority.append(dns.rrset.from_text("test.", 300, "IN", "NS", "ns.test."))
            return response
        if self.refuse:
            response.set_rcode(dns.rcode.REFUSED)
            return response
        match self.zone.answer(question):
            case Found() as found:
                self._put_answer(query, response, question, found)
            case Absent(absence):
                if absence is Absence.NO_SUCH_NAME:
                    response.set_rcode(dns.rcode.NXDOMAIN)
                if self.negative_ttl is not None:
                    soa = f"ns.test. hostmaster.test. 1 2 3 4 {self.negative_ttl}"
                    response.authority.append(dns.rrset.from_text(dns.name.root, 86400, "IN", "SOA", soa))
            case Unanswered("servfail"):
                response.set_rcode(dns.rcode.SERVFAIL)
            case _:
                pass  # silence: the datagram side sends nothing that is empty
        if len(response.to_wire(max_size=65535)) > limit:
            response.answer.clear()
            response.flags |= dns.flags.TC
        return response

    def _put_answer(
        self, query: dns.message.Message, response: dns.message.Message, question: DnsQuestion, found: Found
    ) -> None:
        owner = query.question[0].name
        if found.canonical_name.lower() != question.name.lower():
            target = to_dns_name(found.canonical_name)
            response.answer.append(dns.rrset.from_text(owner, found.ttl, "IN", "CNAME", target.to_text()))
            if not self.follow_aliases:
                return
            owner = target
        texts = [presentation(record) for record in found.records]
        response.answer.append(dns.rrset.from_text_list(owner, found.ttl, "IN", question.record_type.value, texts))
        if self.authenticated:
            response.flags |= dns.flags.AD


ServerMaker = Callable[..., Awaitable[NameServer]]


@pytest.fixture
async def serve() -> AsyncIterator[ServerMaker]:
    """Start name servers: ``await serve(zone)``."""
    async with AsyncExitStack() as stack:

        async def start(
            zone: Zone, negative_ttl: int | None = 60, address: str = "127.0.0.1", port: int = 0
        ) -> NameServer:
            server = NameServer(zone, negative_ttl)
            await server.start(stack, address, port)
            return server

        yield start
