"""One run of ``check_host()``: who is checked, the budget, the trace, and the questions it asks."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from dns_checks.rdata import is_dns_name
from dns_checks.spf.errors import LookupFailed
from dns_checks.spf.limits import SpfBudget
from dns_checks.spf.macros import MacroString, expand_domain
from dns_checks.spf.result import SpfTraceStep, TermOutcome
from dns_checks.spf.terms import Term
from mailtypes.clock import SECOND, Microseconds
from mailtypes.questions import (
    AddressRecord,
    DnsAnswer,
    DnsEvaluation,
    DnsQuestion,
    DnsRecord,
    Found,
    NameRecord,
    RecordType,
    Unanswered,
)

ClientAddress: TypeAlias = IPv4Address | IPv6Address
_EPOCH = Microseconds(0)


@dataclass(frozen=True, slots=True)
class SpfReceiver:
    """The checking side, for the macros r and t: its host name, and the time."""

    host: str = "unknown"  # RFC 7208 section 7.3: where the name is not known
    now: Microseconds = _EPOCH


@dataclass(slots=True)
class Session:
    """The state of one run; ``depth`` counts the includes that are open."""

    client: ClientAddress
    local_part: str
    sender_domain: str
    helo: str
    receiver: SpfReceiver
    budget: SpfBudget
    depth: int = 0
    trace: list[SpfTraceStep] = field(default_factory=list)
    _validated_names: tuple[str, ...] | None = None

    @property
    def address_type(self) -> RecordType:
        """The type that holds addresses of the client's family."""
        return RecordType.A if self.client.version == 4 else RecordType.AAAA

    def begin(self, domain: str, term: Term) -> int:
        """Open a step of the trace; returns its number for ``end``."""
        step = SpfTraceStep(domain, term.text, term.span, self.depth, "", TermOutcome.NO_MATCH, "", self.budget.spent)
        self.trace.append(step)
        return len(self.trace) - 1

    def end(self, number: int, outcome: TermOutcome, target: str = "", detail: str = "") -> None:
        """Close step ``number`` with what became of it."""
        self.trace[number] = replace(
            self.trace[number], outcome=outcome, target=target, detail=detail, spent=self.budget.spent
        )

    def look_up(self, name: str, record_type: RecordType) -> Generator[DnsQuestion, DnsAnswer, tuple[DnsRecord, ...]]:
        """The records for a term. Finding none costs a void; ``LookupFailed`` where there was no answer.

        A name that cannot be asked for, such as a null MX's (RFC 7505), has no records and costs nothing.
        """
        if not is_askable(name):
            return ()
        answer = yield DnsQuestion(name, record_type)
        if isinstance(answer, Unanswered):
            raise LookupFailed(f"{name} {record_type}: {answer.cause}")
        if isinstance(answer, Found):
            return answer.records
        self.budget.spend_void()
        return ()

    def expand_name(self, domain_spec: MacroString, domain: str) -> DnsEvaluation[str]:
        """The name that ``domain_spec`` stands for in the record of ``domain``."""
        values = yield from self.macro_values(domain_spec, domain)
        return expand_domain(domain_spec, values)

    def macro_values(self, text: MacroString, domain: str) -> DnsEvaluation[dict[str, str]]:
        """RFC 7208 section 7.2: a value for each letter; the costly p is looked up only where it is used."""
        values = {
            "s": f"{self.local_part}@{self.sender_domain}",
            "l": self.local_part,
            "o": self.sender_domain,
            "d": domain,
            "i": self._dotted_client(),
            "v": "in-addr" if self.client.version == 4 else "ip6",
            "h": self.helo,
            "c": str(self.client),
            "r": self.receiver.host,
            "t": str(self.receiver.now // SECOND),
        }
        if text.uses("p"):
            values["p"] = yield from self._client_name(domain)
        return values

    def validated_names(self) -> DnsEvaluation[tuple[str, ...]]:
        """The client's names that lead back to it (section 5.5), looked up once a run.

        The names come from whoever runs the client's network. So they spend none of the domain owner's budget:
        a stranger could turn a ``fail`` into a ``permerror``. Errors only make a name drop out (section 5.5).
        """
        if self._validated_names is None:
            self._validated_names = yield from self._validate_names()
        return self._validated_names

    def _validate_names(self) -> DnsEvaluation[tuple[str, ...]]:
        answer = yield DnsQuestion(self.client.reverse_pointer, RecordType.PTR)
        if not isinstance(answer, Found):
            return ()
        names = [record.target for record in answer.records if isinstance(record, NameRecord)]
        validated = []
        for name in names[: self.budget.limits.ptr_names]:
            if not is_askable(name):
                continue
            addresses = yield DnsQuestion(name, self.address_type)
            if isinstance(addresses, Found) and AddressRecord(self.client) in addresses.records:
                validated.append(name)
        return tuple(validated)

    def _client_name(self, domain: str) -> DnsEvaluation[str]:
        """Section 7.3: the domain itself if it is among the names, else one below it, else any, else ``unknown``."""
        names = yield from self.validated_names()
        same = [name for name in names if name.lower() == domain.lower()]
        below = [name for name in names if is_within(name, domain)]
        return next(iter([*same, *below, *names]), "unknown")

    def _dotted_client(self) -> str:
        if self.client.version == 4:
            return str(self.client)
        return ".".join(self.client.exploded.replace(":", "").upper())


def is_askable(name: str) -> bool:
    """Whether ``name`` is one that a sender may mean: fit for the DNS, ASCII (RFC 8616 section 4), no controls."""
    return is_dns_name(name) and name.isascii() and name.isprintable()


def is_within(name: str, ancestor: str) -> bool:
    """Whether ``name`` equals ``ancestor`` or lies below it, as the DNS compares names."""
    name, ancestor = name.lower(), ancestor.lower()
    return name == ancestor or name.endswith("." + ancestor)
