"""The pages of signing up: the form by itself, what came of it, and the one that confirms."""

from html import escape

from postwright.services.forms import input_lines
from postwright.services.page_words import Words, words_in
from postwright.services.sign_ups import TRAP_FIELD, Answer, Asked
from postwright.store.sign_ups import Form
from postwright.track.pages import Page, button, form, hidden, page, paragraph, told_page
from postwright.track.unsubscribe_pages import CONFIRMED


def form_page(found: Form) -> Page:
    """The form by itself."""
    words = words_in(found.language)
    if found.closed_at is not None:
        return told_page(words, words.closed, words.closed_text)
    trap = (
        f'<div class="trap" aria-hidden="true"><label>{escape(words.leave_empty)}'
        f'<input type="text" name="{TRAP_FIELD}" tabindex="-1" autocomplete="off"></label></div>'
    )
    return page(
        words,
        found.title,
        form(
            *input_lines(found, words),
            _agreed(found.wording),
            trap,
            hidden("language", words.language),
            button(words.sign_up),
        ),
    )


def answer_page(words: Words, answer: Answer) -> Page:
    """What came of it; the same whatever is known of the address."""
    texts = {
        Answer.TAKEN: (words.sign_up_done, words.sign_up_done_text),
        Answer.INCOMPLETE: (words.sign_up_bad, words.sign_up_bad_text),
        Answer.TOO_MANY: (words.too_many, words.too_many_text),
    }
    return told_page(words, *texts[answer])


def closed_page(words: Words) -> Page:
    """Says that nobody can sign up any more."""
    return told_page(words, words.closed, words.closed_text)


def confirm_page(asked: Asked) -> Page:
    """Asks once more; only its button (a POST) confirms, since scanners fetch every link."""
    words = asked.words
    return page(
        words,
        words.confirm,
        paragraph(words.confirm_text, sender=_sender(asked), title=asked.form.title),
        _agreed(asked.sign_up.wording),
        form(hidden(*CONFIRMED), button(words.confirm_button)),
    )


def confirmed_page(asked: Asked) -> Page:
    """Says that it is done. The way on is a link: a redirect after a form is stopped by the form's own policy."""
    words, url = asked.words, asked.form.return_url
    onward = f'<p><a class="button" href="{escape(url)}">{escape(words.go_on)}</a></p>' if url else ""
    return page(words, words.confirmed, paragraph(words.confirmed_text, sender=_sender(asked)), onward)


def late_page(words: Words) -> Page:
    """Says that the link works no more."""
    return told_page(words, words.confirm_late, words.confirm_late_text)


def _sender(asked: Asked) -> str:
    return asked.form.from_name or asked.form.from_address


def _agreed(wording: str) -> str:
    return f'<p class="agreed"><bdi>{escape(wording)}</bdi></p>'
