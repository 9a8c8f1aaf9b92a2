"""The records of a sender domain to publish, each with what the last check saw in its place."""

from collections.abc import Sequence
from dataclasses import dataclass

from dns_checks.audit import DECIDING
from dns_checks.publish import RecordToPublish
from postwright.store.domains import DkimKey, SenderDomain
from postwright.web.domain_audit import Audit, Found

_WORST_FIRST = ("absent", "unknown", "present")
_VISIBLE = frozenset({"published", "active", "retiring"})


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """A record to publish and its state: ``present``, ``absent`` or ``unknown``, with the findings that tell.

    ``seen_at`` is the last moment at which it is known to have been there, in microseconds. ``seen`` is what name
    servers said where no finding tells (a key that does not sign yet).
    """

    record: RecordToPublish
    state: str
    findings: tuple[Found, ...] = ()
    seen_at: int | None = None
    seen: str = ""


def published(
    records: Sequence[RecordToPublish], domain: SenderDomain, keys: Sequence[DkimKey], audit: Audit | None
) -> list[PublishedRecord]:
    """The records with what is known of each."""
    by_name = {f"{key.selector}._domainkey.{domain.name}": key for key in keys}
    return [_published(record, domain, by_name.get(record.name.ascii), audit) for record in records]


def _published(
    record: RecordToPublish, domain: SenderDomain, key: DkimKey | None, audit: Audit | None
) -> PublishedRecord:
    findings = tuple(_about(record, audit)) if audit else ()
    if not findings and key is not None:
        return _by_name_servers(record, key)
    states = {one.state for one in findings}
    state = next((one for one in _WORST_FIRST if one in states), "unknown")
    seen_at = domain.checked_at if state == "present" else domain.verified_at if record.is_required else None
    return PublishedRecord(record, state, findings, seen_at)


def _about(record: RecordToPublish, audit: Audit) -> list[Found]:
    """The findings that tell whether the record is there; faults within it are told among the findings below."""
    found = [one for one in audit.findings if one.topic == record.topic]
    if record.topic == "dkim":  # a domain has several keys, told apart by their names
        asked = record.name.ascii
        found = [one for one in found if any(asked in evidence.question for evidence in one.evidence)]
    deciding = [one for one in found if one.code in DECIDING.get(record.topic, ())]
    return deciding or [one for one in found if one.severity == "error" or one.state != "absent"]


def _by_name_servers(record: RecordToPublish, key: DkimKey) -> PublishedRecord:
    if key.state in _VISIBLE:
        return PublishedRecord(record, "present", (), key.published_at or key.activated_at, key.sighting or "")
    told = key.sighting or ""
    return PublishedRecord(record, "absent" if told.startswith("Not there") else "unknown", (), None, told)
