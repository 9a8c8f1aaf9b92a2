"""The ``postwright`` command: every command with its help.

A command's module is imported only when that command is called: together they import the whole application, and
``postwright --help`` should not wait for it.
"""

from importlib import import_module
from typing import Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from postwright import __version__
from postwright.cli.exit_codes import Exit

_COMMANDS: dict[str, tuple[str, str, str]] = {
    "init": ("install", "init", "Write a configuration, make the keys and the database, and add the first admin."),
    "serve": ("serve", "serve", "Run Postwright: all roles in a tree of processes, or some of them here."),
    "doctor": (
        "install",
        "doctor",
        "Check the configuration, the keys, the database, the disk, the clock and the DNS.",
    ),
    "demo": (
        "demonstration",
        "run_demo",
        "Verify a domain, import 2,000 contacts, send them a signed newsletter, and show what arrived, on this"
        " machine.",
    ),
    "import": (
        "contacts",
        "import_contacts",
        "Import contacts; refused rows are told with line and reason, good rows are kept.",
    ),
    "contacts": ("contacts", "app", "Contacts: listed, shown, exported, tagged, archived."),
    "segment": ("segments", "app", "Segments: filters over contacts."),
    "form": ("consents", "form", "Sign-up forms, with a mail that asks to confirm."),
    "person": ("consents", "person", "One person's rights: export and erasure."),
    "preferences": ("consents", "preferences", "Lists that people see on their preference page."),
    "suppress": ("suppressions", "app", "Addresses that may not be written to."),
    "hygiene": ("hygiene", "app", "Lists that stay clean."),
    "check": ("check", "app", "Check domains, records, messages, logos and reports; needs no install."),
    "bounce": ("bounce", "app", "Bounces and complaints as they came; needs no install."),
    "score": (
        "score",
        "score",
        "Score mails or templates for their spam risk, with reasons, places and mends; needs no install.",
    ),
    "render": (
        "render",
        "render",
        "Merge and compile a template as it would be sent, and say what is wrong with its MJML; needs no install.",
    ),
    "lint": (
        "lint",
        "lint",
        "Say what is wrong with templates, with line and column, why, and how to mend it; needs no install.",
    ),
    "preview": (
        "render",
        "preview",
        "Draw a template by Chromium, without scripts and without the network; needs no install.",
    ),
    "address": ("addresses", "app", "Addresses: typos, throw-aways, domains without mail; needs no install."),
    "domain": ("domain", "app", "Domains that mail is sent from."),
    "template": ("template", "app", "Templates: MJML or HTML with Liquid."),
    "campaign": ("campaign", "app", "Campaigns: one mail to many, at its time, tested."),
    "warmup": ("warmup", "app", "Warm-up: plans shown and compared, weeks simulated in seconds."),
    "experiment": ("experiments", "app", "A/B tests: plan the sample, judge the counts; needs no install."),
    "queue": (
        "queues",
        "app",
        "The queue by destination: how fast it goes and why; suspend, resume, flush, fail.",
    ),
    "webhook": ("webhooks", "app", "Webhooks: endpoints that are told of events."),
    "statistics": ("statistics", "app", "Statistics: counts and rates, with their definitions."),
    "apikey": ("people", "keys", "Keys of API clients."),
    "user": ("people", "users", "People who sign in."),
}
"""Module, name in it, and help by command; a test holds the help to what the command itself says."""


class DeferredCommand(TyperCommand):
    """Stands in the list of commands until it is called."""

    def __init__(self, name: str, place: tuple[str, str], summary: str) -> None:
        super().__init__(name, help=summary)
        self._place = place

    def load(self) -> Any:
        """The command itself."""
        module, attribute = self._place
        found = getattr(import_module(f"postwright.cli.{module}"), attribute)
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(add_completion=False)
            found.command(self.name)(function)
        return typer.main.get_command(found)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Called when the command line names this command: the loaded one takes over."""
        return self.load().make_context(info_name, args, parent=parent, **extra)


class _Root(TyperGroup):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, (module, attribute, summary) in _COMMANDS.items():
            self.add_command(DeferredCommand(name, (module, attribute), summary))


app = typer.Typer(
    name="postwright",
    cls=_Root,
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


def main() -> None:
    """Entry point; a wrong command line exits with 64 (EX_USAGE), Ctrl-C with 130."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        typer.echo(f"{error}\nTry: postwright --help".strip(), err=True)
        raise SystemExit(int(Exit.USAGE)) from None
    except typer.Abort:
        raise SystemExit(130) from None
    raise SystemExit(code or 0)
