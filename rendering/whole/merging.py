"""A template merged for one recipient, with nothing tracked yet."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import NamedTuple

from rendering.links import OPT_OUT_ATTRIBUTE, Link
from rendering.markers import MarkerKind, Markers
from rendering.markup import Tag, scan
from rendering.merge import PREFERENCES_FIELD, UNSUBSCRIBE_FIELD
from rendering.plain_text import is_web_address
from rendering.segments import MessageUrls
from rendering.template import Layouts, Template
from rendering.whole.slotted_text import LINK_TAGS

_UNSUBSCRIBE, _PREFERENCES = (f"{{{{{name}}}}}" for name in (UNSUBSCRIBE_FIELD, PREFERENCES_FIELD))


class Merged(NamedTuple):
    """Subject, HTML (with the preheader) and plain text for a ``WholeDraft``."""

    subject: str
    html: str
    text: str


def merged(template: Template | Layouts, data: Mapping[str, object]) -> Merged:
    """Merge a template with ``data``; ``Layouts`` keep what is compiled for the next call.

    Links have the addresses that the author wrote, the placeholders of the recipient's pages stay. ``compose_whole``
    then tracks the links that a campaign of this template tracks: the others are marked with the opt-out attribute.
    Raises ``MergeValueError`` and ``TemplateSyntaxError``.
    """
    layouts = template if isinstance(template, Layouts) else Layouts(template)
    key, values = layouts.template.fill(data)
    layout = layouts[key]
    source = layouts.template.source
    markers = Markers(source.body, source.preheader, source.plain_text or "", *values.values)
    urls = MessageUrls(lambda number: markers.make(MarkerKind.LINK, number), _UNSUBSCRIBE, preferences_url=_PREFERENCES)
    html = _opted_out(layout.html(values, urls))
    by_number = {link.number: link for link in layout.links}
    return Merged(
        values.subject,
        "".join(_with_links(html, markers, by_number, markup=True)),
        "".join(_with_links(layout.text(values, urls), markers, by_number, markup=False)),
    )


def _opted_out(html: str) -> str:
    """The HTML with the opt-out attribute on every web link that has an address already, not a marker."""
    pieces: list[str] = []
    position = 0
    for item in scan(html):
        if not isinstance(item, Tag) or item.closing or item.name not in LINK_TAGS:
            continue
        href = next((attribute for attribute in item.attributes if attribute.name == "href"), None)
        if href is not None and is_web_address(html[href.value_start : href.value_end]):
            pieces += [html[position : href.start], f'{OPT_OUT_ATTRIBUTE}="off" ']
            position = href.start
    return "".join(pieces) + html[position:]


def _with_links(text: str, markers: Markers, links: Mapping[int, Link], *, markup: bool) -> Iterator[str]:
    position = 0
    for start, end, _, number in markers.find(text):
        yield text[position:start]
        yield escape(links[number].url) if markup else links[number].url
        position = end
    yield text[position:]
