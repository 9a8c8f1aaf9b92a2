"""Connections that wait a short while for the next batch of their destination."""

import asyncio
from datetime import timedelta

from mta.sessions import Session


class ConnectionPool:
    """Idle connections by destination; the number is bounded, each is said QUIT to after ``idle_time``."""

    def __init__(self, limit: int, idle_time: timedelta) -> None:
        self._limit = limit
        self._idle_time = idle_time
        self._idle: dict[int, list[Session]] = {}
        self._timers: dict[Session, asyncio.TimerHandle] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._timers)

    def take(self, destination_id: int) -> Session | None:
        """A connection that still stands, the one used last first; ``None`` where there is none."""
        idle = self._idle.get(destination_id, [])
        while idle:
            connection = idle.pop()
            self._timers.pop(connection).cancel()
            if not idle:
                self._idle.pop(destination_id, None)
            if connection.is_ready:
                return connection
        return None

    def give(self, destination_id: int, connection: Session) -> None:
        """Keep a connection for later, or part from it where it is spent or the pool is full."""
        if not connection.is_ready or len(self) >= self._limit:
            self._leave(connection)
            return
        self._idle.setdefault(destination_id, []).append(connection)
        loop = asyncio.get_running_loop()
        self._timers[connection] = loop.call_later(
            self._idle_time.total_seconds(), self._drop, destination_id, connection
        )

    def shrink(self, room: int) -> None:
        """Part from the connections idle for longest until at most ``room`` are left."""
        while len(self) > max(room, 0):
            destination_id = next(iter(self._idle))
            self._drop(destination_id, self._idle[destination_id][0])

    async def close(self) -> None:
        """Say QUIT to all and wait for the answers, a few seconds at most."""
        self.shrink(0)
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _drop(self, destination_id: int, connection: Session) -> None:
        idle = self._idle[destination_id]
        idle.remove(connection)
        if not idle:
            del self._idle[destination_id]
        self._timers.pop(connection).cancel()
        self._leave(connection)

    def _leave(self, connection: Session) -> None:
        task = asyncio.get_running_loop().create_task(connection.quit())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
