"""Files that come in as a body or as a form, never longer than they may be."""

from dataclasses import dataclass
from typing import Any

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
        name = "".join(character for character in file.filename or "" if character.isprintable())
        return Upload(await file.read(), name)
