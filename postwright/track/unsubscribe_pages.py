"""The pages that recipients unsubscribe on. Looking at them changes nothing; only their buttons (a POST) do."""

from html import escape
from typing import Final

from postwright.services.page_words import Words, words_in
from postwright.services.withdrawals import Breadth, MailPlace, TakenBack, wording_of
from postwright.track.pages import Page, button, choice, filled, form, hidden, page, paragraph, told_page

CONFIRMED: Final = ("confirm", "yes")
"""The field without which no POST of a page is taken."""


def unsubscribe_page(place: MailPlace, words: Words, preferences: str, action: str = "") -> Page:
    """Asks what to unsubscribe from; ``preferences`` is the path of the preference page, if there is one.

    ``action`` is this page's own path where it is shown under another one.
    """
    choices = [
        choice("radio", "from", breadth, escape(wording_of(words, place, breadth)), checked=number == 0)
        for number, breadth in enumerate(place.breadths)
    ]
    asked = f"<fieldset><legend>{filled(words.unsubscribe_question, sender=place.sender)}</legend>"
    return page(
        words,
        words.unsubscribe,
        form(
            asked + "".join(choices) + "</fieldset>",
            hidden(*CONFIRMED),
            button(words.unsubscribe_button),
            action=action,
        ),
        _to_preferences(words, preferences),
    )


def unsubscribed_page(place: MailPlace, words: Words, breadth: Breadth, paths: tuple[str, str]) -> Page:
    """Says what was done, and offers to take it back; ``paths`` are the undo's and the preference page's."""
    undo, preferences = paths
    scope = place.scope(breadth)[0]
    is_marketing = place.stream.kind == "marketing"
    done = {
        "list": words.unsubscribed_list,
        "stream": words.unsubscribed_stream if is_marketing else words.unsubscribed_kind,
        "all": words.unsubscribed_all,
    }[str(scope)]
    return page(
        words,
        words.unsubscribed,
        paragraph(done, sender=place.sender, list=place.list_name),
        form(paragraph(words.undo_question), hidden(*CONFIRMED), button(words.undo_button, is_quiet=True), action=undo),
        _to_preferences(words, preferences),
    )


def noted_page() -> Page:
    """Says that it is done where names cannot be looked up."""
    words = words_in("en")
    return told_page(words, words.unsubscribed, "You will get no more of these mails.")


def undo_page(words: Words) -> Page:
    """Asks once more, for whoever comes to the undo's address without its button."""
    return page(
        words,
        words.undo_button,
        form(paragraph(words.undo_question), hidden(*CONFIRMED), button(words.undo_button)),
    )


def undone_page(place: MailPlace, words: Words, outcome: TakenBack) -> Page:
    """Says whether it was taken back."""
    if outcome is TakenBack.DONE:
        return told_page(words, words.undone, words.undone_text, sender=place.sender)
    return told_page(words, words.undo_late, words.undo_late_text)


def _to_preferences(words: Words, path: str) -> str:
    if not path:
        return ""
    return f'<p><a href="{escape(path)}">{escape(words.to_preferences)}</a></p>'
