"""What authentication and infrastructure add. The points are set by hand, after what receivers say they ask for."""

from collections.abc import Iterator
from datetime import timedelta

from mailtypes.auth import AuthFacts, Finding
from mailtypes.saying import say
from rendering.spam_risk.infrastructure import InfrastructureFacts
from rendering.spam_risk.risk import Block, Reason

_YOUNG = timedelta(days=30)
_Row = tuple[str, float, Finding, str, str, str]


def authentication_reasons(auth: AuthFacts | None) -> tuple[list[Reason], list[str]]:
    """The reasons, and a sentence for each thing that is not known."""
    if auth is None:
        return [], [say("Authentication is not known: the mail was scored without a look at the sender's domain.")]
    rows: list[_Row] = [
        (
            "spf-missing",
            1.5,
            auth.spf,
            "SPF",
            say("The sender's domain has no SPF record that lets these hosts send."),
            say("Publish the record that `postwright domain` shows."),
        ),
        (
            "dkim-missing",
            2.0,
            auth.dkim,
            "DKIM",
            say("The mail has no DKIM signature that can be verified."),
            say("Publish the DKIM key that `postwright domain` shows."),
        ),
        (
            "dmarc-missing",
            1.0,
            auth.dmarc,
            "DMARC",
            say("The author domain has no DMARC record."),
            say("Publish one; p=none is enough to begin with."),
        ),
    ]
    reasons = list(_absent(rows, Block.AUTHENTICATION))
    if not auth.one_click_unsubscribe:
        sentence = say("The mail offers no one-click unsubscribe (RFC 8058), which large receivers ask of bulk mail.")
        mend = say("Send it on a marketing stream; a receipt or a password mail needs none.")
        reasons.append(_reason("one-click-missing", Block.AUTHENTICATION, 0.5, sentence, mend))
    return reasons, _unknown(rows)


def infrastructure_reasons(facts: InfrastructureFacts, auth: AuthFacts | None) -> tuple[list[Reason], list[str]]:
    """The reasons, and a sentence for each thing that is not known; ``auth`` may know the reverse name."""
    fcrdns = facts.fcrdns if facts.fcrdns is not Finding.UNKNOWN or auth is None else auth.fcrdns
    rows: list[_Row] = [
        (
            "reverse-name-missing",
            2.0,
            fcrdns,
            say("The reverse name of the sending address"),
            say("The sending address has no reverse name that leads back to it."),
            say("Ask the owner of the address to set the PTR record to the EHLO name."),
        ),
        (
            "helo-unresolved",
            0.5,
            facts.helo,
            say("Whether the EHLO name resolves"),
            say("The EHLO name does not resolve to the sending address."),
            say("Give the name an A or AAAA record with the sending address."),
        ),
        (
            "tls-missing",
            0.5,
            facts.tls,
            say("Whether mail leaves encrypted"),
            say("Mail leaves without TLS."),
            say("Turn STARTTLS on for outgoing mail."),
        ),
    ]
    reasons = [*_absent(rows, Block.INFRASTRUCTURE), *_listed(facts), *_young(facts)]
    unknown = _unknown(rows)
    if facts.block_listing is Finding.UNKNOWN:
        unknown.append(say("Whether the address or the domain is on a block list is not known."))
    if facts.domain_age is None:
        unknown.append(say("The age of the domain is not known."))
    return reasons, unknown


def _listed(facts: InfrastructureFacts) -> Iterator[Reason]:
    if facts.block_listing is Finding.PRESENT:
        where = say(" (%(listed_on)s)", listed_on=", ".join(facts.listed_on)) if facts.listed_on else ""
        sentence = say("The sending address or the domain is on a block list%(where)s.", where=where)
        mend = say("Find out why, stop that, and ask the list for removal before you send.")
        yield _reason("block-listed", Block.INFRASTRUCTURE, 4.0, sentence, mend)


def _young(facts: InfrastructureFacts) -> Iterator[Reason]:
    if facts.domain_age is not None and facts.domain_age < _YOUNG:
        sentence = say("The domain was registered %(value)s days ago.", value=max(0, facts.domain_age.days))
        mend = say("Wait until it is 30 days old, or send little at first.")
        yield _reason("young-domain", Block.INFRASTRUCTURE, 1.5, sentence, mend)


def _absent(rows: list[_Row], block: Block) -> Iterator[Reason]:
    for code, weight, state, _, sentence, mend in rows:
        if state is Finding.ABSENT:
            yield _reason(code, block, weight, sentence, mend)


def _unknown(rows: list[_Row]) -> list[str]:
    return [say("%(name)s is not known.", name=name) for _, _, state, name, _, _ in rows if state is Finding.UNKNOWN]


def _reason(code: str, block: Block, weight: float, sentence: str, mend: str) -> Reason:
    return Reason(code, block, weight, None, sentence, mend, False)
