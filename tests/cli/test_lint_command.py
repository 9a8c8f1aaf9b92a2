"""``postwright lint``: places, severities and the exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailtypes.questions import HttpAnswer, HttpFetch, HttpFetched, Unanswered
from postwright.cli.app import app
from postwright.outbound_http import HttpHead, NoHead, OutboundHttp

END = '<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>'
HEAD = "<mjml><mj-body><mj-section><mj-column>\n"
GOOD = HEAD + "<mj-text>A letter about the garden, from Acme, 1 Garden Street, Leeds LS1 4AP.</mj-text>\n" + END


def lint(file: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["lint", str(file), *options])
    return result.exit_code, result.output


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    file = tmp_path / "letter.mjml"
    file.write_text(GOOD, "utf-8")
    return file


def test_an_error_has_its_place_and_ends_with_one(letter: Path) -> None:
    letter.write_text(GOOD.replace("<mj-text>A", '<mj-text colour="red">A'), "utf-8")
    code, out = lint(letter)
    assert code == 1
    assert f"{letter}:2:" in out
    assert "[mjml-unknown-attribute]" in out


def test_warnings_end_with_nought_unless_they_are_to_fail(letter: Path) -> None:
    letter.write_text(
        GOOD.replace("\n<mj-text><a", '\n<mj-image src="https://acme.test/a.png" />\n<mj-text><a'), "utf-8"
    )
    assert lint(letter)[0] == 0
    assert lint(letter, "--fail-on", "warning")[0] == 1


def test_json_has_everything(letter: Path) -> None:
    letter.write_text(GOOD.replace('{{ unsubscribe_url }}">Unsubscribe', 'https://acme.test/">Read on'), "utf-8")
    code, out = lint(letter, "--json", "--subject", "Three short reads about the garden")
    document = json.loads(out)
    assert code == 1
    found = {finding["code"]: finding for finding in document["findings"]}
    assert found["required.unsubscribe_missing"]["severity"] == "error"
    assert set(found["required.unsubscribe_missing"]) >= {"line", "column", "why", "next_step", "part", "times"}
    assert lint(letter, "--stream", "transactional")[0] == 0


def test_without_a_subject_none_is_missed_and_a_part_is_put_in(letter: Path, tmp_path: Path) -> None:
    assert "subject.empty" not in lint(letter)[1]
    assert lint(letter, "--subject", "")[0] == 1
    (tmp_path / "foot.mjml").write_text('<mj-text colour="red">Part</mj-text>', "utf-8")
    letter.write_text(GOOD.replace(END, '<mj-include path="foot" />\n' + END), "utf-8")
    code, out = lint(letter, "--library", str(tmp_path))
    assert code == 1
    assert "in the part 'foot'" in out


def test_what_is_no_template_says_so(letter: Path) -> None:
    letter.write_text(HEAD + "<mj-text>{{ contact.x | nofilter }}</mj-text>" + END, "utf-8")
    assert lint(letter)[0] == 65
    assert lint(letter.with_name("nothing.mjml"))[0] == 66


def test_images_are_fetched_only_where_that_is_asked_for(letter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def fetch(_: OutboundHttp, wanted: HttpFetch) -> HttpAnswer:
        asked.append(wanted.url)
        return HttpFetched(404, "text/html", b"no") if "gone" in wanted.url else Unanswered("timeout")

    monkeypatch.setattr(OutboundHttp, "fetch", fetch)
    monkeypatch.chdir(letter.parent)
    images = "".join(f'\n<mj-image alt="x" src="https://acme.test/{name}.png" />' for name in ("gone", "slow"))
    letter.write_text(GOOD.replace("\n<mj-text><a", f"{images}\n<mj-text><a"), "utf-8")
    assert "unreachable" not in lint(letter)[1]
    assert asked == []
    code, out = lint(letter, "--fetch")
    assert (code, len(asked)) == (0, 2)
    assert "answers with 404" in out
    assert "slow.png: nothing is known of this image: timeout" in out


def test_links_are_asked_for_only_where_that_is_asked_for_and_never_with_a_reader_in_them(
    letter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    async def glance(_: OutboundHttp, url: str, method: str = "HEAD") -> HttpHead | NoHead:
        asked.append((method, url.rpartition("/")[2]))
        return {"gone": HttpHead(404), "moved": HttpHead(301, "https://new.test/x"), "x": HttpHead(200)}.get(
            url.rpartition("/")[2], NoHead("timeout")
        )

    monkeypatch.setattr(OutboundHttp, "glance", glance)
    monkeypatch.chdir(letter.parent)
    names = ("gone", "moved", "slow", "{{ contact.code }}")
    links = "".join(f'\n<mj-text><a href="https://acme.test/{name}">Read on</a></mj-text>' for name in names)
    letter.write_text(GOOD.replace("\n<mj-text><a", f"{links}\n<mj-text><a"), "utf-8")
    lint(letter)
    assert asked == []
    code, out = lint(letter, "--fetch")
    assert code == 0
    heads = [("HEAD", name) for name in ("gone", "moved", "slow", "x")]
    assert sorted(asked) == [("GET", "gone"), *heads]  # what HEAD does not find, readers may
    assert f"{letter}:3:10: warning: the link https://acme.test/gone is dead" in out
    assert f"{letter}:4:10: advice: the link https://acme.test/moved has moved for good to https://new.test/x" in out
    assert f"{letter}:5:10: advice: whether the link https://acme.test/slow leads anywhere is unknown: timeout" in out
