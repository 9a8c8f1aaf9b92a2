"""Makes contacts.csv and suppressions.csv, the invented list of the demo: the same bytes on every machine.

    python examples/make_contacts.py [FOLDER]

contacts.csv has 2,000 rows under its header:

* 1,956 good ones, of which 12 are also in suppressions.csv;
* 8 that look good but whose mailbox does not exist (the local part begins with ``nobody``);
* 36 bad ones of the kinds in ``BAD_ROWS``, each to be refused with its row and reason.

All domains lie under .test (RFC 6761) and all people are invented.
"""

import csv
import io
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SEED = 20260301
ROWS = 2_000
HEADER = ("email", "first_name", "last_name", "city", "language", "plan")
HEBREW_SHARE = 0.4

# Domain and its share of the good rows; the receiving providers of the sandbox stand beside them.
DOMAINS = (
    ("mailhub.test", 0.30),  # provider mailhub: 45 %
    ("bakery.test", 0.09),
    ("studio-levi.test", 0.06),
    ("postbox.test", 0.16),  # provider postbox: 25 %
    ("fernmail.test", 0.09),
    ("doar.test", 0.17),  # provider doar: 30 %
    ("דואר.test", 0.07),
    ("kibbutz.test", 0.06),
)
A_LABELS_OF_DOAR = "xn--4dbfg1f.test"  # דואר.test

PLANS = (("seedling", 0.55), ("gardener", 0.33), ("orchard", 0.12))

# First names with the spelling used in the address.
# fmt: off
ENGLISH_FIRST = (
    "Olivia", "Noah", "Emma", "Liam", "Ava", "Oliver", "Sophia", "James", "Mia", "Lucas", "Amelia", "Henry",
    "Harper", "Theo", "Evelyn", "Jack", "Ella", "Leo", "Grace", "Owen", "Chloe", "Samuel", "Lily", "Daniel", "Nora",
    "Isaac", "Hazel", "Julian", "Ruby", "Caleb", "Alice", "Felix", "Clara", "Hugo", "Ivy", "Arthur", "Rose", "Miles",
    "Stella", "Oscar", "Zoë", "José", "Renée", "André", "Siobhán", "Maya", "Tom", "Beatrice", "Frank", "Wren",
)
ENGLISH_LAST = (
    "Smith", "Johnson", "Brown", "Taylor", "Miller", "Davis", "Wilson", "Clark", "Walker", "Hall", "Young", "King",
    "Wright", "Hill", "Green", "Baker", "Carter", "Mills", "Turner", "Parker", "Cook", "Bell", "Reed", "Ward",
    "Foster", "Gray", "Hughes", "Price", "Wood", "Bennett", "Cole", "West", "Jordan", "Fox", "Stone", "Marsh",
    "Lane", "Hayes", "Ford", "Brooks", "O'Brien", "D'Angelo", "Müller", "Núñez", "Smith-Jones", "Okafor", "Singh",
    "Kowalski", "Nakamura", "Haddad",
)
# fmt: on
HEBREW_FIRST = (
    ("דנה", "dana"),
    ("יוסי", "yossi"),
    ("נועה", "noa"),
    ("איתי", "itai"),
    ("מאיה", "maya"),
    ("אורי", "uri"),
    ("תמר", "tamar"),
    ("עומר", "omer"),
    ("שירה", "shira"),
    ("יונתן", "yonatan"),
    ("רחל", "rachel"),
    ("אבי", "avi"),
    ("ליאור", "lior"),
    ("מיכל", "michal"),
    ("גיא", "guy"),
    ("הילה", "hila"),
    ("משה", "moshe"),
    ("רוני", "roni"),
    ("יעל", "yael"),
    ("דוד", "david"),
    ("ענת", "anat"),
    ("אלון", "alon"),
    ("סיגל", "sigal"),
    ("עידו", "ido"),
    ("אסתר", "esther"),
    ("נדב", "nadav"),
    ("כרמל", "carmel"),
    ("בועז", "boaz"),
    ("אביגיל", "avigail"),
    ("צבי", "zvi"),
)
HEBREW_LAST = (
    ("כהן", "cohen"),
    ("לוי", "levi"),
    ("מזרחי", "mizrahi"),
    ("פרץ", "peretz"),
    ("ביטון", "biton"),
    ("דהן", "dahan"),
    ("אברהם", "avraham"),
    ("פרידמן", "friedman"),
    ("אזולאי", "azoulay"),
    ("מלכה", "malka"),
    ("כץ", "katz"),
    ("יוסף", "yosef"),
    ("עמר", "amar"),
    ("אוחיון", "ohayon"),
    ("חדד", "hadad"),
    ("גבאי", "gabay"),
    ("בן דוד", "ben-david"),
    ("שפירא", "shapira"),
    ("רוזן", "rosen"),
    ("גולן", "golan"),
    ("ברק", "barak"),
    ("שרון", "sharon"),
    ("אלוני", "aloni"),
    ("בן-עמי", "ben-ami"),
)
# fmt: off
ENGLISH_CITIES = (
    "London", "Leeds", "Bristol", "Portland", "Austin", "Dublin", "Cork", "Toronto", "Perth", "Wellington", "Bath",
)
# fmt: on
HEBREW_CITIES = (
    "תל אביב",
    "ירושלים",
    "חיפה",
    "באר שבע",
    "רעננה",
    "כפר סבא",
    "מודיעין",
    "נתניה",
    "זכרון יעקב",
    "ראש פינה",
)
_ASCII_OF = str.maketrans({"ë": "e", "é": "e", "á": "a", "ü": "u", "ú": "u", "ñ": "n", "'": ""})

