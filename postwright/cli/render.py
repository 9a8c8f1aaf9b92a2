"""``postwright render`` and ``postwright preview``: what a template becomes, and how it looks; need no install."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from mailtypes.errors import InputSyntaxError, Span
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.preview import PreviewWish, render_png
from rendering import Layout, MessageUrls, SlotValues, TemplateSource, parse_template
from rendering.lint.finding import Finding, Severity
from rendering.mjml import expand_includes, validate_mjml
from rendering.template import Template

_MAX_DATA = 5_000_000
_HTML = frozenset({".html", ".htm"})
_SAMPLE = {
    "first_name": "Dana", "last_name": "Levi", "name": "Dana Levi", "email": "dana@example.com", "city": "Haifa",
    "company": "Acme", "language": "en", "locale": "en",
}  # fmt: skip
"""The contact of a template that is shown without data."""

FileArgument = typer.Argument(help="An .mjml or .html template.", metavar="FILE")
DataOption = typer.Option(
    None, "--data", "-d", help="A JSON file with the merge data: an object; contact.* below contact."
)
SubjectOption = typer.Option("", "--subject", help="The subject to merge; may hold merge fields.")
LibraryOption = typer.Option(None, "--library", help="A folder with the parts that mj-include names (NAME.mjml).")


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A template merged for one contact."""

    layout: Layout
    values: SlotValues
    urls: MessageUrls
    findings: tuple[Finding, ...]

    @property
    def html(self) -> str:
        """The HTML part, with links as the author wrote them."""
        return self.layout.html(self.values, self.urls)

    @property
    def text(self) -> str:
        """The plain text part."""
        return self.layout.text(self.values, self.urls)


class DataSyntaxError(InputSyntaxError):
    """The merge data is no JSON object."""


def render(
    file: Path = FileArgument,
    data: Path | None = DataOption,
    out: Path | None = typer.Option(None, "--out", "-o", help="Write the HTML there instead of on the screen."),
    text: bool = typer.Option(False, "--text", help="The plain text part instead of the HTML."),
    subject: str = SubjectOption,
    library: Path | None = LibraryOption,
    as_json: bool = JsonOption,
) -> None:
    """Merge and compile a template as it would be sent, and say what is wrong with its MJML; needs no install."""
    with explained():
        rendered = _rendered(file, data, subject, library)
        written = rendered.text if text else rendered.html
        if out is not None:
            out.write_text(written, "utf-8")
    if as_json:
        document = {"subject": rendered.values.subject, "html": rendered.html, "text": rendered.text}
        print_json(document | {"findings": [_as_document(finding) for finding in rendered.findings]})
    else:
        for finding in rendered.findings:
            typer.echo(_as_line(file, finding), err=True)
        if out is None:
            typer.echo(written, nl=False)
    if any(finding.severity is Severity.ERROR for finding in rendered.findings):
        raise typer.Exit(int(Exit.REFUSED))


def preview(
    file: Path = FileArgument,
    png: Path = typer.Option(..., "--png", help="Where to write the picture."),
    width: int = typer.Option(
        640, "--width", min=200, max=2_000, help="Width of the window in pixels; 375 is a phone."
    ),
    dark: bool = typer.Option(False, "--dark", help="As a reader sees it who prefers dark colours."),
    images: bool = typer.Option(True, "--images/--no-images", help="Without images, as many readers see it first."),
    data: Path | None = DataOption,
    library: Path | None = LibraryOption,
) -> None:
    """Draw a template by Chromium, without scripts and without the network; needs no install."""
    with explained():
        rendered = _rendered(file, data, "", library)
        picture = render_png(rendered.html, PreviewWish(width=width, dark=dark, images=images))
        png.write_bytes(picture)
    console.print(f"{png}: {width} pixels wide, {len(picture):,} octets.", markup=False)


def _rendered(file: Path, data: Path | None, subject: str, library: Path | None) -> _Rendered:
    body = file.read_text("utf-8")
    is_html = file.suffix.lower() in _HTML
    findings: tuple[Finding, ...] = ()
    if not is_html:
        body = expand_includes(body, lambda name: part_of(library, name)).text
        findings = validate_mjml(body)
    template = parse_template(TemplateSource(body, "html" if is_html else "mjml", subject))
    key, values = template.fill(read_data(data))
    return _Rendered(template.compile(key), values, _as_written(template), findings)


def part_of(library: Path | None, name: str) -> str | None:
    """The part of that name in a folder, ``None`` where there is none."""
    if library is None:
        return None
    # A name can hold no path: only what lies in the folder itself is found.
    found = {path.stem: path for path in library.iterdir() if path.suffix.lower() == ".mjml" and path.is_file()}
    path = found.get(name)
    return path.read_text("utf-8") if path is not None else None


def read_data(data: Path | None) -> Mapping[str, object]:
    """The merge data of a file, or those of an invented contact; raises ``DataSyntaxError``."""
    if data is None:
        return {"contact": _SAMPLE}
    if data.stat().st_size > _MAX_DATA:
        raise DataSyntaxError(f"{data} has more than {_MAX_DATA:,} octets", next_step="Give the data of one contact.")
    text = data.read_text("utf-8")
    try:
        read = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataSyntaxError(
            f"{data} is no JSON: {error.msg}",
            source=text,
            span=Span(error.pos, min(len(text), error.pos + 1)),
            next_step="Check the quotes and commas at this place.",
        ) from error
    if not isinstance(read, dict):
        raise DataSyntaxError(f"{data} holds no object", source=text, next_step='Write {"contact": {...}}.')
    return read


def _as_written(template: Template) -> MessageUrls:
    links = {link.number: link.url for link in template.links}
    return MessageUrls(links.__getitem__, "https://unsubscribe.example/")


def _as_document(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "why": finding.why,
        "next_step": finding.next_step,
        "line": finding.line,
        "column": finding.column,
    }


def _as_line(file: Path, finding: Finding) -> str:
    place = f"{file}:{finding.line}:{finding.column}" if finding.line is not None else str(file)
    return f"{place}: {finding.severity.value}: {finding.message} [{finding.code}]. {finding.next_step}"
