"""Bytes stored once and counted by reference; large ones in pieces, so that nobody holds the whole."""

import hashlib

from sqlalchemy import Connection, delete, select, update

from mailtypes.clock import Microseconds
from postwright.store.records import insert_row, table

_blob, _piece = table("blob"), table("blob_piece")


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


def open_blob(connection: Connection, workspace_id: int, name: str, now: Microseconds) -> int:
    """Begin a blob that comes in pieces; ``name`` (of nobody else) stands for its hash until it is closed."""
    values = {"sha256": name, "size": 0, "reference_count": 1, "content": b"", "created_at": now}
    return insert_row(connection, _blob, workspace_id=workspace_id, **values)


def add_piece(connection: Connection, workspace_id: int, blob_id: int, number: int, content: bytes) -> None:
    """Store the piece ``number``, counted from 0; safe to repeat."""
    same = (_piece.c.blob_id == blob_id, _piece.c.number == number)
    connection.execute(delete(_piece).where(*same))
    connection.execute(
        _piece.insert().values(workspace_id=workspace_id, blob_id=blob_id, number=number, content=content)
    )


def close_blob(connection: Connection, workspace_id: int, blob_id: int, sha256: str, size: int) -> int:
    """All pieces are there. Returns the blob's id, or that of another which has the same bytes already.

    Whoever gets another one's refers to that from now on, and releases this one.
    """
    same = (_blob.c.workspace_id == workspace_id, _blob.c.sha256 == sha256)
    found = connection.execute(
        update(_blob).where(*same).values(reference_count=_blob.c.reference_count + 1).returning(_blob.c.id)
    ).scalar_one_or_none()
    if found is not None:
        return int(found)
    connection.execute(update(_blob).where(_blob.c.id == blob_id).values(sha256=sha256, size=size))
    return blob_id


def get_piece(connection: Connection, blob_id: int, number: int) -> bytes | None:
    """A piece of a blob, which for one that came whole is all of it; ``None`` behind the last."""
    found = connection.execute(
        select(_piece.c.content).where(_piece.c.blob_id == blob_id, _piece.c.number == number)
    ).scalar_one_or_none()
    if found is not None:
        return bytes(found)
    return (get_blob(connection, blob_id) or None) if number == 0 else None
