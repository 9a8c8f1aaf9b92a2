"""MTA-STS: record, policy file, and whether the mail hosts fit (RFC 8461)."""

from dns_checks.mta_sts.evaluate import MtaStsCheck, check_mta_sts, policy_fetch
from dns_checks.mta_sts.lookup import PolicyLookup, PolicyNews, look_up_policy
from dns_checks.mta_sts.match import matches, matches_any
from dns_checks.mta_sts.policy import Mode, MtaStsPolicy, MtaStsPolicySyntaxError, parse_policy
from dns_checks.mta_sts.record import MtaStsRecord, MtaStsRecordSyntaxError, parse_record

__all__ = [
    "Mode",
    "MtaStsCheck",
    "MtaStsPolicy",
    "MtaStsPolicySyntaxError",
    "MtaStsRecord",
    "MtaStsRecordSyntaxError",
    "PolicyLookup",
    "PolicyNews",
    "check_mta_sts",
    "look_up_policy",
    "matches",
    "matches_any",
    "parse_policy",
    "parse_record",
    "policy_fetch",
]
