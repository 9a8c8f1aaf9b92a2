"""Figures of one mail beside its findings: what meters show."""

from dataclasses import dataclass

from rendering.lint.case import Case
from rendering.lint.images import IMAGE_SHARE_LIMIT, image_share
from rendering.lint.sizes import GMAIL_CLIP_OCTETS
from rendering.lint.subject import LintSubject


@dataclass(frozen=True, slots=True)
class Measures:
    """``image_share`` (0 to 1 of the area) is ``None`` where an image's size is not known; octets as sent.

    ``preheader`` is the line beside the subject: as given, or the hidden text that the HTML begins with.
    """

    words: int
    images: int
    links: int
    image_share: float | None
    html_octets: int | None
    message_octets: int | None
    is_right_to_left: bool
    preheader: str
    image_share_limit: float = IMAGE_SHARE_LIMIT
    html_limit: int = GMAIL_CLIP_OCTETS


def measure(subject: LintSubject) -> Measures:
    """The figures of a mail; never fails."""
    case = Case(subject)
    return Measures(
        case.words,
        len(case.images),
        len(case.links),
        image_share(case),
        subject.html_octets,
        subject.message_octets,
        case.is_rtl,
        case.preheader,
    )


def image_addresses(subject: LintSubject) -> tuple[str, ...]:
    """The addresses of the images that are shown, each once."""
    return tuple(dict.fromkeys(image.address for image in Case(subject).images if image.address))
