"""From template to bytes: merge, MJML, CSS, plain text, MIME.

A template is compiled once for each layout (the branches a contact takes); a recipient's body is then joined from
pieces that are transfer-encoded already::

    template = parse_template(TemplateSource(body=..., body_format="mjml", subject=...))
    errors = template.unknown_fields(known)           # fields that no contact has
    layouts = Layouts(template)                       # compiled on first use, bounded
    key, values = template.fill(data)                 # one contact
    layout = layouts[key]
    head = compose_headers(MessageHeaders(subject=values.subject, ...)) + layout.content_headers
    body = layout.render(values, MessageUrls(link_url, unsubscribe_url, pixel_url))
    message = head + b"\\r\\n" + body

The room knows no tracking: links, pixel, unsubscribe and preference addresses are slots that the caller's URLs fill.
"""

from rendering.compose import HeaderSyntaxError, MessageHeaders, compose_headers
from rendering.layout import Layout
from rendering.links import Link, Tracking
from rendering.segments import (
    HoneypotSlot,
    LinkSlot,
    MergeSlot,
    MessageUrls,
    PixelSlot,
    PreferencesSlot,
    SlotValues,
    UnsubscribeSlot,
)
from rendering.source import MergeField, MergeValueError, TemplateSource, TemplateSyntaxError, UnknownFieldError
from rendering.template import Layouts, Template, parse_template

__all__ = [
    "HeaderSyntaxError",
    "HoneypotSlot",
    "Layout",
    "Layouts",
    "Link",
    "LinkSlot",
    "MergeField",
    "MergeSlot",
    "MergeValueError",
    "MessageHeaders",
    "MessageUrls",
    "PixelSlot",
    "PreferencesSlot",
    "SlotValues",
    "Template",
    "TemplateSource",
    "TemplateSyntaxError",
    "Tracking",
    "UnknownFieldError",
    "UnsubscribeSlot",
    "compose_headers",
    "parse_template",
]
