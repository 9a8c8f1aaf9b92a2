"""The pages say only what is there: links, files and commands that they name exist, generated ones are current."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest
import typer.main

from postwright.cli.app import DeferredCommand, app

ROOT = Path(__file__).resolve().parents[2]
_WRITTEN = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "docker").glob("*.md")),
]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_FOLDERS = (
    "benchmarks|dns_checks|docker|docs|examples|experiments|hygiene|mailtypes|mta|postwright|rendering|scripts|tests"
    "|tracking|warmup"
)
_NAMED_FILE = re.compile(rf"(?:{_FOLDERS})/[\w./-]*")
_MENTIONED_COMMAND = re.compile(r"(?<![\w/.-])postwright ((?:[a-z]+)(?: [a-z]+)?)")


def _identify(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ +(.*)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", _WRITTEN, ids=_identify)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / unquote(name)).resolve() if name else page
        if not found.exists() or (anchor and anchor not in _anchors(found)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", _WRITTEN, ids=_identify)
def test_named_files_exist(page: Path) -> None:
    named = {
        code
        for code in _CODE.findall(_FENCE.sub("", page.read_text("utf-8")))
        if _NAMED_FILE.fullmatch(code) and "*" not in code
    }
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_standard_has_a_module_and_a_test() -> None:
    rows = [line for line in (ROOT / "docs/rfc.md").read_text("utf-8").splitlines() if line.startswith("| RFC")]
    assert len(rows) > 40
    for row in rows:
        _, section, module, test, _ = row.split("|")
        assert re.search(r"RFC \d{3,4}", section), row
        assert _CODE.search(module), row
        assert all(name.startswith("tests/") for name in _CODE.findall(test)), row
        assert _CODE.search(test), row


@pytest.mark.parametrize("page", _WRITTEN, ids=_identify)
def test_commands_exist(page: Path) -> None:
    commands = set(_commands())
    groups = {name.split(" ")[0] for name in commands if " " in name}
    unknown = []
    for found in _MENTIONED_COMMAND.findall(_shell_text(page)):
        first, _, second = found.partition(" ")
        if found not in groups and (f"{first} {second}" if first in groups else first) not in commands:
            unknown.append(found)
    assert unknown == []


def _shell_text(page: Path) -> str:
    text = page.read_text("utf-8")
    fences = re.findall(r"^```(?:console|bash)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return "\n".join(fences + [code for code in _CODE.findall(_FENCE.sub("", text)) if code.startswith("postwright ")])


def _commands() -> Iterator[str]:
    for name, command in typer.main.get_command(app).commands.items():
        loaded = command.load() if isinstance(command, DeferredCommand) else command
        children = getattr(loaded, "commands", None)
        yield from (f"{name} {child}" for child in children) if children else [name]


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in _WRITTEN:
        asked = set(re.findall(r"(?:^\$ |`)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE))
        assert asked <= targets, _identify(page)


def test_the_readme_shows_the_loop() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert "$ make demo\n$ make test\n" in text
    assert re.search(r"!\[[^\]]+\]\(docs/images/[\w-]+\.png\)", text)
    assert len(re.findall(r"^### \d\. ", text, re.MULTILINE)) == 3


def test_pictures_are_pictures() -> None:
    pictures = sorted((ROOT / "docs/images").glob("*.png"))
    assert pictures
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert picture.stat().st_size < 400_000


def test_generated_pages_are_current() -> None:
    generator = _load(ROOT / "scripts/generate_docs.py")
    stale = [name for name, text in generator.pages().items() if (ROOT / name).read_text("utf-8") != text]
    assert stale == [], "run: make docs"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_place_of_one_machine_is_in_the_tree() -> None:
    """Neither home directories nor package indexes: the checkout speaks of itself alone."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    places = re.compile(rb"/home/\w+/|/(?:root|work)/\w|files\.py\w+hosted\.|://[\w.-]*py[p]i[\w.-]*/")
    found = []
    for name in listed.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file() and path != Path(__file__):
            content = path.read_bytes()
            if b"\0" not in content[:8000] and (match := places.search(content)):
                found.append(f"{name}: {match[0].decode()}")
    assert found == []
