"""What is linted: one recipient's mail as it would arrive, the template that it came from, and what else is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from mailtypes.errors import Span
from rendering.lint.client_data import ClientPolicy, default_policy
from rendering.source import BodyFormat

StreamKind = Literal["marketing", "transactional"]


@dataclass(frozen=True, slots=True)
class ImageFact:
    """What is known of an image behind an address; ``None`` and the empty text where it is not.

    ``width`` and ``height`` in pixels, ``octets`` the size of the file, ``image_format`` such as ``png`` or ``webp``,
    ``dark_on_transparent`` whether its dark parts stand on nothing and vanish on a dark page. ``fault`` is what the
    address answers with where that is no image, such as ``404``.
    """

    width: int | None = None
    height: int | None = None
    octets: int | None = None
    image_format: str = ""
    dark_on_transparent: bool | None = None
    fault: str = ""


class Liveness(StrEnum):
    """Whether a link leads to a page."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LinkFact:
    """What is known of the address of a link; ``cause`` says why it is dead, or why it could not be found out.

    ``leads_to`` is where redirects end, ``moved_to`` where those lead that are there for good (301 and 308 alone, from
    the first on); both without query and fragment, and empty where there are none.
    """

    liveness: Liveness
    cause: str = ""
    leads_to: str = ""
    moved_to: str = ""


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """What the sender says of itself and of this mail.

    ``unsubscribe_url`` and ``preferences_url`` as they stand in the HTML, where known; ``postal_address`` as it should
    stand in the mail;
    ``advertisement_to_israel`` when the sender says that Israeli law holds this mail for an advertisement.
    """

    stream: StreamKind = "marketing"
    unsubscribe_url: str = ""
    preferences_url: str = ""
    postal_address: str = ""
    advertisement_to_israel: bool = False


@dataclass(frozen=True, slots=True)
class LintSubject:
    """One mail to be linted.

    ``html`` is the HTML as a recipient would get it, style sheets inlined, with the author's own link addresses;
    where it was compiled from a source marked by ``mark_components``, ``places`` are what that gave. ``source`` is the
    template as written (empty: the HTML is its own source). ``html_octets`` and ``message_octets`` are the sizes as
    sent: after merge, links, pixel, footer and transfer encoding. ``images`` are by address as in ``src``, ``links`` by
    address as in ``href`` but without a fragment. ``fixed_links`` are the web addresses that stand in the template as
    they are, without merge values. ``locale`` is a language tag such as ``he-IL``. ``today`` dates the tests of mail
    clients; their age is not told without it.
    """

    html: str
    source: str = ""
    body_format: BodyFormat = "html"
    places: tuple[Span, ...] = ()
    subject: str = ""
    preheader: str = ""
    plain_text: str | None = None
    html_octets: int | None = None
    message_octets: int | None = None
    images: Mapping[str, ImageFact] = field(default_factory=lambda: MappingProxyType({}))
    links: Mapping[str, LinkFact] = field(default_factory=lambda: MappingProxyType({}))
    fixed_links: frozenset[str] = frozenset()
    sender: SenderFacts = field(default_factory=SenderFacts)
    locale: str = ""
    today: date | None = None
    clients: ClientPolicy = field(default_factory=default_policy)
