"""States as sentences name them, so that a page can say them in its own language."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mailtypes.saying import say

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        word: word
        for word in (
            # a campaign and its run
            say("draft"),
            say("scheduled"),
            say("preparing"),
            say("sending"),
            say("paused"),
            say("finished"),
            say("cancelled"),
            # a test
            say("drawing"),
            say("assigning"),
            say("testing"),
            say("asking"),
            say("releasing"),
            # a hygiene plan
            say("making"),
            say("ready"),
            say("applying"),
            say("applied"),
            say("undoing"),
            say("undone"),
            say("discarded"),
            # a sender domain
            say("pending"),
            say("verified"),
            say("failing"),
        )
    }
)


def state_word(state: str) -> str:
    """``state`` as a value of a sentence; what is not known here stays as it is."""
    return _WORDS.get(state, state)
