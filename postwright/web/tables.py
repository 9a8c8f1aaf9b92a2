"""Tables that sort, filter, page and export on the server: links and forms, no script.

A page describes its columns once; ``sifted`` brings the rows that a request asks for,
``as_csv`` the same rows as a file.
Lists that may be long are read page by page instead (``page_of``): they have an order of their own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from postwright.services.csv_text import csv_text
from postwright.web.formats import iso_moment, number
from postwright.web.language import N_, gettext, ngettext

Row = TypeVar("Row")
Value = str | int | float | None
PER_PAGE = 50
_MOST_PAGES = 10_000
_LONGEST_FIND = 100


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """A column: its name in addresses and files, its English title, and the value that sorts and is exported.

    ``kind`` is ``text``, ``count`` or ``moment`` (microseconds). A column without a value only shows something.
    """

    name: str
    title: str
    value: Callable[[Row], Value] | None = None
    kind: str = "text"
    is_found: bool = False
    """Whether the field "Find" looks into it."""


@dataclass(frozen=True, slots=True)
class Choice(Generic[Row]):
    """A filter of a fixed set of ``(value, English title)``; ``keeps`` tells whether a row has the chosen value."""

    name: str
    title: str
    choices: Sequence[tuple[str, str]]
    keeps: Callable[[Row, str], bool]


@dataclass(frozen=True, slots=True)
class Plan(Generic[Row]):
    """What a table is made of. ``prefix`` tells several tables of one page apart; a ``-`` before ``order`` turns it."""

    columns: Sequence[Column[Row]]
    order: str
    filters: Sequence[Choice[Row]] = ()
    csv_path: str = ""
    prefix: str = ""
    per_page: int = PER_PAGE

    @property
    def may_find(self) -> bool:
        """Whether there is something to find."""
        return any(column.is_found for column in self.columns)


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's head: ``sorted`` is empty, ``ascending`` or ``descending``."""

    title: str
    is_count: bool
    href: str = ""
    sorted: str = ""


@dataclass(frozen=True, slots=True)
class ChosenFilter:
    """A filter as it is shown."""

    name: str
    title: str
    choices: Sequence[tuple[str, str]]
    chosen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[Row]):
    """What the macro ``table`` shows."""

    rows: Sequence[Row]
    columns: Sequence[Heading]
    path: str
    counted: str
    prefix: str = ""
    filters: Sequence[ChosenFilter] = ()
    may_find: bool = False
    find: str = ""
    is_narrowed: bool = False
    kept: Mapping[str, str] = field(default_factory=dict)
    earlier_href: str = ""
    later_href: str = ""
    csv_href: str = ""


