"""A template with one contact's data, composed for the lint as it would be sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from html import escape
from types import MappingProxyType

from mailtypes.errors import Span
from rendering.links import Link, Tracking
from rendering.lint.client_data import ClientPolicy, default_policy
from rendering.lint.marking import mark_components
from rendering.lint.subject import ImageFact, LinkFact, LintSubject, SenderFacts
from rendering.merge import Merge
from rendering.segments import Addresses, MessageUrls
from rendering.source import TemplateSyntaxError
from rendering.template import Layouts, Template, read_template

# A stand-in that is a good address even where the author's is none: the lint has to see that one.
_STAND_IN = "https://author-wrote.invalid/"
_STAND_IN_IN_HTML = re.compile(re.escape(_STAND_IN) + r"(\d{1,6})(?!\d)")


@dataclass(frozen=True, slots=True)
class LintFacts:
    """What the caller knows beside the template. ``header_octets`` are those of the message's header fields."""

    sender: SenderFacts = field(default_factory=SenderFacts)
    images: Mapping[str, ImageFact] = field(default_factory=lambda: MappingProxyType({}))
    locale: str = ""
    today: date | None = None
    clients: ClientPolicy = field(default_factory=default_policy)
    header_octets: int = 0
    links: Mapping[str, LinkFact] = field(default_factory=lambda: MappingProxyType({}))


def compose_for_lint(
    template: Template | Layouts, data: Mapping[str, object], urls: MessageUrls, facts: LintFacts | None = None
) -> LintSubject:
    """Compose one contact's mail for ``lint``. Where ``Layouts`` are given, what they have compiled is taken.

    Sizes are measured on the mail as sent, with ``urls`` as they will be; what the lint reads has the author's own
    addresses and leads back to the source. Raises what composing raises: ``TemplateSyntaxError``, ``MergeValueError``.
    """
    facts = facts or LintFacts()
    layouts = template if isinstance(template, Layouts) else Layouts(template)
    template = layouts.template
    source = template.source
    key, values = template.fill(data)
    layout = layouts[key]
    html, places = _readable(template, data, urls)
    return LintSubject(
        html=html,
        source=source.body,
        body_format=source.body_format,
        places=places,
        subject=values.subject,
        preheader=_merged(source.preheader, data),
        plain_text=layout.text(values, urls),
        html_octets=layout.html_size(values, urls),
        message_octets=facts.header_octets + len(layout.render(values, urls)),
        images=facts.images,
        links=facts.links,
        fixed_links=frozenset(link.url for link in template.links if link.tracking is not Tracking.DYNAMIC),
        sender=replace(facts.sender, unsubscribe_url=urls.unsubscribe_url, preferences_url=urls.preferences_url),
        locale=facts.locale,
        today=facts.today,
        clients=facts.clients,
    )


def _readable(template: Template, data: Mapping[str, object], urls: MessageUrls) -> tuple[str, tuple[Span, ...]]:
    source = template.source
    marked, places = mark_components(source.body, source.body_format)
    try:
        return _html(read_template(replace(source, body=marked)), data, urls), places
    except TemplateSyntaxError:  # the marks disturbed it: without places then
        return _html(template, data, urls), ()


def _html(template: Template, data: Mapping[str, object], urls: MessageUrls) -> str:
    """The HTML with the author's addresses."""
    key, values = template.fill(data)
    readable = replace(urls, link_url=lambda number: f"{_STAND_IN}{number}", pixel_url=None, honeypot_url=None)
    part = template.compile_html(key)
    return _with_written(part.text(values.values, Addresses(readable, part.link_numbers)), template.links)


def _with_written(html: str, links: tuple[Link, ...]) -> str:
    written = {str(link.number): escape(link.url) for link in links}
    return _STAND_IN_IN_HTML.sub(lambda match: written.get(match[1], match[0]), html)


def _merged(preheader: str, data: Mapping[str, object]) -> str:
    if not preheader.strip():
        return ""
    merge = Merge(preheader, "preheader")
    key, values = merge.evaluate(data)
    return merge.text(key, values)
