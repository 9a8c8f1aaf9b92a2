"""Streams of records over a real connection: the answer runs beside the request, and a cut loses nothing stored."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def letters(served: Any) -> tuple[Any, str]:
    served.verified_domain()
    return served, served.template()


def opened(letters: tuple[Any, str]) -> str:
    served, template = letters
    with served.client() as client:
        made = client.post("/v1/bulk", json={"from": "letter@news.acme.test", "template": template})
        assert made.status_code == 202, made.text
        return str(made.json()["id"])


def record(number: int) -> bytes:
    return json.dumps({"address": f"reader{number}@example.test", "data": {"n": number}}).encode() + b"\n"


class Connection:
    """A request of one's own, in HTTP chunks as they are sent."""

    def __init__(self, served: Any, bulk: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", served.port), timeout=20)
        self.socket.sendall(
            f"POST /v1/bulk/{bulk}/recipients HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {served.key}\r\n"
            "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        self.file = self.socket.makefile("rb")

    def send(self, octets: bytes) -> None:
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(octets), octets))

    def lines(self) -> Iterator[dict[str, Any]]:
        """The lines of the answer as they come."""
        assert self.file.readline().startswith(b"HTTP/1.1 200")
        while self.file.readline().strip():
            pass
        while size := int(self.file.readline(), 16):
            yield json.loads(self.file.read(size))
            self.file.readline()

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def test_the_answer_runs_beside_the_request(letters: Any) -> None:
    connection = Connection(letters[0], opened(letters))
    connection.send(b"".join(record(number) for number in range(1000)))
    lines = connection.lines()
    assert next(lines)["offset"] == 1000
    connection.send(record(1000) + record(1001)[:10])
    assert next(lines) == {"offset": 1001, "accepted": 1, "repeated": 0, "refused": []}, "stored in a silence"
    connection.send(record(1001)[10:])
    connection.socket.sendall(b"0\r\n\r\n")
    assert next(lines)["offset"] == 1002
    assert list(lines) == []
    connection.close()


def test_a_cut_stream_is_sent_again(letters: Any) -> None:
    served, bulk = letters[0], opened(letters)
    connection = Connection(served, bulk)
    connection.send(b"".join(record(number) for number in range(1500))[:-5])
    assert next(connection.lines())["offset"] == 1000
    connection.close()
    with served.client() as client:
        path = f"/v1/bulk/{bulk}"
        # What came behind the last line of the answer may have been stored, too: that is what a silence does.
        assert client.get(path).json()["recipients"] in (1000, 1499)
        time.sleep(0.1)
        before = client.get(path).json()["recipients"]
        body = b"".join(record(number) for number in range(2000))
        answer = client.post(f"{path}/recipients", content=body, headers={"Content-Type": "application/x-ndjson"})
        told = [json.loads(line) for line in answer.text.splitlines()]
        assert sum(line["repeated"] for line in told) == before
        assert sum(line["accepted"] for line in told) == 2000 - before
        assert client.get(path).json()["recipients"] == 2000


def test_a_client_that_reads_only_afterwards_is_served(letters: Any) -> None:
    bulk = opened(letters)
    connection = Connection(letters[0], bulk)
    for first in range(0, 20_000, 500):
        connection.send(b"".join(b'{"address": "nobody %d"}\n' % number for number in range(first, first + 500)))
    connection.socket.sendall(b"0\r\n\r\n")
    told = list(connection.lines())
    assert sum(len(line["refused"]) for line in told) == 20_000
    connection.close()
