"""The name server's sockets: DNS messages over UDP and TCP (RFC 1035 section 4.2) around ``ZoneDirectory``."""

import asyncio
import contextlib
import socket
import struct
from typing import cast

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from postwright.sandbox.zones import ZoneDirectory

_HEADER_OCTETS = 12
_PLAIN_UDP_OCTETS = 512  # RFC 1035 section 4.2.1
_MAX_UDP_OCTETS = 1232  # what fits into one packet everywhere
_MAX_TCP_OCTETS = 65_535
_TCP_IDLE_SECONDS = 10.0
_MAX_TCP_CONNECTIONS = 200
_CACHED_ANSWERS = 4096
_TRANSFERS = frozenset({dns.rdatatype.AXFR, dns.rdatatype.IXFR, dns.rdatatype.ANY})


class Responder:
    """Turns the octets of a query into the octets of its response; keeps finished ones while no zone changes."""

    def __init__(self, zones: ZoneDirectory) -> None:
        self._zones = zones
        self._generation = -1
        self._finished: dict[tuple[int, bytes], bytes] = {}

    def respond(self, wire: bytes, largest: int = _MAX_UDP_OCTETS) -> bytes | None:
        """The response, at most ``largest`` octets; ``None`` for what deserves none (too short, or a response)."""
        if len(wire) < _HEADER_OCTETS or wire[2] & 0x80:
            return None
        self._zones.refresh()
        if self._generation != self._zones.generation or len(self._finished) >= _CACHED_ANSWERS:
            self._generation = self._zones.generation
            self._finished.clear()
        key = (largest, wire[2:])
        finished = self._finished.get(key)
        if finished is None:
            finished = self._finished[key] = self._answer(wire, largest)[2:]
        return wire[:2] + finished

    def _answer(self, wire: bytes, largest: int) -> bytes:
        try:
            query = dns.message.from_wire(wire)
        except (dns.exception.DNSException, ValueError):
            # RFC 1035 section 4.1.1: the id and the opcode come back with FORMERR.
            return struct.pack("!2sBB4H", wire[:2], 0x80 | (wire[2] & 0x79), dns.rcode.FORMERR, 0, 0, 0, 0)
        response = dns.message.make_response(query, recursion_available=True, our_payload=_MAX_UDP_OCTETS)
        response.set_rcode(self._fill(query, response))
        if largest == _MAX_TCP_OCTETS:
            limit = largest
        else:
            limit = max(_PLAIN_UDP_OCTETS, min(query.payload, largest)) if query.edns >= 0 else _PLAIN_UDP_OCTETS
        return response.to_wire(max_size=limit, prefer_truncation=True)

    def _fill(self, query: dns.message.Message, response: dns.message.Message) -> dns.rcode.Rcode:
        if query.edns > 0:
            return dns.rcode.BADVERS
        if query.opcode() != dns.opcode.QUERY:
            return dns.rcode.NOTIMP
        if len(query.question) != 1:
            return dns.rcode.FORMERR
        question = query.question[0]
        if question.rdclass != dns.rdataclass.IN or question.rdtype in _TRANSFERS:
            return dns.rcode.REFUSED
        resolution = self._zones.current.resolve(question.name, question.rdtype)
        response.flags |= dns.flags.AA
        response.answer.extend(resolution.answer)
        response.authority.extend(resolution.authority)
        return resolution.rcode


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = self._responder.respond(data)
        if response is not None and self._transport is not None:
            self._transport.sendto(response, addr)


class NameServer:
    """A listening name server; ``start`` returns the port in use (one for UDP and TCP)."""

    def __init__(self, zones: ZoneDirectory, address: str = "127.0.0.1", port: int = 0) -> None:
        self._responder = Responder(zones)
        self._address = address
        self._port = port
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        """Bind both transports; raise ``OSError`` where the port is taken."""
        datagrams, stream = _bind_pair(self._address, self._port)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._responder), sock=datagrams)
        self._udp = transport
        self._tcp = await asyncio.start_server(self._serve_stream, sock=stream)
        return int(stream.getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end what is open."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for writer in list(self._connections):
            writer.close()
        await asyncio.sleep(0)

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= _MAX_TCP_CONNECTIONS:
            writer.close()
            return
        self._connections.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, TimeoutError, ConnectionError):
                while True:
                    async with asyncio.timeout(_TCP_IDLE_SECONDS):
                        (length,) = struct.unpack("!H", await reader.readexactly(2))
                        query = await reader.readexactly(length)
                        response = self._responder.respond(query, _MAX_TCP_OCTETS)
                        if response is None:
                            return
                        writer.write(struct.pack("!H", len(response)) + response)
                        await writer.drain()
        finally:
            self._connections.discard(writer)
            writer.close()


def _bind_pair(address: str, port: int, tries: int = 20) -> tuple[socket.socket, socket.socket]:
    """A datagram and a stream socket on one port; with port 0 a free pair is looked for."""
    for attempt in range(tries):
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stream.bind((address, port))
            datagrams.bind((address, port or stream.getsockname()[1]))
        except OSError:
            stream.close()
            datagrams.close()
            if port or attempt == tries - 1:
                raise
        else:
            datagrams.setblocking(False)
            stream.setblocking(False)
            return datagrams, stream
    raise AssertionError("unreachable")
