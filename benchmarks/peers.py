"""Postwright beside other mail servers, like with like, in interleaved pairs on one machine in one run.

    python benchmarks/peers.py --node-modules DIR

SMTP in to SMTP out: one client process submits messages over loopback to Postwright, to Postfix + OpenDKIM (a milter
over a UNIX socket) and to Haraka + DKIM, each with a fresh queue on the same disk; all sign with RSA-2048, and all
send to Postfix's ``smtp-sink``. The clock runs from the first submission until the sink has the last message.

Campaign: the letter of ``send.py`` to as many recipients, by Postwright's delivery processes and by Nodemailer, pooled
and with DKIM, which keeps no queue at all.

A few messages go first to a sink that keeps them: their signatures have to be valid for dkimpy, and everybody is warm.
A peer that is not installed is left out with a sentence. ``DIR`` is a node_modules folder with Haraka,
haraka-plugin-dkim and nodemailer.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dkim
import machine
import peer_haraka
import peer_nodemailer
import peer_postfix
import send
import stage
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from peer_haraka import Haraka
from peer_postfix import PostfixWithOpenDkim
from peer_postwright import Names, Postwright
from peer_processes import Place, Relay, Signature
from rich.console import Console
from rich.table import Table

from postwright.sandbox.ports import free_ports

_SIZES = (5_000, 30_000)
_WARM = 200  # messages
_KEPT = 5
_LONGEST = 90.0


@dataclass(frozen=True)
class Figure:
    """One measurement of one peer; ``fsyncs`` and ``rsa`` are the machine's just before it."""

    name: str
    what: str
    messages: int
    seconds: float
    cpu: float
    acknowledged: float  # seconds until the last message was accepted; as ``seconds`` where nothing is submitted
    fsyncs: int
    rsa: int
    remark: str = ""

    @property
    def a_second(self) -> float:
        """End to end."""
        return self.messages / self.seconds

    def as_json(self) -> dict[str, object]:
        """Everything."""
        rates = {"a_second": round(self.a_second, 1), "cpu_ms": round(self.cpu / self.messages * 1000, 3)}
        return {**asdict(self), "seconds": round(self.seconds, 3), "cpu": round(self.cpu, 2), **rates}


Opening = Callable[[Place], Relay]


