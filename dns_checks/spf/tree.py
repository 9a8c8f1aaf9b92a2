"""All lookups that a domain's SPF record leads to, as a tree: what each term costs a client that matches nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from dns_checks.spf.errors import SpfSyntaxError
from dns_checks.spf.macros import Expand, MacroString, expand_domain
from dns_checks.spf.parse import is_spf_record, read_record
from dns_checks.spf.session import is_askable
from dns_checks.spf.terms import A, All, Directive, Exists, Include, Mx, Ptr, Redirect, SpfRecord, Term
from mailtypes.errors import Span
from mailtypes.questions import (
    AddressRecord,
    DnsAnswer,
    DnsEvaluation,
    DnsQuestion,
    Found,
    MxRecord,
    RecordType,
    TxtRecord,
    Unanswered,
)

MAX_RECORDS = 60  # far above what ten lookups can reach; a record that includes itself twice would grow without end
_MAX_QUESTIONS = 400
_MAX_MX_NAMES = 20
_KNOWN_MACROS = frozenset("do")


class NodeState(StrEnum):
    """What is at the domain of a node; all but the first three are errors for whoever evaluates the record."""

    FOUND = "found"
    MACRO = "macro"
    CUT = "cut"
    MISSING = "missing"
    SEVERAL = "several"
    INVALID = "invalid"
    LOOP = "loop"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Lookup:
    """One term that asks the DNS, other than ``include`` and ``redirect``.

    ``voids`` are the questions that found nothing for a client of IPv4 and of IPv6; ``mx_names`` the number of mail
    hosts of an ``mx`` term; ``unanswered`` what could not be found out.
    """

    text: str
    span: Span
    target: str
    voids: tuple[int, int] = (0, 0)
    mx_names: int = 0
    unanswered: str = ""


@dataclass(frozen=True, slots=True)
class SpfNode:
    """The record of one domain, the term that leads to it (``None`` for the first), and all that it leads to.

    ``lookups`` counts all terms in and below the record that section 4.6.4 of RFC 7208 counts, not the one that leads
    here; ``voids`` the lookups without result, for IPv4 and IPv6 clients. Terms behind ``all`` do not count.
    """

    domain: str
    state: NodeState
    term: Term | None = None
    texts: tuple[str, ...] = ()
    strings: tuple[int, ...] = ()
    record: SpfRecord | None = None
    faults: tuple[SpfSyntaxError, ...] = ()
    answer: DnsAnswer | None = None
    own: tuple[Lookup, ...] = ()
    children: tuple["SpfNode", ...] = ()

    @property
    def lookups(self) -> int:
        """Terms that count towards the limit of ten."""
        return len(self.own) + sum(1 + child.lookups for child in self.children)

    @property
    def voids(self) -> tuple[int, int]:
        """Lookups that find nothing, for clients of IPv4 and of IPv6."""
        counts = [lookup.voids for lookup in self.own] + [child.voids for child in self.children]
        return sum(four for four, _ in counts), sum(six for _, six in counts)

    def walk(self) -> Iterator["SpfNode"]:
        """This node and all below, from left to right."""
        yield self
        for child in self.children:
            yield from child.walk()

    def lines(self, indent: int = 0) -> Iterator[str]:
        """The tree as people read it, one line a record or lookup."""
        blank = "  " * indent
        cost = f"{self.lookups} lookups" if self.state is NodeState.FOUND else self.state
        yield f"{blank}{self.term.text if self.term else self.domain}: {cost}"
        for lookup in self.own:
            yield f"{blank}  {lookup.text}: 1 lookup" + (", finds nothing" if all(lookup.voids) else "")
        for child in self.children:
            yield from child.lines(indent + 1)


@dataclass(slots=True)
class _Walk:
    """One walk through the tree: answers already known, and how much may still be looked at."""

    first: str
    answers: dict[DnsQuestion, DnsAnswer] = field(default_factory=dict)
    records: int = 0

    def ask(self, question: DnsQuestion) -> DnsEvaluation[DnsAnswer]:
        if question not in self.answers:
            if len(self.answers) >= _MAX_QUESTIONS:
                return Unanswered("not asked: the record leads to too many questions")
            self.answers[question] = yield question
        return self.answers[question]


def reachable_terms(record: SpfRecord) -> tuple[Term, ...]:
    """The terms that may be evaluated: up to the first ``all``, and ``redirect`` where there is none (section 5.1)."""
    terms: list[Term] = []
    for directive in record.directives:
        terms.append(directive)
        if isinstance(directive.mechanism, All):
            return tuple(terms)
    return (*terms, record.redirect) if record.redirect is not None else tuple(terms)


def spf_tree(domain: str) -> DnsEvaluation[SpfNode]:
    """Follow every ``include`` and ``redirect`` from ``domain`` on; never raises for what the DNS holds."""
    return _node(_Walk(domain), domain, None, ())


def _node(walk: _Walk, domain: str, term: Term | None, above: tuple[str, ...]) -> DnsEvaluation[SpfNode]:
    if domain.lower() in above:
        return SpfNode(domain, NodeState.LOOP, term)
    if walk.records >= MAX_RECORDS:
        return SpfNode(domain, NodeState.CUT, term)
    walk.records += 1
    if not is_askable(domain):
        return SpfNode(domain, NodeState.MISSING, term)
    answer = yield from walk.ask(DnsQuestion(domain, RecordType.TXT))
    if isinstance(answer, Unanswered):
        return SpfNode(domain, NodeState.UNANSWERED, term, answer=answer)
    found = [record for record in _records(answer) if isinstance(record, TxtRecord) and is_spf_record(record.joined)]
    texts = tuple(record.joined.decode("latin-1") for record in found)
    if len(found) != 1:
        state = NodeState.SEVERAL if found else NodeState.MISSING
        return SpfNode(domain, state, term, texts, answer=answer)
    record, faults = read_record(texts[0])
    own, children = yield from _follow(walk, domain, record, (*above, domain.lower()))
    state = NodeState.INVALID if faults else NodeState.FOUND
    strings = tuple(len(string) for string in found[0].strings)
    return SpfNode(domain, state, term, texts, strings, record, faults, answer, own, children)


def _follow(
    walk: _Walk, domain: str, record: SpfRecord, above: tuple[str, ...]
) -> DnsEvaluation[tuple[tuple[Lookup, ...], tuple[SpfNode, ...]]]:
    own: tuple[Lookup, ...] = ()
    children: tuple[SpfNode, ...] = ()
    for term in reachable_terms(record):
        if isinstance(term, Directive) and not isinstance(term.mechanism, Include):
            lookup = yield from _look_up(walk, domain, term)
            own += (lookup,) if lookup is not None else ()
            continue
        spec = term.mechanism if isinstance(term, Directive) else term
        if not isinstance(spec, Include | Redirect):
            continue
        target = _target(walk, spec.domain, domain)
        if target is None:
            children += (SpfNode(spec.domain.text, NodeState.MACRO, term),)
        else:
            children += ((yield from _node(walk, target, term, above)),)
    return own, children


def _target(walk: _Walk, spec: MacroString | None, domain: str) -> str | None:
    """The name that ``spec`` stands for whoever the client is; ``None`` where that depends on the client."""
    if spec is None:
        return domain
    if not {part.letter for part in spec.parts if isinstance(part, Expand)} <= _KNOWN_MACROS:
        return None
    return expand_domain(spec, {"d": domain, "o": walk.first})


def _look_up(walk: _Walk, domain: str, term: Directive) -> DnsEvaluation[Lookup | None]:
    """What the term asks for; ``None`` for one that asks nothing."""
    match term.mechanism:
        case Ptr():
            return Lookup(term.text, term.span, "")  # depends on the client
        case A(spec, _):
            return (yield from _addresses(walk, term, _target(walk, spec, domain)))
        case Mx(spec, _):
            return (yield from _mail_hosts(walk, term, _target(walk, spec, domain)))
        case Exists(spec):
            target = _target(walk, spec, domain)
            if target is None or not is_askable(target):
                return Lookup(term.text, term.span, target or "")
            answer = yield from walk.ask(DnsQuestion(target, RecordType.A))
            void = int(_is_void(answer))
            return Lookup(term.text, term.span, target, (void, void), unanswered=_cause(answer))
        case _:
            return None


def _addresses(walk: _Walk, term: Directive, target: str | None) -> DnsEvaluation[Lookup]:
    if target is None or not is_askable(target):
        return Lookup(term.text, term.span, target or "")
    four = yield from walk.ask(DnsQuestion(target, RecordType.A))
    six = yield from walk.ask(DnsQuestion(target, RecordType.AAAA))
    voids = (int(_is_void(four)), int(_is_void(six)))
    return Lookup(term.text, term.span, target, voids, unanswered=_cause(four) or _cause(six))


def _mail_hosts(walk: _Walk, term: Directive, target: str | None) -> DnsEvaluation[Lookup]:
    if target is None or not is_askable(target):
        return Lookup(term.text, term.span, target or "")
    answer = yield from walk.ask(DnsQuestion(target, RecordType.MX))
    names = [record.exchange for record in _records(answer) if isinstance(record, MxRecord)]
    four = six = int(_is_void(answer))
    unanswered = _cause(answer)
    for name in names[:_MAX_MX_NAMES]:
        if is_askable(name):
            addresses = yield from _addresses(walk, term, name)
            four, six = four + addresses.voids[0], six + addresses.voids[1]
            unanswered = unanswered or addresses.unanswered
    return Lookup(term.text, term.span, target, (four, six), len(names), unanswered)


def _records(answer: DnsAnswer) -> tuple[object, ...]:
    return answer.records if isinstance(answer, Found) else ()


def _is_void(answer: DnsAnswer) -> bool:
    if isinstance(answer, Unanswered):
        return False
    return not any(isinstance(record, AddressRecord | MxRecord) for record in _records(answer))


def _cause(answer: DnsAnswer) -> str:
    return answer.cause if isinstance(answer, Unanswered) else ""