Row = tuple[str, ...]


@dataclass(frozen=True)
class Draw:
    """Chance, from nothing but ``Random.random``: the one method whose sequence Python promises to keep."""

    source: random.Random

    def index(self, size: int) -> int:
        """A number from 0 to ``size - 1``."""
        return int(self.source.random() * size)

    def weighted(self, choices: tuple[tuple[str, float], ...]) -> str:
        """One of the choices by their shares, which sum up to 1."""
        point = self.source.random()
        for choice, share in choices:
            point -= share
            if point < 0:
                return choice
        return choices[-1][0]

    def shuffled(self, rows: list[Row]) -> list[Row]:
        """The rows in another order (Fisher and Yates)."""
        order = list(rows)
        for last in range(len(order) - 1, 0, -1):
            other = self.index(last + 1)
            order[last], order[other] = order[other], order[last]
        return order


@dataclass(frozen=True)
class BadRow:
    """One kind of bad row, made from a good one that is not used elsewhere.

    ``address`` is written from the good row's ``{local}`` part and ``{domain}``, ``columns`` from its columns.
    """

    kind: str
    reason: str
    address: str = "{local}@{domain}"
    columns: Callable[[Row], Row] = lambda row: row

    def spoil(self, row: Row) -> Row:
        """The bad row."""
        local_part, _, domain = row[0].partition("@")
        names = {"local": local_part, "domain": domain, "long": "a" * 65, "long_label": "b" * 64}
        return self.columns((self.address.format_map(names), *row[1:]))


BAD_ROWS: tuple[BadRow, ...] = (
    BadRow("no-at", "there is no @", "{local}.{domain}"),
    BadRow("no-at", "there is no @", "{local} at {domain}"),
    BadRow("no-at", "a telephone number, not an address", "+972-50-000-0000"),
    BadRow("two-at", "there are two @", "{local}@@{domain}"),
    BadRow("two-at", "there are two @", "{local}@home@{domain}"),
    BadRow("space", "a space inside", "{local} home@{domain}"),
    BadRow("space", "a space inside the domain", "{local}@mail hub.test"),
    BadRow("dot-dot", "two dots in a row", "{local}..x@{domain}"),
    BadRow("dot-dot", "two dots in the domain", "{local}@mailhub..test"),
    BadRow("edge-dot", "the local part begins with a dot", ".{local}@{domain}"),
    BadRow("edge-dot", "the local part ends with a dot", "{local}.@{domain}"),
    BadRow("no-domain", "the domain is missing", "{local}@"),
    BadRow("no-domain", "the domain has no top level", "{local}@mailhub"),
    BadRow("no-local-part", "nothing stands before the @", "@{domain}"),
    BadRow("comma", "a comma in the domain", "{local}@mailhub,test"),
    BadRow("semicolon", "two addresses in one field", "{local}@{domain};x@{domain}"),
    BadRow("empty", "the address is empty", ""),
    BadRow("empty", "the address is white space", "   "),
    BadRow("control", "a control character (BEL)", "{local}\x07@{domain}"),
    BadRow("control", "an invisible zero width space", "{local}\u200b@{domain}"),
    BadRow("too-long", "the local part has 65 octets", "{long}@{domain}"),
    BadRow("too-long", "a label of the domain has 64 octets", "{local}@{long_label}.test"),
    BadRow("bad-label", "a top-level label begins with a hyphen", "{local}@bakery.-x"),
    BadRow("bad-label", "a label ends with a hyphen", "{local}@bakery-.test"),
    BadRow("bad-label", "an underscore in the domain", "{local}@studio_levi.test"),
    BadRow("bad-idn", "a Hebrew label that begins with a digit", "{local}@1דואר.test"),
    BadRow("bad-idn", "an A-label that decodes to nothing", "{local}@xn--zz.test"),
    BadRow("name-form", "a name and angle brackets", "Dana <{local}@{domain}>"),
    BadRow("literal", "an address literal", "{local}@[192.0.2.1]"),
    BadRow("too-few-columns", "the row has two columns", columns=lambda row: row[:2]),
    BadRow("too-few-columns", "the row has one column", columns=lambda row: row[:1]),
    BadRow("too-many-columns", "the row has eight columns", columns=lambda row: (*row, "yes", "2024-05-01")),
)
# Bad because an earlier row has the same address already.
DUPLICATES: tuple[BadRow, ...] = (
    BadRow("duplicate", "an exact repetition", columns=lambda row: row),
    BadRow("duplicate", "the same address with another name", columns=lambda row: (row[0], "Sam", "Doe", *row[3:])),
    BadRow("duplicate", "the same address in other letter case", columns=lambda row: (row[0].upper(), *row[1:])),
    BadRow("duplicate", "the same domain in A-labels", columns=lambda row: (_with_a_labels(row[0]), *row[1:])),
)
# The domains of those whose mailbox does not exist.
NOBODY = (
    "mailhub.test",
    "mailhub.test",
    "bakery.test",
    "studio-levi.test",
    "postbox.test",
    "fernmail.test",
    "doar.test",
    "דואר.test",
)
SUPPRESSION_REASONS = ("unsubscribe", "complaint", "hard_bounce", "manual")
SUPPRESSED = 12
GOOD_ROWS = ROWS - len(BAD_ROWS) - len(DUPLICATES) - len(NOBODY)


