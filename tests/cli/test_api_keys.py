"""``postwright apikey``: keys with limits, rotation."""

from collections.abc import Callable
from typing import Any

Command = Callable[..., Any]


def test_limits_are_kept_and_shown(postwright: Command) -> None:
    limits = ["--domain", "News.Acme.test", "--address", "a@acme.test", "--test", "--rate", "5", "--quota", "100"]
    (made,) = postwright("apikey", "create", "shop", *limits, "--expires", "2099-01-01", "--json").objects
    assert made["key"].startswith("pw_test_")
    (listed,) = postwright("apikey", "list", "--json").objects
    assert listed["limits"] == (
        "test, news.acme.test, a@acme.test, 5 requests/s, 100 recipients/day, until 2099-01-01T00:00:00+00:00"
    )


def test_a_rotated_key_ends_after_the_overlap(postwright: Command) -> None:
    postwright("apikey", "create", "shop", "--rate", "5")
    (old,) = postwright("apikey", "list", "--json").objects
    (new,) = postwright("apikey", "rotate", old["id"], "--overlap", "0", "--json").objects
    assert new["name"] == "shop"
    states = [(one["state"], one["limits"].split(",")[0]) for one in postwright("apikey", "list", "--json").objects]
    assert states == [("expired", "5 requests/s"), ("active", "5 requests/s")]
    assert postwright("apikey", "rotate", old["id"]).code == 66
    assert postwright("apikey", "rotate", "key_nonsense").code in (65, 66)


def test_bad_limits_are_refused(postwright: Command) -> None:
    for options in (["--domain", "a..b"], ["--address", "nobody"], ["--expires", "2020-01-01"]):
        assert postwright("apikey", "create", "shop", *options).code in (1, 65), options
    assert postwright("apikey", "create", "shop", "--rate", "0").code == 64
    assert postwright("apikey", "list", "--json").objects == []
