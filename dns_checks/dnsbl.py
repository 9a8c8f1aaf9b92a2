"""Whether addresses and domains are on block lists (RFC 5782), and whether the answers can be believed at all.

A resolver that rewrites NXDOMAIN makes everything "listed", a public one makes nothing (or everything) listed, and a
list that was given up may answer anything. So each list is first asked for an entry that must not be listed and, where
it documents one, for an entry that must be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from dns_checks.dnsbl_lists import (
    DEFAULT_LISTS,
    ERROR_CODES,
    ERROR_NETWORK,
    LISTING_NETWORK,
    BlockList,
    Subject,
)
from dns_checks.findings import CheckFinding, Evidence, absent, present, unknown, warning
from mailtypes.domain import DomainName
from mailtypes.questions import AddressRecord, DnsAnswer, DnsEvaluation, DnsQuestion, Found, RecordType, Unanswered
from mailtypes.saying import joined, say

Listable = IPv4Address | IPv6Address | DomainName

_MAX_SUBJECTS = 100
_UNDOCUMENTED = say("a code that the list does not document")
_OWN_RESOLVER = say("Ask through a resolver of your own; lists refuse or mislead public ones.")


class Listing(StrEnum):
    """What a list says about one address or domain."""

    LISTED = "listed"
    NOT_LISTED = "not_listed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ListAnswer:
    """What ``block_list`` says about ``subject``.

    ``codes`` are the addresses it answered with, ``meanings`` what they stand for, ``cause`` why it is unknown.
    """

    block_list: BlockList
    subject: Listable
    listing: Listing
    codes: tuple[IPv4Address, ...] = ()
    meanings: tuple[str, ...] = ()
    cause: str = ""
    evidence: tuple[Evidence, ...] = ()


def check_dnsbl(
    subjects: Sequence[Listable], lists: Sequence[BlockList] = DEFAULT_LISTS
) -> DnsEvaluation[tuple[ListAnswer, ...]]:
    """What each of ``lists`` says about each of ``subjects`` that it could list, list by list.

    A driver that asks several lists at once takes ``check_list`` for each. ``ValueError`` for over 100 subjects.
    """
    answers: list[ListAnswer] = []
    for block_list in lists:
        answers += yield from check_list(block_list, subjects)
    return tuple(answers)


def check_list(block_list: BlockList, subjects: Sequence[Listable]) -> DnsEvaluation[tuple[ListAnswer, ...]]:
    """What one list says; it is tried with its control entries first, and not asked further where these fail."""
    if len(subjects) > _MAX_SUBJECTS:
        raise ValueError(f"at most {_MAX_SUBJECTS} addresses and domains at a time")
    fitting = [subject for subject in subjects if _can_list(block_list, subject)]
    if not fitting:
        return ()
    fault, evidence = yield from _try_out(block_list)
    if fault:
        return tuple(
            ListAnswer(block_list, subject, Listing.UNKNOWN, cause=fault, evidence=evidence) for subject in fitting
        )
    answers = []
    for subject in fitting:
        question = DnsQuestion(f"{entry_of(subject)}.{block_list.zone}", RecordType.A)
        answer = yield question
        answers.append(_read(block_list, subject, answer, (*evidence, Evidence.of(question, answer))))
    return tuple(answers)


def entry_of(subject: Listable) -> str:
    """The name below a list's zone (RFC 5782 sections 2.1 and 2.4): reversed octets or nibbles, or the domain."""
    if isinstance(subject, DomainName):
        return subject.ascii
    return subject.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def _can_list(block_list: BlockList, subject: Listable) -> bool:
    if isinstance(subject, DomainName):
        return block_list.subject is Subject.DOMAIN
    return block_list.subject is Subject.ADDRESS and (subject.version == 4 or block_list.has_ip6)


def _try_out(block_list: BlockList) -> DnsEvaluation[tuple[str, tuple[Evidence, ...]]]:
    """Why the list cannot be believed (empty where it can), and the queries that showed it."""
    question = DnsQuestion(f"{block_list.unlisted_entry}.{block_list.zone}", RecordType.A)
    answer = yield question
    evidence: tuple[Evidence, ...] = (Evidence.of(question, answer),)
    if isinstance(answer, Unanswered):
        return say("%(zone)s could not be asked: %(cause)s", zone=block_list.zone, cause=answer.cause), evidence
    if isinstance(answer, Found):
        codes = _codes_of(answer)
        error = _error_in(block_list, codes)
        lied = say(
            "%(question)s, which cannot be listed, got an answer (%(answer)s)",
            question=question.name,
            answer=evidence[0].answer,
        )
        return error or say("%(lied)s: the resolver rewrites answers, or the list names everybody", lied=lied), evidence
    if block_list.listed_entry is None:
        return "", evidence
    question = DnsQuestion(f"{block_list.listed_entry}.{block_list.zone}", RecordType.A)
    answer = yield question
    evidence = (*evidence, Evidence.of(question, answer))
    control = _read(block_list, DomainName("test"), answer, evidence)
    if control.listing is Listing.LISTED:
        return "", evidence
    silent = say(
        "%(question)s, which is always listed, got no listing: the list is dead, or hidden from this resolver",
        question=question.name,
    )
    return control.cause or silent, evidence


