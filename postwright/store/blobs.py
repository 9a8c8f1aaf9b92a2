"""Bytes stored once and counted by reference."""

import hashlib

from sqlalchemy import Connection, delete, select, update

from mailtypes.clock import Microseconds
from postwright.store.records import insert_row, table

_blob = table("blob")


def put_blob(connection: Connection, workspace_id: int, content: bytes, now: Microseconds) -> int:
    """Store ``content``, or count one more reference where it is stored already; returns the blob's id."""
    sha256 = hashlib.sha256(content).hexdigest()
    same = (_blob.c.workspace_id == workspace_id, _blob.c.sha256 == sha256)
    found = connection.execute(
        update(_blob).where(*same).values(reference_count=_blob.c.reference_count + 1).returning(_blob.c.id)
    ).scalar_one_or_none()
    if found is not None:
        return int(found)
    return insert_row(
        connection,
        _blob,
        workspace_id=workspace_id,
        sha256=sha256,
        size=len(content),
        reference_count=1,
        content=content,
        created_at=now,
    )


def get_blob(connection: Connection, blob_id: int) -> bytes:
    """The bytes of a blob that is referred to."""
    return bytes(connection.execute(select(_blob.c.content).where(_blob.c.id == blob_id)).scalar_one())


def release_blob(connection: Connection, blob_id: int) -> None:
    """Give one reference back; the last one takes the bytes along."""
    connection.execute(update(_blob).where(_blob.c.id == blob_id).values(reference_count=_blob.c.reference_count - 1))
    connection.execute(delete(_blob).where(_blob.c.id == blob_id, _blob.c.reference_count <= 0))
