"""Whether people can read it: sizes, contrast, headings, languages, roles, and one clear call to action."""

from collections.abc import Iterator

from mailtypes.saying import say
from rendering.lint.case import Case, Hit, Rule, direction_letters, language_of, shortened, words_of
from rendering.lint.finding import Severity
from rendering.lint.page import Element
from rendering.lint.style_values import contrast, horizontal_padding

MIN_TEXT_PX = 14.0
MIN_SMALL_PRINT_PX = 10.0
MIN_CONTRAST = 4.5
MIN_CONTRAST_LARGE = 3.0
LONG_PARAGRAPH_WORDS = 120
MANY_ACTIONS = 3
_SMALL_PRINT_FROM = 0.7  # of the visible text: what stands below is taken for the footer
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


def _text_small(case: Case) -> Iterator[Hit]:
    for run in case.page.runs:
        size = case.page.computed_of(run).font_px
        in_footer = run.order > _SMALL_PRINT_FROM * case.page.characters
        limit = MIN_SMALL_PRINT_PX if in_footer else MIN_TEXT_PX
        if len(run.text.strip()) >= 25 and 1 < size < limit - 0.1:
            message = say(
                "text of %(size)s px, less than %(limit)s: “%(text)s”",
                size=f"{size:.3g}",
                limit=f"{limit:g}",
                text=shortened(run.text, 40),
            )
            yield Hit(message, run, measured=round(size, 1), limit=limit, unit="px")


def _low_contrast(case: Case) -> Iterator[Hit]:
    for run in case.page.runs:
        computed = case.page.computed_of(run)
        if not (computed.ink.known and computed.paper.known) or not any(map(str.isalnum, run.text)):
            continue
        is_large = computed.font_px >= 24 or (computed.bold and computed.font_px >= 18.5)
        limit = MIN_CONTRAST_LARGE if is_large else MIN_CONTRAST
        ratio = contrast(computed.ink, computed.paper)
        if ratio < limit:
            colours = say("%(ink)s on %(paper)s", ink=computed.ink.name, paper=computed.paper.name)
            message = say(
                "a contrast of %(ratio)s, less than %(limit)s: %(colours)s, “%(text)s”",
                ratio=f"{ratio:.2f}",
                limit=limit,
                colours=colours,
                text=shortened(run.text, 40),
            )
            yield Hit(message, run, measured=round(ratio, 2), limit=limit, unit=": 1")


def _no_heading(case: Case) -> Iterator[Hit]:
    if case.words > 150 and not any(element.name in _HEADINGS for element in case.page.elements):
        yield Hit(
            say("%(words)s words without a heading", words=case.words),
            None,
            measured=case.words,
            limit=150,
            unit="words",
        )


def _heading_skipped(case: Case) -> Iterator[Hit]:
    level = 0
    for element in case.page.elements:
        if element.name not in _HEADINGS or element.computed.hidden:
            continue
        this = int(element.name[1])
        if level and this > level + 1:
            yield Hit(say("h%(level)s is followed by h%(this)s", level=level, this=this), element)
        level = this


def _long_paragraph(case: Case) -> Iterator[Hit]:
    for runs in case.blocks.values():
        words = sum(len(words_of(run.text)) for run in runs)
        breaks_counted = words > LONG_PARAGRAPH_WORDS and not _has_breaks(case, runs[0].start, runs[-1].end)
        if breaks_counted:
            message = say("a paragraph of %(words)s words", words=words)
            yield Hit(message, runs[0], measured=words, limit=LONG_PARAGRAPH_WORDS, unit="words")


def _has_breaks(case: Case, start: int, end: int) -> bool:
    return case.html.lower().find("<br", start, end) >= 0


def _html_element(case: Case) -> Element | None:
    return next((element for element in case.page.elements[:5] if element.name == "html"), None)


