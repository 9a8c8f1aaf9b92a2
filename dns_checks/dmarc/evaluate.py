"""Policy discovery, alignment, result and disposition (RFC 9989 sections 4.10 and 5.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dns_checks.dmarc.record import AlignmentMode, DmarcRecord, Policy
from dns_checks.dmarc.tree_walk import TreeWalk, WalkStep, walk
from mailtypes.domain import DomainName
from mailtypes.questions import Absence, Absent, DnsEvaluation, DnsQuestion, RecordType, Unanswered

ONE_LEVEL_BELOW = {Policy.REJECT: Policy.QUARANTINE, Policy.QUARANTINE: Policy.NONE, Policy.NONE: Policy.NONE}
_MAX_IDENTIFIERS = 10  # each may cost a tree walk


class DmarcResult(StrEnum):
    """RFC 8601 section 2.7 as RFC 9989 uses it."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - the RFC's token, no password
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Identifier:
    """A domain and what SPF (for the MAIL FROM or HELO domain) or DKIM (for ``d=``) said about it."""

    domain: DomainName
    result: str


@dataclass(frozen=True, slots=True)
class Alignment:
    """Whether an identifier passed and is aligned; ``is_aligned`` is ``None`` where it could not be found out."""

    identifier: Identifier
    mode: AlignmentMode
    is_aligned: bool | None
    cause: str


@dataclass(frozen=True, slots=True)
class DmarcVerdict:
    """The result with its cause, the policy asked for, and the disposition that the owner's record leads to.

    ``policy_domain`` is where the record was found. ``disposition`` is ``none`` unless the result is ``fail``;
    with ``t=y`` it is one level below ``policy``.
    """

    result: DmarcResult
    cause: str
    author_domain: DomainName
    policy: Policy | None = None
    disposition: Policy = Policy.NONE
    policy_domain: DomainName | None = None
    organizational_domain: DomainName | None = None
    record: DmarcRecord | None = None
    spf: Alignment | None = None
    dkim: tuple[Alignment, ...] = ()


@dataclass(frozen=True, slots=True)
class Discovery:
    """The record that applies to an author domain, or why there is none."""

    walk: TreeWalk
    policy_domain: DomainName | None
    record: DmarcRecord | None
    unanswered: str = ""


def discover(author_domain: DomainName, known: dict[DomainName, WalkStep] | None = None) -> DnsEvaluation[Discovery]:
    """Section 4.10.1: the author domain's record, else its organizational domain's, else the public suffix's."""
    tree = yield from walk(author_domain, known)
    records = tree.records
    if author_domain in records:
        return Discovery(tree, author_domain, records[author_domain])
    if tree.unanswered:
        return Discovery(tree, None, None, unanswered=tree.unanswered)
    for domain in (tree.organizational_domain, tree.public_suffix_domain):
        if domain is not None and domain in records:
            return Discovery(tree, domain, records[domain])
    return Discovery(tree, None, None)


def evaluate(
    author_domain: DomainName, spf: Identifier | None, dkim: Sequence[Identifier]
) -> DnsEvaluation[DmarcVerdict]:
    """The DMARC verdict on a message whose From domain is ``author_domain``.

    Asks for the policy, and walks the tree for those passing identifiers whose alignment needs it.
    """
    known: dict[DomainName, WalkStep] = {}
    found = yield from discover(author_domain, known)
    refusal = _without_record(author_domain, found)
    if refusal is not None:
        return refusal
    record, policy_domain = found.record, found.policy_domain
    assert record is not None
    assert policy_domain is not None
    spf_alignment = None
    if spf is not None:
        spf_alignment = yield from _align(spf, record.aspf, found.walk, known)
    dkim_alignments: tuple[Alignment, ...] = ()
    for identifier in passing_first(dkim):
        dkim_alignments += ((yield from _align(identifier, record.adkim, found.walk, known)),)
    exists: bool | None = True
    if policy_domain != author_domain and record.np is not None:
        exists = yield from _exists(author_domain)
    policy = record.policy_for(subdomain=policy_domain != author_domain, exists=exists is not False)
    alignments = [*([spf_alignment] if spf_alignment else []), *dkim_alignments]
    result, cause = judge(alignments)
    disposition = ONE_LEVEL_BELOW[policy] if record.is_testing else policy
    return DmarcVerdict(
        result=result,
        cause=cause,
        author_domain=author_domain,
        policy=policy,
        disposition=disposition if result is DmarcResult.FAIL else Policy.NONE,
        policy_domain=policy_domain,
        organizational_domain=found.walk.organizational_domain,
        record=record,
        spf=spf_alignment,
        dkim=dkim_alignments,
    )


