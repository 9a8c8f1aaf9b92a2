"""The right-to-left pack: direction, sides, and numbers and Latin words within Hebrew and Arabic."""

import re
from collections.abc import Iterator

from mailtypes.saying import say
from rendering.lint.case import Case, Hit, Rule, direction_letters, shortened
from rendering.lint.finding import Severity
from rendering.lint.page import Element, Run
from rendering.lint.style_values import horizontal_padding, length

_NEAR_PX = 8.0  # a difference of the two sides that nobody sees
_RTL_LETTER = "[\u05d0-\u08ff]"
# What the bidirectional algorithm (UAX 9) puts on another side than the author saw: a sign before a number, which
# belongs to no side (rule W6); a range with a dash or with spaces around its hyphen (N1); the signs at the end of a
# Latin name. A lone hyphen or slash between figures stays where it is (W4), but after Arabic letters the figures of a
# range or a telephone number change places (W2).
_TROUBLE = re.compile(
    r"(?<![\w.])[+\u2212-]\s?\d[\d,.]*%?|\d\s*[\u2013\u2014]\s*\d+%?|\d\s+-\s+\d+%?|\b[A-Za-z](?:\+\+|#)(?!\w)"
)
_TROUBLE_AFTER_ARABIC = re.compile(r"\d{1,6}-\d{1,8}")
_ARABIC = re.compile("[\u0600-\u08ff]")
_ISOLATES = re.compile("[\u2066-\u2069\u200e\u200f\u202a-\u202e]")


def _rtl_runs(case: Case) -> Iterator[Run]:
    """The runs that are mostly right-to-left, of a mail that is."""
    if not case.is_rtl:
        return
    for run in case.page.runs:
        rtl, ltr = direction_letters(run.text)
        if rtl and rtl >= ltr:
            yield run


def _dir_missing(case: Case) -> Iterator[Hit]:
    for run in _rtl_runs(case):
        computed = case.page.computed_of(run)
        if computed.direction not in {"rtl", "auto"} and computed.direction != "ltr":
            where = say(" (only <html> or <body> says so)") if computed.root_direction == "rtl" else ""
            yield Hit(
                say("nothing says that the text runs from right to left%(where)s", where=where), _outermost(case) or run
            )
            return


def _dir_wrong(case: Case) -> Iterator[Hit]:
    for run in _rtl_runs(case):
        if case.page.computed_of(run).direction == "ltr" and len(run.text.strip()) > 3:
            yield Hit(
                say("right-to-left text is set from left to right: “%(text)s”", text=shortened(run.text, 40)), run
            )


def _dir_needless(case: Case) -> Iterator[Hit]:
    rtl, ltr = direction_letters(case.text)
    if rtl or ltr < 40:
        return
    for element in case.page.elements:
        if element.attributes.get("dir", "").lower() == "rtl" and not element.computed.hidden:
            yield Hit(say("the mail is set from right to left, and all its letters run from left to right"), element)
            return


def _table_dir(case: Case) -> Iterator[Hit]:
    if not case.is_rtl:
        return
    owners = _tables_of_cells(case)
    for table_index, cells in owners.items():
        table = case.page.elements[table_index]
        if cells < 2 or table.attributes.get("dir") or table.style.get("direction") or table.computed.hidden:
            continue
        if table.computed.direction != "rtl":
            yield Hit(say("a table with several columns does not say that they run from right to left"), table)


def _tables_of_cells(case: Case) -> dict[int, int]:
    """The most cells that a row of each table has, by the table's index."""
    row_cells: dict[int, int] = {}
    for element in case.page.elements:
        if element.name in {"td", "th"} and element.parent >= 0:
            row_cells[element.parent] = row_cells.get(element.parent, 0) + 1
    most: dict[int, int] = {}
    for row, cells in row_cells.items():
        table = case.page.elements[row]
        for _ in range(3):  # tr, tbody, table
            if table.name == "table" or table.parent < 0:
                break
            table = case.page.elements[table.parent]
        if table.name == "table":
            most[table.index] = max(most.get(table.index, 0), cells)
    return most


def _align_left(case: Case) -> Iterator[Hit]:
    for run in _rtl_runs(case):
        if case.page.computed_of(run).align == "left" and len(run.text.strip()) > 3:
            yield Hit(say("right-to-left text is aligned to the left: “%(text)s”", text=shortened(run.text, 40)), run)


