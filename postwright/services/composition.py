"""Makes a recipient's message at the moment it is sent: the port ``mta.ports.Composer`` over frozen runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol, TypeAlias

from mailtypes.address import EmailAddress
from mailtypes.clock import SECOND, Microseconds, as_datetime
from mailtypes.errors import InputSyntaxError
from mta.feedback_token import FeedbackKey
from mta.message_id import make_message_id
from mta.ports import ComposedMessage, CompositionError, Delivery
from postwright.services.frozen_runs import FrozenRun
from postwright.store.leases import Lease
from rendering.compose import MessageHeaders, compose_headers
from rendering.segments import MessageUrls
from rendering.whole import fill, list_headers
from tracking.tokens import TokenKeys, TokenKind, make
from tracking.urls import click_url, pixel_url, preferences_url, unsubscribe_url
from tracking.verdicts.features import HONEYPOT_LINK

FeedbackKeys: TypeAlias = Mapping[int, FeedbackKey]
"""The keys of return paths and Message-IDs by id; a run names the one that was in use when it began."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What travels with a leased delivery from the queue to the composer."""

    lease: Lease
    frozen: FrozenRun
    address: EmailAddress


def contact_data(address: str, fields_json: str) -> dict[str, object]:
    """The merge data of a contact: its fields and, under ``email``, its address."""
    return {"contact": {**json.loads(fields_json), "email": address}}


@lru_cache(maxsize=256)
def _second(second: int) -> datetime:
    return as_datetime(second * SECOND)


class WholeMessages(Protocol):
    """Where the content of whole messages is; called in worker threads."""

    def fetch(self, message_ids: Sequence[int]) -> None:
        """Read contents together that ``content`` will be asked for next."""
        ...

    def content(self, message_id: int) -> bytes | None:
        """The stored content of a message, ``None`` where it is gone."""
        ...

    def blob(self, blob_id: int) -> bytes:
        """The octets of an attachment."""
        ...


class StoredComposer:
    """Composes from the run's compiled layout or the stored message; the same delivery always gives the same bytes."""

    def __init__(
        self, token_keys: TokenKeys, feedback_keys: FeedbackKeys, messages: WholeMessages, *, honeypots: bool = False
    ) -> None:
        self._token_keys = token_keys
        self._honeypots = honeypots
        self._feedback_keys = feedback_keys
        self._messages = messages

    def fetch(self, deliveries: Sequence[Delivery]) -> None:
        """Read the stored messages of a chunk together."""
        ids = [item.payload.lease.message_id for item in deliveries if isinstance(item.payload, Payload)]
        self._messages.fetch([message_id for message_id in ids if message_id])

    def compose(self, delivery: Delivery, now: Microseconds) -> bytes | ComposedMessage:
        """The message, not yet signed; ``CompositionError`` names the field that cannot be merged."""
        payload = delivery.payload
        assert isinstance(payload, Payload)  # the queue of this application made it
        if payload.lease.message_id:
            return self._whole(payload)
        moment = delivery.first_attempt_at or now
        try:
            return self._message(payload, moment)
        except InputSyntaxError as error:
            raise CompositionError(error.message) from error

    def _whole(self, payload: Payload) -> bytes:
        lease, frozen = payload.lease, payload.frozen
        content = self._messages.content(lease.message_id)
        if content is None:
            raise CompositionError("the content of the message is no longer kept")
        urls = self._tracked_urls(frozen, lease.id)  # slots are where tracking was asked for
        one_click = frozen.stream.one_click
        header = list_headers(
            urls.unsubscribe_url if one_click else "", one_click, frozen.list_id, frozen.list_name, frozen.feedback_id
        )
        return fill(content, urls, self._messages.blob, header)

    def _message(self, payload: Payload, moment: Microseconds) -> ComposedMessage:
        lease, frozen = payload.lease, payload.frozen
        layouts = frozen.variants[lease.variant]
        data = contact_data(lease.address, lease.merge_data)
        # What a template does with the date may not differ between two attempts.
        data["now"] = _second(moment // SECOND)
        key, values = layouts.template.fill(data)
        layout = layouts[key]
        author = frozen.author(lease.sender, lease.variant)
        urls = self.urls(frozen, lease.id, lease.variant)
        body = layout.render(values, urls)
        headers = compose_headers(
            MessageHeaders(
                from_address=author.address,
                from_name=author.name,
                to_address=payload.address,
                subject=values.subject,
                date=moment,
                message_id=make_message_id(
                    lease.id, frozen.signing_domain, self._feedback_keys[frozen.run.feedback_key_id]
                ),
                reply_to=author.reply_to,
                list_unsubscribe=(urls.unsubscribe_url,) if frozen.stream.one_click else (),
                one_click=frozen.stream.one_click,
                list_id=frozen.list_id,
                list_name=frozen.list_name,
                feedback_id=frozen.feedback_id,
            )
        )
        return ComposedMessage(headers + layout.content_headers, body)

    def urls(self, frozen: FrozenRun, delivery_id: int, variant: int) -> MessageUrls:
        """The links of one message; a stream that does not track keeps the targets as they are."""
        tracked, stream = self._tracked_urls(frozen, delivery_id), frozen.stream

        def untracked(number: int) -> str:
            return frozen.links[variant, number]

        return MessageUrls(
            link_url=tracked.link_url if stream.tracks_clicks else untracked,
            unsubscribe_url=tracked.unsubscribe_url,
            pixel_url=tracked.pixel_url if stream.tracks_opens else None,
            preferences_url=tracked.preferences_url,
            honeypot_url=tracked.honeypot_url if stream.tracks_clicks else None,
        )

    def _tracked_urls(self, frozen: FrozenRun, delivery_id: int) -> MessageUrls:
        base, keys = frozen.tracking_base, self._token_keys

        def link_url(number: int) -> str:
            return click_url(base, make(TokenKind.CLICK, delivery_id, number, keys))

        return MessageUrls(
            link_url=link_url,
            unsubscribe_url=unsubscribe_url(base, make(TokenKind.UNSUBSCRIBE, delivery_id, 0, keys)),
            pixel_url=pixel_url(base, make(TokenKind.PIXEL, delivery_id, 0, keys)),
            preferences_url=preferences_url(base, make(TokenKind.PREFERENCES, delivery_id, 0, keys)),
            honeypot_url=link_url(HONEYPOT_LINK) if self._honeypots else None,
        )
