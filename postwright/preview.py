"""Pictures of mail: HTML to PNG by a Chromium of this machine, without scripts and without the network.

The HTML is whatever somebody sent or wrote, so the browser gets it with no way out: its content security policy
allows styles and pictures that are part of the document (``data:``) and nothing else, scripts are off, every request is
held back and every host name is unknown. The process has ``PreviewWish.seconds`` to live, a profile that is removed
with it, and its own process group, so that nothing of it stays.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mailtypes.errors import SurroundingsError

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
_MAX_HTML = 5_000_000
_MAX_HEIGHT = 12_000  # pixels; Chromium draws no more than 16,384
_MAX_ANSWER = 64 * 1024 * 1024
_CHUNK = 65_536
_PHONE = 480  # pixels; narrower is drawn as a phone does
_ENDED = "Chromium ended before it drew the mail."
_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)
_EQUIVALENT = re.compile(r"(<meta\b[^>]{0,500}?)http-equiv", re.IGNORECASE)
"""A refresh would lead the page elsewhere; held back on its way, it sometimes keeps Chromium from drawing at all."""
# Chromium speaks on descriptors 3 and 4 alone; Popen cannot number them.
_LAUNCH = (
    "import fcntl, os, sys; "
    "pair = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3]]; "
    "[os.dup2(one, number) for one, number in zip(pair, (3, 4))]; "
    "[os.close(one) for one in pair]; "
    "os.execv(sys.argv[3], sys.argv[3:])"
)


class PreviewError(SurroundingsError):
    """No picture: there is no Chromium, it did not start, or it took too long."""


@dataclass(frozen=True, slots=True)
class PreviewWish:
    """How the mail is to be looked at. ``width`` in CSS pixels, ``seconds`` for the whole of it."""

    width: int = 640
    dark: bool = False
    images: bool = True
    scale: float = 1.0
    seconds: float = 20.0

    def __post_init__(self) -> None:
        if not 200 <= self.width <= 2_000 or not 0.5 <= self.scale <= 3:
            raise ValueError("a preview is 200 to 2,000 pixels wide, at a scale of 0.5 to 3")


def find_chromium() -> str:
    """The path of the browser that is installed; raises ``PreviewError``."""
    for name in _NAMES:
        if (path := shutil.which(name)) is not None:
            return path
    raise PreviewError(
        "There is no Chromium on this machine. Install it (apt-get install chromium), or preview as HTML."
    )


def render_png(html: str, wish: PreviewWish | None = None, chromium: str | None = None) -> bytes:
    """The whole mail as a PNG; blocks for a second or two, so call it in a thread. Raises ``PreviewError``."""
    wish = wish or PreviewWish()
    if len(html) > _MAX_HTML:
        raise PreviewError(f"HTML of more than {_MAX_HTML:,} characters is not drawn.")
    path = chromium or find_chromium()
    with (
        TemporaryDirectory(prefix="postwright-preview-", ignore_cleanup_errors=True) as folder,
        _browser(path, Path(folder), wish.seconds) as pipe,
    ):
        return _picture(pipe, html, wish)


def _arguments(chromium: str, folder: Path) -> list[str]:
    arguments = [
        chromium,
        "--headless=new",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-extensions",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-breakpad",
        "--metrics-recording-only",
        "--mute-audio",
        "--hide-scrollbars",
        "--force-color-profile=srgb",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--proxy-server=http://127.0.0.1:9",
        "--proxy-bypass-list=<-loopback>",
        "about:blank",
    ]
    # Chromium's own sandbox cannot be built by root; everybody else keeps it.
    if os.geteuid() == 0:
        arguments.insert(1, "--no-sandbox")
    return arguments


@contextmanager
def _browser(chromium: str, folder: Path, seconds: float) -> Iterator["_Pipe"]:
    """A browser that reads commands from its descriptor 3 and answers on 4; it is ended after ``seconds``."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCH, str(to_read), str(from_write), *_arguments(chromium, folder)],
            pass_fds=(to_read, from_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=_environment(folder),
        )
    finally:
        os.close(to_read)
        os.close(from_write)
    late = threading.Event()

    def end_late() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(seconds, end_late)
    timer.daemon = True
    timer.start()
    try:
        yield _Pipe(to_write, from_read)
    except PreviewError as error:
        if late.is_set():
            raise PreviewError(f"Drawing the mail took longer than {seconds:g} seconds.") from error
        raise
    finally:
        timer.cancel()
        os.close(to_write)
        os.close(from_read)
        _kill(process)
        process.wait(10)