def _without_record(author_domain: DomainName, found: Discovery) -> DmarcVerdict | None:
    """The verdict where no record applies; ``None`` where one does."""
    if found.unanswered:
        cause = f"the policy could not be looked up: {found.unanswered}"
        return DmarcVerdict(DmarcResult.TEMPERROR, cause, author_domain)
    organizational = found.walk.organizational_domain
    if found.record is None:
        several = [step.domain.ascii for step in found.walk.steps if step.discarded > 1]
        cause = f"several policy records at {several[0]} count as none" if several else "no policy record"
        return DmarcVerdict(DmarcResult.NONE, cause, author_domain, organizational_domain=organizational)
    if not found.record.is_applicable:
        return DmarcVerdict(
            DmarcResult.PERMERROR,
            "the record has no valid policy and asks for no reports",  # section 4.10.1: no DMARC processing
            author_domain,
            policy_domain=found.policy_domain,
            organizational_domain=organizational,
            record=found.record,
        )
    return None


def passing_first(identifiers: Sequence[Identifier]) -> list[Identifier]:
    """At most ``_MAX_IDENTIFIERS``, those that passed before the others: a flood of broken signatures hides none."""
    return sorted(identifiers, key=lambda identifier: identifier.result != "pass")[:_MAX_IDENTIFIERS]


def _align(
    identifier: Identifier, mode: AlignmentMode, author: TreeWalk, known: dict[DomainName, WalkStep]
) -> DnsEvaluation[Alignment]:
    """Section 4.10.2: identical, or in relaxed mode below the same organizational domain."""
    if identifier.result == "temperror":
        return Alignment(identifier, mode, None, "could not be found out")
    if identifier.result != "pass":
        return Alignment(identifier, mode, False, f"the result is {identifier.result}")
    if identifier.domain == author.start:
        return Alignment(identifier, mode, True, "the domains are identical")
    if mode is AlignmentMode.STRICT:
        return Alignment(identifier, mode, False, "strict alignment wants identical domains")
    if author.organizational_domain is None:
        return Alignment(identifier, mode, None, f"the organizational domain is unknown: {author.unanswered}")
    tree = yield from walk(identifier.domain, known)
    if tree.organizational_domain is None:
        return Alignment(identifier, mode, None, f"the organizational domain is unknown: {tree.unanswered}")
    if tree.organizational_domain == author.organizational_domain:
        return Alignment(identifier, mode, True, f"both belong to {author.organizational_domain}")
    cause = f"{tree.organizational_domain} is not {author.organizational_domain}"
    return Alignment(identifier, mode, False, cause)


def judge(alignments: Sequence[Alignment]) -> tuple[DmarcResult, str]:
    """The result and its cause (section 5.3.5): one that is aligned suffices, and silence is no failure."""
    for alignment in alignments:
        if alignment.is_aligned:
            return DmarcResult.PASS, f"{alignment.identifier.domain} passed and is aligned: {alignment.cause}"
    for alignment in alignments:
        if alignment.is_aligned is None:
            return DmarcResult.TEMPERROR, f"{alignment.identifier.domain}: {alignment.cause}"
    return DmarcResult.FAIL, "neither SPF nor DKIM passed with an aligned domain"


def _exists(domain: DomainName) -> DnsEvaluation[bool | None]:
    """RFC 9989 section 3.2 with RFC 8020: only NXDOMAIN says that a domain does not exist."""
    answer = yield DnsQuestion(domain.ascii, RecordType.A)
    if isinstance(answer, Unanswered):
        return None
    return not (isinstance(answer, Absent) and answer.absence is Absence.NO_SUCH_NAME)
