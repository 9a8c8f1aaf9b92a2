"""``python -m postwright.sandbox``: run a sandbox until SIGTERM or SIGINT.

Prints one line of JSON with the ports when everything listens. Exit codes: 0 after a clean end, 2 for settings
that cannot work.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import uvloop

from mailtypes.errors import ConfigurationError, PostwrightError
from postwright.sandbox.layout import SandboxLayout
from postwright.sandbox.running import Sandbox


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("mail").setLevel(logging.WARNING)  # aiosmtpd tells every line
    try:
        layout = _layout(options)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(layout, follow_stdin=options.follow_stdin))
    except PostwrightError as error:
        sys.stderr.write(f"postwright.sandbox: {error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m postwright.sandbox", description="A small Internet on loopback.")
    parser.add_argument("--dir", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--dns-address", help="address of the name server (127.0.0.1)")
    parser.add_argument("--dns-port", type=int, help="0 picks a free one; a restart uses the one picked before")
    parser.add_argument("--smtp-port", type=int, help="the port of all MX hosts; as --dns-port")
    parser.add_argument("--greylist-delay", type=float, metavar="SECONDS", help="how long postbox.test defers (3)")
    parser.add_argument("--judge-processes", type=int, metavar="N", help="processes that judge (1)")
    parser.add_argument("--no-judge", action="store_true", help="accept without looking, to measure a sender")
    parser.add_argument("--no-bodies", action="store_true", help="store headers only")
    parser.add_argument("--follow-stdin", action="store_true", help="also end when standard input closes")
    return parser


def _layout(options: argparse.Namespace) -> SandboxLayout:
    """What was written down at the last start, changed by what the command line says now."""
    try:
        layout = SandboxLayout.load(options.dir)
    except ConfigurationError:
        if (options.dir / "sandbox.json").exists():
            raise
        layout = SandboxLayout(options.dir)
    given = {
        "dns_address": options.dns_address,
        "dns_port": options.dns_port or None,
        "smtp_port": options.smtp_port or None,
        "judge_processes": options.judge_processes,
        "greylist_delay": None if options.greylist_delay is None else timedelta(seconds=options.greylist_delay),
    }
    changes = {name: value for name, value in given.items() if value is not None}
    return replace(layout, **changes, judge=not options.no_judge, keep_bodies=not options.no_bodies)


async def _serve(layout: SandboxLayout, *, follow_stdin: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sandbox = Sandbox(layout)
    layout = await sandbox.start()
    try:
        _say_ready(layout)
        if follow_stdin:
            loop.add_reader(0, stop.set)  # nobody writes there: readable means closed
        await stop.wait()
    finally:
        if follow_stdin:
            with contextlib.suppress(ValueError, OSError):
                loop.remove_reader(0)
        await sandbox.close()
    return 0


def _say_ready(layout: SandboxLayout) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps({"ready": True, "dns_port": layout.dns_port, "smtp_port": layout.smtp_port}), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
