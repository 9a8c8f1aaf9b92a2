"""MTA-STS for publishing: the policy file and the record that announces it (RFC 8461 section 3)."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from dns_checks.mta_sts.policy import Mode, MtaStsPolicySyntaxError, parse_policy
from dns_checks.publish.error import PublishError
from mailtypes.domain import DomainName
from mailtypes.saying import say

_ID_LETTERS = 32  # section 3.1
_ADVISED_AGE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class TlsPolicyPublication:
    """A policy for the domain whose mail goes to ``patterns`` (host names, or ``*.`` and one).

    ``web_host`` is where ``mta-sts.<domain>`` is to point; it needs a certificate for that name. Begin with ``testing``
    and go on to ``enforce`` once the TLS reports show no failure. Raises ``PublishError`` where no policy comes of it.
    """

    patterns: tuple[str, ...]
    mode: Mode = Mode.TESTING
    max_age: timedelta = _ADVISED_AGE
    web_host: DomainName | None = None

    def __post_init__(self) -> None:
        try:
            policy = parse_policy(self.text)
        except MtaStsPolicySyntaxError as error:
            raise PublishError(
                say("no MTA-STS policy can be made of it: %(message)s", message=error.message),
                source=self.text,
                span=error.span,
                next_step=error.next_step,
            ) from error
        if policy.patterns != self.patterns:
            raise PublishError(say("a name of a mail host holds a line break"), source=self.text)

    @property
    def text(self) -> str:
        """The file for ``https://mta-sts.<domain>/.well-known/mta-sts.txt``, as text/plain; lines end with CRLF."""
        lines = ["version: STSv1", f"mode: {self.mode}", *(f"mx: {pattern}" for pattern in self.patterns)]
        return "".join(f"{line}\r\n" for line in [*lines, f"max_age: {int(self.max_age.total_seconds())}"])

    @property
    def record(self) -> str:
        """The TXT record. Its id is made from the file, so that it changes whenever the file does, and only then."""
        return f"v=STSv1; id={hashlib.sha256(self.text.encode()).hexdigest()[:_ID_LETTERS]}"
