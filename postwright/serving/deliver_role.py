"""The role that sends: it imports little, since there may be many of it."""

import asyncio
from concurrent.futures import Executor, ThreadPoolExecutor

from postwright.wiring.delivery import DeliveryWorker, egress_units
from postwright.wiring.foundation import Foundation


async def run_deliver(foundation: Foundation, stop: asyncio.Event) -> None:
    """Deliver from every place that mail leaves from, until ``stop``."""
    threads = foundation.settings.deliver.signing_threads
    workers = [DeliveryWorker(foundation, unit) for unit in egress_units(foundation.settings)]
    with ThreadPoolExecutor(threads, thread_name_prefix="sign") as executor:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(_work(worker, executor, stop))


async def _work(worker: DeliveryWorker, executor: Executor, stop: asyncio.Event) -> None:
    """One worker until ``stop``; what it holds is kept until its last message has its outcome."""
    released = asyncio.Event()
    engine = worker.engine(executor)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.queue.keep_leases(released))
        group.create_task(worker.shaping.keep(released))
        try:
            await engine.run(stop)
        finally:
            released.set()
    await worker.shaping.close()
