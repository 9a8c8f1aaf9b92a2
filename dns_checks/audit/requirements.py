"""What mailbox providers ask of senders, as data, and what an audit found of it: pass, fail or unknown, with evidence.

The facts are of 2026: Google's "Email sender guidelines", Yahoo's "Sender best practices", Microsoft's "Outlook's new
requirements for high-volume senders", Apple's "Postmaster information for iCloud Mail". ``measures`` says how each
thing is measured.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from dns_checks.audit.measures import MEASURES, View
from dns_checks.audit.report import AuditRequest, CheckOutcome
from dns_checks.findings import Evidence
from mailtypes.auth import Finding
from mailtypes.saying import say


class Provider(StrEnum):
    """A mailbox provider."""

    GMAIL = "gmail"
    YAHOO = "yahoo"
    MICROSOFT = "microsoft"
    APPLE = "apple"


class Senders(StrEnum):
    """Whom a requirement is for: everybody, those whom the provider calls bulk senders, or nobody by force."""

    ALL = "all"
    BULK = "bulk"
    ADVISED = "advised"


class RequirementState(StrEnum):
    """Whether a requirement is met."""

    PASS = "pass"  # noqa: S105 - a result, no password
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ProviderTerms:
    """Who is a bulk sender to a provider: from how many messages in 24 hours (``None``: no number is published)."""

    name: str
    bulk: str
    bulk_messages: int | None


PROVIDERS: Mapping[Provider, ProviderTerms] = MappingProxyType(
    {
        Provider.GMAIL: ProviderTerms(
            "Gmail",
            say(
                "About 5,000 messages in 24 hours to personal accounts, subdomains counted together; "
                "who was a bulk sender once stays one."
            ),
            5_000,
        ),
        Provider.YAHOO: ProviderTerms(say("Yahoo and AOL"), say("No number is published."), None),
        Provider.MICROSOFT: ProviderTerms(
            "Microsoft (outlook.com, hotmail.com, live.com, msn.com)",
            say("More than 5,000 messages a day."),
            5_001,
        ),
        Provider.APPLE: ProviderTerms("Apple iCloud", say("No numbers; the rules are for all senders."), None),
    }
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of a provider's rules.

    ``code`` is stable. ``measure`` names the entry of ``MEASURES`` that judges it. ``reply_codes`` are the enhanced
    status codes (RFC 3463) that a failure brings; empty where the provider publishes none.
    """

    provider: Provider
    code: str
    title: str
    senders: Senders
    measure: str
    reply_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequirementResult:
    """One cell of the table. ``applies`` is ``None`` where it depends on a volume that is not known.

    ``findings`` are the codes of the findings it was judged by; ``next_step`` is empty where it is met.
    """

    provider: Provider
    code: str
    title: str
    senders: Senders
    applies: bool | None
    state: RequirementState
    sentence: str
    next_step: str
    reply_codes: tuple[str, ...]
    findings: tuple[str, ...]
    evidence: tuple[Evidence, ...]


_OUTLOOK = ("5.7.515",)

REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(Provider.GMAIL, "spf_or_dkim", say("SPF or DKIM passes"), Senders.ALL, "spf_or_dkim", ("5.7.26",)),
    Requirement(
        Provider.GMAIL,
        "reverse_name",
        say("The sending address has a reverse name that leads back to it"),
        Senders.ALL,
        "fcrdns",
        ("4.7.23", "5.7.25"),
    ),
    Requirement(Provider.GMAIL, "tls", say("Mail comes over TLS"), Senders.ALL, "tls", ("4.7.29", "5.7.29")),
    Requirement(Provider.GMAIL, "format", say("Messages are valid by RFC 5322"), Senders.ALL, "format"),
    Requirement(Provider.GMAIL, "own_from", say("No gmail.com address stands in From"), Senders.ALL, "own_from"),
    Requirement(
        Provider.GMAIL, "spam_rate", say("The spam rate stays below 0.10 %"), Senders.ALL, "spam_rate_010", ("4.7.28",)
    ),
    Requirement(
        Provider.GMAIL,
        "spam_rate_limit",
        say("The spam rate never reaches 0.30 %"),
        Senders.ALL,
        "spam_rate_030",
        ("4.7.28",),
    ),
    Requirement(Provider.GMAIL, "spf", say("SPF passes"), Senders.BULK, "spf", ("4.7.27", "5.7.27")),
    Requirement(Provider.GMAIL, "dkim", say("DKIM passes"), Senders.BULK, "dkim", ("4.7.30", "5.7.30")),
    Requirement(
        Provider.GMAIL,
        "dkim_length",
        say("The DKIM key has at least 1024 bits"),
        Senders.BULK,
        "dkim_1024",
        ("4.7.30", "5.7.30"),
    ),
    Requirement(
        Provider.GMAIL, "dkim_length_advised", say("The DKIM key has at least 2048 bits"), Senders.ADVISED, "dkim_2048"
    ),
    Requirement(
        Provider.GMAIL,
        "dmarc",
        say("A DMARC policy is published, p=none at least"),
        Senders.BULK,
        "dmarc",
        ("4.7.31", "4.7.40", "5.7.40"),
    ),
    Requirement(
        Provider.GMAIL,
        "alignment",
        say("From is aligned with SPF or DKIM"),
        Senders.BULK,
        "aligned",
        ("4.7.32", "5.7.32"),
    ),
    Requirement(
        Provider.GMAIL,
        "one_click",
        say("Marketing mail has one-click unsubscribe (RFC 8058), both fields signed by DKIM"),
        Senders.BULK,
        "one_click",
    ),
    Requirement(
        Provider.GMAIL,
        "visible_link",
        say("Marketing mail shows a link to unsubscribe, honoured in 48 hours"),
        Senders.BULK,
        "visible_link",
    ),
    Requirement(Provider.YAHOO, "spf_or_dkim", say("SPF or DKIM passes"), Senders.ALL, "spf_or_dkim"),
    Requirement(
        Provider.YAHOO, "reverse_name", say("The sending address has forward and reverse DNS"), Senders.ALL, "fcrdns"
    ),
    Requirement(Provider.YAHOO, "format", say("Messages are valid by RFC 5321 and 5322"), Senders.ALL, "format"),
    Requirement(
        Provider.YAHOO, "spam_rate_limit", say("The complaint rate stays below 0.3 %"), Senders.ALL, "spam_rate_030"
    ),
    Requirement(Provider.YAHOO, "spf", say("SPF passes"), Senders.BULK, "spf"),
    Requirement(Provider.YAHOO, "dkim", say("DKIM passes"), Senders.BULK, "dkim"),
    Requirement(Provider.YAHOO, "dkim_length", say("The DKIM key has at least 1024 bits"), Senders.BULK, "dkim_1024"),
    Requirement(Provider.YAHOO, "dmarc", say("A DMARC policy is published, p=none at least"), Senders.BULK, "dmarc"),
    Requirement(Provider.YAHOO, "alignment", say("From is aligned with SPF or DKIM"), Senders.BULK, "aligned"),
    Requirement(
        Provider.YAHOO, "one_click", say("Mail has one-click unsubscribe (RFC 8058)"), Senders.BULK, "one_click"
    ),
    Requirement(
        Provider.YAHOO,
        "visible_link",
        say("Mail shows a link to unsubscribe, honoured in 2 days"),
        Senders.BULK,
        "visible_link",
    ),
    Requirement(Provider.MICROSOFT, "spf", say("SPF passes"), Senders.BULK, "spf", _OUTLOOK),
    Requirement(Provider.MICROSOFT, "dkim", say("DKIM passes"), Senders.BULK, "dkim", _OUTLOOK),
    Requirement(
        Provider.MICROSOFT,
        "dmarc",
        say("A DMARC policy is published, p=none at least"),
        Senders.BULK,
        "dmarc",
        _OUTLOOK,
    ),
    Requirement(
        Provider.MICROSOFT, "alignment", say("From is aligned with SPF or DKIM"), Senders.BULK, "aligned", _OUTLOOK
    ),
    Requirement(
        Provider.MICROSOFT, "reply_address", say("Replies to From find a mail host"), Senders.ADVISED, "reply_address"
    ),
    Requirement(
        Provider.MICROSOFT,
        "visible_link",
        say("Mail shows a working link to unsubscribe"),
        Senders.ADVISED,
        "visible_link",
    ),
    Requirement(Provider.APPLE, "spf", say("SPF passes"), Senders.ALL, "spf"),
    Requirement(Provider.APPLE, "dkim", say("DKIM passes"), Senders.ALL, "dkim"),
    Requirement(Provider.APPLE, "dmarc", say("A DMARC policy is published"), Senders.ALL, "dmarc"),
    Requirement(Provider.APPLE, "reverse_name", say("The sending address has a reverse name"), Senders.ALL, "fcrdns"),
    Requirement(
        Provider.APPLE,
        "own_reverse_name",
        say("The reverse name is of your domain"),
        Senders.ADVISED,
        "own_reverse_name",
    ),
    Requirement(Provider.APPLE, "format", say("Messages are valid by RFC 5321 and 5322"), Senders.ALL, "format"),
    Requirement(Provider.APPLE, "visible_link", say("An unsubscribe that works at once"), Senders.ALL, "visible_link"),
)
"""The table. What providers ask of forwarders and lists (ARC, List-Id) is not in it: we are neither."""

_STATES = {
    Finding.PRESENT: RequirementState.PASS,
    Finding.ABSENT: RequirementState.FAIL,
    Finding.UNKNOWN: RequirementState.UNKNOWN,
}


def evaluate_requirements(request: AuditRequest, outcomes: Iterable[CheckOutcome]) -> tuple[RequirementResult, ...]:
    """Every requirement of every provider, judged by what the checks found and by the sender's practice."""
    view = View(request, tuple(outcomes))
    measured = {name: measure(view) for name, measure in MEASURES.items()}
    results = []
    for one in REQUIREMENTS:
        found = measured[one.measure]
        results.append(
            RequirementResult(
                provider=one.provider,
                code=one.code,
                title=one.title,
                senders=one.senders,
                applies=applies(one, request.practice.daily_messages),
                state=_STATES[found.state],
                sentence=found.sentence,
                next_step="" if found.state is Finding.PRESENT else found.next_step,
                reply_codes=one.reply_codes,
                findings=tuple(dict.fromkeys(finding.code for finding in found.findings)),
                evidence=tuple(dict.fromkeys(each for finding in found.findings for each in finding.evidence)),
            )
        )
    return tuple(results)


def applies(requirement: Requirement, daily_messages: int | None) -> bool | None:
    """Whether the provider holds a sender of ``daily_messages`` to it; ``None`` where that is not known."""
    match requirement.senders:
        case Senders.ALL:
            return True
        case Senders.ADVISED:
            return False
        case Senders.BULK:
            limit = PROVIDERS[requirement.provider].bulk_messages
            return None if limit is None or daily_messages is None else daily_messages >= limit