def _environment(folder: Path) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "FONTCONFIG_PATH") if name in os.environ}
    return kept | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class _Pipe:
    """The DevTools protocol over a pair of pipes: JSON objects, each ended by a null octet."""

    def __init__(self, write: int, read: int) -> None:
        self._write = write
        self._read = read
        self._buffer = bytearray()
        self._number = 0

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Ask and wait for the answer; what else comes meanwhile is not needed."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._send(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            pass
        if "error" in answer:
            raise PreviewError(f"Chromium refused {method}: {answer['error'].get('message', '')}")
        return dict(answer["result"])

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._write, view) :]
        except OSError as error:
            raise PreviewError(_ENDED) from error

    def _next(self) -> dict[str, Any]:
        searched = 0
        while (end := self._buffer.find(0, searched)) < 0:
            searched = len(self._buffer)
            if searched > _MAX_ANSWER:
                raise PreviewError("Chromium's answer is too long.")
            data = os.read(self._read, _CHUNK)
            if not data:
                raise PreviewError(_ENDED)
            self._buffer += data
        message = json.loads(self._buffer[:end])
        del self._buffer[: end + 1]
        return dict(message)


def _picture(pipe: _Pipe, html: str, wish: PreviewWish) -> bytes:
    target = pipe.call("Target.createTarget", url="about:blank")["targetId"]
    session = pipe.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    pipe.call("Emulation.setScriptExecutionDisabled", session, value=True)
    pipe.call("Network.enable", session)
    pipe.call(
        "Network.emulateNetworkConditions", session, offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
    )
    # What is asked for in spite of all that is held back for ever; the profile is gone with the process.
    pipe.call("Fetch.enable", session, patterns=[{"urlPattern": "*"}])
    scheme = "dark" if wish.dark else "light"
    pipe.call(
        "Emulation.setEmulatedMedia",
        session,
        media="screen",
        features=[{"name": "prefers-color-scheme", "value": scheme}],
    )
    _set_size(pipe, session, wish, 800)
    frame = pipe.call("Page.getFrameTree", session)["frameTree"]["frame"]["id"]
    pipe.call("Page.setDocumentContent", session, frameId=frame, html=_shielded(html, wish.images))
    size = pipe.call("Page.getLayoutMetrics", session)["cssContentSize"]
    height = max(1, min(_MAX_HEIGHT, int(size["height"])))
    _set_size(pipe, session, wish, height)
    clip = {"x": 0, "y": 0, "width": wish.width, "height": height, "scale": 1}
    shot = pipe.call("Page.captureScreenshot", session, format="png", clip=clip)
    return b64decode(shot["data"])


def _set_size(pipe: _Pipe, session: str, wish: PreviewWish, height: int) -> None:
    pipe.call(
        "Emulation.setDeviceMetricsOverride",
        session,
        width=wish.width,
        height=height,
        deviceScaleFactor=wish.scale,
        mobile=wish.width <= _PHONE,
    )


def _shielded(html: str, images: bool) -> str:
    """The document with the policy as the first thing in it, and its DOCTYPE still before that."""
    policy = _POLICY if images else _POLICY.replace("img-src data:", "img-src 'none'")
    html = _EQUIVALENT.sub(r"\1data-http-equiv", html)
    doctype = _DOCTYPE.match(html)
    end = doctype.end() if doctype else 0
    viewport = "" if "viewport" in html[:20_000] else '<meta name="viewport" content="width=device-width">'
    return f'{html[:end]}<meta http-equiv="Content-Security-Policy" content="{policy}">{viewport}{html[end:]}'
