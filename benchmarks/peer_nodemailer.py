"""Nodemailer, pooled and with DKIM: the letter of ``send.py``, personalised and sent by ``peer_nodemailer.js``."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import letter
import send
import stage
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from peer_processes import Signature

_PROGRAM = Path(__file__).with_name("peer_nodemailer.js")
_DOMAINS = ("alpha.test", "beta.test", "gamma.test", "delta.test", "epsilon.test")
_CONNECTIONS = 30  # of each process, as send.py has them
_KEPT = 5
_LONGEST = 300.0
_UNSUBSCRIBE = "https://track.postwright.test/u/{{ number }}-4cFyq0L5d2Zt8mVw1sXbR7"
# What our composer adds to a letter, so that both sides make, sign and send the same fields.
_HEADERS = {
    "List-Unsubscribe": f"<{_UNSUBSCRIBE}>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "List-Id": "Everybody <list-1.news.acme.test>",
    "Feedback-ID": "campaign:w1:marketing:peer",
}


@dataclass(frozen=True)
class Sent:
    """What a run gave: the wall-clock seconds, the CPU seconds of its processes, and octets a message."""

    seconds: float
    cpu: float
    octets: int
    kept: int
    signature: Signature


def why_not(node_modules: Path | None) -> str:
    """Why it cannot be measured here; empty where it can."""
    if shutil.which("node") is None:
        return "node is not installed."
    if node_modules is None:
        return "--node-modules was not given."
    if not (node_modules / "nodemailer" / "package.json").exists():
        return f"nodemailer is not in {node_modules.name} (npm install nodemailer)."
    return ""


def send_letters(folder: Path, node_modules: Path, recipients: int, processes: int) -> Sent:
    """Send the letters to ``smtp-sink``, after some to a sink that keeps them in ``folder``."""
    document, signature = _letter(recipients)
    warm = send.OwnSink(folder, send.Shape())
    try:
        _run(node_modules, document, warm.port, [(0, 200)])
    finally:
        taken = warm.close()
    sink = send.PostfixSink(folder, send.Shape("smtp-sink"))
    share = -(-recipients // processes)
    try:
        parts = [(at, min(at + share, recipients)) for at in range(0, recipients, share)]
        said = _run(node_modules, document, sink.port, parts)
    finally:
        counted = sink.close()
    if counted.messages != recipients or taken.octets is None:
        sys.exit(f"Nodemailer: {recipients} messages sent, {counted.messages} at the sink")
    # From the first letter that any of them began to the last answer that any of them got.
    seconds = (max(one["ended"] for one in said) - min(one["begun"] for one in said)) / 1000
    cpu = sum(one["cpu"] for one in said)
    return Sent(seconds, cpu, taken.octets // taken.messages, _KEPT, signature)


def _run(node_modules: Path, document: bytes, port: int, parts: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """A process for each part of the recipients; what each said when it was done."""
    environment = {**os.environ, "NODE_PATH": str(node_modules)}
    begun = []
    for first, end in parts:
        command = ["node", str(_PROGRAM), *map(str, (port, first, end, _CONNECTIONS))]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        begun.append(process)
    deadline = time.monotonic() + _LONGEST
    try:
        for process in begun:
            assert process.stdin is not None
            process.stdin.write(document)
            process.stdin.close()
            process.stdin = None
        said = [process.communicate(timeout=max(1.0, deadline - time.monotonic()))[0] for process in begun]
    finally:
        for process in begun:
            if process.poll() is None:
                process.kill()
                process.wait(10)
    if any(process.returncode for process in begun):
        sys.exit("Nodemailer ended with an error")
    return [json.loads(one) for one in said]


def _letter(recipients: int) -> tuple[bytes, Signature]:
    """The letter, its recipients and the key, as the program wants them."""
    key = rsa.generate_private_key(65537, 2048)
    encoding = serialization.Encoding.PEM
    pem = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    people = []
    for number in range(recipients):
        address = f"reader.{number:07}@{_DOMAINS[number % len(_DOMAINS)]}"
        fields = {f"contact.{name}": value for name, value in letter.fields(number).items()}
        said = {
            "contact.email": address,
            "number": str(number),
            "unsubscribe_url": f"https://track.postwright.test/u/{number}",
        }
        people.append({"address": address, "fields": fields | said})
    document = {
        "from": f"Acme Garden <hello@{stage.SENDER}>",
        "subject": letter.SUBJECT,
        "html": letter.body(),
        "text": _plain(letter.body()),
        "headers": _HEADERS,
        "key": {"domain": stage.SENDER, "selector": "peer", "pem": pem.decode("ascii")},
        "people": people,
    }
    record = f"v=DKIM1; k=rsa; p={''.join(public.decode('ascii').splitlines()[1:-1])}"
    return json.dumps(document).encode("utf-8"), Signature("peer", record)


def _plain(html: str) -> str:
    """A text alternative by rule."""
    body = re.sub(r'<a [^>]*href="([^"]*)"[^>]*>([^<]*)</a>', r"\2: \1", html.partition("<body")[2].partition(">")[2])
    return "\n\n".join(line for line in re.sub(r"<[^>]+>", "\n", body).split("\n") if line.strip())
