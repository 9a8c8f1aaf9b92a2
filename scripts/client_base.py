"""The part of the client that is written by hand; `scripts/generate_client.py` puts it into the generated file."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Self, TypeAlias
from urllib.parse import quote

import httpx

_TRIES = 5
_LONGEST_WAIT = 60.0
_RECORDS_A_REQUEST = 100_000

RecipientsProgress: TypeAlias = dict[str, Any]  # the generated file has its real type


class ApiError(Exception):
    """The server refused a request: ``problem`` is its document (RFC 9457), ``errors`` what is wrong, one by one."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}".rstrip(": "))
        self.status = status
        self.problem = problem

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """Each with ``code``, ``detail``, ``field`` and ``next_step``."""
        return list(self.problem.get("errors", []))


def every(list_page: Callable[..., Any], **filters: Any) -> Iterator[Any]:
    """All items of a list, page by page: ``every(client.list_events, kind="delivered")``."""
    cursor: str | None = None
    while True:
        page = list_page(**filters, cursor=cursor)
        yield from page["data"]
        cursor = page["next_cursor"]
        if not page["has_more"]:  # the event log has a cursor for later even then
            return


class ClientBase:
    """The connection. ``key`` is an API key; use it as ``with Client(url, key) as client``.

    What may be asked twice is asked again where the server was busy or the connection was cut: reading always, and
    sending too, since each such request goes with an idempotency key (one is drawn where none is given).
    """

    def __init__(
        self, url: str, key: str, *, timeout: float = 60, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=timeout, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def stream_bulk_recipients(
        self, bulk_id: str, records: Iterable[Mapping[str, Any]]
    ) -> Iterator[RecipientsProgress]:
        """Add any number of recipients to an open bulk; yields how far it is. Nothing but a request's part is held.

        Each record has ``address``, ``data`` and, if wanted, ``key``. A request that is cut off is sent again from
        behind what was stored; who is there already is counted as ``repeated``.
        """
        remaining = iter(records)
        while part := [_line(record) for record in islice(remaining, _RECORDS_A_REQUEST)]:
            yield from self._stream(f"/v1/bulk/{quote(bulk_id, safe='')}/recipients", part)

    def _stream(self, path: str, lines: list[bytes]) -> Iterator[RecipientsProgress]:
        stored = failures = 0
        while stored < len(lines):
            behind = stored
            try:
                for progress in self._progress(path, lines[behind:]):
                    stored = behind + progress["offset"]
                    progress["offset"] = stored
                    yield progress
            except httpx.TransportError:
                failures = 0 if stored > behind else failures + 1
                if failures == _TRIES:
                    raise
                time.sleep(_wait(None, failures))

    def _progress(self, path: str, lines: list[bytes]) -> Iterator[RecipientsProgress]:
        headers = {"Content-Type": "application/x-ndjson"}
        with self._http.stream("POST", path, content=iter(lines), headers=headers) as answer:
            if not answer.is_success:
                answer.read()
                raise _error(answer)
            for line in answer.iter_lines():
                progress = json.loads(line)
                if "error" in progress:
                    raise ApiError(answer.status_code, {"title": "The stream was ended", **progress["error"]})
                yield progress

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        may_repeat = method in {"GET", "DELETE"} or "Idempotency-Key" in (headers or {})
        request = self._http.build_request(
            method,
            path,
            params={name: value for name, value in (query or {}).items() if value is not None},
            headers=headers,
            json=body,
            content=content,
        )
        for failures in range(1, _TRIES + 1):
            is_last = not may_repeat or failures == _TRIES
            try:
                answer = self._http.send(request)
            except httpx.TransportError:
                if is_last:
                    raise
                time.sleep(_wait(None, failures))
                continue
            if answer.is_success:
                return answer
            if is_last or answer.status_code not in {409, 429, 503}:
                raise _error(answer)
            time.sleep(_wait(answer, failures))
        raise AssertionError("the last try returns or raises")


def idempotent(key: str | None) -> dict[str, str]:
    """The header that makes a request safe to send twice."""
    return {"Idempotency-Key": key or str(uuid.uuid4())}


def in_path(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _wait(answer: httpx.Response | None, failures: int) -> float:
    """Seconds until the next try: what the server says, or longer each time."""
    asked = answer.headers.get("Retry-After", "") if answer is not None else ""
    return (
        float(asked) if asked.isdigit() and float(asked) <= _LONGEST_WAIT else min(0.2 * 2.0**failures, _LONGEST_WAIT)
    )


def _error(answer: httpx.Response) -> ApiError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {"title": answer.reason_phrase, "detail": answer.text[:500]}
    return ApiError(answer.status_code, problem if isinstance(problem, dict) else {"title": answer.reason_phrase})