def _read(block_list: BlockList, subject: Listable, answer: DnsAnswer, evidence: tuple[Evidence, ...]) -> ListAnswer:
    if isinstance(answer, Unanswered):
        cause = say("%(zone)s could not be asked: %(cause)s", zone=block_list.zone, cause=answer.cause)
        return ListAnswer(block_list, subject, Listing.UNKNOWN, cause=cause, evidence=evidence)
    if not isinstance(answer, Found):
        return ListAnswer(block_list, subject, Listing.NOT_LISTED, evidence=evidence)
    codes = _codes_of(answer)
    error = _error_in(block_list, codes)
    if error or not codes:
        why = error or say("the answer holds no address")
        return ListAnswer(block_list, subject, Listing.UNKNOWN, codes, cause=why, evidence=evidence)
    meanings = tuple(dict.fromkeys(meaning for code in codes for meaning in _meanings(block_list, code)))
    return ListAnswer(block_list, subject, Listing.LISTED, codes, meanings, evidence=evidence)


def _codes_of(found: Found) -> tuple[IPv4Address, ...]:
    addresses = (record.address for record in found.records if isinstance(record, AddressRecord))
    return tuple(sorted({address for address in addresses if isinstance(address, IPv4Address)}))


def _error_in(block_list: BlockList, codes: Sequence[IPv4Address]) -> str:
    """Why these codes are no listing, empty where they are one. One such code makes the whole answer void."""
    for code in codes:
        if code in block_list.refusals:
            return say(
                "%(zone)s answered %(code)s: %(refusals)s",
                zone=block_list.zone,
                code=code,
                refusals=block_list.refusals[code],
            )
        if code in ERROR_NETWORK:
            return say(
                "%(zone)s answered %(code)s: %(code_2)s",
                zone=block_list.zone,
                code=code,
                code_2=ERROR_CODES.get(code, "an error, not a listing"),
            )
        if code not in LISTING_NETWORK:
            return say(
                "%(zone)s answered %(code)s, which no list uses: the answer was rewritten, or the list sold",
                zone=block_list.zone,
                code=code,
            )
        if code == IPv4Address("127.0.0.1") and code not in block_list.codes:
            # RFC 5782 section 2.3 keeps 127.0.0.1 out of use: it is what misdirected names resolve to.
            return say("%(zone)s answered %(code)s, which no list uses for a listing", zone=block_list.zone, code=code)
    return ""


def _meanings(block_list: BlockList, code: IPv4Address) -> list[str]:
    if block_list.bits:
        last = code.packed[3]
        return [meaning for bit, meaning in block_list.bits.items() if last & bit] or [_UNDOCUMENTED]
    return [block_list.codes.get(code, _UNDOCUMENTED)]


def findings_of(answers: Sequence[ListAnswer]) -> tuple[CheckFinding, ...]:
    """The answers for people: a finding for each."""
    return tuple(_finding(answer) for answer in answers)


def _finding(answer: ListAnswer) -> CheckFinding:
    name = answer.block_list.name
    match answer.listing:
        case Listing.NOT_LISTED:
            return present(
                "dnsbl.not_listed",
                answer.evidence,
                say("%(subject)s is not listed by %(name)s.", subject=answer.subject, name=name),
            )
        case Listing.UNKNOWN:
            sentence = say(
                "Whether %(subject)s is listed by %(name)s could not be found out: %(cause)s.",
                subject=answer.subject,
                name=name,
                cause=answer.cause,
            )
            return unknown("dnsbl.unknown", answer.evidence, sentence, _OWN_RESOLVER)
        case Listing.LISTED:
            sentence = say(
                "%(subject)s is listed by %(name)s: %(meanings)s.",
                subject=answer.subject,
                name=name,
                meanings=joined(answer.meanings, "; "),
            )
            step = say("Find and end the cause, then ask for removal: %(removal)s", removal=answer.block_list.removal)
            judged = absent if answer.block_list.weighs else warning
            return judged("dnsbl.listed", answer.evidence, sentence, step)
