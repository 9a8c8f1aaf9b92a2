"""How many sender domains one process audits in a second, beside checkdmarc on the same zones in the same run.

    python benchmarks/audit.py --domains 500 --peer-python /path/to/venv/bin/python

The name server is this process; it answers every query 20 ms after it came, from zones made for the run. The audit is
the whole one (SPF, DKIM, DMARC, MX of two hosts, PTR, BIMI, MTA-STS, TLS-RPT, TLSA, eight block lists), in a process of
its own, with an empty cache at first. checkdmarc is installed by whoever runs this into an environment of its own; it
looks at less (no DKIM, PTR, TLSA, block lists) and at a little more (SOA, NS, DNSSEC), one domain after the other as
its own command does; `--peer-threads` gives it threads that it does not have by itself. Nothing is on the web in these
zones, so neither fetches anything. All processes share the machine.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import machine

from dns_checks.audit import AuditRequest, AuditTerms, ExpectedKey, Verdict, run_audit
from dns_checks.dkim.keys import generate_rsa_key, key_record_text, parse_key_record
from dns_checks.dnsbl_lists import DEFAULT_LISTS
from dns_checks.driver import Resolver
from mailtypes.clock import SystemClock, as_datetime
from mailtypes.domain import DomainName
from postwright.sandbox.nameserver import Responder
from postwright.sandbox.zones import Zone, ZoneDirectory

_EGRESS = ip_address("93.184.215.10")
_MAIL_HOST = "mx.postwright.test"
_ROOT = Path(__file__).resolve().parent.parent

_PEER = """
import json, os, resource, sys, time
from concurrent.futures import ThreadPoolExecutor
import checkdmarc, dns.nameserver
port, threads, names = int(sys.argv[1]), int(sys.argv[2]), sys.stdin.read().split()
server = [dns.nameserver.Do53Nameserver("127.0.0.1", port)]
def check(name):
    return checkdmarc.check_domains([name], nameservers=server, timeout=5.0)
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
begun, cpu_before = time.perf_counter(), cpu()
if threads > 1:
    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(check, names))
else:
    results = [check(name) for name in names]
passed = time.perf_counter() - begun
used = resource.getrusage(resource.RUSAGE_SELF)
spent = cpu() - cpu_before
good = sum(bool(one["spf"].get("valid") and one["dmarc"].get("valid")) for one in results)
print(json.dumps({"seconds": passed, "cpu": spent, "memory": used.ru_maxrss / 1024,
    "good": good, "version": checkdmarc.__version__}))
"""


def name_of(number: int) -> str:
    return f"sender{number}.test"


def zones(count: int, key_record: str) -> list[Zone]:
    """A sender domain for each number, and what all of them share."""
    strings = " ".join(f'"{key_record[at : at + 250]}"' for at in range(0, len(key_record), 250))
    made = [
        Zone.parse(
            name_of(number),
            f'@ TXT "v=spf1 include:_spf.{name_of(number)} -all"\n_spf TXT "v=spf1 ip4:{_EGRESS} -all"\n'
            f"@ MX 10 mx\nmx A 93.184.215.{number % 200 + 20}\n@ A 93.184.215.9\n"
            f'_dmarc TXT "v=DMARC1; p=reject; rua=mailto:dmarc@{name_of(number)}"\n'
            f"pw1._domainkey TXT {strings}\n"
            f'bounce TXT "v=spf1 ip4:{_EGRESS} -all"\nbounce MX 10 {_MAIL_HOST}.\nlinks CNAME edge.postwright.test.\n'
            f'_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@{name_of(number)}"\n',
        )
        for number in range(count)
    ]
    made.append(Zone.parse("postwright.test", "mx A 93.184.215.11\nout A 93.184.215.10\nedge A 93.184.215.12\n"))
    made.append(Zone.parse("215.184.93.in-addr.arpa", "10 PTR out.postwright.test.\n"))
    for one in DEFAULT_LISTS:
        listed = (
            f"{one.listed_entry} A {next(iter(one.codes), '127.0.0.2')}\n" if one.listed_entry else "x A 127.0.0.9\n"
        )
        made.append(Zone.parse(one.zone, listed))
    return made


class SlowServer(asyncio.DatagramProtocol):
    """Answers every query after ``delay`` seconds, however many wait; ``queries`` counts them."""

    def __init__(self, responder: Responder, delay: float) -> None:
        self._responder, self._delay = responder, delay
        self.queries = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        due = asyncio.get_running_loop().time() + self._delay
        self.queries += 1
        response = self._responder.respond(data)
        if response is not None:
            asyncio.get_running_loop().call_at(due, self._send, response, addr)

    def _send(self, response: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(response, addr)

    async def serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        self.queries += 1
        response = self._responder.respond(await reader.readexactly(size), 65_535) or b""
        await asyncio.sleep(self._delay)
        writer.write(len(response).to_bytes(2, "big") + response)
        await writer.drain()
        writer.close()


async def audit_all(port: int, count: int, at_once: int, key_record: str) -> dict[str, float]:
    """In the child: audit every domain, ``at_once`` of them at a time."""
    clock = SystemClock()
    public = parse_key_record(key_record).public_key
    assert public is not None
    slots = asyncio.Semaphore(at_once)
    terms = AuditTerms(now=as_datetime(clock.now()))

    async def audit(number: int) -> Verdict:
        name = name_of(number)
        request = AuditRequest(
            domain=DomainName(name),
            return_path_host=DomainName(f"bounce.{name}"),
            egress_addresses=(_EGRESS,),
            keys=(ExpectedKey("pw1", public),),
            mail_hosts=(DomainName(_MAIL_HOST),),
            tracking_host=DomainName(f"links.{name}"),
            ehlo_names={_EGRESS: DomainName("out.postwright.test")},
            terms=terms,
        )
        async with slots:
            return (await run_audit(request, resolver)).verdict

    async with Resolver(["127.0.0.1"], port, 5.0, clock=clock) as resolver:
        begun, before = time.perf_counter(), machine.used(os.getpid()).cpu
        verdicts = await asyncio.gather(*(audit(number) for number in range(count)))
        passed = time.perf_counter() - begun
    spent = machine.used(os.getpid())
    good = sum(verdict is Verdict.VERIFIED for verdict in verdicts)
    return {"seconds": passed, "cpu": spent.cpu - before, "memory": spent.memory, "good": good}


@dataclass(frozen=True)
class Run:
    """One client's figures."""

    name: str
    domains: int
    queries: int
    seconds: float
    cpu: float
    memory: float
    good: int

    @property
    def rate(self) -> float:
        return self.domains / self.seconds

    def line(self) -> str:
        return (
            f"{self.name:<34}{self.domains:>8}{self.rate:>11.1f}{self.queries / self.domains:>10.1f}"
            f"{self.cpu / self.queries * 1e6:>13.0f}{self.memory:>9.0f}{self.good:>7}"
        )


