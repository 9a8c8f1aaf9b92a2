"""``postwright webhook`` and ``postwright statistics``: made, shown, changed; what is wrong with its exit code."""

import csv
from collections.abc import Callable
from typing import Any

Command = Callable[..., Any]


def test_the_life_of_an_endpoint(postwright: Command) -> None:
    added = postwright("webhook", "add", "https://shop.example.com/in", "--kind", "bounced", "--json")
    (made,) = added.objects
    assert made["secret"].startswith("whsec_")
    assert made["id"].startswith("whk_")
    (shown,) = postwright("webhook", "list", "--json").objects
    assert (shown["kinds"], shown["state"], shown["failures"]) == ("bounced", "enabled", 0)
    assert made["secret"] not in postwright("webhook", "list").out
    rotated = postwright("webhook", "rotate", made["id"]).out.strip()
    assert rotated.startswith("whsec_")
    assert rotated != made["secret"]
    assert "disabled" in postwright("webhook", "disable", made["id"]).out
    assert postwright("webhook", "list", "--json").objects[0]["reason"] == "Disabled on the command line."
    assert "enabled" in postwright("webhook", "enable", made["id"], "--skip-missed").out
    assert "refuses nothing" in postwright("webhook", "skip", made["id"]).out
    assert postwright("webhook", "replay", made["id"], "2026-01-01T00:00:00").code == 0
    assert postwright("webhook", "log", made["id"]).out.strip() == "Nothing yet."
    assert postwright("webhook", "remove", made["id"]).code == 0
    assert postwright("webhook", "list").out.strip() == "None."


def test_what_is_wrong_ends_with_its_exit_code(postwright: Command) -> None:
    assert postwright("webhook", "enable", "whk_nothing").code == 66
    bad = postwright("webhook", "add", "http://shop.example.com/")
    assert bad.code != 0
    assert "only https" in bad.err
    unknown = postwright("webhook", "add", "https://shop.example.com/", "--kind", "delievered")
    assert "delievered" in unknown.err
    assert postwright("statistics", "show", "--campaign", "nothing").code == 66
    assert postwright("statistics", "show", "--run", "nothing").code == 66
    assert postwright("statistics", "clicked", "run_nothing", "x").code == 66
    assert postwright("statistics", "show", "--by", "week").code == 64


def test_statistics_of_nothing(postwright: Command) -> None:
    (row,) = postwright("statistics", "show", "--json").objects
    assert (row["delivered"], row["open_rate_at_least"]) == (0, "")
    (header, line) = csv.reader(postwright("statistics", "show", "--csv").out.splitlines())
    assert len(header) == len(line)
    assert postwright("statistics", "show", "--by", "domain").out.strip() == "Nothing was sent yet."
    assert "openers" in postwright("statistics", "definitions").out
