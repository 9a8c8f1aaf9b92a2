"""Pictures of mail by a real Chromium: what is asked for is drawn, and nothing leaves the machine."""

import os
import shutil
import socket
import struct
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from postwright.preview import PreviewError, PreviewWish, find_chromium, render_png

pytestmark = pytest.mark.browser
RED_SQUARE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module", autouse=True)
def chromium() -> None:
    if shutil.which("chromium") is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing: nobody would see the mail")
        pytest.skip("chromium is not installed")


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def colours(html: str, **wish: object) -> tuple[int, int, set[bytes]]:
    # Whether it is drawn is asked here, not how soon: other tests have the processors, too.
    png = render_png(html, PreviewWish(seconds=60, **wish))  # type: ignore[arg-type]
    values = (imread(BytesIO(png))[:, :, :3] * 255).round().astype("uint8")
    return *size(png), {pixel.tobytes() for pixel in np.unique(values.reshape(-1, 3), axis=0)}


PAGE = """<!DOCTYPE html><html><head><style>body{margin:0;background:#00ff00}
@media (prefers-color-scheme: dark){body{background:#000080}}
@media (max-width:400px){body{border-top:7px solid #ff00ff}}</style></head><body>%s</body></html>"""
TALL = '<div style="height:1200px"></div>'


def test_width_height_and_colour_scheme() -> None:
    assert colours(PAGE % TALL, width=300) == (300, 1207, {b"\x00\xff\x00", b"\xff\x00\xff"})
    assert colours(PAGE % TALL, width=500, dark=True) == (500, 1200, {b"\x00\x00\x80"})


def test_images_on_and_off() -> None:
    image = f'<img src="data:image/png;base64,{RED_SQUARE}" width="50" height="50" alt="">'
    on, off = (colours(PAGE % image, width=300, images=images)[2] for images in (True, False))
    assert len(on - off) >= 1


class Ear:
    """Counts who calls at a port of this machine."""

    def __init__(self) -> None:
        self.calls = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.calls += 1
            connection.close()


def test_nothing_is_loaded_and_no_script_runs(tmp_path: Path) -> None:
    ear = Ear()
    try:
        base = f"http://127.0.0.1:{ear.port}"
        secret = tmp_path / "secret.html"
        secret.write_text("<body style='background:#123456'>")
        html = f"""<!DOCTYPE html><html><head><link rel="stylesheet" href="{base}/a.css"><base href="{base}/">
        <link rel="preconnect" href="{base}"><link rel="dns-prefetch" href="{base}">
        <link rel="prefetch" href="{base}/p">
        <style>@import url({base}/b.css); @font-face{{font-family:F;src:url({base}/f)}} p{{font-family:F;
        background:url({base}/c)}}</style></head><body style="margin:0;background:#00ff00"><p>x</p>
        <img src="{base}/d"><img srcset="{base}/e 1x" src="file:///etc/passwd"><iframe src="{base}/g"></iframe>
        <iframe src="{secret.as_uri()}" width="200" height="90"></iframe><object data="{base}/h"></object>
        <video src="{base}/i" poster="{base}/j"></video><form action="{base}/k"><input autofocus></form>
        <script>document.body.style.background='#ff0000'; new Image().src='{base}/l'</script>
        <img src=x onerror="document.body.style.background='#ff0000'">
        <svg><image href="{base}/m" /></svg><meta http-equiv="refresh" content="0;url={base}/n"></body></html>"""
        _, _, found = colours(html, width=400)
        assert b"\x00\xff\x00" in found
        assert b"\xff\x00\x00" not in found
        assert b"\x12\x34\x56" not in found
        assert ear.calls == 0
    finally:
        ear.socket.close()


def test_a_document_cannot_loosen_its_policy() -> None:
    meta = '<meta http-equiv="Content-Security-Policy" content="script-src \'unsafe-inline\'">'
    html = f"{meta}<body style='margin:0;background:#00ff00'><script>document.body.style.background='#ff0000'</script>"
    assert colours(html, width=300)[2] == {b"\x00\xff\x00"}


def test_it_ends_in_time_and_says_so() -> None:
    with pytest.raises(PreviewError, match="longer than"):
        render_png(PAGE % TALL, PreviewWish(seconds=0.05))


def test_what_is_no_chromium_is_told(monkeypatch, tmp_path: Path) -> None:
    with pytest.raises(PreviewError, match="ended before"):
        render_png(PAGE % "", chromium="/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PreviewError, match="apt-get install chromium"):
        find_chromium()


def test_nothing_of_it_stays(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    render_png(PAGE % "x", PreviewWish(seconds=60))
    assert list(tmp_path.iterdir()) == []


def test_huge_mail_is_cut_or_refused() -> None:
    png = render_png('<body><div style="height:90000px"></div>', PreviewWish(width=200, seconds=60))
    assert size(png) == (200, 12_000)
    with pytest.raises(PreviewError, match="is not drawn"):
        render_png("x" * 5_000_001)
    with pytest.raises(ValueError, match="pixels wide"):
        PreviewWish(width=10)
