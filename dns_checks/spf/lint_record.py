"""What is wrong, weak or useless in the text of one SPF record (RFC 7208); nothing is asked."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network
from itertools import islice
from typing import TypeAlias

from dns_checks.findings import CheckFinding, Evidence, Mark, Severity
from dns_checks.spf.errors import SpfSyntaxError
from dns_checks.spf.macros import Expand, MacroString
from dns_checks.spf.parse import read_record
from dns_checks.spf.terms import (
    A,
    All,
    Directive,
    Exists,
    Explanation,
    Include,
    Ip4,
    Ip6,
    Mx,
    Ptr,
    Qualifier,
    Redirect,
    SpfRecord,
    Term,
    UnknownModifier,
)
from dns_checks.spf.tree import reachable_terms
from mailtypes.auth import Finding
from mailtypes.errors import Span
from mailtypes.saying import say

_Network: TypeAlias = IPv4Network | IPv6Network

STRING_OCTETS = 255  # RFC 1035 section 3.3
_LONG_RECORD_OCTETS = 450  # RFC 7208 section 3.4: so that the answer fits into 512 octets
_WIDE = {4: 8, 6: 16}
_MAX_OF_ONE_CHECK = 20  # whoever mends these sees the others at the next check
_PRIVATE = tuple(IPv4Network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"))
_PRIVATE_6 = tuple(IPv6Network(one) for one in ("fc00::/7", "fe80::/10", "::1/128"))


def lint_record(
    record: SpfRecord,
    faults: tuple[SpfSyntaxError, ...] = (),
    evidence: tuple[Evidence, ...] = (),
    strings: tuple[int, ...] = (),
) -> tuple[CheckFinding, ...]:
    """All findings on the record itself, each with its place; ``faults`` come from ``read_record``.

    ``strings`` are the lengths of the character-strings as published, where that is known.
    """
    linter = _Linter(record, evidence, strings)
    checks = (linter.all_terms, linter.unreachable, linter.networks, linter.repeated, linter.discouraged)
    found = [linter.fault(fault) for fault in faults[:_MAX_OF_ONE_CHECK]]
    return (*found, *(finding for check in (*checks, linter.length) for finding in islice(check(), _MAX_OF_ONE_CHECK)))


class _Linter:
    """The checks on one record; each yields its findings."""

    def __init__(self, record: SpfRecord, evidence: tuple[Evidence, ...], strings: tuple[int, ...]) -> None:
        self._record = record
        self._evidence = evidence
        self._strings = strings
        self._reachable = reachable_terms(record)

    def _found(self, code: str, severity: Severity, span: Span, sentence: str, next_step: str) -> CheckFinding:
        mark = Mark(self._record.source, span)
        return CheckFinding(f"spf.{code}", severity, Finding.ABSENT, self._evidence, sentence, next_step, mark)

    def fault(self, fault: SpfSyntaxError) -> CheckFinding:
        """A fault of syntax: receivers answer ``permerror`` (section 4.6)."""
        span = fault.span or Span(0, len(self._record.source))
        joined = self._seam_within(self._term_around(span))
        if joined is not None:
            sentence = say(
                "Two strings of the record are put together without a blank, which makes one wrong term of two."
            )
            step = say("Begin the second string with a blank, or end the first one with it.")
            return self._found("strings_joined", Severity.ERROR, Span(max(0, joined - 1), joined + 1), sentence, step)
        sentence = say("The SPF record cannot be read: %(message)s.", message=fault.message)
        mend = fault.next_step or say("Mend or remove the term.")
        return self._found("syntax", Severity.ERROR, span, sentence, mend)

    def _term_around(self, span: Span) -> Span:
        source = self._record.source
        end = source.find(" ", span.end)
        return Span(source.rfind(" ", 0, span.start) + 1, len(source) if end < 0 else end)

    def _seam_within(self, span: Span) -> int | None:
        """Where two published strings meet inside of ``span``."""
        at = 0
        for length in self._strings[:-1]:
            at += length
            if span.start < at < span.end:
                # Only where a blank there would mend it: long records are cut inside of good terms as well.
                left, right = self._record.source[span.start : at], self._record.source[at : span.end]
                return None if read_record(f"v=spf1 {left} {right}")[1] else at
        return None

    def all_terms(self) -> Iterator[CheckFinding]:
        """What becomes of those whom nothing matches, and terms that let everybody pass."""
        last = self._reachable[-1] if self._reachable else None
        whole = Span(0, len(self._record.source))
        if not isinstance(last, Redirect) and not (isinstance(last, Directive) and isinstance(last.mechanism, All)):
            sentence = say("The record ends without all, so strangers get neutral, which keeps nobody out.")
            yield self._found("no_all", Severity.WARNING, whole, sentence, say("End it with -all or ~all."))
        for term in self._reachable:
            if not isinstance(term, Directive):
                continue
            if isinstance(term.mechanism, All) and term.qualifier is Qualifier.NEUTRAL:
                sentence = say("?all gives strangers neutral, which keeps nobody out.")
                yield self._found("neutral_all", Severity.WARNING, term.span, sentence, say("Write -all or ~all."))
            if term.qualifier is Qualifier.PASS and _matches_everybody(term):
                sentence = say("%(term)s lets every host in the world send for the domain.", term=term.text)
                step = (
                    say("Write -all or ~all.")
                    if isinstance(term.mechanism, All)
                    else say("Name only your own networks.")
                )
                yield self._found("passes_everyone", Severity.ERROR, term.span, sentence, step)

    def unreachable(self) -> Iterator[CheckFinding]:
        """Section 5.1: what stands behind ``all`` is never looked at, nor is ``redirect`` beside it."""
        reachable = {term.span.start for term in self._reachable}
        for term in self._record.terms:
            if term.span.start in reachable:
                continue
            if isinstance(term, Directive):
                sentence = say("%(term)s stands behind all and is never looked at.", term=term.text)
                yield self._found("unreachable", Severity.WARNING, term.span, sentence, say("Move it before all."))
            elif isinstance(term, Redirect):
                sentence = say("%(term)s has no effect in a record with all.", term=term.text)
                step = say("Remove either redirect= or the all term.")
                yield self._found("redirect_ignored", Severity.WARNING, term.span, sentence, step)

    def networks(self) -> Iterator[CheckFinding]:
        """Networks that an earlier term covers, that are too wide, or that nobody sends from."""
        earlier: dict[_Network, Term] = {}
        for term in self._reachable:
            network = _network(term)
            if network is None:
                continue
            covering = next((earlier[wide] for wide in _networks_around(network) if wide in earlier), None)
            if covering is not None and covering.text.lower() != term.text.lower():
                sentence = say(
                    "%(term)s is covered by %(covering)s before it, which decides.",
                    term=term.text,
                    covering=covering.text,
                )
                yield self._found(
                    "covered_range", Severity.WARNING, term.span, sentence, say("Remove %(term)s.", term=term.text)
                )
            earlier.setdefault(network, term)
            yield from self._network_remarks(term, network)

    def _network_remarks(self, term: Term, network: _Network) -> Iterator[CheckFinding]:
        written = term.text.partition(":")[2].partition("/")[0]
        if network.network_address != type(network)(written).network_address:
            sentence = say(
                "%(term)s is not the beginning of its network; receivers take it for %(network)s.",
                term=term.text,
                network=network,
            )
            step = say("Write ip%(version)s:%(network)s.", version=network.version, network=network)
            yield self._found("host_bits", Severity.INFO, term.span, sentence, step)
        if 0 < network.prefixlen <= _WIDE[network.version]:
            sentence = say(
                "%(term)s covers %(num_addresses)s addresses, more than any one sender has.",
                term=term.text,
                num_addresses=network.num_addresses,
            )
            yield self._found("wide_range", Severity.WARNING, term.span, sentence, say("Name only your own networks."))
        private = _PRIVATE if network.version == 4 else _PRIVATE_6
        if any(_covers(one, network) for one in private):
            sentence = say("%(term)s is a private network, which no mail on the Internet comes from.", term=term.text)
            yield self._found(
                "private_range", Severity.WARNING, term.span, sentence, say("Remove %(term)s.", term=term.text)
            )

    def repeated(self) -> Iterator[CheckFinding]:
        """The same term twice; the second costs a lookup and decides nothing."""
        seen: set[str] = set()
        for term in self._reachable:
            key = term.text.lower().removeprefix("+")
            if key in seen:
                sentence = say("%(term)s stands in the record twice.", term=term.text)
                yield self._found("repeated_term", Severity.WARNING, term.span, sentence, say("Remove the second one."))
            seen.add(key)

    def discouraged(self) -> Iterator[CheckFinding]:
        """``ptr``, macros that cost much, and modifiers that nobody knows."""
        for term in self._record.terms:
            if isinstance(term, Directive) and isinstance(term.mechanism, Ptr):
                sentence = say("ptr is slow and unreliable; RFC 7208 says not to use it, and some receivers skip it.")
                yield self._found(
                    "ptr", Severity.WARNING, term.span, sentence, say("Name the hosts with a, mx, ip4 or ip6.")
                )
            if isinstance(term, UnknownModifier):
                sentence = say("%(term)s= is no modifier of SPF, so receivers ignore it.", term=term.name)
                yield self._found(
                    "unknown_modifier", Severity.INFO, term.span, sentence, say("Remove %(term)s.", term=term.text)
                )
            yield from self._macro_advice(term)

    def _macro_advice(self, term: Term) -> Iterator[CheckFinding]:
        spec = _macro_string(term)
        letters = {part.letter for part in spec.parts if isinstance(part, Expand)} if spec else set()
        if "p" in letters:
            sentence = say(
                "%(term)s uses the macro p, which is slow and unreliable; RFC 7208 says not to use it.", term=term.text
            )
            yield self._found("macro_p", Severity.WARNING, term.span, sentence, say("Use %{i} or %{d} instead."))
        elif letters & {"l", "s"} and not isinstance(term, Explanation):
            sentence = say(
                "%(term)s depends on the local part, so every sender address costs a lookup of its own.", term=term.text
            )
            step = say("Keep it only if users are to be told apart by it.")
            yield self._found("macro_local_part", Severity.INFO, term.span, sentence, step)

    def length(self) -> Iterator[CheckFinding]:
        """Section 3.4: answers that do not fit into 512 octets may get lost."""
        source = self._record.source
        if len(source) > _LONG_RECORD_OCTETS:
            sentence = say(
                "The record is %(count)s octets long; beyond %(long_record_octets)s answers may get lost.",
                count=len(source),
                long_record_octets=_LONG_RECORD_OCTETS,
            )
            span = Span(_LONG_RECORD_OCTETS, len(source))
            yield self._found(
                "long_record", Severity.WARNING, span, sentence, say("Shorten it, or move parts to an include.")
            )
        if not self._strings and len(source) > STRING_OCTETS:
            sentence = say(
                "The record is %(count)s octets long, but one string of a TXT record holds %(string_octets)s.",
                count=len(source),
                string_octets=STRING_OCTETS,
            )
            span = Span(STRING_OCTETS, len(source))
            yield self._found(
                "long_string", Severity.INFO, span, sentence, say("Publish it as several strings of one record.")
            )


def _network(term: Term) -> _Network | None:
    if isinstance(term, Directive) and isinstance(term.mechanism, Ip4 | Ip6):
        return term.mechanism.network
    return None


def _networks_around(network: _Network) -> Iterable[_Network]:
    """``network`` and all that hold it, the narrowest first: at most 129, however many terms a record has."""
    return (network.supernet(new_prefix=length) for length in range(network.prefixlen, -1, -1))


def _matches_everybody(term: Directive) -> bool:
    match term.mechanism:
        case All():
            return True
        case Ip4(network):
            return network.prefixlen == 0
        case Ip6(network):
            return network.prefixlen == 0
        case A(_, prefix) | Mx(_, prefix):
            return prefix.ip4 == 0 or prefix.ip6 == 0
        case _:
            return False


def _covers(wide: _Network, narrow: _Network) -> bool:
    if isinstance(wide, IPv4Network) and isinstance(narrow, IPv4Network):
        return narrow.subnet_of(wide)
    return isinstance(wide, IPv6Network) and isinstance(narrow, IPv6Network) and narrow.subnet_of(wide)


def _macro_string(term: Term) -> MacroString | None:
    if isinstance(term, Redirect | Explanation):
        return term.domain
    if isinstance(term, Directive) and isinstance(term.mechanism, Include | A | Mx | Ptr | Exists):
        return term.mechanism.domain
    return None
