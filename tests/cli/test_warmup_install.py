"""The commands that a warm-up is run by, in an install whose DNS is silent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
NAME = "news.acme.test"
NOTE = ("--note", "for a test")


@pytest.fixture
def domain(postwright: Command) -> Command:
    assert postwright("domain", "add", NAME).code == 0
    return postwright


def test_a_start_needs_a_note_where_something_stands_in_the_way(domain: Command) -> None:
    refused = domain("warmup", "start", NAME)
    assert refused.code == 1
    assert "not known whether the sender domain passes the audit" in refused.err
    assert "hygiene" in refused.err
    assert domain("warmup", "status", "--json").objects == []


def test_from_start_to_end(domain: Command, tmp_path: Path) -> None:
    options = ("--plan", "postmark", "--provider", "google=50:20000", "--zone", "Asia/Jerusalem", "--quiet", "22-7")
    rests = ("--weekend", "fri,sat:0.5", "--reserve", "1/5", "--overflow", "cut", "--json")
    (started,) = domain("warmup", "start", NAME, *options, *rests, *NOTE).objects
    (ramp,) = started["ramps"]
    assert (ramp["provider"], ramp["phase"], ramp["level"], ramp["day"]) == (
        "google", "ramping", 1, {"used": 0, "limit": 50},
    )  # fmt: skip
    plan = started["plan"]
    assert (plan["quiet"], plan["weekend"], plan["weekend_share"], plan["overflow"]) == ([22, 7], [4, 5], 0.5, "cut")
    assert "google" in domain("warmup", "status").out
    (paused,) = domain("warmup", "pause", NAME, "--provider", "google", "--note", "wait", "--json").objects
    assert (paused["ramps"][0]["phase"], paused["ramps"][0]["note"]) == ("paused", "wait")
    (resumed,) = domain("warmup", "resume", NAME, "--note", "go on", "--json").objects
    assert resumed["ramps"][0]["phase"] == "ramping"
    (level,) = domain("warmup", "level", NAME, "4", "--provider", "google", "--note", "old friends", "--json").objects
    assert level["ramps"][0]["day"]["limit"] == 400
    decisions = domain("warmup", "status", NAME, "--decisions", "--json").objects
    assert [one["action"] for one in decisions] == ["advance", "pause", "hold", "advance"]
    told = domain("warmup", "status", NAME, "--decisions", "--chart", "ramp.svg")
    assert "old friends" in told.out
    assert (tmp_path / "ramp.svg").read_text().count("<svg") == 1
    assert domain("warmup", "end", NAME, "--note", "done").code == 0
    assert domain("warmup", "status", NAME).code == 66


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("start", "nobody.test", *NOTE), 66, "sender domain"),
        (("start", NAME, "--plan", "overnight", *NOTE), 65, "postmark"),
        (("start", NAME, "--table", "100 20", *NOTE), 65, "below the day's before"),
        (("start", NAME, "--zone", "Mars", *NOTE), 65, "Asia/Jerusalem"),
        (("start", NAME, "--quiet", "late", *NOTE), 64, "22-7"),
        (("start", NAME, "--provider", "=5", *NOTE), 64, "NAME=FIRST"),
        (("start", NAME, "--overflow", "warm_pool", *NOTE), 1, "warm pool"),
        (("status", NAME), 66, "warm-up"),
        (("status", "--decisions"), 64, "SUBJECT"),
        (("pause", NAME, *NOTE), 66, "warm-up"),
    ],
)
def test_what_is_refused(domain: Command, arguments: tuple[str, ...], code: int, part: str) -> None:
    found = domain("warmup", *arguments)
    assert (found.code, part in found.err) == (code, True), found.err
