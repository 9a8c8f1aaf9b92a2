"""What is looked at over the network before a mail is sent: its images and where its links lead."""

from collections.abc import Mapping
from dataclasses import dataclass

from postwright.services.image_facts import ImageLooks
from postwright.services.link_facts import LinkLooks
from rendering.lint import ImageFact, LinkFact


@dataclass(frozen=True, slots=True)
class MailLooks:
    """``None``: the install's operator does not want these looked at."""

    images: ImageLooks | None = None
    links: LinkLooks | None = None

    def known_images(self) -> Mapping[str, ImageFact]:
        """What is known of images by address; nothing is fetched."""
        return self.images.known() if self.images is not None else {}

    def known_links(self) -> Mapping[str, LinkFact]:
        """What is known of links by address; nothing is asked."""
        return self.links.known() if self.links is not None else {}
