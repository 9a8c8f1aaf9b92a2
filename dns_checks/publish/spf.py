"""SPF for publishing: our addresses merged into the one record that may be there (RFC 7208 section 3.2)."""

from ipaddress import ip_network

from dns_checks.audit.report import Address
from dns_checks.publish.error import PublishError
from dns_checks.spf import parse_record
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say


def merged_spf(existing: str | None, addresses: tuple[Address, ...]) -> str:
    """The SPF record that lets ``addresses`` send: ``existing`` with what it lacks, or a new one.

    New terms go to the front: nothing earlier can match first, and they cost no DNS lookup (RFC 7208 section 4.6.4).
    Raises ``PublishError`` where ``existing`` is not a valid SPF record.
    """
    if existing is None:
        return " ".join(["v=spf1", *_terms(addresses), "-all"])
    try:
        parse_record(existing)
    except InputSyntaxError as error:
        raise PublishError(
            say("the existing SPF record is not valid: %(message)s", message=error.message),
            source=error.source or existing,
            span=error.span or Span(0, len(existing)),
            next_step=error.next_step or say("Mend it first; receivers treat it as an error."),
        ) from error
    version, *terms = existing.split()
    missing = [address for address in addresses if not _is_covered(address, terms)]
    return " ".join([version, *_terms(tuple(missing)), *terms])


def _terms(addresses: tuple[Address, ...]) -> list[str]:
    return list(dict.fromkeys(f"ip{address.version}:{address}" for address in addresses))


def _is_covered(address: Address, terms: list[str]) -> bool:
    """Whether the first terms that name addresses let ``address`` pass; any other term may decide earlier."""
    for term in terms:
        mechanism, colon, network = term.lower().removeprefix("+").partition(":")
        if mechanism not in ("ip4", "ip6") or not colon:
            return False
        if address in ip_network(network, strict=False):
            return True
    return False
