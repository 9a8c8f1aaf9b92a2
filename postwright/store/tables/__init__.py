"""Every table, by topic; importing this package fills ``SQLModel.metadata``.

Rules that hold for all of them: ``workspace_id`` stands on every row and in every unique key; ids are 64-bit
integers (public ids are made from them, see ``postwright.store.public_ids``); moments are UTC in integer
microseconds; addresses stand as given beside their ``address_key``.
"""

from sqlmodel import SQLModel

from postwright.store.tables import (
    audience,
    auditing,
    consents,
    content,
    domains,
    hygiene,
    identity,
    log,
    reports,
    sending,
    shaping,
    statistics,
    tracking,
    warm_up,
    webhooks,
)

metadata = SQLModel.metadata

__all__ = [
    "audience",
    "auditing",
    "consents",
    "content",
    "domains",
    "hygiene",
    "identity",
    "log",
    "metadata",
    "reports",
    "sending",
    "shaping",
    "statistics",
    "tracking",
    "warm_up",
    "webhooks",
]
