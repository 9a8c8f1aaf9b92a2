"""Size as sent, style blocks, the plain text part and characters."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from mailtypes.errors import Span
from mailtypes.saying import say
from rendering.lint.case import READ_LIMIT, Case, Hit, Rule, words_of
from rendering.lint.finding import Severity

GMAIL_CLIP_OCTETS = 104_448
"""Gmail cuts a message whose HTML is longer (102 KB)."""
NEAR_CLIP_OCTETS = 94_000
"""Nine tenths of it: one more paragraph or longer names and it is cut."""
GMAIL_STYLE_OCTETS = 16_384
"""Gmail drops a style block that is longer."""
LARGE_MESSAGE_OCTETS = 10_000_000
_C1 = re.compile("[\x80-\x9f]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# UTF-8 that was read as Windows-1252 (Latin, typographic and Hebrew letters).
_MOJIBAKE = re.compile(
    "Ã[\u0080-\u00bf\u0192\u201a-\u203a]|â€[\u0098-\u00a6œ\u009d™¦“”]|Â[\u00a0-\u00bf]|(?:×[\u0090-\u00aa\u2018-\u203a]){2}"
)
_META_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)


def _clipped(case: Case) -> Iterator[Hit]:
    octets = case.subject.html_octets
    if octets is not None and octets > GMAIL_CLIP_OCTETS:
        message = say(
            "the HTML is %(octets)s octets as sent, more than %(limit)s",
            octets=f"{octets:,}",
            limit=f"{GMAIL_CLIP_OCTETS:,}",
        )
        yield Hit(message, None, measured=octets, limit=GMAIL_CLIP_OCTETS, unit="octets")


def _near_clip(case: Case) -> Iterator[Hit]:
    octets = case.subject.html_octets
    if octets is not None and NEAR_CLIP_OCTETS < octets <= GMAIL_CLIP_OCTETS:
        message = say(
            "the HTML is %(octets)s octets as sent, close to %(limit)s",
            octets=f"{octets:,}",
            limit=f"{GMAIL_CLIP_OCTETS:,}",
        )
        yield Hit(message, None, measured=octets, limit=GMAIL_CLIP_OCTETS, unit="octets")


def _large_message(case: Case) -> Iterator[Hit]:
    octets = case.subject.message_octets
    if octets is not None and octets > LARGE_MESSAGE_OCTETS:
        message = say("the whole message is %(octets)s octets", octets=f"{octets:,}")
        yield Hit(message, None, measured=octets, limit=LARGE_MESSAGE_OCTETS, unit="octets")


def _not_read(case: Case) -> Iterator[Hit]:
    if case.is_cut:
        longest = max(len(case.subject.html), len(case.subject.source))
        message = say(
            "only the beginning of %(longest)s characters in %(count)s elements was looked at",
            longest=f"{longest:,}",
            count=f"{len(case.page.elements):,}",
        )
        yield Hit(message, None, measured=longest, limit=READ_LIMIT, unit="characters")


def _style_too_long(case: Case) -> Iterator[Hit]:
    for start, end in case.page.style_blocks:
        octets = len(case.html[start:end].encode("utf-8", "replace"))
        if octets > GMAIL_STYLE_OCTETS:
            message = say(
                "a style block has %(octets)s octets, more than %(limit)s",
                octets=f"{octets:,}",
                limit=f"{GMAIL_STYLE_OCTETS:,}",
            )
            longest = max(case.source_styles, key=lambda span: span.end - span.start, default=None)
            yield Hit(message, longest, measured=octets, limit=GMAIL_STYLE_OCTETS, unit="octets")


def _nested_at_rule(case: Case) -> Iterator[Hit]:
    for span, part in case.sheet_parts:
        if part.inner:
            place = case.place_in(span, part.inner_line, part.inner_column)
            yield Hit(say("@%(inner)s stands inside of @%(part)s", inner=part.inner, part=part.name), place)


def _style_broken(case: Case) -> Iterator[Hit]:
    for span, part in case.sheet_parts:
        if part.message:
            place = case.place_in(span, part.line, part.column)
            yield Hit(say("the style block cannot be read here: %(message)s", message=part.message), place)


def _plain_missing(case: Case) -> Iterator[Hit]:
    plain = case.subject.plain_text
    if plain is not None and not plain.strip() and case.words:
        yield Hit(say("the plain text part is empty"), None, "plain_text")


def _plain_short(case: Case) -> Iterator[Hit]:
    plain = case.subject.plain_text
    if plain is None or not plain.strip() or case.words < 40:
        return
    words = len(words_of(plain[:READ_LIMIT]))
    if words < case.words / 4:
        message = say("the plain text has %(words)s words, the HTML %(html_words)s", words=words, html_words=case.words)
        yield Hit(message, None, "plain_text", measured=words, limit=case.words // 4, unit="words")


def _c1(case: Case) -> Iterator[Hit]:
    yield from _characters(
        case,
        _C1,
        lambda found: say("the character %(character)s is a control character of no use in mail", character=found),
    )


def _control(case: Case) -> Iterator[Hit]:
    yield from _characters(
        case, _CONTROL, lambda found: say("the control character %(character)s stands in the text", character=found)
    )


def _replaced(case: Case) -> Iterator[Hit]:
    yield from _characters(
        case,
        re.compile("\ufffd"),
        lambda found: say("the character %(character)s stands for one that was lost", character=found),
    )


def _mojibake(case: Case) -> Iterator[Hit]:
    for part, text in _parts(case):
        if match := _MOJIBAKE.search(text):
            message = say("“%(match)s” looks like letters read in the wrong encoding", match=match[0])
            yield Hit(message, Span(match.start(), match.end()), part)


def _characters(case: Case, pattern: re.Pattern[str], told: Callable[[str], str]) -> Iterator[Hit]:
    for part, text in _parts(case):
        if match := pattern.search(text):
            yield Hit(told(f"U+{ord(match[0]):04X}"), Span(match.start(), match.end()), part)


def _parts(case: Case) -> Iterator[tuple[str, str]]:
    yield "body", case.source
    yield "subject", case.subject.subject[:READ_LIMIT]
    yield "preheader", case.subject.preheader[:READ_LIMIT]


def _not_utf8(case: Case) -> Iterator[Hit]:
    for element in case.page.elements:
        if element.name == "body":
            return
        if element.name != "meta":
            continue
        attributes = element.attributes
        match = _META_CHARSET.search(attributes.get("content", ""))
        charset = attributes.get("charset") or (match[1] if match else "")
        if charset and charset.strip().lower() not in {"utf-8", "utf8", "us-ascii"}:
            yield Hit(say("the HTML calls itself %(charset)s, and is sent as UTF-8", charset=charset), element)


def _doctype(case: Case) -> Iterator[Hit]:
    if not re.match(r"\s*(?:\ufeff)?\s*<!doctype\s+html", case.html[:2_000], re.IGNORECASE):
        yield Hit(say("the HTML has no DOCTYPE"), None)


def _repeated_id(case: Case) -> Iterator[Hit]:
    ids = sorted(
        (element.attributes["id"], element.index) for element in case.page.elements if element.attributes.get("id")
    )
    for (one, _), (other, index) in pairwise(ids):
        if one == other:
            yield Hit(say("two elements have the id %(name)s", name=one[:60]), case.page.elements[index])


RULES = (
    Rule(
        "size.clipped",
        Severity.WARNING,
        "Gmail cuts longer mail; the end with the unsubscribe link and the open pixel is not shown.",
        "Shorten the mail, or remove repeated styles.",
        "Gmail clips at 102 KB",
        _clipped,
    ),
    Rule(
        "size.near_clip",
        Severity.ADVICE,
        "Gmail cuts at 104,448 octets, and contacts with longer names or more content may get there.",
        "Leave room: shorten the mail a little.",
        "nine tenths of Gmail's 102 KB",
        _near_clip,
    ),
    Rule(
        "size.message_large",
        Severity.WARNING,
        "Many servers refuse larger messages, and mobile readers pay for them.",
        "Link to large files instead of attaching them.",
        "common limits of receiving servers",
        _large_message,
    ),
    Rule(
        "size.not_read",
        Severity.WARNING,
        "Nobody sees the rest either: mail programs cut it.",
        "Shorten the mail.",
        "bound of this lint",
        _not_read,
    ),
    Rule(
        "style.too_long",
        Severity.WARNING,
        "Gmail drops the whole block; only inlined styles remain.",
        "Remove rules that nothing uses, or split the block.",
        "Gmail's limit of 16,384 bytes a style block",
        _style_too_long,
    ),
    Rule(
        "style.nested_at_rule",
        Severity.WARNING,
        "Gmail drops the whole style block for one nested at-rule.",
        "Write the inner rule on the outermost level, or in a style block of its own.",
        "Gmail's style parser",
        _nested_at_rule,
    ),
    Rule(
        "style.broken",
        Severity.WARNING,
        "Clients drop from here to the next rule, and some the whole block.",
        "Check the brackets and semicolons.",
        "CSS Syntax Level 3",
        _style_broken,
    ),
    Rule(
        "plain.missing",
        Severity.WARNING,
        "Watches, some screen readers and text clients show this part, and filters distrust mail without it.",
        "Write the text, or leave the part out to have it written from the HTML.",
        "RFC 2046 section 5.1.4",
        _plain_missing,
    ),
    Rule(
        "plain.differs",
        Severity.ADVICE,
        "Filters compare the two parts, and readers of plain text get less than the others.",
        "Bring the text up to date, or leave the part out to have it written from the HTML.",
        "RFC 2046 section 5.1.4: the alternatives are the same information",
        _plain_short,
    ),
    Rule(
        "charset.c1_character",
        Severity.WARNING,
        "It comes from text in Windows-1252 or another old encoding; readers see a box or nothing.",
        "Type the character again (a quotation mark, a dash, the euro sign), and save the template as UTF-8.",
        "RFC 5198 section 2, point 5",
        _c1,
    ),
    Rule(
        "charset.control_character",
        Severity.WARNING,
        "Control characters have no place in mail; filters distrust them.",
        "Delete it.",
        "RFC 5322 section 2.2",
        _control,
    ),
    Rule(
        "charset.replacement_character",
        Severity.WARNING,
        "A letter was lost when the text was read in the wrong encoding.",
        "Type the letter again, and save the template as UTF-8.",
        "Unicode, chapter 23.8",
        _replaced,
    ),
    Rule(
        "charset.mojibake",
        Severity.WARNING,
        "Readers see gibberish where a letter should be.",
        "Open the text in its right encoding, save it as UTF-8, and paste it again.",
        "UTF-8 read as Windows-1252",
        _mojibake,
    ),
    Rule(
        "charset.not_utf8",
        Severity.WARNING,
        "Clients that believe the HTML rather than the header show the wrong letters.",
        'Write <meta charset="utf-8">.',
        "HTML Standard, 4.2.5.4",
        _not_utf8,
    ),
    Rule(
        "html.doctype_missing",
        Severity.ADVICE,
        "Clients then lay the mail out by the rules of the nineties.",
        "Begin with <!DOCTYPE html>.",
        "HTML Standard, 13.1.1",
        _doctype,
    ),
    Rule(
        "html.id_repeated",
        Severity.ADVICE,
        "Links within the mail and screen readers find the first one only.",
        "Give each element an id of its own.",
        "HTML Standard, 3.2.6",
        _repeated_id,
    ),
)
