"""One question to one name server: UDP, then TCP where the answer was cut off.

The query is written by hand and the UDP socket is connected, since this is the hot path of an audit and of sending:
the kernel then passes on the server's datagrams only, and tells at once where nobody listens. Each query has a socket
of its own, so a forger has to guess the port beside the id (RFC 5452 section 9.2). dnspython reads the answers.
"""

import asyncio
import secrets

import dns.asyncquery
import dns.flags
import dns.message
import dns.rdatatype

from dns_checks.rdata import to_dns_name
from mailtypes.questions import DnsQuestion

_UDP_PAYLOAD = 1232  # fits in any path's packet, so answers are not fragmented (DNS flag day 2020)
_CLASS_IN = 1
_HEADER_OCTETS = 12
_RESPONSE = 0x80  # the QR bit in the third octet
_TRUNCATED = 0x02  # the TC bit in the third octet


async def exchange(
    question: DnsQuestion, nameserver: str, port: int, timeout: float, *, authenticated: bool = False
) -> dns.message.Message:
    """Ask ``nameserver`` and return its answer; ``timeout`` in seconds holds for UDP and for TCP each.

    With ``authenticated`` the AD bit is set, which tells that we understand it (RFC 6840 section 5.7). Raises
    ``TimeoutError``, ``OSError``, ``EOFError``, ``ValueError`` or ``dns.exception.DNSException``.
    """
    query, asked = _write_query(question, authenticated)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout):
        transport, conversation = await loop.create_datagram_endpoint(
            lambda: _Conversation(query, asked, loop.create_future()), remote_addr=(nameserver, port)
        )
        try:
            transport.sendto(query)
            wire = await conversation.answer
        finally:
            transport.close()
    if not wire[2] & _TRUNCATED:
        return dns.message.from_wire(wire)
    return await dns.asyncquery.tcp(dns.message.from_wire(query), nameserver, timeout, port)


class _Conversation(asyncio.DatagramProtocol):
    """Waits for the datagram that answers the query."""

    def __init__(self, query: bytes, asked: bytes, answer: asyncio.Future[bytes]) -> None:
        self._query = query
        self._asked = asked
        self.answer = answer

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        # What is not the answer to this question is passed over: a forger must not be able to end the wait.
        if not self.answer.done() and self._is_answer(data):
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc or ConnectionError("the socket was closed"))

    def _is_answer(self, data: bytes) -> bool:
        end = _HEADER_OCTETS + len(self._asked)
        return (
            len(data) >= end
            and data[:2] == self._query[:2]
            and bool(data[2] & _RESPONSE)
            and data[4:6] == b"\0\1"
            and data[_HEADER_OCTETS:end].lower() == self._asked.lower()
        )


def _write_query(question: DnsQuestion, authenticated: bool) -> tuple[bytes, bytes]:
    """The query on the wire (RFC 1035 section 4.1, with RFC 6891's OPT record), and its question section."""
    record_type = int(dns.rdatatype.from_text(question.record_type.value))
    asked = to_dns_name(question.name).to_wire() or b"\0"
    asked += record_type.to_bytes(2, "big") + _CLASS_IN.to_bytes(2, "big")
    flags = dns.flags.RD | (dns.flags.AD if authenticated else 0)
    counts = b"\0\1\0\0\0\0\0\1"
    header = secrets.token_bytes(2) + int(flags).to_bytes(2, "big") + counts
    opt = b"\0" + int(dns.rdatatype.OPT).to_bytes(2, "big") + _UDP_PAYLOAD.to_bytes(2, "big") + bytes(6)
    return header + asked + opt, asked