async def run_child(server: SlowServer, name: str, domains: int, command: list[str], text: str = "") -> Run:
    """Let a client run against ``server``; what it prints last are its figures."""
    before = server.queries
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)} if command[0] == sys.executable else None
    child = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    out, _ = await child.communicate(text.encode())
    if child.returncode:
        raise SystemExit(f"{name} ended with {child.returncode}")
    told = json.loads(out.decode().strip().splitlines()[-1])
    version = f" {told['version']}" if "version" in told else ""
    figures = {key: told[key] for key in ("seconds", "cpu", "memory", "good")}
    return Run(f"{name}{version}", domains, server.queries - before, **figures)


async def measure(given: argparse.Namespace) -> list[Run]:
    """Both clients, one after the other, against one server."""
    key_record = key_record_text(generate_rsa_key(2048))
    with TemporaryDirectory() as folder:
        directory = ZoneDirectory(Path(folder), zones(given.domains, key_record))
        server = SlowServer(Responder(directory), given.delay)
        loop = asyncio.get_running_loop()
        stream = await asyncio.start_server(server.serve_tcp, "127.0.0.1", 0)
        port = stream.sockets[0].getsockname()[1]
        transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", port))
        own = [sys.executable, __file__, "--child", str(port), "--domains", str(given.domains)]
        own += ["--at-once", str(given.at_once)]
        runs = [await run_child(server, "dns_checks.audit", given.domains, own, key_record)]
        if given.peer_python:
            count = min(given.peer_domains or given.domains, given.domains)
            names = "\n".join(name_of(number) for number in range(count))
            for threads in dict.fromkeys((1, given.peer_threads)):
                label = "checkdmarc" if threads == 1 else f"checkdmarc in {threads} threads"
                peer = [given.peer_python, "-c", _PEER, str(port), str(threads)]
                runs.append(await run_child(server, label, count, peer, names))
        transport.close()
        stream.close()
    return runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=100, help="domains that are audited at a time")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds until the name server answers")
    parser.add_argument("--peer-python", default="", help="the python of an environment that has checkdmarc")
    parser.add_argument("--peer-domains", type=int, default=0, help="how many of the domains checkdmarc is given")
    parser.add_argument("--peer-threads", type=int, default=1)
    parser.add_argument("--child", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        figures = asyncio.run(audit_all(given.child, given.domains, given.at_once, sys.stdin.read().strip()))
        print(json.dumps(figures))
        return 0
    about = machine.describe()
    print(
        f"{about['cpu']}, {about['cores']} cores, Python {about['python']}; load {os.getloadavg()[0]:.1f} at the start"
    )
    runs = asyncio.run(measure(given))
    print(f"{'':<34}{'domains':>8}{'domains/s':>11}{'queries':>10}{'µs CPU/query':>13}{'MB':>9}{'good':>7}")
    for run in runs:
        print(run.line())
    for run in runs[1:]:
        print(f"{runs[0].rate / run.rate:.1f} times the rate of {run.name}")
    if not given.peer_python:
        print("checkdmarc was not run: name an environment that has it with --peer-python")
    is_whole = all(run.good == run.domains for run in runs)
    print("every domain was found good" if is_whole else "NOT every domain was found good: the figures mean nothing")
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
