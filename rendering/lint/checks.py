"""The checks that pre-flight asks for."""

from collections.abc import Iterator

from mailtypes.errors import Span
from rendering.layout import Layout
from rendering.links import mask_liquid
from rendering.lint.finding import LintFinding, Severity
from rendering.lint.sizes import GMAIL_CLIP_OCTETS, GMAIL_STYLE_OCTETS
from rendering.markup import RawText, Tag, scan
from rendering.segments import MessageUrls, SlotValues
from rendering.template import Template

_IMAGE_TAGS = frozenset({"img", "mj-image", "mj-carousel-image"})


def lint_template(template: Template) -> tuple[LintFinding, ...]:
    """What can be said from the source alone, with places."""
    return tuple(_images_without_alt(template.source.body))


def lint_layout(layout: Layout, values: SlotValues, urls: MessageUrls, *, marketing: bool) -> tuple[LintFinding, ...]:
    """What can be said of one recipient's mail as it would be sent."""
    return (
        *_size(layout.html_size(values, urls)),
        *_style_blocks(layout.html(values, urls)),
        *(_missing_unsubscribe() if marketing and not layout.has_unsubscribe else ()),
    )


def _images_without_alt(body: str) -> Iterator[LintFinding]:
    for item in scan(mask_liquid(body)):
        if not isinstance(item, Tag) or item.closing or item.name not in _IMAGE_TAGS:
            continue
        if not any(attribute.name == "alt" for attribute in item.attributes):
            yield LintFinding(
                "image-without-alt",
                Severity.WARNING,
                "an image has no alternative text",
                "Many readers see mail with images off, and screen readers read the file's name instead.",
                'Add alt="what the picture says", or alt="" where it only decorates.',
                Span(item.start, item.end),
            )


def _size(octets: int) -> Iterator[LintFinding]:
    if octets > GMAIL_CLIP_OCTETS:
        yield LintFinding(
            "html-over-gmail-clip",
            Severity.WARNING,
            f"the HTML is {octets:,} octets as sent, more than {GMAIL_CLIP_OCTETS:,}",
            "Gmail cuts longer mail; the end with the unsubscribe link and the open pixel is not shown.",
            "Shorten the mail, or remove repeated styles.",
        )


def _style_blocks(html: str) -> Iterator[LintFinding]:
    for item in scan(html):
        if isinstance(item, RawText) and item.tag == "style":
            octets = len(html[item.start : item.end].encode("utf-8", "replace"))
            if octets > GMAIL_STYLE_OCTETS:
                yield LintFinding(
                    "style-block-over-gmail-limit",
                    Severity.WARNING,
                    f"a style block has {octets:,} octets, more than {GMAIL_STYLE_OCTETS:,}",
                    "Gmail drops the whole block; only inlined styles remain.",
                    "Remove rules that nothing uses, or split the block.",
                )


def _missing_unsubscribe() -> Iterator[LintFinding]:
    yield LintFinding(
        "unsubscribe-link-missing",
        Severity.ERROR,
        "the mail has no unsubscribe link",
        "Law and mailbox providers ask for a visible way out of marketing mail; without it people report spam.",
        'Add <a href="{{ unsubscribe_url }}">Unsubscribe</a>.',
    )
