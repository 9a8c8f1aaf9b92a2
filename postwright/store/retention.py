"""Contents that need not be kept any longer: of whole messages once they are settled, and of the test mailbox."""

from sqlalchemy import Connection, delete, exists, select, update

from mailtypes.clock import Microseconds
from postwright.store.blobs import release_blob
from postwright.store.messages import SETTLED
from postwright.store.records import table

_message, _attachment = table("message"), table("message_attachment")
_delivery, _captured = table("delivery"), table("captured_message")


def forget_contents(connection: Connection, before: Microseconds, *, limit: int = 200) -> int:
    """Let go of the content of up to ``limit`` messages accepted before that moment whose recipients are all settled.

    The rows stay: who got what, and when, is told by deliveries and events.
    """
    under_way = exists().where(
        _delivery.c.run_id == _message.c.run_id,
        _delivery.c.id >= _message.c.id,
        _delivery.c.message_id == _message.c.id,
        _delivery.c.state.not_in(SETTLED),
    )
    rows = connection.execute(
        select(_message.c.id, _message.c.blob_id)
        .where(_message.c.blob_id.is_not(None), _message.c.created_at < before, ~under_way)
        .order_by(_message.c.id)
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
    """Empty the test mailbox of up to ``limit`` messages captured before that moment."""
    old = select(_captured.c.id).where(_captured.c.captured_at < before).order_by(_captured.c.id).limit(limit)
    taken = connection.execute(delete(_captured).where(_captured.c.id.in_(old)).returning(_captured.c.blob_id)).all()
    for row in taken:
        release_blob(connection, row[0])
    return len(taken)
