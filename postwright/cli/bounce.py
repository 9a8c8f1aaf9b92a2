"""``postwright bounce``: what bounces and complaints say; works without an install."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from mailtypes.bounce import BLAMES, BounceReason
from mta.bounce import BounceReport, BounceSyntaxError, ComplaintReport, NotABounce, read_bounce, split_mailbox
from postwright.cli.check_ground import read_file
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json

app = typer.Typer(
    help="Bounces and complaints as they came; needs no install.", no_args_is_help=True, add_completion=False
)
Row = dict[str, Any]


@app.callback()
def _bounce() -> None:
    """Bounces and complaints as they came; needs no install."""


@app.command("classify")
def classify(
    files: list[Path] = typer.Argument(help="Mails (.eml) or mailboxes (mbox).", metavar="FILE..."),
    as_json: bool = JsonOption,
) -> None:
    """Say who could not be reached and why; exits with 1 where a file is no mail, with 2 where one is no bounce."""
    rows, codes = [], {Exit.OK}
    for file in files:
        with explained():
            octets = read_file(file)
        of_file: list[Row] = []
        for mail in split_mailbox(octets):
            found, code = _rows_of(mail)
            of_file += found
            codes.add(code)
        rows += [{"file": str(file), "n": number, **row} for number, row in enumerate(of_file)]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        console.print(_table(rows))
    raise typer.Exit(int(next((code for code in (Exit.REFUSED, Exit.UNKNOWN) if code in codes), Exit.OK)))


def _rows_of(mail: bytes) -> tuple[list[Row], Exit]:
    """One row a recipient, and the exit code of that mail."""
    try:
        report = read_bounce(mail)
    except BounceSyntaxError as error:
        return [_row("unreadable", "", BounceReason.UNKNOWN, error.message)], Exit.REFUSED
    if isinstance(report, NotABounce):
        is_answer = report.reason is BounceReason.AUTO_REPLY
        kind, address = ("auto_reply", report.sender) if is_answer else ("other", "")
        return [_row(kind, address, report.reason, report.evidence)], Exit.OK if is_answer else Exit.UNKNOWN
    if isinstance(report, ComplaintReport):
        evidence = f"Feedback-Type: {report.feedback_type}"
        rows = [_row("complaint", each, BounceReason.COMPLAINT, evidence) for each in report.recipients or ("",)]
    else:
        rows = list(_of_bounce(report))
    message_id = report.original.message_id if report.original else ""
    return [{**row, "message_id": message_id or None} for row in rows], Exit.OK


def _of_bounce(report: BounceReport) -> Iterator[Row]:
    for each in report.recipients:
        found = each.classification
        yield {
            **_row("bounce", each.address, found.reason, found.evidence),
            "dsn": None if each.status is None else str(each.status),
            "reply_code": each.reply_code,
            "permanent": found.is_permanent,
            "recipient_dead": found.is_recipient_dead,
            "action": str(each.action),
            "diagnostic": each.diagnostic,
        }


def _row(kind: str, recipient: str, reason: BounceReason, evidence: str) -> Row:
    return {
        "recipient": recipient or None,
        "dsn": None,
        "reply_code": None,
        "reason": str(reason),
        "permanent": False,
        "recipient_dead": False,
        "evidence": evidence,
        "blames": str(BLAMES[reason]),
        "kind": kind,
    }


def _table(rows: list[Row]) -> Table:
    table = Table("File", "Recipient", "Status", "Reply", "Reason", "Whose", "Dead", "Evidence", box=None)
    for row in rows:
        cells = (row["recipient"], row["dsn"], row["reply_code"], row["reason"], row["blames"])
        dead = "yes" if row["recipient_dead"] else ""
        told = (Path(row["file"]).name, *(str(cell or "") for cell in cells), dead, row["evidence"])
        table.add_row(*map(escape, told))  # brackets in a bounce are no markup
    return table
