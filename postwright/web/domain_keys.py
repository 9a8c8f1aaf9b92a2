"""The DKIM keys of a sender domain in words: where each stands, what happens next, and when."""

from collections.abc import Sequence
from dataclasses import dataclass

from dns_checks.dkim.rotation import KEEP_PUBLISHED, SETTLE
from postwright.services.domain_watch import next_check
from postwright.store.domains import DkimKey, SenderDomain, WatchedDomain
from postwright.web.language import gettext, ngettext

STEPS = ("made", "published", "active", "retiring", "retired")
_ALGORITHMS = {"rsa": "RSA-2048", "ed25519": "Ed25519"}


@dataclass(frozen=True, slots=True)
class KeyStory:
    """A key as the page shows it. ``at`` is the moment of what comes next, ``None`` where it depends on others."""

    key: DkimKey
    algorithm: str
    next: str
    at: int | None = None
    is_new: bool = False

    @property
    def moments(self) -> list[tuple[str, int | None]]:
        """The steps of a key's life, each with its moment; ``None``: not yet, or passed over."""
        key = self.key
        times = (key.created_at, key.published_at, key.activated_at, key.retiring_at, key.retired_at)
        return list(zip(STEPS, times, strict=True))


def key_stories(domain: SenderDomain, keys: Sequence[DkimKey], now: int) -> list[KeyStory]:
    """The keys, the newest first."""
    look = _next_look(domain, keys, now)
    return [_story(key, keys, look, now) for key in reversed(keys)]


def why_not_now(keys: Sequence[DkimKey]) -> str:
    """Why no rotation can begin; empty where one can."""
    waiting = [key.selector for key in keys if key.state in {"made", "published"}]
    if not any(key.state == "active" for key in keys):
        return gettext(
            "No key is in use yet, so there is none to replace: publish the records of the domain and verify it."
        )
    if waiting:
        return ngettext(
            "A rotation is under way: %(keys)s waits to take over. Then the next one can begin.",
            "A rotation is under way: %(keys)s wait to take over. Then the next one can begin.",
            len(waiting),
            keys=gettext(" and ").join(waiting),
        )
    return ""


def _story(key: DkimKey, keys: Sequence[DkimKey], look: int, now: int) -> KeyStory:
    algorithm = _ALGORITHMS.get(key.algorithm, key.algorithm)
    in_use = any(one.state == "active" for one in keys)
    match key.state:
        case "made":
            text = (
                gettext(
                    "Publish its record. Once all name servers of the domain show it, it settles for ten minutes"
                    " and then signs."
                )
                if in_use
                else gettext("Publish its record. Once all name servers of the domain show it, it signs.")
            )
            soon, again = gettext("They are asked within a minute."), gettext("They are asked again at")
            if look <= now:
                return KeyStory(key, algorithm, f"{text} {soon}", is_new=True)
            return KeyStory(key, algorithm, f"{text} {again}", look, is_new=True)
        case "published":
            at = max(look, (key.published_at or 0) + SETTLE) if in_use else look
            return KeyStory(
                key, algorithm, gettext("It begins to sign, and the key before it retires, at about"), at, is_new=True
            )
        case "active" if key.missing_since is not None:
            return KeyStory(
                key,
                algorithm,
                gettext("Publish its record again: nobody can check what it signs. It is gone since"),
                key.missing_since,
            )
        case "active":
            newer = [one for one in keys if one.id > key.id and one.algorithm == key.algorithm]
            waiting = next((one for one in newer if one.state in {"made", "published"}), None)
            text = (
                gettext("It signs until %(key)s takes over.", key=waiting.selector)
                if waiting
                else gettext("It signs until you rotate. Once or twice a year is enough.")
            )
            return KeyStory(key, algorithm, text)
        case "retiring":
            text = gettext(
                "Leave its record in the DNS: mail that it has signed may still arrive. It may be removed from"
            )
            return KeyStory(key, algorithm, text, (key.retiring_at or 0) + KEEP_PUBLISHED)
    return KeyStory(key, algorithm, gettext("Its record can be removed from the DNS."))


def _next_look(domain: SenderDomain, keys: Sequence[DkimKey], now: int) -> int:
    """When the domain is looked at again, reckoned as the watch reckons it; at once where that has passed."""
    if domain.checked_at is None or any(key.created_at > domain.checked_at for key in keys):
        return now  # a new key has the domain looked at with the next round
    watched = WatchedDomain(domain.id, domain.workspace_id, domain.name, domain.state, domain.created_at, 0, None)
    return max(now, next_check(watched, domain.state, keys, domain.checked_at))
