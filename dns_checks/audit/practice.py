"""What a sender does that the DNS does not show, handed in by whoever knows; ``None`` where nobody does."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SendingPractice:
    """How the sender sends.

    ``offers_tls``: STARTTLS is used wherever the receiver has it. ``visible_link``: each mail shows a link to
    unsubscribe, honoured at once. ``valid_format``: messages are composed by RFC 5322. ``spam_rate``: complaints in
    percent of delivered mail, as the provider counts them. ``daily_messages``: most mail in 24 hours to one provider,
    all subdomains of the organization together.
    """

    offers_tls: bool | None = None
    visible_link: bool | None = None
    valid_format: bool | None = None
    spam_rate: float | None = None
    daily_messages: int | None = None
