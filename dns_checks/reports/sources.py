"""What the rows of aggregate reports come to: for each source whether it is ours, whether it passes, and why."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from dns_checks.reports.report import DkimResult, SpfResult


class Reason(StrEnum):
    """Why mail from a source passes DMARC or does not; ``sentence`` says it to people."""

    ALIGNED_PASS = "aligned_pass"  # noqa: S105  no secret
    FORWARDED = "forwarded"
    FORWARDED_BROKEN = "forwarded_broken"
    OURS_UNALIGNED = "ours_unaligned"
    OURS_UNAUTHENTICATED = "ours_unauthenticated"
    OTHER_DOMAIN = "other_domain"
    UNKNOWN_SOURCE = "unknown_source"
    NOT_EVALUATED = "not_evaluated"

    @property
    def sentence(self) -> str:
        """The reason in one sentence."""
        return _SENTENCES[self]


_SENTENCES = {
    Reason.ALIGNED_PASS: "SPF or DKIM passes for the author domain.",
    Reason.FORWARDED: "Somebody passed the mail on: SPF fails there, but the DKIM signature holds.",
    Reason.FORWARDED_BROKEN: "Somebody passed the mail on and changed it: neither SPF nor the DKIM signature holds.",
    Reason.OURS_UNALIGNED: "It is our host, but what passes there is not of the author domain.",
    Reason.OURS_UNAUTHENTICATED: "It is our host, but neither SPF nor DKIM passes there.",
    Reason.OTHER_DOMAIN: "A sender that is authenticated for another domain writes in the author domain's name.",
    Reason.UNKNOWN_SOURCE: "A host that is not ours writes in the author domain's name, with nothing that passes.",
    Reason.NOT_EVALUATED: "The receiver does not say whether it passes.",
}
_PASSED_ON = frozenset({"forwarded", "mailing_list", "trusted_forwarder"})


@dataclass(frozen=True, slots=True)
class OurHosts:
    """What is known to be ours: ``addresses`` that we send from, ``domains`` whose SPF vouches for our hosts.

    Those domains are return paths: who passes SPF for one of them was let in by its owner. A DKIM signature shows no
    such thing, since it travels along when somebody passes the mail on.
    """

    addresses: frozenset[str]
    domains: frozenset[str] = frozenset()

    def include(self, fare: "Fare") -> bool:
        """Whether mail that fared so came from a host of ours."""
        return fare.source_ip in self.addresses or any(
            one.result == "pass" and one.domain in self.domains for one in fare.spf_results
        )


@dataclass(frozen=True, slots=True)
class Fare:
    """``count`` messages from one source that fared alike; ``overrides`` are the kinds of the receivers' reasons."""

    source_ip: str
    count: int
    disposition: str
    dkim: str
    spf: str
    header_from: str
    overrides: tuple[str, ...] = ()
    dkim_results: tuple[DkimResult, ...] = ()
    spf_results: tuple[SpfResult, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceSum:
    """The messages of one source with one reason. ``passes`` is ``None`` where receivers do not say.

    ``delivered`` counts the dispositions ``none`` and ``pass``; unknown dispositions are in ``messages`` alone.
    """

    source_ip: str
    is_ours: bool
    passes: bool | None
    reason: Reason
    messages: int
    delivered: int
    quarantined: int
    rejected: int
    header_froms: tuple[str, ...] = ()


def judge(fare: Fare, ours: OurHosts) -> tuple[bool, bool | None, Reason]:
    """Whether the source is ours, whether it passes, and why."""
    is_ours = ours.include(fare)
    if "pass" in (fare.dkim, fare.spf):
        is_forwarded = not is_ours and fare.spf != "pass"
        return is_ours, True, Reason.FORWARDED if is_forwarded else Reason.ALIGNED_PASS
    if not fare.dkim and not fare.spf:
        return is_ours, None, Reason.NOT_EVALUATED
    return is_ours, False, _why_it_fails(fare, is_ours)


def _why_it_fails(fare: Fare, is_ours: bool) -> Reason:
    results = [*(one.result for one in fare.dkim_results), *(one.result for one in fare.spf_results)]
    passes_elsewhere = "pass" in results
    if is_ours:
        return Reason.OURS_UNALIGNED if passes_elsewhere else Reason.OURS_UNAUTHENTICATED
    if _PASSED_ON.intersection(fare.overrides) or _has_our_broken_signature(fare):
        return Reason.FORWARDED_BROKEN
    return Reason.OTHER_DOMAIN if passes_elsewhere else Reason.UNKNOWN_SOURCE


def _has_our_broken_signature(fare: Fare) -> bool:
    """A signature of the author domain that no longer holds, as mailing lists leave it."""
    return any(one.result == "fail" and _are_kin(one.domain, fare.header_from) for one in fare.dkim_results)


def _are_kin(one: str, other: str) -> bool:
    return bool(one and other) and (one == other or one.endswith("." + other) or other.endswith("." + one))


@dataclass(slots=True)
class _Sum:
    messages: int = 0
    dispositions: dict[str, int] = field(default_factory=dict)
    header_froms: set[str] = field(default_factory=set)


def sum_by_source(fares: Iterable[Fare], ours: OurHosts) -> list[SourceSum]:
    """One sum for each source and reason, the largest first."""
    sums: dict[tuple[str, bool, bool | None, Reason], _Sum] = {}
    for fare in fares:
        one = sums.setdefault((fare.source_ip, *judge(fare, ours)), _Sum())
        one.messages += fare.count
        one.dispositions[fare.disposition] = one.dispositions.get(fare.disposition, 0) + fare.count
        one.header_froms.add(fare.header_from)
    made = [
        SourceSum(
            *key,
            one.messages,
            one.dispositions.get("none", 0) + one.dispositions.get("pass", 0),
            one.dispositions.get("quarantine", 0),
            one.dispositions.get("reject", 0),
            tuple(sorted(one.header_froms)),
        )
        for key, one in sums.items()
    ]
    return sorted(made, key=lambda one: (-one.messages, one.source_ip, one.reason))
