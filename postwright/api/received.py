"""Bodies of requests that send: JSON or a form, spooled to disk while they come in, read once they are whole."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeVar, cast

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.datastructures import UploadFile

from mailtypes.errors import InputSyntaxError
from postwright.api.edge import edge_of
from postwright.api.json_values import check_values
from postwright.services.errors import RefusedError

Model = TypeVar("Model", bound=BaseModel)
JSON, FORM = "application/json", "multipart/form-data"
MAX_JSON = 8 * 1024 * 1024
"""Octets of a JSON body that sends, and of the part ``message`` of a form."""
MAX_FILES = 25 * 1024 * 1024
"""Octets of the attachments of one message."""
_IN_MEMORY = 1024 * 1024
_FORM_OVERHEAD = 256 * 1024
_MESSAGE_PART = "message"
_USE_A_FORM = (
    "Send a form (multipart/form-data) with the JSON in a part named 'message' and each file as a part of its own,"
    " which an attachment names in 'part'."
)
_SEND_LESS = "Send fewer at a time."


class JsonSyntaxError(InputSyntaxError):
    """A body that is not JSON."""


@dataclass(slots=True)
class Received:
    """A body: the JSON in it, and the files of a form by the names of their parts."""

    value: Any
    files: Mapping[str, UploadFile] = field(default_factory=dict)

    async def digest(self, method: str, path: str) -> str:
        """The SHA-256 that tells this request from others: its JSON without regard to order and spaces, its files."""
        text = json.dumps(self.value, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(f"{method} {path}\n{text}".encode())
        for name, file in sorted(self.files.items()):
            digest.update(b"\0" + name.encode() + b"\0")
            await file.seek(0)
            while piece := await file.read(_IN_MEMORY):
                digest.update(piece)
            await file.seek(0)
        return digest.hexdigest()


def media_type(request: Request) -> str:
    """The media type of a request's body without its parameters; JSON where none is told."""
    return request.headers.get("content-type", JSON).split(";")[0].strip().lower()


async def receive_json(request: Request) -> Received:
    """A JSON body; 413 and 415 as for all bodies."""
    if media_type(request) != JSON:
        raise HTTPException(415, f"Send the body as {JSON}.")
    return await _receive_json(request, _SEND_LESS)


@asynccontextmanager
async def receive_message(request: Request) -> AsyncIterator[Received]:
    """A JSON body, or a form with files, which are there until the context ends."""
    kind = media_type(request)
    if kind == JSON:
        yield await _receive_json(request, _USE_A_FORM)
        return
    if kind != FORM:
        raise HTTPException(415, f"Send the message as {JSON} or as {FORM}.")
    edge = edge_of(request.scope)
    edge.body_limit, edge.too_large_step = MAX_FILES + MAX_JSON + _FORM_OVERHEAD, "Send smaller attachments."
    async with request.form(max_files=201, max_fields=4, max_part_size=MAX_JSON) as form:
        files: dict[str, UploadFile] = {}
        text: bytes | None = None
        for name, part in form.multi_items():
            if name == _MESSAGE_PART and text is None:
                text = part.encode() if isinstance(part, str) else await _whole(part)
            elif isinstance(part, UploadFile) and name not in files:
                files[name] = part
            else:
                raise RefusedError("bad_part", f"The part '{name[:60]}' is not a file, or comes twice.", field="part")
        if text is None:
            raise RefusedError("no_message", f"The form has no part named '{_MESSAGE_PART}'.", field=_MESSAGE_PART)
        yield Received(parse_json(text), files)


async def _whole(part: UploadFile) -> bytes:
    if part.size is not None and part.size > MAX_JSON:
        raise HTTPException(413, f"The part 'message' has more than {MAX_JSON:,} octets.")
    return await part.read()


async def _receive_json(request: Request, too_large_step: str) -> Received:
    edge = edge_of(request.scope)
    edge.body_limit, edge.too_large_step = MAX_JSON, too_large_step
    # On disk while it comes in: a client may take its time, and many clients are many megabytes.
    spool = cast(BinaryIO, SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115  closed with the upload
    upload = UploadFile(spool, size=0)
    try:
        async for piece in request.stream():
            await upload.write(piece)
        await upload.seek(0)
        return Received(parse_json(await upload.read()))
    finally:
        await upload.close()


def parse_json(text: bytes) -> Any:
    """What a JSON text says; raises ``JsonSyntaxError``, and ``RequestValidationError`` for what nobody could store.

    NaN and halves of surrogate pairs are no JSON.
    """
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        next_step = "Send JSON in UTF-8 (RFC 8259)."
        raise JsonSyntaxError(f"The body is not JSON: {str(error)[:200]}.", next_step=next_step) from error
    check_values(value)
    return value


def validated(model: type[Model], value: Any) -> Model:
    """The value as a model; raises ``RequestValidationError`` with each fault."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise RequestValidationError(body_faults(error), body=None) from error


def body_faults(error: ValidationError) -> list[dict[str, Any]]:
    """Faults with their place in the body, as the problems want them; inputs are left out, they may be secrets."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return [{**fault, "loc": ("body", *fault["loc"])} for fault in faults]


def body_description(*models: tuple[str, str]) -> dict[str, Any]:
    """The request body for OpenAPI: pairs of a media type and a schema's name."""
    content = {kind: {"schema": {"$ref": f"#/components/schemas/{name}"}} for kind, name in models}
    return {"requestBody": {"required": True, "content": content}}
