"""``postwright template``: the template library."""

from pathlib import Path

import typer

from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.store.templates import TemplateText
from rendering.starters import starters

app = typer.Typer(help="Templates: MJML or HTML with Liquid.", no_args_is_help=True, add_completion=False)


@app.command("add")
def add(
    file: Path = typer.Argument(help="An .mjml or .html file."),
    subject: str = typer.Option(..., help="The subject; may hold merge fields."),
    name: str | None = typer.Option(None, help="The template's name; the file's by default."),
    preheader: str = typer.Option("", help="The line that inboxes show beside the subject."),
) -> None:
    """Check a template and store it; the same name again makes a new version."""
    with explained():
        body = file.read_text("utf-8")
    body_format = "html" if file.suffix.lower() in {".html", ".htm"} else "mjml"
    text = TemplateText(body, body_format, subject, preheader)
    stored = run(lambda application, workspace: application.templates.save(workspace.id, name or file.stem, text))
    console.print(f"Template '{stored.template.name}', version {stored.version.number}.", markup=False)


@app.command("list")
def list_templates(as_json: bool = JsonOption) -> None:
    """List the templates."""
    found = run(lambda application, workspace: application.templates.list(workspace.id))
    if as_json:
        for one in found:
            print_json({"name": one.template.name, "version": one.version.number, "subject": one.version.subject})
        return
    rows = [(one.template.name, one.version.number, one.version.subject) for one in found]
    print_table(("template", "version", "subject"), rows, empty="No template yet: postwright template add FILE")


@app.command("starters")
def list_starters(as_json: bool = JsonOption) -> None:
    """List the templates to begin with; needs no install."""
    if as_json:
        for starter in starters():
            print_json({"starter": starter.key, "title": starter.title, "language": starter.language})
        return
    print_table(("starter", "title", "language"), [(one.key, one.title, one.language) for one in starters()], empty="")


@app.command("begin")
def begin(
    starter: str = typer.Argument(help="A starter, as `postwright template starters` lists them."),
    name: str = typer.Option("", help="The template's name; the starter's by default."),
) -> None:
    """Make a template from a starter."""
    stored = run(lambda application, workspace: application.templates.begin_with(workspace.id, starter, name))
    console.print(f"Template '{stored.template.name}', version {stored.version.number}.", markup=False)
