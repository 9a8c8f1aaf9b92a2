"""What is known about the machines that send, for the score."""

from dataclasses import dataclass
from datetime import timedelta

from mailtypes.auth import Finding


@dataclass(frozen=True, slots=True)
class InfrastructureFacts:
    """State of the sending side. Every field can be unknown, which is neither good nor bad.

    ``fcrdns``: the address has a name that leads back to it (RFC 1912 section 2.1). ``helo``: the EHLO name resolves
    to the address (RFC 5321 section 4.1.4). ``tls``: the connection to receivers is encrypted where they offer it.
    ``block_listing``: *present* means listed, on ``listed_on``. ``domain_age``: since the domain was registered.
    """

    fcrdns: Finding = Finding.UNKNOWN
    helo: Finding = Finding.UNKNOWN
    tls: Finding = Finding.UNKNOWN
    block_listing: Finding = Finding.UNKNOWN
    listed_on: tuple[str, ...] = ()
    domain_age: timedelta | None = None


NOTHING_KNOWN = InfrastructureFacts()
