"""What mailbox providers ask for, as one table: a line for each requirement, a column for each provider."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from postwright.web.domain_audit import FoundEvidence
from postwright.web.words import PROVIDERS

_WORST_FIRST = ("fail", "unknown", "pass")


@dataclass(frozen=True, slots=True)
class Cell:
    """What one provider asks; ``reply_codes`` are the enhanced status codes (RFC 3463) that a failure brings."""

    provider: str
    state: str
    senders: str
    reply_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One requirement; a cell is ``None`` where that provider does not ask for it."""

    title: str
    state: str
    sentence: str
    next_step: str
    evidence: tuple[FoundEvidence, ...]
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class ProviderSum:
    """How a provider's whole list stands."""

    name: str
    passed: int
    failed: int
    unknown: int


def requirement_table(stored: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The lines from an audit's requirements, what fails first; advice comes behind what is asked."""
    by_code: dict[str, list[Mapping[str, Any]]] = {}
    for one in stored:
        by_code.setdefault(str(one["code"]), []).append(one)
    return sorted((_line(rows) for rows in by_code.values()), key=_urgency)


def provider_sums(stored: Iterable[Mapping[str, Any]]) -> list[ProviderSum]:
    """One sum for each provider; advice does not count, nobody is refused for it."""
    asked = [one for one in stored if one["senders"] != "advised"]
    sums = []
    for provider, name in PROVIDERS.items():
        states = [str(one["state"]) for one in asked if one["provider"] == provider]
        sums.append(ProviderSum(name, states.count("pass"), states.count("fail"), states.count("unknown")))
    return sums


def _line(rows: Sequence[Mapping[str, Any]]) -> Line:
    worst = min(rows, key=lambda one: _WORST_FIRST.index(one["state"]))
    cells = {str(one["provider"]): _cell(one) for one in rows}
    return Line(
        title=str(rows[0]["title"]),
        state=str(worst["state"]),
        sentence=str(worst["sentence"]),
        next_step=str(worst["next_step"]),
        evidence=tuple(FoundEvidence(str(one["question"]), str(one["answer"])) for one in worst["evidence"]),
        cells=tuple(cells.get(provider) for provider in PROVIDERS),
    )


def _cell(stored: Mapping[str, Any]) -> Cell:
    codes = tuple(str(code) for code in stored["reply_codes"])
    return Cell(str(stored["provider"]), str(stored["state"]), str(stored["senders"]), codes)


def _urgency(line: Line) -> tuple[bool, int]:
    is_advice = all(cell is None or cell.senders == "advised" for cell in line.cells)
    return is_advice, _WORST_FIRST.index(line.state)
