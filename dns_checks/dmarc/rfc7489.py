"""What a receiver that still follows RFC 7489 decides, with the public suffix list in place of the tree walk."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dns_checks.dmarc.evaluate import (
    ONE_LEVEL_BELOW,
    Alignment,
    DmarcResult,
    DmarcVerdict,
    Identifier,
    judge,
    passing_first,
)
from dns_checks.dmarc.public_suffixes import SuffixList, bundled_suffixes, organizational_domain_7489
from dns_checks.dmarc.record import AlignmentMode, DmarcRecord, DmarcSyntaxError, Policy, is_policy_record, parse_record
from mailtypes.domain import DomainName
from mailtypes.questions import Absent, DnsAnswer, DnsEvaluation, DnsQuestion, RecordType, TxtRecord, Unanswered

_PERCENTAGE = re.compile(r"(?:100|[1-9]?[0-9])\Z")


@dataclass(frozen=True, slots=True)
class OlderVerdict:
    """The verdict by RFC 7489. ``percent`` of failing mail get the disposition, the others ``rest`` (section 6.6.4).

    ``np``, ``psd`` and ``t`` mean nothing to such a receiver.
    """

    verdict: DmarcVerdict
    percent: int = 100
    rest: Policy = Policy.NONE


@dataclass(frozen=True, slots=True)
class _Lookup:
    """The policy records at one name; ``unanswered`` is the cause where that could not be found out."""

    texts: tuple[str, ...] = ()
    unanswered: str = ""


def evaluate_7489(
    author_domain: DomainName,
    spf: Identifier | None,
    dkim: Sequence[Identifier],
    suffixes: SuffixList | None = None,
) -> DnsEvaluation[OlderVerdict]:
    """The verdict of RFC 7489 section 6.6 on a message whose From domain is ``author_domain``."""
    listed = suffixes or bundled_suffixes()
    organizational = organizational_domain_7489(author_domain, listed)
    policy_domain, found = author_domain, (yield from _look_up(author_domain))
    # Section 6.6.3 step 3: only an empty set leads to the organizational domain; two records end the search.
    if not found.texts and not found.unanswered and organizational != author_domain:
        policy_domain, found = organizational, (yield from _look_up(organizational))
    record = _read(found)
    refusal = _refusal(author_domain, policy_domain, organizational, found, record)
    if refusal is not None or record is None:
        assert refusal is not None
        return OlderVerdict(refusal)
    policy = _policy(record, is_subdomain=policy_domain != author_domain)
    spf_alignment = _align(spf, record.aspf, author_domain, listed) if spf else None
    dkim_alignments = tuple(_align(one, record.adkim, author_domain, listed) for one in passing_first(dkim))
    result, cause = judge([*([spf_alignment] if spf_alignment else []), *dkim_alignments])
    failed = result is DmarcResult.FAIL
    verdict = DmarcVerdict(
        result=result,
        cause=cause,
        author_domain=author_domain,
        policy=policy,
        disposition=policy if failed else Policy.NONE,
        policy_domain=policy_domain,
        organizational_domain=organizational,
        record=record,
        spf=spf_alignment,
        dkim=dkim_alignments,
    )
    return OlderVerdict(verdict, percentage(record), ONE_LEVEL_BELOW[policy] if failed else Policy.NONE)


def percentage(record: DmarcRecord) -> int:
    """``pct``, which RFC 9989 dropped: 100 where it is missing or not valid."""
    tag = record.tag("pct")
    return int(tag.value) if tag is not None and _PERCENTAGE.match(tag.value) else 100


def _look_up(domain: DomainName) -> DnsEvaluation[_Lookup]:
    name = f"_dmarc.{domain.ascii}"
    if len(name) > 253:
        return _Lookup()  # such a name cannot exist (RFC 1035 section 2.3.4)
    answer: DnsAnswer = yield DnsQuestion(name, RecordType.TXT)
    if isinstance(answer, Unanswered):
        return _Lookup(unanswered=answer.cause)
    if isinstance(answer, Absent):
        return _Lookup()
    texts = [record.joined.decode("latin-1") for record in answer.records if isinstance(record, TxtRecord)]
    return _Lookup(tuple(text for text in texts if is_policy_record(text)))


def _read(found: _Lookup) -> DmarcRecord | None:
    if len(found.texts) != 1:
        return None
    try:
        return parse_record(found.texts[0])
    except DmarcSyntaxError:
        return None


def _refusal(
    author_domain: DomainName,
    policy_domain: DomainName,
    organizational: DomainName,
    found: _Lookup,
    record: DmarcRecord | None,
) -> DmarcVerdict | None:
    """The verdict where no record applies; ``None`` where one does."""
    if found.unanswered:
        cause = f"the policy could not be looked up: {found.unanswered}"
        return DmarcVerdict(DmarcResult.TEMPERROR, cause, author_domain, organizational_domain=organizational)
    if record is None:
        several = len(found.texts) > 1
        cause = f"several policy records at {policy_domain}" if several else "no policy record"
        return DmarcVerdict(DmarcResult.NONE, cause, author_domain, organizational_domain=organizational)
    if _is_faulty(record) and not record.rua:
        return DmarcVerdict(
            DmarcResult.PERMERROR,
            "the record has no valid policy and asks for no reports",  # section 6.6.3 step 6
            author_domain,
            policy_domain=policy_domain,
            organizational_domain=organizational,
            record=record,
        )
    return None


def _is_faulty(record: DmarcRecord) -> bool:
    # np is an unknown tag to RFC 7489, so a wrong one harms nothing.
    return bool({"p", "sp"} & set(record.faulty_policies))


def _policy(record: DmarcRecord, *, is_subdomain: bool) -> Policy:
    if _is_faulty(record) or record.p is None:
        return Policy.NONE
    return (record.sp or record.p) if is_subdomain else record.p


def _align(identifier: Identifier, mode: AlignmentMode, author: DomainName, suffixes: SuffixList) -> Alignment:
    """Section 3.1: identical, or in relaxed mode of the same organizational domain."""
    if identifier.result == "temperror":
        return Alignment(identifier, mode, None, "could not be found out")
    if identifier.result != "pass":
        return Alignment(identifier, mode, False, f"the result is {identifier.result}")
    if identifier.domain == author:
        return Alignment(identifier, mode, True, "the domains are identical")
    if mode is AlignmentMode.STRICT:
        return Alignment(identifier, mode, False, "strict alignment wants identical domains")
    theirs, ours = (organizational_domain_7489(one, suffixes) for one in (identifier.domain, author))
    if theirs == ours:
        return Alignment(identifier, mode, True, f"both belong to {ours}")
    return Alignment(identifier, mode, False, f"{theirs} is not {ours}")
