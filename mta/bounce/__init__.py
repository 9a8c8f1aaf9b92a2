"""What comes back: bounces (RFC 3464 and the many that are not), complaints (RFC 5965), and what replies mean.

``read_bounce`` reads a message to a return path; ``classify_reply`` judges a reply of the session itself. What they
know stands in ``rules.toml`` (replies) and ``forms.toml`` (how mail systems write).
"""

from mta.bounce.classification import Classification, Refusal, classify, classify_reply
from mta.bounce.mailbox import split_mailbox
from mta.bounce.read import read_bounce
from mta.bounce.reports import (
    BouncedRecipient,
    BounceReport,
    BounceSyntaxError,
    ComplaintReport,
    DsnAction,
    NotABounce,
    OriginalMail,
)

__all__ = [
    "BounceReport",
    "BounceSyntaxError",
    "BouncedRecipient",
    "Classification",
    "ComplaintReport",
    "DsnAction",
    "NotABounce",
    "OriginalMail",
    "Refusal",
    "classify",
    "classify_reply",
    "read_bounce",
    "split_mailbox",
]
