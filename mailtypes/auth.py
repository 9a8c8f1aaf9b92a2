"""What is known about a sender's authentication, for those who weigh it (spam-risk score, pre-flight)."""

from dataclasses import dataclass
from enum import StrEnum


class Finding(StrEnum):
    """Three-valued: the world can also be silent."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AuthFacts:
    """State of the author domain's records as the last audit saw them, with the DMARC policy asked for."""

    spf: Finding
    dkim: Finding
    dmarc: Finding
    dmarc_policy: str | None
    one_click_unsubscribe: bool
    fcrdns: Finding = Finding.UNKNOWN
