"""A webhook as it goes out: the payload of an event, and its signed header fields (Standard Webhooks 1.0).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import json
import os
from collections.abc import Sequence
from typing import Any, Final

from standardwebhooks import Webhook

from mailtypes.clock import SECOND, Microseconds, as_datetime
from postwright.keyrings import KeyRing, seal, unseal
from postwright.services.event_fields import told_data
from postwright.store.events import Event
from postwright.store.public_ids import public_id
from postwright.store.webhook_feeds import Surroundings
from postwright.store.webhooks import Secret

TEST_KIND: Final = "webhook_test"
"""What a webhook says it is that tries an endpoint."""
PAYLOAD_VERSION: Final = 1
"""Rises when a field of the payload changes its meaning; fields of ``details`` have the version of their kind."""
_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32  # the specification asks for 24 to 64
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def new_secret() -> str:
    """A fresh secret in the form that consumers are given."""
    return _PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode("ascii")


def seal_secret(master: KeyRing, endpoint_id: int, secret: str) -> bytes:
    """The secret sealed under the master key in use, for that endpoint alone."""
    return seal(master, secret.encode("ascii"), _purpose(endpoint_id))


def open_secret(master: KeyRing, secret: Secret) -> str:
    """The secret itself; raises ``UnsealError``."""
    return unseal(master, secret.sealed_with, secret.sealed, _purpose(secret.endpoint_id)).decode("ascii")


def _purpose(endpoint_id: int) -> str:
    return f"webhook:{endpoint_id}"


def event_id_of(event: Event) -> str:
    """The event's public id, which is the webhook's too: whoever has it twice was told twice of one thing."""
    return public_id("evt", event.recorded_at, event.id)


def payload_of(event: Event, around: Surroundings) -> str:
    """The JSON text that an endpoint is sent. The same event makes the same text, until somebody is forgotten."""
    data: dict[str, Any] = {
        "id": event_id_of(event),
        "version": PAYLOAD_VERSION,
        "schema_version": event.schema_version,
        "recorded_at": _moment(event.recorded_at),
        "campaign": None,
        "run": None,
        "message": None,
        "address": None,
        "key": None,
        "tags": [],
        "metadata": {},
    }
    run = around.runs.get(event.run_id or 0)
    if run is not None and event.run_id is not None:
        data["run"] = public_id("run", run.created_at, event.run_id)
        if run.campaign_id is not None and run.campaign_created_at is not None:
            data["campaign"] = public_id("cmp", run.campaign_created_at, run.campaign_id)
    message = around.messages.get(event.delivery_id or 0)
    if message is not None and event.delivery_id is not None:
        data |= {
            "message": public_id("msg", message.queued_at, event.delivery_id),
            "address": message.address,
            "key": message.record_key,
            "tags": json.loads(message.tags or "[]"),
            "metadata": json.loads(message.metadata or "{}"),
        }
    data["details"] = told_data(event)
    return _ENCODE({"type": event.kind, "timestamp": _moment(event.occurred_at), "data": data})


def trial_payload(now: Microseconds) -> tuple[str, str]:
    """A webhook that is about nothing, to try an endpoint with: its id, and its JSON text. It stands in no log."""
    webhook_id = f"test_{os.urandom(12).hex()}"
    data = {"id": webhook_id, "version": PAYLOAD_VERSION, "details": {"sentence": "Postwright tries this endpoint."}}
    return webhook_id, _ENCODE({"type": TEST_KIND, "timestamp": _moment(now), "data": data})


def signed_headers(webhook_id: str, body: str, secrets: Sequence[str], now: Microseconds) -> dict[str, str]:
    """The header fields: a signature by each secret in use, so that a consumer may change over when it likes.

    The timestamp is that of the attempt: consumers refuse old ones, so that nobody plays back what they overheard.
    """
    moment = as_datetime(now)
    signatures = [Webhook(secret).sign(webhook_id, moment, body) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(now // SECOND),
        "webhook-signature": " ".join(signatures),
    }


def _moment(at: int) -> str:
    return as_datetime(at).isoformat(timespec="microseconds").replace("+00:00", "Z")
