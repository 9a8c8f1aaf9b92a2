"""The page on which recipients choose what they get."""

from collections.abc import Mapping, Sequence
from html import escape

from postwright.services.page_words import OWN_NAMES, Words
from postwright.services.preferences import Choices, PreferencePage
from postwright.track.pages import Page, button, choice, form, group, hidden, page, paragraph
from postwright.track.unsubscribe_pages import CONFIRMED

_LIST, _NONE, _FREQUENCY, _TRACKING, _LANGUAGE = "list", "none", "frequency", "tracking", "language"


def preference_page(shown: PreferencePage, words: Words, told: str = "") -> Page:
    """The choices as they stand; ``told`` says what the last POST did."""
    chosen = shown.chosen
    lists = [
        choice("checkbox", _LIST, str(one.list_id), _titled(one.title, one.description), checked=one.is_wanted)
        for one in shown.lists
    ]
    lists.append(choice("checkbox", _NONE, "yes", escape(words.none_at_all), checked=chosen.none_at_all))
    parts = (
        group(words.lists, *lists),
        group(
            words.frequency,
            choice("radio", _FREQUENCY, "any", escape(words.frequency_any), checked=not chosen.less),
            choice("radio", _FREQUENCY, "less", escape(words.frequency_less), checked=chosen.less),
        ),
        group(
            words.tracking,
            choice("radio", _TRACKING, "yes", escape(words.tracking_yes), checked=chosen.is_tracked),
            choice(
                "radio", _TRACKING, "no", _titled(words.tracking_no, words.tracking_note), checked=not chosen.is_tracked
            ),
        ),
        _languages(words, chosen.language),
        hidden(*CONFIRMED),
        button(words.save),
    )
    said = f'<p class="told" role="status">{escape(told)}</p>' if told else ""
    return page(
        words, words.preferences, said, paragraph(words.preferences_text, sender=shown.place.sender), form(*parts)
    )


def read_choices(shown: PreferencePage, given: Mapping[str, Sequence[str]]) -> Choices | None:
    """What the form says, ``None`` where it is not a form of this page that was sent whole."""
    one = {name: values[0] for name, values in given.items() if len(values) == 1}
    frequency, tracking, language = one.get(_FREQUENCY), one.get(_TRACKING), one.get(_LANGUAGE)
    if one.get(CONFIRMED[0]) != CONFIRMED[1] or frequency not in {"any", "less"} or tracking not in {"yes", "no"}:
        return None
    if language not in OWN_NAMES:
        return None
    known = {str(each.list_id): each.list_id for each in shown.lists}
    wanted = frozenset(known[text] for text in given.get(_LIST, ()) if text in known)
    return Choices(wanted, _NONE in one, frequency == "less", tracking == "yes", language)


def _titled(title: str, note: str) -> str:
    """A label with a smaller line below it."""
    small = f'<span class="note">{escape(note)}</span>' if note else ""
    return f"<bdi>{escape(title)}</bdi>{small}"


def _languages(words: Words, chosen: str) -> str:
    options = "".join(
        f'<option value="{tag}" lang="{tag}"{" selected" if tag == chosen else ""}>{escape(name)}</option>'
        for tag, name in OWN_NAMES.items()
    )
    label = escape(words.choose_language)
    return f'<label class="line">{label}<select name="{_LANGUAGE}">{options}</select></label>'
