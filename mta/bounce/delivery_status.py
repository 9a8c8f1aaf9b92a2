"""The groups of fields of a delivery status notification (RFC 3464 section 2), in their own part or in a text."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dns_checks.reports import ReportSyntaxError
from dns_checks.reports.mail_parts import parse_fields
from mailtypes.smtp import EnhancedStatus
from mta.bounce.addresses import clean_address, typed_address
from mta.bounce.mail_text import one_line
from mta.bounce.reports import MAX_RECIPIENTS, DsnAction

_BLANK: Final = re.compile(r"\n[ \t]*\n")
_MAX_GROUPS: Final = 1_000
# Written by some hosts where RFC 3464 section 2.3.3 has "failed"; "deliverable" is Postfix's answer to a probe.
_ACTIONS: Final = {"deliverable": DsnAction.DELIVERED, "error": DsnAction.FAILED, "failure": DsnAction.FAILED}


@dataclass(frozen=True, slots=True)
class StatusGroup:
    """One per-recipient group. ``address`` is the original recipient where it is given, ``""`` where none is.

    ``other_address`` is the final one where it differs: texts for people name that.
    """

    address: str
    other_address: str
    action: DsnAction
    status: EnhancedStatus | None
    diagnostic: str
    category: str = ""  # what the reporting host makes of it: X-PowerMTA-BounceCategory


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """What a notification says."""

    groups: tuple[StatusGroup, ...]
    reporting_mta: str


def read_groups(texts: Iterable[str]) -> DeliveryStatus:
    """The groups that name a recipient, at most ``MAX_RECIPIENTS``; what else stands in the texts is passed over."""
    groups: list[StatusGroup] = []
    nameless: list[StatusGroup] = []  # a host that leaves the recipient out still tells what happened
    reporting_mta = ""
    for text in texts:
        for block in _BLANK.split(text, _MAX_GROUPS)[:_MAX_GROUPS]:
            fields = _fields(block)
            reporting_mta = reporting_mta or _untyped(fields.get("reporting-mta", ""))
            if len(groups) < MAX_RECIPIENTS and ("final-recipient" in fields or "original-recipient" in fields):
                groups.append(_group(fields))
            elif len(nameless) < MAX_RECIPIENTS and "action" in fields and "status" in fields:
                nameless.append(_group(fields))
    return DeliveryStatus(tuple(groups or nameless), reporting_mta)


def _fields(block: str) -> dict[str, str]:
    folded = block.lower()
    if not any(name in folded for name in ("recipient", "reporting-mta", "action:")):
        return {}
    try:
        fields = parse_fields(block.lstrip("\n"))
    except ReportSyntaxError:
        return {}
    return {name: one_line(value) for name, value in reversed(fields)}  # the first of a name counts


def _group(fields: dict[str, str]) -> StatusGroup:
    final = typed_address(fields.get("final-recipient", ""))
    original = typed_address(fields.get("original-recipient", ""), final)
    status = EnhancedStatus.find(fields.get("status", ""))
    address = original or final or typed_address(fields.get("x-actual-recipient", ""))
    return StatusGroup(
        clean_address(address),
        final if final != address else "",
        _action(fields.get("action", ""), status),
        status,
        _untyped(fields.get("diagnostic-code", "")),
        fields.get("x-powermta-bouncecategory", "").lower(),
    )


def _action(value: str, status: EnhancedStatus | None) -> DsnAction:
    word = value.partition(" ")[0].lower()
    if word in _ACTIONS:
        return _ACTIONS[word]
    try:
        return DsnAction(word)
    except ValueError:
        return DsnAction.DELIVERED if status is not None and status.status_class == 2 else DsnAction.FAILED


def _untyped(value: str) -> str:
    """A value after its type: ``smtp; 550 no`` (RFC 3464 section 2.1.2)."""
    before, semicolon, after = value.partition(";")
    return after.strip() if semicolon and " " not in before.strip() else value
