import pytest

from tracking.privacy import PrivacyMode, Recording, effective_mode, recording
from tracking.verdicts import FetchKind

MODES = ["off", "aggregate", "last_open", "full"]


@pytest.mark.parametrize("of_list", [None, *MODES])
@pytest.mark.parametrize("of_contact", [None, *MODES])
def test_the_stricter_wins(of_list: str | None, of_contact: str | None) -> None:
    wishes = [mode for mode in (of_list, of_contact) if mode]
    assert effective_mode(of_list, of_contact) == min(wishes, key=MODES.index, default="full")


def test_a_word_that_nobody_knows_is_no_consent() -> None:
    assert effective_mode("everything", "full") is PrivacyMode.OFF


@pytest.mark.parametrize(
    ("mode", "kind", "stored"),
    [
        ("off", "open", Recording()),
        ("off", "click", Recording()),
        ("aggregate", "open", Recording(counts=True)),
        ("aggregate", "click", Recording(counts=True)),
        ("aggregate", "look", Recording()),
        ("last_open", "open", Recording(last_open=True)),
        ("last_open", "click", Recording()),
        ("full", "open", Recording(last_open=True, detail=True)),
        ("full", "click", Recording(detail=True)),
        ("full", "look", Recording(detail=True)),
    ],
)
def test_what_is_stored(mode: str, kind: str, stored: Recording) -> None:
    assert recording(PrivacyMode(mode), FetchKind(kind)) == stored
    assert stored.nothing == (stored == Recording())
