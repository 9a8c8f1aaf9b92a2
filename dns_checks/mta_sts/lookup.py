"""The policy that a sender has to honour for a recipient domain (RFC 8461 sections 3.1, 3.3 and 5)."""

from dataclasses import dataclass
from enum import StrEnum

from dns_checks.evaluation import ask, fetch
from dns_checks.mta_sts.evaluate import policy_fetch
from dns_checks.mta_sts.policy import MtaStsPolicy, MtaStsPolicySyntaxError, parse_policy
from dns_checks.mta_sts.record import MtaStsRecord, MtaStsRecordSyntaxError, is_record, parse_record
from mailtypes.domain import DomainName
from mailtypes.questions import (
    DnsQuestion,
    Evaluation,
    Found,
    HttpFetched,
    RecordType,
    TxtRecord,
)


class PolicyNews(StrEnum):
    """What a look at a domain's policy has shown."""

    FRESH = "fresh"  # a policy was fetched
    UNCHANGED = "unchanged"  # the record still names the policy that is held
    NONE = "none"  # nothing live: whatever is held goes on to hold until it expires


@dataclass(frozen=True, slots=True)
class PolicyLookup:
    """``policy`` and ``policy_id`` are set where the news are fresh; ``cause`` says why there is nothing live."""

    news: PolicyNews
    policy: MtaStsPolicy | None = None
    policy_id: str = ""
    cause: str = ""


def look_up_policy(domain: DomainName, held_id: str | None) -> Evaluation[PolicyLookup]:
    """Look for the policy of ``domain``; ``held_id`` is the id of the one held, which is not fetched again.

    Where DNS or web are silent, or what they say is not valid, there is nothing live: section 3.3 has senders go on
    with the policy that they hold, and without one as if the domain had none.
    """
    answer = yield from ask(DnsQuestion(f"_mta-sts.{domain.ascii}", RecordType.TXT))
    if not isinstance(answer, Found):
        return PolicyLookup(PolicyNews.NONE, cause="no MTA-STS record was found")
    record = _record([item.joined.decode("latin-1") for item in answer.records if isinstance(item, TxtRecord)])
    if record is None:
        return PolicyLookup(PolicyNews.NONE, cause="there is no single valid MTA-STS record")
    if record.id == held_id:
        return PolicyLookup(PolicyNews.UNCHANGED, policy_id=record.id)
    fetched = yield from fetch(policy_fetch(domain))
    if not isinstance(fetched, HttpFetched) or fetched.status != 200:
        return PolicyLookup(PolicyNews.NONE, cause="the policy could not be fetched")
    if fetched.content_type.partition(";")[0].strip().lower() != "text/plain":
        return PolicyLookup(PolicyNews.NONE, cause="the policy is not text/plain")
    try:
        policy = parse_policy(fetched.body.decode("utf-8", "replace"))
    except MtaStsPolicySyntaxError as error:
        return PolicyLookup(PolicyNews.NONE, cause=f"the policy is not valid: {error.message}")
    return PolicyLookup(PolicyNews.FRESH, policy, record.id)


def _record(texts: list[str]) -> MtaStsRecord | None:
    """Section 3.1: texts that do not begin with the version are discarded; more than one left counts as none."""
    announcing = [text for text in texts if is_record(text)]
    if len(announcing) != 1:
        return None
    try:
        return parse_record(announcing[0])
    except MtaStsRecordSyntaxError:
        return None
