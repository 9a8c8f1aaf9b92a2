import csv
import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from hygiene.address_checks import AddressCheck, check_address

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_contacts", EXAMPLES / "make_contacts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    with (EXAMPLES / "contacts.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


@pytest.fixture(scope="module")
def good(rows: list[list[str]], script: ModuleType) -> dict[str, tuple[AddressCheck, list[str]]]:
    """By address key, as an import would keep them; the bad ones are whatever an import would refuse."""
    found: dict[str, tuple[AddressCheck, list[str]]] = {}
    for row in rows:
        check = check_address(row[0], test_environment=True)
        if len(row) == len(script.HEADER) and check.address is not None and check.address.key not in found:
            found[check.address.key] = check, row
    return found


def test_the_committed_files_are_what_the_script_makes(script: ModuleType, tmp_path: Path) -> None:
    script.main(tmp_path)
    for name in ("contacts.csv", "suppressions.csv"):
        assert (tmp_path / name).read_bytes() == (EXAMPLES / name).read_bytes(), f"{name}: run make_contacts.py"


def test_the_counts_are_as_documented(script: ModuleType, rows: list[list[str]], good: dict[str, object]) -> None:
    lines = (EXAMPLES / "contacts.csv").read_bytes().split(b"\n")
    assert len(lines) == 2_002  # the header, a row a line, and nothing behind the last line end
    assert lines[0].decode() == ",".join(script.HEADER)
    assert len(rows) == 2_000
    assert len(script.BAD_ROWS) + len(script.DUPLICATES) == 36
    assert len(good) == 2_000 - 36
    assert sum(key.startswith("nobody") for key in good) == 8
    assert script.GOOD_ROWS == 1_956


def test_each_bad_row_is_bad_and_every_kind_is_there(script: ModuleType) -> None:
    row = ("dana.levi@דואר.test", "Dana", "Levi", "Haifa", "en", "orchard")
    for bad in script.BAD_ROWS:
        spoiled = bad.spoil(row)
        refused = not check_address(spoiled[0], test_environment=True).is_accepted
        assert refused != (len(spoiled) != len(row)), f"{bad} should be bad in exactly one way"
    for duplicate in script.DUPLICATES:
        check = check_address(duplicate.spoil(row)[0], test_environment=True)
        assert check.address is not None
        assert check.address.key == "dana.levi@xn--4dbfg1f.test"
    assert len({bad.kind for bad in script.BAD_ROWS}) >= 15


def test_people_and_domains_are_spread_as_documented(good: dict[str, tuple[AddressCheck, list[str]]]) -> None:
    providers = {
        "mailhub": ("mailhub.test", "bakery.test", "studio-levi.test"),
        "postbox": ("postbox.test", "fernmail.test"),
        "doar": ("doar.test", "xn--4dbfg1f.test", "kibbutz.test"),
    }
    domains = Counter(key.rpartition("@")[2] for key in good)
    share = {name: sum(domains[domain] for domain in own) / len(good) for name, own in providers.items()}
    assert sum(share.values()) == pytest.approx(1)
    assert share == pytest.approx({"mailhub": 0.45, "postbox": 0.25, "doar": 0.30}, abs=0.03)
    assert min(domains.values()) >= 80
    hebrew = [row for _, row in good.values() if row[4] == "he"]
    assert 0.35 < len(hebrew) / len(good) < 0.45
    assert all("\u05d0" <= row[1][0] <= "\u05ea" for row in hebrew)
    assert all(all(row) for _, row in good.values()), "no good contact lacks a field"
    assert not any(check.warnings for check, _ in good.values())


def test_the_suppressed_are_good_contacts(good: dict[str, object], script: ModuleType) -> None:
    with (EXAMPLES / "suppressions.csv").open(encoding="utf-8", newline="") as file:
        suppressed = list(csv.DictReader(file))
    keys = [
        address.key for row in suppressed if (address := check_address(row["email"], test_environment=True).address)
    ]
    assert len(suppressed) == len(set(keys)) == 12
    assert all(key in good and not key.startswith("nobody") for key in keys)
    assert {row["reason"] for row in suppressed} == set(script.SUPPRESSION_REASONS)
