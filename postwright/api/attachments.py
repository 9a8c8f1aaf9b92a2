"""Attachments on their way into the blob store."""

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from fastapi import HTTPException

from postwright.api.callers import Caller
from postwright.api.message_bodies import AttachmentWanted
from postwright.api.received import MAX_FILES, Received
from postwright.services.errors import RefusedError
from postwright.store import blobs
from postwright.store.database import Database
from rendering.whole import AttachmentRef


class AttachmentsTooLargeError(HTTPException):
    """The attachments of one message have too many octets."""

    def __init__(self) -> None:
        super().__init__(413, f"The attachments of a message have more than {MAX_FILES:,} octets.")
        self.next_step = "Send smaller files, or links to them."


@asynccontextmanager
async def stored_attachments(
    caller: Caller, wanted: Sequence[AttachmentWanted], received: Received
) -> AsyncIterator[list[AttachmentRef]]:
    """The attachments of a message as blobs, which this context holds: what is stored by its end keeps them.

    Files of a form are read one at a time. Raises ``RefusedError`` and 413.
    """
    database = caller.services.database
    held: list[AttachmentRef] = []
    total = 0
    try:
        for number, attachment in enumerate(wanted):
            octets = await _octets(attachment, f"attachments[{number}]", received)
            total += len(octets)
            if total > MAX_FILES:
                raise AttachmentsTooLargeError
            held.append(await _store(caller, attachment, octets))
        yield held
    finally:
        for attachment_ref in held:
            await _release(database, attachment_ref.blob_id)


async def _store(caller: Caller, wanted: AttachmentWanted, octets: bytes) -> AttachmentRef:
    services = caller.services
    put = partial(blobs.put_blob, workspace_id=caller.workspace_id, content=octets, now=services.clock.now())
    blob_id = await services.database.write(put)
    return AttachmentRef(blob_id, len(octets), wanted.name, wanted.type, wanted.content_id)


async def _release(database: Database, blob_id: int) -> None:
    await database.write(partial(blobs.release_blob, blob_id=blob_id))


async def _octets(wanted: AttachmentWanted, place: str, received: Received) -> bytes:
    if wanted.part is not None:
        file = received.files.get(wanted.part)
        if file is None:
            sentence = f"There is no part '{wanted.part[:60]}' with a file."
            raise RefusedError("no_such_part", sentence, field=f"{place}.part")
        if file.size is not None and file.size > MAX_FILES:
            raise AttachmentsTooLargeError
        await file.seek(0)
        return await file.read()
    try:
        # Line ends are common in base64; anything else is a mistake.
        return base64.b64decode("".join((wanted.content or "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        step = "Encode the octets as in RFC 4648 section 4."
        raise RefusedError("not_base64", "This is not base64.", field=f"{place}.content", next_step=step) from error
