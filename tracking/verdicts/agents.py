"""The family that a User-Agent header belongs to (``agents.toml``); the header itself is not kept."""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Final

MAX_USER_AGENT: Final = 512
"""Characters of the header that are looked at and, until the verdict is settled, kept."""


class AgentFamily(StrEnum):
    """Whose User-Agent header it is."""

    APPLE_MAIL_PRIVACY = "apple_mail_privacy"
    GMAIL_PROXY = "gmail_proxy"
    GMAIL_PREFETCH = "gmail_prefetch"
    YAHOO_PROXY = "yahoo_proxy"
    SCANNER = "scanner"
    TOOL = "tool"
    DESKTOP_CLIENT = "desktop_client"
    BROWSER = "browser"
    NONE = "none"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class _Agent:
    family: AgentFamily
    exact: frozenset[str]
    contains: tuple[str, ...]


def _read(text: str) -> tuple[_Agent, ...]:
    return tuple(
        _Agent(AgentFamily(entry["family"]), frozenset(entry.get("exact", ())), tuple(entry.get("contains", ())))
        for entry in tomllib.loads(text)["agent"]
    )


_AGENTS: Final = _read(files("tracking.verdicts").joinpath("agents.toml").read_text("utf-8"))


@lru_cache(maxsize=4096)
def family_of(user_agent: str) -> AgentFamily:
    """The family of a header's value; ``none`` for an empty one, ``other`` for one that nobody knows."""
    header = user_agent[:MAX_USER_AGENT].strip()
    if not header:
        return AgentFamily.NONE
    folded = header.lower()
    for agent in _AGENTS:
        if header in agent.exact or any(word in folded for word in agent.contains):
            return agent.family
    return AgentFamily.OTHER
