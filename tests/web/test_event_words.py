"""Events on pages: each has its words, and no page shows how something is stored."""

from postwright.services.event_vocabulary import KINDS
from postwright.web.event_words import EVENT_GROUPS, EVENTS
from postwright.web.language import LANGUAGES, Speech, gettext, speak


def test_every_kind_of_event_and_every_topic_has_its_words() -> None:
    assert set(KINDS) - set(EVENTS) == set()
    assert {kind.topic.name for kind in KINDS.values()} == set(EVENT_GROUPS)


def test_nothing_is_nothing_in_every_language() -> None:
    """A catalogue keeps its own header under the empty text."""
    for language in LANGUAGES:
        speak(Speech(language))
        assert gettext("") == ""
    speak(Speech())
