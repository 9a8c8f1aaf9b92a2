"""The ``postwright`` command: every command with its help."""

import typer

from postwright import __version__
from postwright.cli import campaign, contacts, domain, install, people, template
from postwright.cli.exits import Exit

app = typer.Typer(
    name="postwright",
    help="A self-hosted deliverability and sending stack.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"postwright {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Postwright."""


install.add_to(app)
contacts.add_to(app)
app.add_typer(domain.app, name="domain")
app.add_typer(template.app, name="template")
app.add_typer(campaign.app, name="campaign")
app.add_typer(people.keys, name="apikey")
app.add_typer(people.users, name="user")


def main() -> None:
    """Entry point; a wrong command line exits with 64 (EX_USAGE), Ctrl-C with 130."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        typer.echo(f"{error}\nTry: postwright --help", err=True)
        raise SystemExit(int(Exit.USAGE)) from None
    except typer.Abort:
        raise SystemExit(130) from None
    raise SystemExit(code or 0)
