"""Images one by one, and the balance of text and images."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from mailtypes.errors import Span
from mailtypes.saying import say
from rendering.lint.case import Case, Hit, Image, Rule
from rendering.lint.client_data import features
from rendering.lint.finding import Severity

HEAVY_IMAGE_OCTETS = 200_000
HEAVY_IMAGES_OCTETS = 1_000_000
IMAGE_SHARE_LIMIT = 0.4
"""At least 60 of 100 parts text (content rules: text to image 60:40)."""
WORDS_AN_IMAGE = 20
_FILE_NAME = re.compile(
    r"[\w%+ -]{1,80}\.(?:png|jpe?g|gif|webp|svg)\Z|(?:IMG|DSC|image|untitled)[_ -]?\d*\Z", re.IGNORECASE
)
_FORMAT = re.compile(r"\.([A-Za-z0-9]{2,5})\Z")
_FEATURE_BY_FORMAT = {
    **{name: f"image-{name}" for name in ("apng", "avif", "bmp", "gif", "ico", "png", "svg", "tiff", "webp", "mp4")},
    **dict.fromkeys(("jpg", "jpeg"), "image-jpg"),
    **dict.fromkeys(("heic", "heif"), "image-heif"),
    "tif": "image-tiff",
}
_MJML_IMAGES = frozenset({"mj-image", "mj-carousel-image", "img"})
_CHARACTER_WIDTH = 0.5  # of the font's size: a mean of Latin and Hebrew letters in common fonts
_LINE_HEIGHT = 1.5
_LINE_FILL = 0.8  # paragraphs end before their line does


def _alt_missing(case: Case) -> Iterator[Hit]:
    if case.is_mjml:  # the engine writes alt="" where there is none, so the author's own tags are looked at
        for tag in case.source_tags:
            if tag.name in _MJML_IMAGES and not any(attribute.name == "alt" for attribute in tag.attributes):
                yield Hit(say("an image has no alternative text"), Span(tag.start, tag.end))
        return
    for image in case.images:
        if "alt" not in image.element.attributes:
            yield Hit(say("an image has no alternative text%(named)s", named=_named(image)), image.element)


def _alt_empty_in_link(case: Case) -> Iterator[Hit]:
    for index, images in case.linked_images.items():
        if case.link_texts.get(index) or any(image.attributes.get("alt", "x").strip() for image in images):
            continue
        if not images[0].computed.hidden:
            yield Hit(say("a link is an image whose alternative text is empty"), images[0])


def _alt_is_file_name(case: Case) -> Iterator[Hit]:
    for image in case.images:
        alt = image.element.attributes.get("alt", "").strip()
        if alt and _FILE_NAME.match(alt):
            yield Hit(say("the alternative text “%(alt)s” is a file's name", alt=alt[:60]), image.element)


def _source_missing(case: Case) -> Iterator[Hit]:
    for image in case.images:
        if not image.address:
            yield Hit(say("an image has no address"), image.element)


def _unreachable(case: Case) -> Iterator[Hit]:
    for image in case.images:
        if image.fact.fault:
            message = say("an image is not there: its address answers with %(fault)s", fault=image.fact.fault)
            yield Hit(message, image.element)


def _size_undeclared(case: Case) -> Iterator[Hit]:
    for image in case.images:
        if not image.element.attributes.get("width") and "width" not in image.element.style:
            yield Hit(say("an image does not say how wide it is%(named)s", named=_named(image)), image.element)


def _not_https(case: Case) -> Iterator[Hit]:
    for image in case.images:
        if image.address.lower().startswith("http://"):
            yield Hit(say("an image is fetched without encryption%(named)s", named=_named(image)), image.element)


def _data_address(case: Case) -> Iterator[Hit]:
    for image in case.images:
        if image.address.lower().startswith("data:"):
            octets = len(image.address)
            message = say("an image is written into the HTML (%(octets)s characters)", octets=f"{octets:,}")
            yield Hit(message, image.element, measured=octets, unit="characters")


def _no_host(case: Case) -> Iterator[Hit]:
    for image in case.images:
        address = image.address.lower()
        if address and not address.startswith(("http://", "https://", "data:", "cid:")) and "{{" not in address:
            yield Hit(say("the image's address has no host: %(address)s", address=image.address[:60]), image.element)


def _format_unsupported(case: Case) -> Iterator[Hit]:
    for image in case.images:
        slug = _FEATURE_BY_FORMAT.get(_format(image))
        if slug is None:
            continue
        feature = features()[slug]
        lost, clients = feature.lacking(case.subject.clients.shares)
        if lost >= case.subject.clients.report_from:
            message = say(
                "%(format)s images do not show for about %(lost)s %% of readers (%(clients)s, …)",
                format=_format(image).upper(),
                lost=f"{lost:.0f}",
                clients=clients[0],
            )
            yield Hit(message, image.element, measured=round(lost, 1), limit=case.subject.clients.report_from, unit="%")


def _heavy(case: Case) -> Iterator[Hit]:
    for image in case.images:
        octets = image.fact.octets
        if octets is not None and octets > HEAVY_IMAGE_OCTETS:
            message = say("an image has %(octets)s octets%(named)s", octets=f"{octets:,}", named=_named(image))
            yield Hit(message, image.element, measured=octets, limit=HEAVY_IMAGE_OCTETS, unit="octets")


def _heavy_together(case: Case) -> Iterator[Hit]:
    sizes = {image.address: image.fact.octets or 0 for image in case.images}
    octets = sum(sizes.values())
    if octets > HEAVY_IMAGES_OCTETS:
        message = say("the images have %(octets)s octets together", octets=f"{octets:,}")
        yield Hit(message, None, measured=octets, limit=HEAVY_IMAGES_OCTETS, unit="octets")


def _oversized(case: Case) -> Iterator[Hit]:
    for image in case.images:
        real, shown = image.fact.width, image.width
        if real and shown and shown >= 50 and real > 3 * shown:
            message = say(
                "an image of %(real)s pixels is shown %(shown)s wide%(named)s",
                real=real,
                shown=f"{shown:.0f}",
                named=_named(image),
            )
            yield Hit(message, image.element, measured=real, limit=3 * shown, unit="pixels")


def _stretched(case: Case) -> Iterator[Hit]:
    for image in case.images:
        fact = image.fact
        if not (fact.width and fact.height and image.width and image.height):
            continue
        ratio = (image.width / image.height) / (fact.width / fact.height)
        if not 0.9 < ratio < 1.1:
            message = say(
                "an image of %(width)s×%(height)s is shown as %(shown_width)s×%(shown_height)s",
                width=fact.width,
                height=fact.height,
                shown_width=f"{image.width:.0f}",
                shown_height=f"{image.height:.0f}",
            )
            yield Hit(message, image.element, measured=round(ratio, 2), limit=1)


def _image_only(case: Case) -> Iterator[Hit]:
    if case.images and case.words < 10 and case.html:
        message = say("the mail is images with %(words)s words of text", words=case.words)
        yield Hit(message, case.images[0].element, measured=case.words, limit=10, unit="words")


def image_share(case: Case) -> float | None:
    """The part of the mail's area that is images, from 0 to 1; ``None`` where an image's size is not known."""
    shown = case.images
    if any(image.width is None or image.height is None for image in shown):
        return None
    image_area = sum((image.width or 0) * (image.height or 0) for image in shown)
    text_area = sum(
        len(run.text) * _CHARACTER_WIDTH * _LINE_HEIGHT / _LINE_FILL * case.page.computed_of(run).font_px ** 2
        for run in case.page.runs
    )
    return image_area / (image_area + text_area) if image_area + text_area else 0.0


def _images_dominate(case: Case) -> Iterator[Hit]:
    shown = case.images
    if not shown or case.words < 10:  # the case of images alone has a code of its own
        return
    share = image_share(case)
    if share is None:
        return  # the area is not known; words an image are counted instead
    # Words count as much as area: a long newsletter with a large picture at its top is none.
    if share > IMAGE_SHARE_LIMIT and case.words < 4 * WORDS_AN_IMAGE * len(shown):
        message = say("about %(share)s %% of the mail's area is images", share=f"{100 * share:.0f}")
        largest = max(shown, key=lambda image: (image.width or 0) * (image.height or 0))
        yield Hit(message, largest.element, measured=round(100 * share, 1), limit=100 * IMAGE_SHARE_LIMIT, unit="%")


def _few_words(case: Case) -> Iterator[Hit]:
    pictures = [image for image in case.images if image.width is None or image.width > 48]  # icons are no pictures
    if not pictures or case.words < 10:
        return
    ratio = case.words / len(pictures)
    if ratio < WORDS_AN_IMAGE:
        message = say("%(words)s words with %(count)s images", words=case.words, count=len(pictures))
        yield Hit(message, pictures[0].element, measured=round(ratio, 1), limit=WORDS_AN_IMAGE, unit="words")


def _text_only(case: Case) -> Iterator[Hit]:
    has_picture = any(
        element.attributes.get("background")
        or "url(" in str(element.style.get("background", ""))
        or "url(" in element.style.get("background-image", "")
        for element in case.page.elements
    )
    if case.is_marketing and not case.images and not has_picture and case.words >= 10:
        yield Hit(say("the mail has no image"), None)


def _format(image: Image) -> str:
    if image.fact.image_format:
        return image.fact.image_format.lower()
    if image.address.lower().startswith("data:image/"):
        return re.split("[;,+]", image.address[11:40].lower(), maxsplit=1)[0]
    try:
        match = _FORMAT.search(urlsplit(image.address).path)
    except ValueError:
        return ""
    return match[1].lower() if match else ""


def _named(image: Image) -> str:
    name = image.address.rpartition("/")[2][:40] if not image.address.startswith("data:") else ""
    return say(" (%(name)s)", name=name) if name else ""


RULES = (
    Rule(
        "image.alt_missing",
        Severity.WARNING,
        "Many readers see mail with images off, and screen readers read the file's name instead.",
        'Add alt="what the picture says", or alt="" where it only decorates.',
        "WCAG 2.2, 1.1.1",
        _alt_missing,
    ),
    Rule(
        "image.alt_empty_in_link",
        Severity.WARNING,
        "With images off there is nothing to press, and a screen reader reads the address.",
        "Say in alt where the link leads.",
        "WCAG 2.2, 2.4.4",
        _alt_empty_in_link,
    ),
    Rule(
        "image.alt_is_file_name",
        Severity.ADVICE,
        "It tells the reader nothing.",
        "Say what the picture shows.",
        "WCAG 2.2, 1.1.1 (failure F30)",
        _alt_is_file_name,
    ),
    Rule(
        "image.source_missing",
        Severity.WARNING,
        "Readers see a broken picture.",
        "Give the image its address, or remove it.",
        "HTML Standard, 4.8.3",
        _source_missing,
    ),
    Rule(
        "image.unreachable",
        Severity.WARNING,
        "Readers see a broken picture.",
        "Put the image where its address leads, or correct the address.",
        "the answer when it was fetched before sending",
        _unreachable,
    ),
    Rule(
        "image.size_undeclared",
        Severity.ADVICE,
        "Outlook shows the file at its full width, and the text jumps while images load.",
        'Add width="…" in pixels.',
        "Outlook for Windows ignores CSS widths of images",
        _size_undeclared,
    ),
    Rule(
        "image.not_https",
        Severity.WARNING,
        "Clients in a browser block or warn of images over http.",
        "Use an https address.",
        "W3C Mixed Content",
        _not_https,
    ),
    Rule(
        "image.data_address",
        Severity.WARNING,
        "Gmail and Outlook for Windows do not show it, and it counts towards the size that Gmail cuts at.",
        "Put the image on a server and link to it.",
        "caniemail.com: image-base64",
        _data_address,
    ),
    Rule(
        "image.no_host",
        Severity.WARNING,
        "A mail has no folder of its own; the image is never found.",
        "Write the whole address with https:// and the host.",
        "RFC 3986 section 5.1",
        _no_host,
    ),
    Rule(
        "image.format_unsupported",
        Severity.WARNING,
        "Readers with these clients see nothing.",
        "Use PNG, JPEG or GIF.",
        "caniemail.com: image formats; shares by table",
        _format_unsupported,
    ),
    Rule(
        "image.heavy",
        Severity.ADVICE,
        "On a phone the mail is read or left before the image is there.",
        "Make the file smaller: fewer pixels, or stronger compression.",
        "assumption: 200 KB an image",
        _heavy,
    ),
    Rule(
        "image.heavy_together",
        Severity.ADVICE,
        "On a phone the mail is read or left before the images are there.",
        "Use fewer images or smaller files.",
        "assumption: 1 MB a mail",
        _heavy_together,
    ),
    Rule(
        "image.oversized",
        Severity.ADVICE,
        "Three times the pixels that are shown are more than the sharpest screens can use.",
        "Make the file at most twice as wide as it is shown.",
        "screens of two and three pixels a point",
        _oversized,
    ),
    Rule(
        "image.stretched",
        Severity.WARNING,
        "The picture looks squeezed.",
        "Give width alone, or a height in the file's proportion.",
        "the file's own width and height",
        _stretched,
    ),
    Rule(
        "ratio.image_only",
        Severity.WARNING,
        "With images off there is nothing to read, and filters hold it for spam that hides its words.",
        "Write the message as text and let the image support it.",
        "content rules: never image only",
        _image_only,
    ),
    Rule(
        "ratio.images_dominate",
        Severity.WARNING,
        "Filters distrust mail that is mostly images, and readers with images off see little.",
        "Have at least 60 parts of text to 40 of images.",
        "content rules: text to image 60:40, areas estimated",
        _images_dominate,
    ),
    Rule(
        "ratio.few_words_an_image",
        Severity.ADVICE,
        "Filters distrust many images with little text.",
        "Write a few sentences more, or drop an image.",
        "assumption: 20 words an image",
        _few_words,
    ),
    Rule(
        "ratio.text_only",
        Severity.ADVICE,
        "A campaign without any image looks unlike the sender's other mail, and readers trust it less.",
        "Add at least the logo.",
        "content rules: never text only for a campaign",
        _text_only,
    ),
)
