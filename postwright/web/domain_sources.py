"""Reports on a sender domain, summed up for its page: who sent in its name, how that went, where TLS failed."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dns_checks.reports import SourceSum
from mailtypes.clock import DAY, Microseconds
from postwright.services.reports import UNREAD, Reports
from postwright.store.reports import ReceivedReport

PERIODS = {7: 1, 28: 7, 91: 7}
"""How many days can be looked at, and the days of one span of the chart."""
_MOST_SPANS = 13
_PER_READING, _MOST_READINGS = 500, 20
KINDS = ("ours_passing", "others_passing", "ours_failing", "others_failing", "unsaid")


@dataclass(frozen=True, slots=True)
class Span:
    """The messages of some days by kind; ``begins_at`` in microseconds."""

    begins_at: int
    days: int
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Source:
    """A source of the whole period; ``trend`` is its number of messages in each span."""

    sum: SourceSum
    trend: tuple[int, ...]

    @property
    def state(self) -> str:
        """``passing``, ``failing`` or ``unsaid``."""
        return {True: "passing", False: "failing", None: "unsaid"}[self.sum.passes]


@dataclass(frozen=True, slots=True)
class SourcesOverTime:
    """What aggregate reports say of some days up to now."""

    sources: tuple[Source, ...]
    spans: tuple[Span, ...]

    @property
    def totals(self) -> dict[str, int]:
        """The messages of the whole period by kind."""
        return _counts(source.sum for source in self.sources)

    @property
    def highest(self) -> int:
        """The most messages in one span; at least one, for scales."""
        return max((span.total for span in self.spans), default=0) or 1


@dataclass(frozen=True, slots=True)
class UnreadReport:
    """A file that was taken for a report and could not be read; its octets are kept."""

    received_at: int
    name: str
    cause: str
    place: str


@dataclass(frozen=True, slots=True)
class TlsFailures:
    """Failed sessions of one kind: what failed (RFC 8460 section 4.3), at which host, told by whom."""

    kind: str
    host: str
    sessions: int
    organisations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TlsSum:
    """What TLS reports say. ``policies`` are the policy types that were applied."""

    reports: int
    successful: int
    failed: int
    failures: tuple[TlsFailures, ...]


async def sources_over_time(reports: Reports, workspace_id: int, domain: str, days: int, now: int) -> SourcesOverTime:
    """The sources of the last ``days`` days, in spans that begin at midnight UTC, as most reports do."""
    width = PERIODS[days]
    end = now - now % DAY + DAY
    starts = [end - n * width * DAY for n in range(min(days // width, _MOST_SPANS), 0, -1)]

    async def within(start: int, until: int) -> Sequence[SourceSum]:
        return await reports.by_source(workspace_id, domain, Microseconds(start), Microseconds(until))

    whole = await within(starts[0], end)
    parts = [await within(start, start + width * DAY) for start in starts]
    sizes = [{(one.source_ip, one.reason): one.messages for one in part} for part in parts]
    return SourcesOverTime(
        tuple(Source(one, tuple(size.get((one.source_ip, one.reason), 0) for size in sizes)) for one in whole),
        tuple(Span(start, width, _counts(part)) for start, part in zip(starts, parts, strict=True)),
    )


async def stored_reports(
    reports: Reports, workspace_id: int, domain: str | None, kind: str | None = None
) -> list[ReceivedReport]:
    """The reports on a domain (``None``: any) and of a kind (``None``: every), the newest first, up to 10,000."""
    found: list[ReceivedReport] = []
    for _ in range(_MOST_READINGS):
        after = found[-1].id if found else 0
        part = await reports.list(workspace_id, domain, kind=kind, after=after, limit=_PER_READING)
        found += part
        if len(part) < _PER_READING:
            break
    return found[::-1]


async def unread_reports(reports: Reports, workspace_id: int) -> list[UnreadReport]:
    """What could not be read in the whole workspace, the newest first: nobody knows which domain it is about."""
    return [_unread(one) for one in await stored_reports(reports, workspace_id, None, UNREAD)]


def _unread(report: ReceivedReport) -> UnreadReport:
    fault = json.loads(report.document)
    texts = (str(fault.get(name, "")) for name in ("name", "cause", "place"))
    return UnreadReport(report.received_at, *texts)


def tls_sum(reports: Iterable[ReceivedReport], since: int) -> TlsSum:
    """The TLS reports among ``reports`` whose period reaches beyond ``since``, summed up."""
    chosen = [one for one in reports if one.kind == "tls" and one.ends_at > since]
    successful = failed = 0
    by_kind: dict[tuple[str, str], tuple[int, set[str]]] = {}
    for report in chosen:
        for policy in json.loads(report.document).get("policies", ()):
            successful += policy.get("successful") or 0
            failed += policy.get("failed") or 0
            _add_failures(by_kind, report.organisation, policy.get("failures", ()))
    failures = [TlsFailures(kind, host, count, tuple(sorted(who))) for (kind, host), (count, who) in by_kind.items()]
    failures.sort(key=lambda one: (-one.sessions, one.kind, one.host))
    return TlsSum(len(chosen), successful, failed, tuple(failures))


def _add_failures(
    by_kind: dict[tuple[str, str], tuple[int, set[str]]], organisation: str, failures: Sequence[dict[str, Any]]
) -> None:
    for failure in failures:
        host = failure.get("receiving_mx_hostname") or failure.get("receiving_ip") or ""
        key = (failure.get("result_type") or "not said", host)
        count, who = by_kind.get(key, (0, set()))
        by_kind[key] = (count + (failure.get("failed_sessions") or 0), who | {organisation})


def _counts(sums: Iterable[SourceSum]) -> dict[str, int]:
    counts = dict.fromkeys(KINDS, 0)
    for one in sums:
        who = "ours" if one.is_ours else "others"
        kind = "unsaid" if one.passes is None else f"{who}_passing" if one.passes else f"{who}_failing"
        counts[kind] += one.messages
    return counts