def _lang_missing(case: Case) -> Iterator[Hit]:
    root = _html_element(case)
    if case.words < 5:
        return
    said = root is not None and language_of(root.attributes.get("lang") or root.attributes.get("xml:lang", ""))
    if not said and not any(e.computed.in_body and e.attributes.get("lang") for e in case.page.elements):
        yield Hit(say("the mail does not say its language"), root)


def _lang_wrong(case: Case) -> Iterator[Hit]:
    root = _html_element(case)
    language = language_of(root.attributes.get("lang", "")) if root is not None else ""
    rtl, ltr = direction_letters(case.text)
    if not language or rtl + ltr < 40:
        return
    says_rtl = language in {"he", "iw", "ar", "fa", "ur", "yi", "ps"}
    if (says_rtl and rtl < ltr / 9) or (not says_rtl and rtl > ltr):
        yield Hit(
            say(
                "the mail says that its language is %(language)s, and its letters are of another script",
                language=language,
            ),
            root,
        )


def _table_role(case: Case) -> Iterator[Hit]:
    data_tables = {element.parent for element in case.page.elements if element.name in {"caption", "thead"}}
    has_header_cells = any(element.name == "th" for element in case.page.elements)
    tables = [
        element
        for element in case.page.elements
        if element.name == "table"
        and element.attributes.get("role", "").lower() not in {"presentation", "none", "table", "grid"}
        and element.index not in data_tables
        and not element.computed.hidden
    ]
    # Where header cells occur, it cannot be told without a tree which table they are of: the doubt is the author's.
    if tables and not has_header_cells and not case.is_mjml:
        yield Hit(
            say("%(count)s tables for layout do not say so", count=len(tables)),
            tables[0],
            measured=len(tables),
            limit=0,
        )


def _is_button(case: Case, link: Element) -> bool:
    padding = sum(horizontal_padding(link.style))
    has_paper = "background" in link.style or "background-color" in link.style
    parent = case.page.elements[link.parent] if link.parent >= 0 else None
    in_painted_cell = (
        parent is not None
        and parent.name in {"td", "th", "div", "p"}
        and ("bgcolor" in parent.attributes or "background-color" in parent.style or "background" in parent.style)
        and parent.style.get("text-align", parent.attributes.get("align", "center")) == "center"
    )
    border = any(name.startswith("border") and value not in {"0", "none"} for name, value in link.style.items())
    return (has_paper and (padding > 0 or border)) or (in_painted_cell and padding > 0) or (border and padding > 8)


def _buttons(case: Case) -> list[Element]:
    return [
        link for link in case.links if link.name == "a" and case.link_texts.get(link.index) and _is_button(case, link)
    ]


def _no_action(case: Case) -> Iterator[Hit]:
    if not case.is_marketing or case.words < 10:
        return
    leading = [link for link in case.links if link.attributes["href"].strip().lower().startswith(("http", "{{"))]
    away = sum(_is_way_out(case, link) for link in leading)
    if len(leading) - away <= 0:
        yield Hit(say("the mail asks the reader to do nothing: no link but the way out"), None)


def _is_way_out(case: Case, link: Element) -> bool:
    """Whether a link leads to a page about the mail itself, and so asks for nothing."""
    sender, href = case.subject.sender, link.attributes["href"]
    text = case.link_texts.get(link.index, "").lower()
    is_ours = bool(href) and href in {sender.unsubscribe_url, sender.preferences_url}
    return is_ours or "preferences_url" in href or "unsubscribe" in text or "הסר" in text


def _many_actions(case: Case) -> Iterator[Hit]:
    buttons = _buttons(case)
    targets = {button.attributes["href"] for button in buttons}
    if case.is_marketing and len(targets) > MANY_ACTIONS:
        message = say("%(count)s buttons lead to different places", count=len(targets))
        yield Hit(message, buttons[MANY_ACTIONS], measured=len(targets), limit=MANY_ACTIONS, unit="buttons")