def _padding(case: Case) -> Iterator[Hit]:
    for element in _rtl_elements(case):
        for name in ("padding", "margin"):
            left, right = horizontal_padding(element.style, name)
            is_list = element.name in {"ul", "ol", "li", "blockquote"}
            if (is_list and left > right + _NEAR_PX) or (
                f"{name}-left" in element.style and left > right + 2 * _NEAR_PX
            ):
                message = say(
                    "%(name)s of %(left)s px on the left and %(right)s on the right",
                    name=name,
                    left=f"{left:g}",
                    right=f"{right:g}",
                )
                yield Hit(message, element, measured=left, limit=right, unit="px")


def _border(case: Case) -> Iterator[Hit]:
    for element in _rtl_elements(case):
        left = length((element.style.get("border-left", "").split() or [""])[0]) or 0
        if left >= 2 and "border-right" not in element.style and "border" not in element.style:
            yield Hit(say("a line on the left side of text that begins on the right"), element)


def _rtl_elements(case: Case) -> Iterator[Element]:
    """The elements with a style that hold right-to-left text directly or in a child."""
    seen: set[int] = set()
    for run in _rtl_runs(case):
        index = run.owner
        for _ in range(3):
            if index < 0 or index in seen:
                break
            seen.add(index)
            element = case.page.elements[index]
            if element.style:
                yield element
            index = element.parent


def _not_isolated(case: Case) -> Iterator[Hit]:
    for run in _rtl_runs(case):
        computed = case.page.computed_of(run)
        if computed.isolated or _ISOLATES.search(run.text):
            continue
        match = _TROUBLE.search(run.text)
        if match is None and _ARABIC.search(run.text):
            match = _TROUBLE_AFTER_ARABIC.search(run.text)
        if match and re.search(_RTL_LETTER, run.text):
            yield Hit(say("“%(text)s” can turn around within right-to-left text", text=match[0].strip()), run)


def _outermost(case: Case) -> Element | None:
    for element in case.page.elements:
        if element.computed.in_body and element.name in {"div", "table", "td", "p", "center", "h1"}:
            return element
    return None


RULES = (
    Rule(
        "rtl.dir_missing",
        Severity.WARNING,
        "Web clients drop <html> and <body>; sentences end on the wrong side, and lists and columns are turned around.",
        'Write dir="rtl" on the outermost table or div (in MJML: in mj-text, <div dir="rtl">…</div>).',
        "content rules: dir on the wrapper; Unicode Standard Annex 9",
        _dir_missing,
    ),
    Rule(
        "rtl.dir_wrong",
        Severity.WARNING,
        "Full stops and numbers stand on the wrong side.",
        'Write dir="rtl" on the text (in MJML: direction="rtl" on mj-section and mj-column).',
        "Unicode Standard Annex 9",
        _dir_wrong,
    ),
    Rule(
        "rtl.dir_needless",
        Severity.WARNING,
        "Full stops stand at the beginning of lines, and columns are turned around.",
        'Remove dir="rtl".',
        "Unicode Standard Annex 9",
        _dir_needless,
    ),
    Rule(
        "rtl.table_dir_missing",
        Severity.ADVICE,
        "The first column stands on the left, where a reader of Hebrew or Arabic looks last.",
        'Write dir="rtl" on the table.',
        "HTML Standard, 15.3.9: dir orders the columns",
        _table_dir,
    ),
    Rule(
        "rtl.align_left",
        Severity.WARNING,
        "Lines begin ragged on the side where reading begins.",
        'Align it to the right (in MJML: align="right").',
        "right-to-left typography",
        _align_left,
    ),
    Rule(
        "rtl.padding_not_mirrored",
        Severity.ADVICE,
        "The indent stands at the end of the lines; the layout was made for left to right.",
        "Change left and right for each other.",
        "right-to-left typography",
        _padding,
    ),
    Rule(
        "rtl.border_not_mirrored",
        Severity.ADVICE,
        "A quotation's line belongs where its lines begin.",
        "Use border-right.",
        "right-to-left typography",
        _border,
    ),
    Rule(
        "rtl.not_isolated",
        Severity.ADVICE,
        "The sign or the punctuation moves to the other side: -20 % is read as 20 % -.",
        'Put it into <bdi>…</bdi> or <span dir="ltr">…</span>.',
        "Unicode Standard Annex 9, section 2.7",
        _not_isolated,
    ),
)
