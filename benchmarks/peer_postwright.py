"""Postwright as a relay: `postwright serve` with the roles smtp, schedule and deliver, each a process of its own."""

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import stage
from peer_processes import Place, Processes, Signature
from sqlalchemy import create_engine, text
from submission_stage import await_port, make_install

from postwright.sandbox.nameserver import NameServer
from postwright.sandbox.zones import ZoneDirectory, publish_zone
from postwright.settings import CONFIG_VARIABLE
from postwright.store.database import read_url

_ROOT = Path(__file__).resolve().parent.parent
_CONFIG = """
[dns]
nameservers = ["127.0.0.1"]
port = {dns}

[deliver]
smtp_port = {sink}
allow_private_destinations = true

[[deliver.egress]]
ip = "127.0.0.1"
ehlo = "mta1.postwright.test"
"""


class Postwright:
    """Begun in an empty folder, with a queue of its own on SQLite with ``synchronous=FULL``."""

    name = "Postwright"

    def __init__(self, place: Place, deliverers: int, name_server_port: int) -> None:
        more = _CONFIG.format(dns=name_server_port, sink=place.sink_port)
        install = asyncio.run(make_install(place.folder, "sqlite:///data/bench.db", more))
        self.port, self.key = install.settings.submission.port, install.key
        engine = create_engine(read_url(install.settings.database.url))
        with engine.begin() as connection:
            found = connection.execute(text("SELECT selector, public_record FROM dkim_key")).one()
            # Its records are published nowhere here: nobody is to look whether they are.
            connection.execute(text("UPDATE sender_domain SET next_check_at = 1 << 62"))
        engine.dispose()
        self.signature = Signature(str(found[0]), str(found[1]))
        self._processes = Processes()
        environment = {
            "MALLOC_ARENA_MAX": "2",
            CONFIG_VARIABLE: str(install.config),
            "PYTHONPATH": str(_ROOT),
        }
        base = [sys.executable, "-m", "postwright", "serve", "--no-prepare", "--follow-parent", "--role"]
        listener = self._processes.begin([*base, "smtp"], place.folder, environment)
        self._processes.begin([*base, "schedule"], place.folder, environment)
        cores = sorted(os.sched_getaffinity(0))
        for each in range(deliverers):
            process = self._processes.begin([*base, "deliver"], place.folder, environment)
            if 1 < len(cores) <= deliverers:  # as ``postwright serve`` does it
                os.sched_setaffinity(process.pid, {cores[each % len(cores)]})
        await_port(listener, self.port)

    def cpu(self) -> float:
        """See ``Relay``."""
        return self._processes.cpu()

    def close(self) -> None:
        """See ``Relay``."""
        self._processes.close()


class Names:
    """The name server of the recipients' domains, in a process of its own (``python peer_postwright.py FOLDER``)."""

    def __init__(self, folder: Path) -> None:
        zones = folder / "zones"
        zones.mkdir()
        for name, content in stage.zones().items():
            publish_zone(zones, name, content)
        self._folder = zones
        self._processes = Processes()
        port_file = zones / "port"
        path = os.pathsep.join([str(_ROOT), str(Path(__file__).parent)])
        process = self._processes.begin([sys.executable, __file__, str(zones)], folder, {"PYTHONPATH": path})
        for _ in range(400):
            if port_file.exists():
                break
            if process.poll() is not None:
                sys.exit(f"the name server ended with status {process.returncode}")
            asyncio.run(asyncio.sleep(0.05))
        self.port = int(port_file.read_text("ascii"))

    def close(self) -> None:
        """End it."""
        self._processes.close()
        shutil.rmtree(self._folder)


async def _serve_names(folder: Path) -> Any:
    port = await NameServer(ZoneDirectory(folder)).start()
    ready = folder / "port.new"
    ready.write_text(str(port), "ascii")
    ready.rename(folder / "port")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve_names(Path(sys.argv[1])))