def _button_small(case: Case) -> Iterator[Hit]:
    for button in _buttons(case):
        size = button.computed.font_px
        if 1 < size < MIN_TEXT_PX - 2.1:
            message = say("a button's text is %(size)s px", size=f"{size:.3g}")
            yield Hit(message, button, measured=round(size, 1), limit=MIN_TEXT_PX - 2, unit="px")


def _active_content(case: Case) -> Iterator[Hit]:
    for element in case.page.elements:
        names_handler = next((name for name in element.attributes if name.startswith("on") and len(name) > 4), "")
        if element.name in {"script", "iframe", "object", "embed", "applet", "frame", "frameset"}:
            yield Hit(say("<%(element)s> is removed by mail programs", element=element.name), element)
        elif names_handler:
            yield Hit(
                say("the attribute %(attribute)s is removed by mail programs", attribute=names_handler[:30]), element
            )


RULES = (
    Rule(
        "reading.text_small",
        Severity.WARNING,
        "It is hard to read on a phone, and iOS enlarges it and breaks the layout.",
        "Use 14 px or more for the message; small print at the end can have 10.",
        "content rules: body text of at least 14 px",
        _text_small,
    ),
    Rule(
        "reading.low_contrast",
        Severity.WARNING,
        "Many people cannot read it, and nobody in sunlight.",
        "Make the text darker or its background lighter (or the other way round).",
        "WCAG 2.2, 1.4.3: 4.5 to 1; 3 to 1 from 24 px, or 18.5 px bold",
        _low_contrast,
    ),
    Rule(
        "reading.no_heading",
        Severity.ADVICE,
        "People look through a mail before they read it; screen readers jump by headings.",
        "Make the titles h1, h2, h3 (in MJML: inside of mj-text).",
        "WCAG 2.2, 1.3.1",
        _no_heading,
    ),
    Rule(
        "reading.heading_skipped",
        Severity.ADVICE,
        "Who jumps by headings believes that something is missing.",
        "Use the next level, and set the size by style.",
        "WCAG 2.2, 1.3.1",
        _heading_skipped,
    ),
    Rule(
        "reading.long_paragraph",
        Severity.ADVICE,
        "Few people read so long a block on a screen.",
        "Break it up, or make a list of it.",
        "content rules: short paragraphs; the figure is an assumption",
        _long_paragraph,
    ),
    Rule(
        "reading.lang_missing",
        Severity.WARNING,
        "Screen readers read it with the wrong voice, and clients offer to translate it.",
        'Write <html lang="en"> (in MJML: <mjml lang="en">) with your language.',
        "WCAG 2.2, 3.1.1",
        _lang_missing,
    ),
    Rule(
        "reading.lang_wrong",
        Severity.WARNING,
        "Screen readers read it with the wrong voice.",
        "Give lang the language of the text.",
        "WCAG 2.2, 3.1.1",
        _lang_wrong,
    ),
    Rule(
        "reading.table_role",
        Severity.ADVICE,
        "Screen readers tell rows and columns of a table that has none to tell.",
        'Write role="presentation" on tables for layout.',
        "WAI-ARIA 1.2, presentation",
        _table_role,
    ),
    Rule(
        "reading.button_small",
        Severity.ADVICE,
        "The most important words of the mail are the hardest to read.",
        "Use 14 px or more for buttons.",
        "content rules: body text of at least 14 px",
        _button_small,
    ),
    Rule(
        "action.missing",
        Severity.ADVICE,
        "A campaign without a goal cannot reach it.",
        "Add one clear link or button.",
        "content rules: one clear call to action",
        _no_action,
    ),
    Rule(
        "action.many",
        Severity.ADVICE,
        "Who has to choose presses nothing.",
        "Keep one button for what matters most, and make the others plain links.",
        "content rules: one clear call to action; up to three are let pass",
        _many_actions,
    ),
    Rule(
        "html.active_content",
        Severity.WARNING,
        "Mail programs remove it, and filters take the mail for an attack.",
        "Remove it, and link to a page that does it.",
        "clients' sanitisers",
        _active_content,
    ),
)