def _with_a_labels(email: str) -> str:
    return email.replace("דואר.test", A_LABELS_OF_DOAR)


def _person(draw: Draw) -> tuple[str, str, str, str, str]:
    """First name, last name, city, language and the local part that goes with the names."""
    if draw.source.random() < HEBREW_SHARE:
        first, latin_first = HEBREW_FIRST[draw.index(len(HEBREW_FIRST))]
        last, latin_last = HEBREW_LAST[draw.index(len(HEBREW_LAST))]
        city, language = HEBREW_CITIES[draw.index(len(HEBREW_CITIES))], "he"
    else:
        first = ENGLISH_FIRST[draw.index(len(ENGLISH_FIRST))]
        last = ENGLISH_LAST[draw.index(len(ENGLISH_LAST))]
        latin_first, latin_last = (name.lower().translate(_ASCII_OF) for name in (first, last))
        city, language = ENGLISH_CITIES[draw.index(len(ENGLISH_CITIES))], "en"
    shape = draw.weighted((("{0}.{1}", 0.6), ("{0}_{1}", 0.1), ("{0}{1}", 0.15), ("{1}.{0}+garden", 0.15)))
    return first, last, city, language, shape.format(latin_first, latin_last)


def _people(draw: Draw, count: int) -> list[Row]:
    """So many rows with addresses all of their own."""
    rows: list[Row] = []
    taken: set[str] = set()
    while len(rows) < count:
        first, last, city, language, local_part = _person(draw)
        domain = draw.weighted(DOMAINS)
        while f"{local_part}@{domain}" in taken:
            local_part = f"{local_part}{draw.index(90) + 10}"
        taken.add(f"{local_part}@{domain}")
        rows.append((f"{local_part}@{domain}", first, last, city, language, draw.weighted(PLANS)))
    return rows


def _place_duplicates(draw: Draw, rows: list[Row], good: list[Row]) -> None:
    """Put each duplicate somewhere behind the good row that it repeats."""
    originals = [good[10], good[20], good[30], next(row for row in good if row[0].endswith("@דואר.test"))]
    for bad, original in zip(DUPLICATES, originals, strict=True):
        behind = rows.index(original) + 1
        rows.insert(behind + draw.index(len(rows) - behind + 1), bad.spoil(original))


def make() -> tuple[str, str]:
    """The texts of contacts.csv and suppressions.csv."""
    draw = Draw(random.Random(SEED))
    people = _people(draw, GOOD_ROWS + len(BAD_ROWS) + len(NOBODY))
    good, rest = people[:GOOD_ROWS], people[GOOD_ROWS:]
    missing = [
        (f"nobody.{number}@{domain}", *row[1:])
        for number, (domain, row) in enumerate(zip(NOBODY, rest[: len(NOBODY)], strict=True), start=1)
    ]
    bad = [kind.spoil(row) for kind, row in zip(BAD_ROWS, rest[len(NOBODY) :], strict=True)]
    rows = draw.shuffled([*good, *missing, *bad])
    _place_duplicates(draw, rows, good)
    suppressed = [
        (good[100 + 37 * number][0], SUPPRESSION_REASONS[number % len(SUPPRESSION_REASONS)])
        for number in range(SUPPRESSED)
    ]
    return _csv([HEADER, *rows]), _csv([("email", "reason"), *suppressed])


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def main(folder: Path) -> None:
    """Write both files into ``folder``."""
    contacts, suppressions = make()
    (folder / "contacts.csv").write_bytes(contacts.encode())
    (folder / "suppressions.csv").write_bytes(suppressions.encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
