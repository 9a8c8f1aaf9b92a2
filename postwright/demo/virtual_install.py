"""An install whose days pass in seconds: the whole application on a clock that is moved by hand, beside the sandbox.

One process and one event loop. What it does is what the roles of ``postwright serve`` do: the scheduler's steps, the
delivery engine over SMTP on loopback, the tracking endpoints (asked through ASGI). The sandbox receives, judges and
greylists by the same clock. Between two moments nothing waits in real time but SMTP, DNS and the disk.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from mailtypes.clock import ManualClock, Microseconds
from mailtypes.errors import SurroundingsError
from mta.engine import Deliver, DeliveryEngine
from postwright.demo.stage import Notes, Pace, prepare_install, sandbox_layout
from postwright.sandbox.layout import SandboxLayout
from postwright.sandbox.mailboxes import Mailboxes
from postwright.sandbox.people import People
from postwright.sandbox.reading import Readers
from postwright.sandbox.running import Sandbox
from postwright.settings import read_settings
from postwright.wiring.application import Application
from postwright.wiring.delivery import DeliveryWorker, egress_units

TICK = timedelta(minutes=30)
# Nobody renews leases while the clock stands, and the database's own clock goes on.
_PACE = Pace(lease=timedelta(minutes=5))
_MOST_ROUNDS = 2_000


class RestlessError(SurroundingsError):
    """The scheduler finds something to do for ever."""


class VirtualInstall:
    """Scheduler, delivery and readers, moved together. Made by ``virtual_install``."""

    def __init__(
        self, application: Application, layout: SandboxLayout, notes: Notes, clock: ManualClock, engine: DeliveryEngine
    ) -> None:
        self.application = application
        self.layout = layout
        self.notes = notes
        self.clock = clock
        self.mailboxes = Mailboxes(layout.mailboxes_path)
        self._engine = engine

    async def work(self) -> None:
        """Whatever can be done at this moment: schedule and deliver until both are quiet."""
        for _ in range(_MOST_ROUNDS):
            step = await self.application.scheduler.step()
            if not await self._deliver() and not step.did_something:
                return
        raise RestlessError(f"The scheduler is not quiet after {_MOST_ROUNDS:,} steps at one moment.")

    async def _deliver(self) -> int:
        """Send what is due; returns how many mails were begun."""
        match await self._engine.step():
            case Deliver(destinations):
                reports = await asyncio.gather(*map(self._engine.deliver_one_batch, destinations))
                return sum(report.leased for report in reports)
            case _:
                return 0

    @asynccontextmanager
    async def readers(self, people: People) -> AsyncIterator[Readers]:
        """The people at the mailboxes, who reach the tracking endpoints as through a proxy on this machine."""
        transport = httpx.ASGITransport(self.application.track_application)
        async with httpx.AsyncClient(transport=transport, follow_redirects=False) as client:
            yield Readers(people, self.mailboxes, client)

    async def pass_time(self, readers: Readers, until: Microseconds | None = None) -> int:
        """Move on by ``TICK``, or where nobody reads before ``until`` to that moment or the next reader; then do what
        can be done. The readers act each at their moment on the way; returns how many requests they made.
        """
        readers.collect()
        now = self.clock.now()
        end = now + TICK // timedelta(microseconds=1)
        if until is not None:
            end = max(end, min(until, readers.next_at or until))
        made = 0
        while (moment := readers.next_at) is not None and moment <= end:
            self._move_to(moment)
            made += await readers.act(self.clock.now())
        self._move_to(Microseconds(end))
        await self.work()
        return made

    def _move_to(self, moment: Microseconds) -> None:
        self.clock.advance(timedelta(microseconds=max(0, moment - self.clock.now())))


@asynccontextmanager
async def virtual_install(folder: Path, clock: ManualClock, http_port: int) -> AsyncIterator[VirtualInstall]:
    """An install in an empty folder with its sandbox; ``postwright serve`` can go on with it afterwards."""
    sandbox = Sandbox(sandbox_layout(folder, _PACE), clock)
    layout = await sandbox.start()
    try:
        notes = await asyncio.to_thread(prepare_install, folder, layout, http_port, _PACE)
        application = Application(read_settings(folder / "postwright.toml"), clock)
        try:
            (unit,) = egress_units(application.settings)
            with ThreadPoolExecutor(1, thread_name_prefix="sign") as executor:
                # Not shaped: the pace of destinations is measured in real seconds.
                engine = DeliveryWorker(application, unit).engine(executor, is_shaped=False)
                try:
                    yield VirtualInstall(application, layout, notes, clock, engine)
                finally:
                    await engine.close()
        finally:
            await application.close()
    finally:
        await sandbox.close()
