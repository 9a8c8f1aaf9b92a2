"""``postwright address check``: addresses of a file judged without asking their hosts; works without an install."""

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from hygiene.address_verdict import AddressCode, AddressJudge, AddressRules, AddressValue, AddressVerdict
from hygiene.address_verdict import with_domain_mail as judged_with_domain
from hygiene.mail_domains import DomainMailVerdict, find_domain_mail
from mailtypes.domain import DomainName
from mailtypes.errors import InputSyntaxError
from postwright.cli.check_ground import Ground, GroundOptions, for_each, read_file
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console

app = typer.Typer(
    help="Addresses: typos, throw-aways, domains without mail; needs no install.",
    no_args_is_help=True,
    add_completion=False,
)
_COLUMNS = ("email", "e-mail", "address", "mail", "email address", "email_address", "דואל", 'דוא"ל', "דואר אלקטרוני")
_SHOWN = 50
_WRITTEN_AT_ONCE = 1000


class AddressFileError(InputSyntaxError):
    """A file in which no addresses can be found."""


@dataclass(frozen=True, slots=True)
class _Row:
    """An address as it came; ``n`` is the line of the file where it begins, from 1."""

    n: int
    text: str


@app.callback()
def _address() -> None:
    """Addresses: typos, throw-aways, domains without mail; needs no install."""


@app.command("check")
def check(
    file: Path = typer.Argument(help="One address a line, or CSV or TSV with a header line.", metavar="FILE"),
    column: str = typer.Option("", help="The column that holds the addresses; found by its name otherwise."),
    dns: bool = typer.Option(False, "--dns", help="Ask the DNS which domains take mail; their hosts are left alone."),
    zone: Path | None = typer.Option(None, "--zone", help="With --dns: a zone file (RFC 1035) laid over live DNS."),
    offline: bool = typer.Option(False, "--offline", help="With --dns: ask the zone file alone."),
    refuse: list[AddressCode] = typer.Option([], help="A code that counts as refused; may be given several times."),
    as_json: bool = JsonOption,
) -> None:
    """Judge the addresses of a file; exits with 1 where one is refused, with 2 where a domain could not be asked."""
    if (zone is not None or offline) and not dns:
        raise typer.BadParameter("--zone and --offline say what --dns asks; add --dns.")
    options = GroundOptions(zone, offline) if dns else None
    judge = AddressJudge(AddressRules(frozenset(refuse)))
    with explained():
        rows = _rows(read_file(file), column)
        judged: Iterable[tuple[_Row, AddressVerdict]] = ((row, judge.judge(row.text, row.n)) for row in rows)
        if options is not None:
            judged = _with_dns(list(judged), options, judge.rules)
        values = _write(judged) if as_json else _show(judged)
    refused, unknown = values[AddressValue.REFUSED], values[AddressValue.UNKNOWN]
    raise typer.Exit(int(Exit.REFUSED if refused else Exit.UNKNOWN if unknown else Exit.OK))


def _rows(octets: bytes, column: str) -> Iterator[_Row]:
    text = octets.decode("utf-16" if octets[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    if "\0" in text:
        raise AddressFileError("this is no text file", next_step="Give a text, CSV or TSV file.")
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    delimiter = next((one for one in "\t;," if one in first), "")
    header = [cell.strip().lower() for cell in next(csv.reader([first], delimiter=delimiter or ","), [])]
    names = [column.strip().lower()] if column else [name for name in _COLUMNS if name in header]
    if names and names[0] in header:
        return _cells(text, delimiter or ",", header.index(names[0]))
    if column:
        raise AddressFileError(f"there is no column '{column}'", next_step=f"The header line has: {', '.join(header)}.")
    if delimiter and "@" not in first:
        raise AddressFileError(
            "it is not clear which column holds the addresses",
            source=first.rstrip(),
            next_step=f"Name it with --column, or call it {_COLUMNS[0]}.",
        )
    lines = io.StringIO(text)
    return (_Row(n, line.strip()) for n, line in enumerate(lines, 1) if line.strip())


def _cells(text: str, delimiter: str, index: int) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    is_header, line = True, 1
    try:
        for cells in reader:
            if any(cells) and not is_header:
                yield _Row(line, cells[index].strip() if index < len(cells) else "")
            is_header = is_header and not any(cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise AddressFileError(
            f"line {reader.line_num:,} cannot be read: {error}",
            next_step="Perhaps a quotation mark is not closed: the lines up to the next one belong to this row.",
        ) from error


def _with_dns(
    judged: list[tuple[_Row, AddressVerdict]], options: GroundOptions, rules: AddressRules
) -> Iterator[tuple[_Row, AddressVerdict]]:
    """Each domain is asked once, some of them at the same time."""
    domains = list(dict.fromkeys(verdict.address.domain for _, verdict in judged if verdict.address is not None))

    async def work(ground: Ground, domain: DomainName) -> DomainMailVerdict:
        return await ground.evaluate(find_domain_mail(domain))

    found = dict(zip(domains, for_each(options, domains, work), strict=True))
    for row, verdict in judged:
        known = verdict.address
        yield row, verdict if known is None else judged_with_domain(verdict, found[known.domain], rules)


def _write(judged: Iterable[tuple[_Row, AddressVerdict]]) -> Mapping[AddressValue, int]:
    values: Counter[AddressValue] = Counter()
    encode = json.JSONEncoder(ensure_ascii=False).encode
    remaining = iter(judged)
    while chunk := list(islice(remaining, _WRITTEN_AT_ONCE)):
        values.update(verdict.value for _, verdict in chunk)
        lines = "".join(f"{encode(_document(row, verdict))}\n" for row, verdict in chunk)
        typer.echo(lines, nl=False)
    sys.stdout.flush()
    return values


def _document(row: _Row, verdict: AddressVerdict) -> dict[str, object]:
    return {
        "n": row.n,
        "address": row.text,
        "value": verdict.value,
        "codes": verdict.codes,
        "suggestion": verdict.suggestion,
        "duplicate_of": verdict.duplicate_of,
        "key": None if verdict.address is None else verdict.address.key,
        "sentences": verdict.sentences,
    }


def _show(judged: Iterable[tuple[_Row, AddressVerdict]]) -> Mapping[AddressValue, int]:
    """What is not ok, the first lines of it, and how many there are of each."""
    values: Counter[AddressValue] = Counter()
    table = Table("Line", "Address", "Verdict", "Suggestion", "Why", box=None)
    left_out = 0
    for row, verdict in judged:
        values[verdict.value] += 1
        if verdict.value is AddressValue.OK:
            continue
        if table.row_count >= _SHOWN:
            left_out += 1
            continue
        told = (str(row.n), row.text[:80], verdict.value, verdict.suggestion or "", " ".join(verdict.sentences))
        table.add_row(*map(escape, told))  # brackets in an address are no markup
    if table.row_count:
        console.print(table)
    if left_out:
        console.print(f"… and {left_out:,} more; --json prints all of them.")
    console.print(", ".join(f"{values[value]:,} {value}" for value in AddressValue) + ".")
    return values
