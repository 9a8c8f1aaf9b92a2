import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
GOOD = """<mjml><mj-body><mj-section><mj-column><mj-text>Hi {{ contact.first_name }}</mj-text>
<mj-text><a href="https://a.test/x">shop</a> <a href="{{ unsubscribe_url }}">out</a></mj-text>
</mj-column></mj-section></mj-body></mjml>"""


def test_render_writes_what_would_be_sent(bare: Command, tmp_path: Path) -> None:
    (tmp_path / "a.mjml").write_text(GOOD)
    (tmp_path / "data.json").write_text('{"contact": {"first_name": "<Ann>"}}')
    shown = bare("render", "a.mjml", "-d", "data.json")
    assert shown.code == 0, shown.err
    assert "Hi &lt;Ann&gt;" in shown.out
    assert 'href="https://a.test/x"' in shown.out
    assert bare("render", "a.mjml", "--text").out.startswith("Hi Dana\nshop (https://a.test/x) out (")
    assert bare("render", "a.mjml", "-d", "data.json", "-o", "out.html").out == ""
    assert (tmp_path / "out.html").read_text() == shown.out
    (found,) = bare("render", "a.mjml", "--subject", "For {{ contact.first_name }}", "--json").objects
    assert found["subject"] == "For Dana"
    assert found["findings"] == []


def test_findings_have_their_place(bare: Command, tmp_path: Path) -> None:
    (tmp_path / "a.mjml").write_text(GOOD.replace("<mj-text>Hi", '<mj-text colr="red">Hi'))
    found = bare("render", "a.mjml", "-o", "out.html")
    assert found.code == 1
    assert (
        "a.mjml:1:48: error: mj-text has no attribute colr [mjml-unknown-attribute]. Did you mean color?" in found.err
    )
    (document,) = bare("render", "a.mjml", "--json").objects
    assert [(one["code"], one["line"], one["column"]) for one in document["findings"]] == [
        ("mjml-unknown-attribute", 1, 48)
    ]


def test_includes_come_from_the_library_folder_alone(bare: Command, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "foot.mjml").write_text("<mj-text>the foot</mj-text>")
    (tmp_path / "secret.mjml").write_text("<mj-text>secret</mj-text>")
    (tmp_path / "a.mjml").write_text(GOOD.replace("<mj-text>Hi", '<mj-include path="foot" /><mj-text>Hi'))
    assert "the foot" in bare("render", "a.mjml", "--library", "parts").out
    assert "there is no template 'foot'" in bare("render", "a.mjml").err
    for path in ("../secret", "secret", str(tmp_path / "secret")):
        (tmp_path / "b.mjml").write_text(GOOD.replace("<mj-text>Hi", f'<mj-include path="{path}" /><mj-text>Hi'))
        refused = bare("render", "b.mjml", "--library", "parts")
        assert refused.code == 65
        assert "^" in refused.err


@pytest.mark.parametrize("data", ["[1]", "{", '"x"'])
def test_wrong_data_is_told(bare: Command, tmp_path: Path, data: str) -> None:
    (tmp_path / "a.mjml").write_text(GOOD)
    (tmp_path / "data.json").write_text(data)
    assert bare("render", "a.mjml", "-d", "data.json").code == 65
    assert bare("render", "nothing.mjml").code == 66


@pytest.mark.browser
def test_preview_draws(bare: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mjml").write_text(GOOD)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(tmp_path))
        missing = bare("preview", "a.mjml", "--png", "a.png")
        assert missing.code == 69
        assert "Install it" in missing.err
    if shutil.which("chromium") is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing: nobody would see the mail")
        pytest.skip("chromium is not installed")
    drawn = bare("preview", "a.mjml", "--png", "a.png", "--width", "375", "--dark")
    assert drawn.code == 0, drawn.err
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "375 pixels wide" in drawn.out
