"""Segments: stored filters over contacts, counted, read page by page, and told in English."""

import asyncio
import json
import os
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from sqlalchemy import Connection

from hygiene.segments.describe import describe
from hygiene.segments.parse import parse
from hygiene.segments.tree import Node
from mailtypes.clock import Clock, Microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store import segments
from postwright.store.contacts import Contact
from postwright.store.database import Database
from postwright.store.segments import Audience, Segment

_LONGEST_NAME = 200
_MOST_PARTS = 4
_SMALL = 50_000  # contacts that one reader counts sooner than several begin


@dataclass(frozen=True, slots=True)
class SegmentSummary:
    """A segment, its sentence, and how many contacts are in it now."""

    segment: Segment
    sentence: str
    contacts: int


class Segments:
    """Segments of a workspace."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, workspace_id: int, name: str, document: object) -> Segment:
        """Store a tree under a name; raises ``SegmentSyntaxError`` and ``RefusedError`` (``name_taken``)."""
        tree, name, now = parse(document), _checked_name(name), self._clock.now()

        def store(connection: Connection) -> Segment:
            if segments.find_segment(connection, workspace_id, name) is not None:
                raise _taken(name)
            _try(connection, workspace_id, tree, name, now)
            segment_id = segments.add_segment(connection, workspace_id, name, tree, now)
            found = segments.get_segment(connection, workspace_id, segment_id)
            assert found is not None  # stored a line above
            return found

        return await self._database.write(store)

    async def change(
        self, workspace_id: int, segment_id: int, *, name: str | None = None, document: object = None
    ) -> Segment:
        """Give a segment another name or tree; one that others refer to keeps its name."""
        new_name = None if name is None else _checked_name(name)
        new_tree = None if document is None else parse(document)
        now = self._clock.now()

        def store(connection: Connection) -> Segment:
            found = _get(connection, workspace_id, segment_id)
            wanted = found.name if new_name is None else new_name
            tree = found.node if new_tree is None else new_tree
            if wanted != found.name:
                if segments.find_segment(connection, workspace_id, wanted) is not None:
                    raise _taken(wanted)
                _refuse_where_used(connection, workspace_id, found.name, say("renamed"))
            _try(connection, workspace_id, tree, wanted, now)
            segments.change_segment(connection, found, wanted, tree, now)
            return _get(connection, workspace_id, segment_id)

        return await self._database.write(store)

    async def delete(self, workspace_id: int, segment_id: int) -> None:
        """Delete a segment; its contacts stay. Raises ``RefusedError`` where another segment has it in it."""

        def work(connection: Connection) -> None:
            found = _get(connection, workspace_id, segment_id)
            _refuse_where_used(connection, workspace_id, found.name, say("deleted"))
            segments.delete_segment(connection, segment_id)

        await self._database.write(work)

    async def get(self, workspace_id: int, segment_id: int) -> Segment:
        """A segment; raises ``NotFoundError``."""
        return await self._database.read(partial(_get, workspace_id=workspace_id, segment_id=segment_id))

    async def find(self, workspace_id: int, name: str) -> Segment:
        """The segment of that name; raises ``NotFoundError``."""
        found = await self._database.read(partial(segments.find_segment, workspace_id=workspace_id, name=name))
        if found is None:
            raise NotFoundError("segment")
        return found

    async def page(self, workspace_id: int, *, after: int = 0, limit: int = 100) -> list[Segment]:
        """Segments in the order of their ids, beginning behind ``after``."""
        return await self._database.read(
            partial(segments.list_segments, workspace_id=workspace_id, after=after, limit=limit)
        )

    async def summary(self, workspace_id: int, segment: Segment) -> SegmentSummary:
        """A segment with its sentence and its number of contacts."""
        count = await self.count(workspace_id, segment.node, name=segment.name)
        return SegmentSummary(segment, describe(segment.node), count)

    async def count(self, workspace_id: int, tree: Node, *, name: str | None = None) -> int:
        """How many contacts are in a tree, stored or not; raises ``SegmentSyntaxError``.

        Large workspaces are counted in parts at the same time, since a reader of SQLite keeps one processor busy.
        """
        now = self._clock.now()

        def begin(connection: Connection) -> tuple[Audience, tuple[int, int]]:
            audience = segments.open_audience(connection, workspace_id, tree, name=name)
            return audience, segments.id_range(connection, workspace_id)

        audience, (first, end) = await self._database.read(begin)
        parts = 1 if end - first < _SMALL else min(_MOST_PARTS, os.cpu_count() or 1)
        cuts = [first + (end - first) * part // parts for part in range(parts + 1)]
        counting = (
            self._database.read(partial(segments.count_contacts, audience=audience, now=now, ids=(low, high)))
            for low, high in pairwise(cuts)
        )
        return sum(await asyncio.gather(*counting))

    async def contacts(self, workspace_id: int, tree: Node, *, after: int = 0, limit: int = 100) -> list[Contact]:
        """Contacts in a tree in the order of their ids, beginning behind ``after``."""
        now = self._clock.now()

        def read(connection: Connection) -> list[Contact]:
            audience = segments.open_audience(connection, workspace_id, tree)
            return segments.segment_contacts(connection, audience, now, after=after, limit=limit)

        return await self._database.read(read)


def read_tree(text: str) -> Node:
    """A tree from JSON text; raises ``InputSyntaxError`` with the place."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        place = say("line %(line)s, column %(column)s", line=error.lineno, column=error.colno)
        raise InputSyntaxError(
            say("%(place)s: this is not JSON: %(message)s", place=place, message=error.msg),
            next_step=say('Write such as {"list": "news"}.'),
        ) from error
    except RecursionError as error:
        raise InputSyntaxError(
            say("the JSON is nested too deep"), next_step=say("Nest at most twelve deep.")
        ) from error
    except ValueError as error:  # Python reads no more than 4,300 digits
        raise InputSyntaxError(
            say("the JSON has a number of too many digits"), next_step=say('Write such as {"list": "news"}.')
        ) from error
    return parse(document)


def _get(connection: Connection, workspace_id: int, segment_id: int) -> Segment:
    found = segments.get_segment(connection, workspace_id, segment_id)
    if found is None:
        raise NotFoundError("segment")
    return found


def _try(connection: Connection, workspace_id: int, tree: Node, name: str, now: Microseconds) -> None:
    """Compile the tree, so that what cannot be answered is not stored; looks at no contact."""
    audience = segments.open_audience(connection, workspace_id, tree, name=name)
    segments.count_contacts(connection, audience, now, ids=(0, 0))


def _checked_name(name: str) -> str:
    kept = name.strip()
    if not kept or len(kept) > _LONGEST_NAME or not kept.isprintable():
        sentence = say(
            "A segment has a name of 1 to %(longest_name)s characters, all of which can be printed.",
            longest_name=_LONGEST_NAME,
        )
        raise RefusedError("segment_name", sentence, field="name")
    return kept


def _taken(name: str) -> RefusedError:
    return RefusedError("name_taken", say("There is a segment '%(name)s' already.", name=name), field="name")


def _refuse_where_used(connection: Connection, workspace_id: int, name: str, done: str) -> None:
    users = segments.referring_segments(connection, workspace_id, name)
    if users:
        raise RefusedError(
            "segment_in_use",
            say(
                "The segment is part of %(users)s and cannot be %(done)s.",
                users=", ".join(repr(one) for one in users[:5]),
                done=done,
            ),
            next_step=say("Take it out of them first."),
        )
