"""Contents that need not be kept any longer: of whole messages once they are settled, and of the test mailbox."""

from sqlalchemy import Connection, delete, select, update

from mailtypes.clock import Microseconds
from postwright.store.blobs import release_blob
from postwright.store.messages import nobody_on_the_way
from postwright.store.records import table

_message, _attachment = table("message"), table("message_attachment")
_captured = table("captured_message")


def forget_contents(connection: Connection, before: Microseconds, *, limit: int = 200) -> int:
    """Let go of the content of up to ``limit`` messages accepted before that moment whose recipients are all settled.

    The rows stay: who got what, and when, is told by deliveries and events.
    """
    rows = connection.execute(
        select(_message.c.id, _message.c.blob_id)
        .with_hint(_message, "INDEXED BY ix_message_content", "sqlite")
        .where(_message.c.blob_id.is_not(None), _message.c.created_at < before, nobody_on_the_way(connection))
        .order_by(_message.c.created_at)
        .limit(limit)
    ).all()
    for message_id, blob_id in rows:
        connection.execute(update(_message).where(_message.c.id == message_id).values(blob_id=None))
        release_blob(connection, blob_id)
        taken = delete(_attachment).where(_attachment.c.message_id == message_id).returning(_attachment.c.blob_id)
        for attachment in connection.execute(taken).all():
            release_blob(connection, attachment[0])
    return len(rows)


def forget_captured(connection: Connection, before: Microseconds, *, limit: int = 200) -> int:
    """Empty the test mailbox of what was captured before that moment, among the ``limit`` oldest rows; how many."""
    oldest = select(_captured.c.id, _captured.c.captured_at).order_by(_captured.c.id).limit(limit).subquery()
    old = select(oldest.c.id).where(oldest.c.captured_at < before)
    taken = connection.execute(delete(_captured).where(_captured.c.id.in_(old)).returning(_captured.c.blob_id)).all()
    for row in taken:
        release_blob(connection, row[0])
    return len(taken)