@contextmanager
def _relay(opening: Opening, folder: Path, sink_port: int) -> Iterator[Relay]:
    key = rsa.generate_private_key(65537, 2048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    file = folder / "peer.pem"
    file.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    public = key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = f"v=DKIM1; k=rsa; p={''.join(public.decode().splitlines()[1:-1])}"
    place = Place(folder / "peer", free_ports(1)[0], sink_port, file, Signature("peer", record))
    place.folder.mkdir()
    relay = opening(place)
    try:
        yield relay
    finally:
        relay.close()


def relayed(options: argparse.Namespace, opening: Opening, octets: int) -> Figure:
    """SMTP in to SMTP out through a fresh relay."""
    with tempfile.TemporaryDirectory(prefix="postwright-peer-", dir=options.folder) as name:
        folder = Path(name)
        folder.chmod(0o755)  # some relays become users of their own
        limits = round(machine.fsync_rate(folder)), round(machine.rsa_rate(2, 0.5))
        sink_port = free_ports(1)[0]
        with _relay(opening, folder, sink_port) as relay:
            _warm_up(relay, folder, sink_port, octets)
            sink = send.PostfixSink(folder, send.Shape("smtp-sink"), sink_port)
            try:
                before = relay.cpu()
                said = _submit(relay, options, options.messages, octets)
                ended = _await(lambda: sink.counted() >= options.messages)
                cpu = relay.cpu() - before
            finally:
                taken = sink.close()
    if taken.messages != options.messages:
        sys.exit(f"{relay.name}: {options.messages} messages submitted, {taken.messages} at the sink")
    words = (f"SMTP, {octets // 1000} KB", options.messages, ended - said["begun_at"], cpu, said["seconds"])
    return Figure(relay.name, *words, *limits)


def _warm_up(relay: Relay, folder: Path, sink_port: int, octets: int) -> None:
    """Send some messages to a sink that keeps the first, and look at their signatures."""
    command = [sys.executable, str(Path(__file__).with_name("sink.py")), str(sink_port)]
    keeping = subprocess.Popen(
        [*command, "--keep", str(_WARM), "--into", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert keeping.stdout is not None
        keeping.stdout.readline()
        settings = argparse.Namespace(connections=10)
        _submit(relay, settings, _WARM, octets)
        _await(lambda: len(list(folder.glob("*.eml"))) >= _WARM)
        keeping.communicate(timeout=30)
    except BaseException:
        keeping.kill()
        raise
    valid = _valid(folder, relay.signature)
    if valid != _KEPT:
        sys.exit(f"{relay.name}: {valid} of {_KEPT} signatures are valid")


def _valid(folder: Path, signature: Signature) -> int:
    """How many of the first messages in the folder are signed validly, at most ``_KEPT``."""
    name = f"{signature.selector}._domainkey.{stage.SENDER}."

    def published(asked: bytes, timeout: int = 5) -> bytes:  # noqa: ARG001 - the signature is dkimpy's
        return signature.record.encode() if asked.decode() == name else b""

    return sum(dkim.verify(file.read_bytes(), dnsfunc=published) for file in sorted(folder.glob("*.eml"))[:_KEPT])


def _submit(relay: Relay, options: argparse.Namespace, messages: int, octets: int) -> dict[str, Any]:
    words = [relay.port, options.connections, messages, octets]
    command = [sys.executable, str(Path(__file__).with_name("smtp_load.py")), *map(str, words)]
    ended = subprocess.run(
        command, input=relay.key + "\n", stdout=subprocess.PIPE, text=True, timeout=_LONGEST, check=False
    )
    if ended.returncode:
        sys.exit(f"{relay.name}: the client ended with status {ended.returncode}")
    said: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return said


def _await(condition: Callable[[], bool]) -> float:
    """The moment (within 10 ms) when the condition holds; ends the program where it takes too long."""
    deadline = time.monotonic() + _LONGEST
    while time.monotonic() < deadline:
        if condition():
            return time.time()
        time.sleep(0.01)
    sys.exit("The sink waited too long for the last message.")


def relays(options: argparse.Namespace, names: Names) -> Sequence[Opening]:
    """Who is measured; says who is not, and why."""
    found: list[Opening] = [lambda place: Postwright(place, options.deliverers, names.port)]
    if reason := peer_postfix.why_not():
        print(f"Postfix + OpenDKIM is left out: {reason}", file=sys.stderr)
    else:
        found.append(PostfixWithOpenDkim)
    modules = options.node_modules
    if reason := peer_haraka.why_not(modules):
        print(f"Haraka is left out: {reason}", file=sys.stderr)
    else:
        found += [lambda place: Haraka(place, modules, 1), lambda place: Haraka(place, modules, 2)]
    return found if len(found) > 1 else []


def campaigns(options: argparse.Namespace) -> Iterator[Figure]:
    """The letter of ``send.py``, by Postwright and by Nodemailer, in turn."""
    if reason := peer_nodemailer.why_not(options.node_modules):
        print(f"Nodemailer is left out: {reason}", file=sys.stderr)
        return
    wanted = argparse.Namespace(
        recipients=options.recipients, database="sqlite:///data/bench.db", folder=options.folder
    )
    for workers in (1, 2):
        shape = send.Shape("smtp-sink", workers)
        for each in range(options.pairs):
            pair = [partial(_postwright_campaign, wanted, shape), partial(_nodemailer_campaign, options, workers)]
            for one in pair if each % 2 == 0 else reversed(pair):
                yield one()


def _postwright_campaign(wanted: argparse.Namespace, shape: send.Shape) -> Figure:
    result: dict[str, Any] = send.measure(wanted, shape)
    number, seconds = result["delivered"], result["seconds"]
    cpu = result["cpu_ms_a_message"]["delivery"] * number / 1000
    limits = result["fsync_a_second"][0], result["rsa_2048_two_threads"][0]
    what = f"letter, {shape.workers} process{'es' if shape.workers > 1 else ''}"
    return Figure("Postwright", what, number, seconds, cpu, seconds, *limits, "durable queue")


def _nodemailer_campaign(options: argparse.Namespace, processes: int) -> Figure:
    with tempfile.TemporaryDirectory(prefix="postwright-peer-", dir=options.folder) as name:
        folder = Path(name)
        limits = round(machine.fsync_rate(folder)), round(machine.rsa_rate(2, 0.5))
        done = peer_nodemailer.send_letters(folder, options.node_modules, options.recipients, processes)
        if _valid(folder, done.signature) != done.kept:
            sys.exit("Nodemailer: a signature is not valid")
    what = f"letter, {processes} process{'es' if processes > 1 else ''}"
    words = (options.recipients, done.seconds, done.cpu, done.seconds, *limits)
    return Figure("Nodemailer, pooled, DKIM", what, *words, f"no queue; {done.octets:,} octets a message")


def measure(options: argparse.Namespace) -> tuple[dict[str, object], list[Figure]]:
    """Everything that was asked for."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="postwright-peer-", dir=options.folder) as name:
        folder = Path(name)
        about: dict[str, object] = {"benchmark": "peers", "machine": machine.describe()}
        about["rsa_2048_a_second_1_2_threads"] = [round(machine.rsa_rate(1)), round(machine.rsa_rate(2))]
        about["fsync_a_second"] = round(machine.fsync_rate(folder))
        if "relay" in options.only:
            names = Names(folder)
            try:
                openings = relays(options, names)
                for octets in options.sizes:
                    for each in range(options.pairs):
                        # The order turns, so that nobody always goes first.
                        for at in range(len(openings)):
                            opening = openings[(at + each) % len(openings)]
                            figures.append(_told(relayed(options, opening, octets)))
            finally:
                names.close()
        if "campaign" in options.only:
            figures += [_told(one) for one in campaigns(options)]
    return about, figures


def _told(one: Figure) -> Figure:
    print(f"{one.what}: {one.name}: {one.a_second:,.0f} a second", file=sys.stderr)
    return one


def medians(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """For each peer and load the median, and the median of the ratios of Postwright to it within each round."""
    rows = []
    for what in dict.fromkeys(one.what for one in figures):
        of_load = [one for one in figures if one.what == what]
        ours = [one.a_second for one in of_load if one.name == Postwright.name]
        for name in dict.fromkeys(one.name for one in of_load):
            found = [one for one in of_load if one.name == name]
            ratios = [own / one.a_second for own, one in zip(ours, found, strict=True)]
            rows.append(
                {
                    "what": what,
                    "name": name,
                    "a_second": [round(one.a_second) for one in found],
                    "median": round(statistics.median(one.a_second for one in found)),
                    "cpu_ms": round(statistics.median(one.cpu / one.messages * 1000 for one in found), 2),
                    "postwright_to_it": round(statistics.median(ratios), 2),
                    "accepted_a_second": round(statistics.median(one.messages / one.acknowledged for one in found)),
                    "rsa_2048_two_threads": round(statistics.median(one.rsa for one in found)),
                    "fsync_a_second": round(statistics.median(one.fsyncs for one in found)),
                    "remark": found[0].remark,
                }
            )
    return rows


def show(about: dict[str, object], rows: Sequence[dict[str, Any]]) -> None:
    """The results as a table."""
    table = Table(title="Postwright beside other mail servers")
    columns = ("", "", "a second, each run", "median", "Postwright / it", "CPU ms each", "accepted a second")
    for name in (*columns, "raw RSA, 2 threads", "fsyncs a second", ""):
        table.add_column(name)
    for row in rows:
        table.add_row(
            row["what"],
            row["name"],
            ", ".join(f"{each:,}" for each in row["a_second"]),
            *(f"{row[name]:,}" for name in ("median", "postwright_to_it", "cpu_ms", "accepted_a_second")),
            *(f"{row[name]:,}" for name in ("rsa_2048_two_threads", "fsync_a_second")),
            row["remark"],
        )
    Console(width=200).print(table)
    print(json.dumps(about))


def main() -> int:
    """Measure and print; fails where a message is missing or a signature not valid."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=3_000, help="through a relay, each time")
    parser.add_argument("--sizes", type=int, nargs="*", default=_SIZES, help="of their octets")
    parser.add_argument("--recipients", type=int, default=4_000, help="of the letter, each time")
    parser.add_argument("--pairs", type=int, default=3, help="how often each is measured")
    parser.add_argument("--connections", type=int, default=20, help="of the client to a relay")
    parser.add_argument("--deliverers", type=int, default=2, help="delivery processes of Postwright as a relay")
    parser.add_argument("--node-modules", type=Path, default=None, help="a node_modules folder with the node peers")
    parser.add_argument("--only", nargs="*", choices=("relay", "campaign"), default=("relay", "campaign"))
    parser.add_argument("--folder", type=Path, default=None, help="where to make the working folders (on a real disk)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if options.node_modules is not None:
        options.node_modules = options.node_modules.resolve()
    about, figures = measure(options)
    rows = medians(figures)
    if options.json:
        print(json.dumps({**about, "figures": [one.as_json() for one in figures], "medians": rows}, indent=2))
    else:
        show(about, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
