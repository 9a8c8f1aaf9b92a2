"""The linter of a domain's SPF record: the record itself, and all that it leads to (RFC 7208 section 4.6.4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from dns_checks.findings import (
    CheckFinding,
    Evidence,
    Mark,
    Severity,
    absent,
    marked,
    present,
    printable,
    unknown,
    warning,
)
from dns_checks.spf.limits import SpfLimits
from dns_checks.spf.lint_record import lint_record
from dns_checks.spf.parse import is_spf_record
from dns_checks.spf.terms import All, Directive, Qualifier, Redirect, SpfRecord
from dns_checks.spf.tree import Lookup, NodeState, SpfNode, reachable_terms, spf_tree
from mailtypes.auth import Finding
from mailtypes.errors import Span
from mailtypes.questions import DnsEvaluation, DnsQuestion, Found, RecordType, TxtRecord
from mailtypes.saying import say

_MANY_LOOKUPS = 8
_ANSWER_OCTETS = 512  # RFC 7208 section 3.4
_MAX_FAULTS = 30


@dataclass(frozen=True, slots=True)
class SpfLint:
    """What the linter found: the record where there is exactly one, the findings, and the tree of lookups."""

    domain: str
    record: SpfRecord | None
    findings: tuple[CheckFinding, ...]
    tree: SpfNode

    @property
    def lookups(self) -> int:
        """Terms that count towards the limit of ten, for a client that matches nothing."""
        return self.tree.lookups


def lint_spf(domain: str, limits: SpfLimits | None = None) -> DnsEvaluation[SpfLint]:
    """Look at the SPF record of ``domain`` and at everything it leads to; never raises for what the DNS holds."""
    tree = yield from spf_tree(domain)
    allowed = limits or SpfLimits()
    evidence = _evidence(tree)
    findings = [*_without_record(tree, evidence), *_texts_beside(tree, evidence)]
    if tree.record is not None:
        findings += lint_record(tree.record, tree.faults, evidence, tree.strings)
        findings += _budget(tree, evidence, allowed)
        for node in _below(tree):
            findings += _judge_node(tree, node)
        lookups = ((node, lookup) for node in tree.walk() for lookup in node.own)
        judged = (one for node, lookup in lookups for one in _judge_lookup(node, lookup, allowed))
        findings += islice(judged, _MAX_FAULTS)
    if tree.record is not None and not any(finding.severity is Severity.ERROR for finding in findings):
        sentence = say(
            "The SPF record of %(domain)s can be read and needs %(lookups)s of %(terms)s lookups.",
            domain=domain,
            lookups=tree.lookups,
            terms=allowed.terms,
        )
        findings.insert(0, present("spf.record", evidence, sentence))
    return SpfLint(domain, tree.record, tuple(findings), tree)


def _evidence(node: SpfNode) -> tuple[Evidence, ...]:
    if node.answer is None:
        return (Evidence(f"{printable(node.domain.encode('latin-1', 'replace'))} TXT", "not asked"),)
    return (Evidence.of(DnsQuestion(node.domain, RecordType.TXT), node.answer),)


def _without_record(tree: SpfNode, evidence: tuple[Evidence, ...]) -> Iterator[CheckFinding]:
    if tree.state is NodeState.UNANSWERED:
        yield unknown(
            "spf.unknown", evidence, say("The SPF record of %(domain)s could not be looked up.", domain=tree.domain)
        )
    elif tree.state is NodeState.SEVERAL:
        sentence = say(
            "%(domain)s has %(count)s SPF records, which receivers treat as an error.",
            domain=tree.domain,
            count=len(tree.texts),
        )
        yield absent("spf.several_records", evidence, sentence, say("Merge them into one."))
    elif tree.state is NodeState.MISSING:
        step = say("Publish one that names whoever sends for the domain, and ends with -all.")
        yield absent("spf.missing", evidence, say("%(domain)s has no SPF record.", domain=tree.domain), step)


def _texts_beside(tree: SpfNode, evidence: tuple[Evidence, ...]) -> Iterator[CheckFinding]:
    """Texts that were perhaps meant as an SPF record, and an answer that is too long as a whole."""
    records = tree.answer.records if isinstance(tree.answer, Found) else ()
    texts = [record for record in records if isinstance(record, TxtRecord)]
    for record in texts[:_MAX_FAULTS]:
        text = record.joined.decode("latin-1")
        if text.lstrip(" \t\"'").lower().startswith(("v=spf", "v= spf", "spf1 ", "v =spf")) and not is_spf_record(
            record.joined
        ):
            yield CheckFinding(
                "spf.not_a_record",
                Severity.WARNING if tree.texts else Severity.ERROR,
                Finding.ABSENT,
                evidence,
                say("A TXT record looks like an SPF record but does not begin with 'v=spf1 ' and so is ignored."),
                say("Begin it with 'v=spf1 ' written exactly so."),
                Mark(text, Span(0, min(len(text), 8))),
            )
    octets = sum(len(record.joined) + len(record.strings) + 12 for record in texts)
    if tree.texts and octets > _ANSWER_OCTETS:
        sentence = say(
            "All TXT records of %(domain)s together make an answer of more than %(answer_octets)s octets.",
            domain=tree.domain,
            answer_octets=_ANSWER_OCTETS,
        )
        step = say("Move texts that others need to names of their own.")
        yield CheckFinding("spf.large_answer", Severity.INFO, Finding.ABSENT, evidence, sentence, step)


def _budget(tree: SpfNode, evidence: tuple[Evidence, ...], limits: SpfLimits) -> Iterator[CheckFinding]:
    """The limits of section 4.6.4, with the branches that cost most."""
    count = tree.lookups
    is_cut = any(node.state is NodeState.CUT for node in tree.walk())
    shown = (*evidence, *(Evidence("lookups", line) for line in tree.lines()))
    costs = sorted(((1 + child.lookups, child) for child in tree.children), key=lambda cost: -cost[0])
    through = ", ".join(
        say("%(term)s costs %(cost)s", term=child.term.text, cost=cost) for cost, child in costs[:5] if child.term
    )
    detail = f": {through}" if through else ""
    if count > limits.terms:
        at_least = say("at least ") if is_cut else ""
        sentence = say(
            "The record needs %(at_least)s%(count)s lookups, %(terms)s are allowed%(detail)s.",
            at_least=at_least,
            count=count,
            terms=limits.terms,
            detail=detail,
        )
        step = say("Replace includes by the networks behind them, or send from a subdomain with a record of its own.")
        finding = absent("spf.too_many_lookups", shown, sentence, step)
        yield _at(finding, tree, costs[0][1].term.span) if costs and costs[0][1].term else finding
    elif count >= _MANY_LOOKUPS:
        sentence = say(
            "The record needs %(count)s of %(terms)s lookups%(detail)s; an include that grows breaks it.",
            count=count,
            terms=limits.terms,
            detail=detail,
        )
        yield warning("spf.many_lookups", shown, sentence, say("Remove what you do not need any more."))
    four, six = tree.voids
    step = say("Remove the terms whose names do not exist.")
    if four > limits.voids:
        sentence = say("%(four)s lookups find nothing, %(voids)s are allowed.", four=four, voids=limits.voids)
        yield absent("spf.too_many_voids", shown, sentence, step)
    elif six > limits.voids:
        sentence = say(
            "For clients with IPv6 %(six)s lookups find nothing, %(voids)s are allowed.", six=six, voids=limits.voids
        )
        yield warning("spf.too_many_voids_ip6", shown, sentence, step)


def _below(tree: SpfNode) -> list[SpfNode]:
    return [node for node in tree.walk() if node.term is not None][:_MAX_FAULTS]


def _judge_node(tree: SpfNode, node: SpfNode) -> Iterator[CheckFinding]:
    """One record that was included or redirected to: whether it can be evaluated, and whether it lets all pass."""
    assert node.term is not None
    evidence = _evidence(node)
    kind = "redirect" if isinstance(node.term, Redirect) else "include"
    parent, place = _parent(tree, node), node.term.span
    step = say("Ask whoever runs %(domain)s to mend it, or remove %(term)s.", domain=node.domain, term=node.term.text)
    match node.state:
        case NodeState.MISSING:
            sentence = say(
                "%(domain)s has no SPF record, so %(term)s makes the whole record an error.",
                domain=node.domain,
                term=node.term.text,
            )
            yield _at(
                absent(f"spf.{kind}_without_record", evidence, sentence, say("Remove %(term)s.", term=node.term.text)),
                parent,
                place,
            )
        case NodeState.SEVERAL:
            sentence = say(
                "%(domain)s has %(count)s SPF records, so %(term)s makes the record an error.",
                domain=node.domain,
                count=len(node.texts),
                term=node.term.text,
            )
            yield _at(absent(f"spf.{kind}_several_records", evidence, sentence, step), parent, place)
        case NodeState.LOOP:
            sentence = say("%(term)s leads back to a record that is being evaluated already.", term=node.term.text)
            yield _at(
                absent("spf.loop", _evidence(parent), sentence, say("Remove %(term)s.", term=node.term.text)),
                parent,
                place,
            )
        case NodeState.UNANSWERED:
            sentence = say(
                "The SPF record of %(domain)s could not be looked up, so %(term)s is unknown.",
                domain=node.domain,
                term=node.term.text,
            )
            yield _at(unknown(f"spf.{kind}_unknown", evidence, sentence), parent, place)
        case NodeState.INVALID:
            fault = node.faults[0]
            sentence = say(
                "The SPF record of %(domain)s cannot be read, so %(term)s is an error: %(message)s.",
                domain=node.domain,
                term=node.term.text,
                message=fault.message,
            )
            yield _at(absent(f"spf.{kind}_invalid", evidence, sentence, step), node, fault.span or Span(0, 0))
        case _:
            yield from _passes_everyone(node, evidence)


def _passes_everyone(node: SpfNode, evidence: tuple[Evidence, ...]) -> Iterator[CheckFinding]:
    if node.record is None or node.term is None:
        return
    if isinstance(node.term, Directive) and node.term.qualifier is not Qualifier.PASS:
        return
    for term in reachable_terms(node.record):
        if isinstance(term, Directive) and isinstance(term.mechanism, All) and term.qualifier is Qualifier.PASS:
            sentence = say(
                "%(domain)s lets every host in the world send, and %(term)s passes that on.",
                domain=node.domain,
                term=node.term.text,
            )
            finding = absent("spf.passes_everyone", evidence, sentence, say("Remove %(term)s.", term=node.term.text))
            yield _at(finding, node, term.span)


def _judge_lookup(node: SpfNode, lookup: Lookup, limits: SpfLimits) -> Iterator[CheckFinding]:
    """One ``a``, ``mx`` or ``exists``: whether it finds anything."""
    evidence = (Evidence(lookup.text, lookup.unanswered or say("%(mx_names)s mail hosts", mx_names=lookup.mx_names)),)
    if lookup.mx_names > limits.mx_names:
        sentence = say(
            "%(lookup)s leads to %(mx_names)s mail hosts, %(mx_names_2)s are allowed.",
            lookup=lookup.text,
            mx_names=lookup.mx_names,
            mx_names_2=limits.mx_names,
        )
        finding = absent("spf.too_many_mx_names", evidence, sentence, say("Name the networks instead."))
        yield _at(finding, node, lookup.span)
    if lookup.unanswered:
        sentence = say(
            "%(lookup)s could not be looked up: %(unanswered)s.", lookup=lookup.text, unanswered=lookup.unanswered
        )
        yield _at(unknown("spf.term_unknown", evidence, sentence), node, lookup.span)
    elif all(lookup.voids) and lookup.target:
        evidence = (Evidence(f"{printable(lookup.target.encode('latin-1', 'replace'))}", say("finds nothing")),)
        sentence = say("%(lookup)s in the record of %(domain)s finds nothing.", lookup=lookup.text, domain=node.domain)
        finding = warning(
            "spf.void_lookup", evidence, sentence, say("Remove %(lookup)s, or publish the name.", lookup=lookup.text)
        )
        yield _at(finding, node, lookup.span)


def _parent(tree: SpfNode, node: SpfNode) -> SpfNode:
    return next((one for one in tree.walk() if any(child is node for child in one.children)), tree)


def _at(finding: CheckFinding, node: SpfNode, span: Span) -> CheckFinding:
    """``finding`` with its place in the record of ``node``."""
    return finding if node.record is None else marked(finding, node.record.source, span)
