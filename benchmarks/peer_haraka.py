"""Haraka with haraka-plugin-dkim: its own queue and outbound delivery, one process or a cluster."""

import shutil
import sys
from pathlib import Path

import stage
from peer_processes import Place, Processes
from submission_stage import await_port

# Takes mail from loopback for everybody and sends all of it to the sink.
_PLUGIN = """\
'use strict'
exports.hook_lookup_rdns = (next) => next(OK, 'localhost')
exports.hook_connect = (next, connection) => { connection.relaying = true; next() }
exports.hook_rcpt = (next) => next(OK)
exports.hook_get_mx = (next) => next(OK, { priority: 0, exchange: '127.0.0.1', port: %d })
"""
_DKIM = """\
[sign]
enabled = true
selector = %s
domain = %s
headers = From, Sender, Reply-To, Subject, Date, Message-ID, To, Cc, MIME-Version, Content-Type

[canon]
body = relaxed

[verify]
enabled = false
"""


def why_not(node_modules: Path | None) -> str:
    """Why it cannot be measured here; empty where it can."""
    if shutil.which("node") is None:
        return "node is not installed."
    if node_modules is None:
        return "--node-modules was not given."
    for name in ("Haraka", "haraka-plugin-dkim"):
        if not (node_modules / name / "package.json").exists():
            return f"{name} is not in {node_modules.name} (npm install {name})."
    return ""


class Haraka:
    """Begun in an empty folder. ``nodes`` is how many processes take and send mail."""

    key = ""

    def __init__(self, place: Place, node_modules: Path, nodes: int) -> None:
        node = shutil.which("node")
        if node is None:
            sys.exit("node is not installed.")
        self.name = f"Haraka + DKIM, {nodes} process{'es' if nodes > 1 else ''}"
        self.port, self.signature = place.port, place.signature
        folder, config = place.folder, place.folder / "config"
        config.mkdir()
        (folder / "plugins").mkdir()
        (folder / "queue").mkdir()
        (folder / "plugins" / "to_sink.js").write_text(_PLUGIN % place.sink_port, "ascii")
        written = {
            "smtp.ini": f"listen=127.0.0.1:{place.port}\nnodes={nodes}\n",
            "plugins": "to_sink\ndkim\n",
            "outbound.ini": "enable_tls=false\nlocal_mx_ok=true\n",
            "log.ini": "[main]\nlevel=warn\n",
            "me": "mx.peer.test\n",
            "dkim.ini": _DKIM % (place.signature.selector, stage.SENDER),
            "dkim.private.key": place.private_key.read_text("ascii"),
        }
        for name, content in written.items():
            (config / name).write_text(content, "ascii")
        haraka = node_modules / "Haraka"
        shutil.copy(haraka / "config" / "connection.ini", config)  # its limits and greeting, as it comes
        self._processes = Processes()
        await_port(self._processes.begin([node, str(haraka / "bin" / "haraka"), "-c", str(folder)], folder), place.port)

    def cpu(self) -> float:
        """See ``Relay``."""
        return self._processes.cpu()

    def close(self) -> None:
        """See ``Relay``."""
        self._processes.close()
