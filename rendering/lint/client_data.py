"""What mail clients support, by tests of caniemail.com, and how much each of them counts."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from mailtypes.errors import InputSyntaxError

_HERE = "rendering.lint"


class ClientTableError(InputSyntaxError):
    """A table of clients that cannot be used: ``source`` is the text, ``next_step`` how to mend it."""


@dataclass(frozen=True, slots=True)
class InboxLimit:
    """How many characters of the subject and of the preheader a client shows in its list of messages."""

    name: str
    subject: int
    preheader: int
    share: float


@dataclass(frozen=True, slots=True)
class ClientPolicy:
    """How much each client counts: shares in per cent by caniemail's name of the client, and the list's limits.

    A feature is reported when clients of at least ``report_from`` per cent of the readers lack it.
    """

    shares: Mapping[str, float]
    inbox_limits: tuple[InboxLimit, ...]
    report_from: float


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of HTML, CSS or of images; ``support`` by client is ``y``, ``n``, ``a`` (partly) or ``u`` (unknown)."""

    slug: str
    title: str
    url: str
    tested: date
    support: Mapping[str, str]

    def lacking(self, shares: Mapping[str, float]) -> tuple[float, tuple[str, ...]]:
        """The share of readers, in per cent of those whose client was tested, that lack it; and their clients.

        Largest share first.
        """
        tested = [(client, state) for client, state in self.support.items() if state != "u" and client in shares]
        total = sum(shares[client] for client, _ in tested)
        without = sorted((client for client, state in tested if state == "n"), key=lambda client: -shares[client])
        lost = sum(shares[client] for client in without)
        return (100 * lost / total if total else 0.0), tuple(without)


@cache
def features() -> Mapping[str, Feature]:
    """All features by caniemail's short name."""
    data = json.loads(files(_HERE).joinpath("client_support.json").read_text("utf-8"))
    clients = data["clients"]
    return MappingProxyType(
        {
            slug: Feature(
                slug,
                title,
                f"https://www.caniemail.com/features/{slug}/",
                date.fromisoformat(tested),
                MappingProxyType({client: s for client, s in zip(clients, support, strict=True) if s != "-"}),
            )
            for slug, (title, tested, support) in data["features"].items()
        }
    )


@cache
def default_policy() -> ClientPolicy:
    """The table that comes with the product; its shares are assumptions to be replaced by one's own figures."""
    return read_policy(files(_HERE).joinpath("client_shares.toml").read_text("utf-8"))


def read_policy(text: str) -> ClientPolicy:
    """Read a table of clients (TOML, as ``client_shares.toml``); ``ClientTableError`` says what is wrong in it."""
    try:
        table = tomllib.loads(text)
        shares = {str(name): float(share) for name, share in table["shares"].items()}
        limits = tuple(
            InboxLimit(str(row["name"]), int(row["subject"]), int(row["preheader"]), float(row["share"]))
            for row in table.get("inbox", [])
        )
        policy = ClientPolicy(MappingProxyType(shares), limits, float(table["report_from"]))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ClientTableError(
            f"the table of mail clients cannot be read: {error}",
            source=text,
            next_step="Take rendering/lint/client_shares.toml as a pattern: report_from, [shares], [[inbox]].",
        ) from error
    numbers = [*shares.values(), *(limit.share for limit in limits), policy.report_from]
    if not shares or not all(0 <= number <= 100 for number in numbers):  # NaN fails too
        raise ClientTableError(
            "shares are per cent, from 0 to 100, and there has to be one",
            source=text,
            next_step="Give each client under [shares] its per cent of your readers.",
        )
    return policy
