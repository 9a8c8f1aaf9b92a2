"""Files that come in as a body or as a form, never longer than they may be."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile

from postwright.api.edge import edge_of
from postwright.services.errors import RefusedError

CSV = "text/csv"
FORM = "multipart/form-data"
_FORM_OVERHEAD = 64 * 1024
UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            CSV: {"schema": {"type": "string", "description": "The file, in UTF-8, with a header."}},
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


TABLES = frozenset({CSV, "text/tab-separated-values", "application/x-ndjson", "application/octet-stream"})
TABLE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            CSV: {"schema": {"type": "string", "description": "The file, with a header."}},
            "text/tab-separated-values": {"schema": {"type": "string"}},
            "application/x-ndjson": {"schema": {"type": "string", "description": "One JSON object in each line."}},
            FORM: UPLOAD_BODY["requestBody"]["content"][FORM],
        },
    }
}
_IN_MEMORY = 1024 * 1024


@asynccontextmanager
async def receive_table(request: Request, limit: int) -> AsyncIterator[tuple[BinaryIO, str]]:
    """The file of a request and its name, without holding it in memory; gone when the context ends. 413, 415."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    edge = edge_of(request.scope)
    if media_type in TABLES:
        edge.body_limit = limit
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            async for piece in request.stream():
                file.write(piece)
            yield cast("BinaryIO", file), ""
        return
    if media_type != FORM:
        raise HTTPException(415, f"Send the file as {CSV}, as NDJSON, or as the part 'file' of {FORM}.")
    edge.body_limit = limit + _FORM_OVERHEAD
    async with request.form(max_files=1, max_fields=10) as form:
        part = form.get("file")
        if not isinstance(part, UploadFile):
            raise RefusedError("no_file", "The form has no file in its part 'file'.", field="file")
        yield part.file, printable_name(part.filename or "")


def printable_name(name: str) -> str:
    """A file's name as it may be shown."""
    return "".join(character for character in name if character.isprintable())


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and its name, empty where the client told none."""

    content: bytes
    name: str


async def read_upload(request: Request, limit: int) -> Upload:
    """The file of a request: ``text/csv``, or the part ``file`` of a form. Counted while it comes in: 413, 415."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    edge = edge_of(request.scope)
    if media_type == CSV:
        edge.body_limit = limit
        return Upload(await request.body(), "")
    if media_type != FORM:
        raise HTTPException(415, f"Send the file as {CSV}, or as the part 'file' of {FORM}.")
    edge.body_limit = limit + _FORM_OVERHEAD
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RefusedError("no_file", "The form has no file in its part 'file'.", field="file")
        return Upload(await file.read(), printable_name(file.filename or ""))
