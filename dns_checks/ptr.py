"""Reverse names of sending addresses: PTR, forward confirmation (FCrDNS, RFC 8601 section 2.7.3), and what they say."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from dns_checks.findings import CheckFinding, Evidence, absent, present, printable, unknown, warning
from mailtypes.auth import Finding
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.questions import AddressRecord, DnsEvaluation, DnsQuestion, Found, NameRecord, RecordType, Unanswered
from mailtypes.saying import say

Address = IPv4Address | IPv6Address

_MAX_NAMES = 10  # the limit of RFC 7208 section 4.6.4 for the same work
_GENERIC_WORDS = frozenset(
    {"adsl", "broadband", "cable", "cust", "customer", "dhcp", "dialin", "dialup", "dsl", "dyn", "dynamic", "dynip"}
    | {"fiber", "ftth", "generic", "ip", "pool", "ppp", "pppoe", "unassigned", "unknown", "vdsl"}
)
_WORD = re.compile(r"[a-z]+")
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class PtrCheck:
    """What was found about ``address``.

    ``names`` are its PTR names (at most ten), ``confirmed`` those that lead back to it. ``fcrdns`` is ``present`` where
    there is one, ``unknown`` where there may be.
    """

    address: Address
    fcrdns: Finding
    names: tuple[str, ...]
    confirmed: tuple[str, ...]
    findings: tuple[CheckFinding, ...]


def check_ptr(address: Address, ehlo_name: DomainName | None = None) -> DnsEvaluation[PtrCheck]:
    """Look up the names of ``address``, confirm each, and compare them with the name that we say in EHLO."""
    question = DnsQuestion(address.reverse_pointer, RecordType.PTR)
    answer = yield question
    evidence: tuple[Evidence, ...] = (Evidence.of(question, answer),)
    if isinstance(answer, Unanswered):
        finding = unknown(
            "ptr.unknown", evidence, say("The reverse name of %(address)s could not be looked up.", address=address)
        )
        return PtrCheck(address, Finding.UNKNOWN, (), (), (finding,))
    records = answer.records if isinstance(answer, Found) else ()
    targets = [record.target.lower() for record in records if isinstance(record, NameRecord)]
    names = tuple(dict.fromkeys(targets))[:_MAX_NAMES]
    if not names:
        sentence = say(
            "%(address)s has no reverse name; Gmail, Yahoo and Microsoft refuse or throttle such senders.",
            address=address,
        )
        step = say("Ask whoever gave you the address to publish a PTR record for it.")
        if not address.is_global:
            sentence = say(
                "%(address)s has no reverse name, and is no public address: nobody outside sees mail come from it.",
                address=address,
            )
            step = say("Name the public address that the mail leaves from.")
        return PtrCheck(address, Finding.ABSENT, (), (), (absent("ptr.missing", evidence, sentence, step),))
    confirmed, is_certain, forward = yield from _confirm(address, names)
    evidence += forward
    state = Finding.PRESENT if confirmed else Finding.ABSENT if is_certain else Finding.UNKNOWN
    findings = [_forward_finding(address, names, confirmed, state, evidence)]
    if len(targets) > _MAX_NAMES:
        sentence = say(
            "%(address)s has %(count)s reverse names; receivers look at a few of them only.",
            address=address,
            count=len(targets),
        )
        findings.append(warning("ptr.many_names", evidence, sentence, say("Leave one name.")))
    findings += _name_findings(address, confirmed or names, evidence)
    if ehlo_name is not None and state is Finding.PRESENT:
        findings.append(_ehlo_finding(address, confirmed, ehlo_name, evidence))
    return PtrCheck(address, state, names, confirmed, tuple(findings))


def _confirm(
    address: Address, names: tuple[str, ...]
) -> DnsEvaluation[tuple[tuple[str, ...], bool, tuple[Evidence, ...]]]:
    """The names that lead back to ``address``, whether every one was answered, and the queries."""
    record_type = RecordType.A if address.version == 4 else RecordType.AAAA
    confirmed: list[str] = []
    is_certain = True
    evidence: list[Evidence] = []
    for name in names:
        question = DnsQuestion(name, record_type)
        answer = yield question
        evidence.append(Evidence.of(question, answer))
        is_certain = is_certain and not isinstance(answer, Unanswered)
        records = answer.records if isinstance(answer, Found) else ()
        if any(isinstance(record, AddressRecord) and record.address == address for record in records):
            confirmed.append(name)
    return tuple(confirmed), is_certain, tuple(evidence)


def _forward_finding(
    address: Address,
    names: tuple[str, ...],
    confirmed: tuple[str, ...],
    state: Finding,
    evidence: tuple[Evidence, ...],
) -> CheckFinding:
    shown = ", ".join(map(printable, confirmed or names))
    if state is Finding.PRESENT:
        return present(
            "ptr.confirmed",
            evidence,
            say("%(address)s is named %(shown)s, which leads back to it.", address=address, shown=shown),
        )
    if state is Finding.UNKNOWN:
        sentence = say(
            "Whether %(shown)s leads back to %(address)s could not be found out.", shown=shown, address=address
        )
        return unknown("ptr.forward_unknown", evidence, sentence)
    sentence = say("%(address)s is named %(shown)s, but no such name leads back to it.", address=address, shown=shown)
    host = next((name for name in names if not _is_written_address(name)), None)
    step = say("Let the PTR record name a host, such as mail.example.com, and give that host this address.")
    if host is not None:
        step = say(
            "Publish an address record for %(host)s with %(address)s, or let the PTR record name another host.",
            host=printable(host),
            address=address,
        )
    return absent("ptr.not_confirmed", evidence, sentence, step)


def _is_written_address(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return False


def _name_findings(address: Address, names: tuple[str, ...], evidence: tuple[Evidence, ...]) -> list[CheckFinding]:
    generic = [name for name in names if looks_generic(name, address)]
    if not generic or len(generic) < len(names):
        return []
    sentence = say(
        "The reverse name %(generic)s looks like that of a dial-up or unassigned address.",
        generic=printable(generic[0]),
    )
    step = say("Ask for a name of your own, such as mail.example.com; many receivers distrust generic ones.")
    return [warning("ptr.generic_name", evidence, sentence, step)]


def _ehlo_finding(
    address: Address, confirmed: tuple[str, ...], ehlo_name: DomainName, evidence: tuple[Evidence, ...]
) -> CheckFinding:
    if ehlo_name.ascii in confirmed:
        return present(
            "ptr.ehlo_matches",
            evidence,
            say(
                "The EHLO name %(ehlo_name)s is the reverse name of %(address)s.", ehlo_name=ehlo_name, address=address
            ),
        )
    sentence = say(
        "The EHLO name %(ehlo_name)s is not the reverse name of %(address)s (%(printable)s).",
        ehlo_name=ehlo_name,
        address=address,
        printable=", ".join(map(printable, confirmed)),
    )
    step = say(
        "Say %(confirmed)s in EHLO, or let the PTR record name %(ehlo_name)s.",
        confirmed=printable(confirmed[0]),
        ehlo_name=ehlo_name,
    )
    return warning("ptr.ehlo_differs", evidence, sentence, step)


def looks_generic(name: str, address: Address) -> bool:
    """Whether ``name`` looks made from the address (``192-0-2-1.pool.example.net``), or names a kind of access line."""
    try:
        labels = DomainName.parse(name).labels
    except DomainSyntaxError:
        return False
    # The domain itself may be called anything ("cable.example"); what counts is in front of it.
    own = labels[:-2]
    words = {word for label in own for word in _WORD.findall(label)}
    return bool(words & _GENERIC_WORDS) or _holds_address(".".join(own), address)


def _holds_address(text: str, address: Address) -> bool:
    packed = address.packed
    if packed.hex() in text.replace("-", "").replace(".", ""):
        return True
    if address.version == 6:
        groups = address.exploded.split(":")
        short = [group.lstrip("0") or "0" for group in groups]
        return any("-".join(form) in text or ".".join(form) in text for form in (groups, short))
    numbers = [int(number[-4:]) for number in _NUMBER.findall(text)]
    octets = list(packed)
    runs = [numbers[at : at + 4] for at in range(len(numbers) - 3)]
    joined = "".join(f"{octet:03d}" for octet in octets)
    return octets in runs or octets[::-1] in runs or joined in text
