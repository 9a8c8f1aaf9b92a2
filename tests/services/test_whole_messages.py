"""Contents of whole messages: a chunk costs one query, whatever is too large for that is read by itself."""

from collections.abc import Sequence
from typing import Any

import pytest

from postwright.services import whole_messages
from postwright.services.whole_messages import StoredMessages

CONTENTS = {1: b"one", 2: b"two", 3: b"three", 9: b"x" * 300_000}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The message ids of each query."""
    queries: list[list[int]] = []

    def read_contents(_: Any, message_ids: Sequence[int], largest: int) -> dict[int, bytes]:
        queries.append(list(message_ids))
        found = {one: CONTENTS[one] for one in message_ids if one in CONTENTS}
        return {one: content for one, content in found.items() if len(content) <= largest}

    def read_content(_: Any, message_id: int) -> bytes | None:
        queries.append([message_id])
        return CONTENTS.get(message_id)

    monkeypatch.setattr(whole_messages.messages, "read_contents", read_contents)
    monkeypatch.setattr(whole_messages.messages, "read_content", read_content)
    return queries


class Database:
    def read_in_thread(self, work: Any) -> Any:
        return work(None)


def test_a_chunk_is_one_query(asked: list[list[int]]) -> None:
    stored = StoredMessages(Database())  # type: ignore[arg-type]
    stored.fetch([3, 1, 1, 2])
    assert [stored.content(one) for one in (1, 2, 3)] == [b"one", b"two", b"three"]
    stored.fetch([1, 2, 3])
    assert asked == [[1, 2, 3]]


def test_what_is_large_or_gone_is_asked_for_when_it_is_composed(asked: list[list[int]]) -> None:
    stored = StoredMessages(Database())  # type: ignore[arg-type]
    stored.fetch([1, 9, 404])
    assert [stored.content(one) for one in (1, 9, 404)] == [b"one", CONTENTS[9], None]
    assert asked == [[1, 9, 404], [9], [404]]


def test_a_single_message_is_not_asked_for_twice(asked: list[list[int]]) -> None:
    stored = StoredMessages(Database())  # type: ignore[arg-type]
    stored.fetch([2])
    stored.fetch([])
    assert stored.content(2) == b"two"
    assert asked == [[2]]
