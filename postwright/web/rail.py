"""The places in the rail."""

from dataclasses import dataclass

from postwright.web.language import N_, gettext


@dataclass(frozen=True, slots=True)
class Place:
    """A place: its address, its icon, its English title, and other addresses that belong to it."""

    href: str
    icon: str
    english: str
    others: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Its name in the language of the page."""
        return gettext(self.english)

    def holds(self, path: str) -> bool:
        """Whether a page belongs here."""
        return any(path == own or (own != "/" and path.startswith(own + "/")) for own in (self.href, *self.others))


PLACES = (
    Place("/", "home", N_("Home")),
    Place("/campaigns", "campaign", N_("Campaigns")),
    Place("/templates", "template", N_("Templates")),
    Place("/contacts", "contacts", N_("Contacts"), ("/imports", "/segments", "/suppressions", "/hygiene")),
    Place("/imports", "contacts", N_("Contacts")),
    Place("/domains", "domain", N_("Domains")),
    Place("/warm-up", "warm-up", N_("Warm-up")),
    Place("/queue", "queue", N_("Queue")),
    Place("/events", "events", N_("Events"), ("/messages", "/webhooks")),
    Place("/sandbox", "sandbox", N_("Sandbox mail")),
    Place("/settings", "settings", N_("Settings")),
)
"""All places; those without a page are left out, and of two with one title the first that has a page is shown."""


def places_among(paths: set[str]) -> tuple[Place, ...]:
    """The places whose pages there are."""
    there = [place for place in PLACES if place.href in paths]
    titles: dict[str, Place] = {}
    for place in there:
        titles.setdefault(place.english, place)
    return tuple(titles.values())
