"""Real bounces of many mail systems (../shared/conformance/bounces): found, dead ones recalled, living ones spared.

The files are divided by a hash of their names. The rules were made with the tuned part in view. The held-out part was
not read; see docs/bounces.md for how it was used.
"""

import csv
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailtypes.bounce import BounceReason
from mta.bounce import BounceReport, ComplaintReport, NotABounce, read_bounce, split_mailbox

SHARED = Path(os.environ.get("POSTWRIGHT_SHARED", Path(__file__).resolve().parents[4] / "shared"))
FOLDER = SHARED / "conformance" / "bounces"


def is_held_out(name: str) -> bool:
    digest = hashlib.sha256(b"postwright bounces 1:" + name.encode()).digest()
    return digest[0] % 2 == 1 and digest[1] >= 140


@dataclass
class Figures:
    rows: int = 0
    found: int = 0
    dead: int = 0
    dead_recalled: int = 0
    living: int = 0
    living_called_dead: int = 0

    def __str__(self) -> str:
        return (
            f"{self.rows} recipients: found {self.found / self.rows:.1%},"
            f" dead recalled {self.dead_recalled}/{self.dead} ({self.dead_recalled / self.dead:.1%}),"
            f" living called dead {self.living_called_dead}/{self.living}"
            f" ({self.living_called_dead / self.living:.1%})"
        )


def read(octets: bytes) -> list[tuple[str, bool]]:
    """Address and verdict of each recipient, over all mails of the file."""
    found: list[tuple[str, bool]] = []
    for mail in split_mailbox(octets):
        report = read_bounce(mail)
        if isinstance(report, BounceReport):
            found += [(one.address, one.classification.is_recipient_dead) for one in report.recipients]
        elif isinstance(report, ComplaintReport):
            found += [(address, False) for address in report.recipients or ("",)]
        else:
            assert isinstance(report, NotABounce)
            found.append((report.sender if report.reason is BounceReason.AUTO_REPLY else "", False))
    return found


@pytest.fixture(scope="module")
def expected() -> dict[str, list[dict[str, str]]]:
    if not FOLDER.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{FOLDER} is missing")
        pytest.skip(f"{FOLDER} is missing")
    expected = defaultdict(list)
    with (FOLDER / "expected.csv").open() as file:
        for row in csv.DictReader(file):
            expected[row["file"]].append(row)
    return expected


def figures_of(files: Iterator[tuple[bytes, list[dict[str, str]]]]) -> Figures:
    part = Figures()
    for octets, rows in files:
        found = read(octets)
        for row in rows:
            number = int(row["n"])
            address, dead = found[number] if number < len(found) else ("", False)
            part.rows += 1
            part.found += bool(address)
            if row["hardbounce"] == "1":
                part.dead += 1
                part.dead_recalled += dead
            else:
                part.living += 1
                part.living_called_dead += dead
    return part


# At least found, at least recalled, at most called dead. The aim on the held-out part is 0.97, 0.93, 0.02.
@pytest.mark.parametrize(("held_out", "bounds"), [(False, (0.99, 0.98, 0.0)), (True, (0.98, 0.88, 0.021))])
def test_figures(expected: dict[str, list[dict[str, str]]], held_out: bool, bounds: tuple[float, float, float]) -> None:
    files = (((FOLDER / name).read_bytes(), rows) for name, rows in expected.items() if is_held_out(name) is held_out)
    part, (found, recalled, called_dead) = figures_of(files), bounds
    print(f"\n{'held out' if held_out else 'tuned'}: {part}")
    assert part.found >= found * part.rows, part
    assert part.dead_recalled >= recalled * part.dead, part
    assert part.living_called_dead <= called_dead * part.living, part


# What takes something away from a bounce that its reader may lean on; the tuned part is read without it.
_FROM = (rb"\A((?:.*\n)*?)from: .*\n", rb"\g<1>From: Notice <mail@relay.test>\n")
_WITHOUT = {
    "its fields": ((rb"message/(?:global-)?delivery-status", rb"application/x-gone"),),
    "its diagnostic": ((rb"^diagnostic-code:.*\n(?:[ \t].*\n)*", rb""),),
    "its recipients": ((rb"^(?:final|original)-recipient:.*\n", rb""),),
    "its boundary": ((rb"boundary=", rb"boundary=x"),),
    "its sender": (_FROM,),
    "the returned message": ((rb"message/rfc822|text/rfc822-headers", rb"application/x-gone"),),
}


@pytest.mark.parametrize("what", _WITHOUT)
def test_what_is_left_of_a_bounce_is_read_too(expected: dict[str, list[dict[str, str]]], what: str) -> None:
    def mutilated() -> Iterator[tuple[bytes, list[dict[str, str]]]]:
        for name, rows in expected.items():
            if not is_held_out(name):
                octets = (FOLDER / name).read_bytes().replace(b"\r\n", b"\n")
                for pattern, other in _WITHOUT[what]:
                    octets = re.sub(pattern, other, octets, flags=re.IGNORECASE | re.MULTILINE)
                yield octets, rows

    part = figures_of(mutilated())
    print(f"\nwithout {what}: {part}")
    assert part.found >= 0.97 * part.rows, part
    assert part.dead_recalled >= 0.91 * part.dead, part
    assert part.living_called_dead <= 1, part
