"""Whether a key may cause mail in a sender's name: what it is for holds for mail that is sent later, too."""

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.domain import DomainName, DomainSyntaxError
from postwright.api.callers import Caller
from postwright.services.errors import RefusedError

_OWN_SENDER = "Take a sender that the key is for, or a key for this sender."


def check_live_sender(caller: Caller, from_address: str, field: str) -> None:
    """Raises ``RefusedError`` for test keys, since such mail is delivered, and for keys that are for other senders.

    For whatever leads to mail without the key being shown again: campaigns, their tests, sign-up forms.
    """
    if caller.client.terms.is_test:
        raise RefusedError(
            "test_key",
            "A test key sends no campaigns, and no forms write in its name: both reach people.",
            next_step="Take a key that is no test key, or open a bulk.",
        )
    try:
        address = EmailAddress.parse(from_address)
    except AddressSyntaxError:
        return  # named with everything else that is wrong
    if not caller.client.may_send_from(address):
        raise RefusedError(
            "sender_not_allowed", f"This API key may not send from {address}.", field=field, next_step=_OWN_SENDER
        )


def check_all_senders(caller: Caller) -> None:
    """Raises ``RefusedError`` for keys that are for some senders, and for test keys: queues hold everybody's mail."""
    terms = caller.client.terms
    if terms.is_test or terms.domains or terms.addresses:
        raise RefusedError(
            "sender_not_allowed",
            "This is about the mail of senders that this API key is not for.",
            next_step="Take a key that is for all senders, and is no test key.",
        )


def check_warm_up(caller: Caller, subject: str) -> None:
    """The same for a warm-up, which decides when mail goes out; a key for a whole domain may do that domain's."""
    terms = caller.client.terms
    try:
        is_own = not terms.is_test and not terms.addresses and DomainName.parse(subject) in terms.domains
    except DomainSyntaxError:
        is_own = False  # a place that mail leaves from
    if not is_own:
        check_all_senders(caller)
