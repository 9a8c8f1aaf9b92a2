"""What a provider's judges found out about one message: values only, in the tokens of RFC 8601."""

from dataclasses import dataclass
from enum import StrEnum


class AuthResult(StrEnum):
    """Result tokens of SPF, DKIM and DMARC (RFC 8601 section 2.7)."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    POLICY = "policy"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"
    UNJUDGED = "unjudged"
    """Ours: the sandbox was told not to judge."""


class DmarcPolicy(StrEnum):
    """What the author domain asks for (RFC 9989 section 4.7); empty where it publishes no policy."""

    ABSENT = ""
    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class MailCase:
    """One message before its judges: the octets with CRLF line ends, and what SMTP told about it.

    ``mail_from`` is empty for the null reverse path. ``authserv_id`` names the judging host (RFC 8601 section 2.5).
    """

    raw: bytes
    client_ip: str
    helo: str
    mail_from: str
    authserv_id: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The results, the domains that they speak for, and the header that tells them.

    ``aligned`` lists the methods that passed for a domain aligned with the author domain, of ``spf`` and ``dkim``.
    ``dkim_domain`` is the signing domain of the signature that ``dkim`` is about: an aligned one that passes where
    there is one, else any that passes, else the first.
    """

    spf: AuthResult
    dkim: AuthResult
    dmarc: AuthResult
    spf_domain: str = ""
    dkim_domain: str = ""
    author_domain: str = ""
    policy: DmarcPolicy = DmarcPolicy.ABSENT
    aligned: tuple[str, ...] = ()
    header: str = ""

    @classmethod
    def unjudged(cls) -> "Judgement":
        """The value that stands where nobody judged."""
        return cls(AuthResult.UNJUDGED, AuthResult.UNJUDGED, AuthResult.UNJUDGED)