def sifted(request: Request, plan: Plan[Row], rows: Iterable[Row]) -> Table[Row]:
    """The rows that the request asks for, sorted and cut to one page, with the links around them."""
    asked = _Asked(request, plan)
    found = _ordered(plan, _kept(plan, asked, rows), asked.order)
    pages = max(1, -(-len(found) // plan.per_page))
    page = min(asked.page, pages)
    shown = found[(page - 1) * plan.per_page : page * plan.per_page]
    first = (page - 1) * plan.per_page + 1
    return Table(
        rows=shown,
        columns=[_heading(asked, column) for column in plan.columns],
        path=request.url.path,
        counted=_counted(first, len(shown), len(found)),
        prefix=plan.prefix,
        filters=[_shown(one, asked.chosen[one.name]) for one in plan.filters],
        may_find=plan.may_find,
        find=asked.find,
        is_narrowed=bool(asked.find or any(asked.chosen.values())),
        kept={plan.prefix + "sort": asked.order} if asked.order != plan.order else {},
        earlier_href=asked.href(page=str(page - 1)) if page > 1 else "",
        later_href=asked.href(page=str(page + 1)) if page < pages else "",
        csv_href=f"{plan.csv_path}?{asked.query()}".rstrip("?") if plan.csv_path else "",
    )


def page_of(
    request: Request,
    columns: Sequence[Column[Row]],
    rows: Sequence[Row],
    *,
    filters: Sequence[ChosenFilter] = (),
    later: Mapping[str, str] | None = None,
    csv_path: str = "",
) -> Table[Row]:
    """One page of a list that has its own order; ``later`` are the parameters of the page behind it."""
    query = {one.name: one.chosen for one in filters if one.chosen}
    return Table(
        rows=rows,
        columns=[Heading(gettext(column.title), column.kind == "count") for column in columns],
        path=request.url.path,
        counted=ngettext("%(number)s line", "%(number)s lines", len(rows), number=number(len(rows))),
        filters=filters,
        is_narrowed=bool(query),
        later_href=_address(request.url.path, {**query, **later}) if later else "",
        csv_href=_address(csv_path, query) if csv_path else "",
    )


def as_csv(request: Request, plan: Plan[Row], rows: Iterable[Row], file_name: str) -> Response:
    """The rows that the request asks for as a CSV file (RFC 4180), with times in UTC and plain numbers."""
    asked = _Asked(request, plan)
    return csv_file(plan.columns, _ordered(plan, _kept(plan, asked, rows), asked.order), file_name)


def csv_file(columns: Sequence[Column[Row]], rows: Iterable[Row], file_name: str) -> Response:
    """Rows as a CSV file. What a spreadsheet would take for a formula is led by an apostrophe."""
    shown = [(column, column.value) for column in columns if column.value is not None]
    names = [column.name for column, _ in shown]
    content = csv_text([names, *([_cell(column.kind, value(row)) for column, value in shown] for row in rows)])
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return Response("\ufeff" + content, media_type="text/csv; charset=utf-8", headers=headers)


def _cell(kind: str, value: Value) -> Value:
    return iso_moment(int(value)) if kind == "moment" and value is not None else value


class _Asked(Generic[Row]):
    """What the address asks of one table; whatever is not known there counts as not said."""

    def __init__(self, request: Request, plan: Plan[Row]) -> None:
        given, prefix = request.query_params, plan.prefix
        self._path, self._prefix = request.url.path, prefix
        sortable = {column.name for column in plan.columns if column.value is not None}
        order = given.get(prefix + "sort", "")
        self.order = order if order.removeprefix("-") in sortable else plan.order
        self._own_order = plan.order
        self.find = given.get(prefix + "find", "")[:_LONGEST_FIND].strip() if plan.may_find else ""
        self.chosen = {one.name: _chosen(one, given.get(one.name, "")) for one in plan.filters}
        page = given.get(prefix + "page", "1")
        self.page = int(page) if page.isascii() and page.isdigit() and 0 < int(page[:6]) <= _MOST_PAGES else 1

    def href(self, **changes: str) -> str:
        """This table otherwise."""
        return _address(self._path, self._values(changes))

    def query(self) -> str:
        """The same rows elsewhere."""
        return urlencode(self._values({}))

    def _values(self, changes: Mapping[str, str]) -> dict[str, str]:
        own = {"sort": "" if self.order == self._own_order else self.order, "find": self.find, **changes}
        values = {self._prefix + name: value for name, value in own.items()} | self.chosen
        return {name: value for name, value in values.items() if value}


def _shown(one: Choice[Row], chosen: str) -> ChosenFilter:
    choices = [(value, gettext(title)) for value, title in one.choices]
    return ChosenFilter(one.name, gettext(one.title), choices, chosen)


def _chosen(one: Choice[Row], value: str) -> str:
    return value if any(value == known for known, _ in one.choices) else ""


def _address(path: str, values: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(values)}" if values else path


def _kept(plan: Plan[Row], asked: _Asked[Row], rows: Iterable[Row]) -> list[Row]:
    wanted = asked.find.casefold()
    values = [column.value for column in plan.columns if column.is_found and column.value is not None]
    return [
        row
        for row in rows
        if (not wanted or any(wanted in str(value(row) or "").casefold() for value in values))
        and all(not asked.chosen[one.name] or one.keeps(row, asked.chosen[one.name]) for one in plan.filters)
    ]


def _ordered(plan: Plan[Row], rows: list[Row], order: str) -> list[Row]:
    """By one column; what has no value comes last either way, and rows alike keep their order."""
    value = next((one.value for one in plan.columns if one.name == order.removeprefix("-")), None)
    if value is None:
        return rows
    known = [row for row in rows if value(row) is not None]
    known.sort(key=lambda row: _comparable(value(row)), reverse=order.startswith("-"))
    return known + [row for row in rows if value(row) is None]


def _comparable(value: Value) -> tuple[float, str]:
    return (0.0, value.casefold()) if isinstance(value, str) else (float(value or 0), "")


def _heading(asked: _Asked[Row], column: Column[Row]) -> Heading:
    title, is_count = gettext(column.title) if column.title else "", column.kind == "count"
    if column.value is None:
        return Heading(title, is_count)
    here = asked.order.removeprefix("-") == column.name
    is_turned = asked.order.startswith("-")
    # Numbers and times begin with the largest, words with the first letter; once more turns the order round.
    first = column.name if column.kind == "text" else f"-{column.name}"
    turned = column.name if is_turned else f"-{column.name}"
    return Heading(title, is_count, asked.href(sort=turned if here else first), _SORTED[is_turned] if here else "")


_SORTED = {False: "ascending", True: "descending"}


def _counted(first: int, shown: int, total: int) -> str:
    if shown == total:
        return ngettext("%(number)s line", "%(number)s lines", total, number=number(total))
    return gettext(
        N_("Lines %(first)s to %(last)s of %(total)s"),
        first=number(first),
        last=number(first + shown - 1),
        total=number(total),
    )
