"""Style sheet, scripts and pictures; addressed with their digest, so that they may be kept for ever."""

import hashlib
import os
from functools import cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from postwright.web.headers import secure

STATIC = Path(__file__).parent / "static"
_FOR_EVER = "public, max-age=31536000, immutable"
_NOTHING = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class _SecuredStaticFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        asked_by_digest = scope.get("query_string", b"").decode("latin-1") == f"v={_digest(path)}"
        response.headers["Cache-Control"] = _FOR_EVER if asked_by_digest else "no-cache"
        secure(response.headers, https=False, policy=_NOTHING)
        return response


def static_files() -> StaticFiles:
    """The application to mount at ``/static``."""
    return _SecuredStaticFiles(directory=STATIC)


def static_url(name: str) -> str:
    """The address of a file: it changes with the content."""
    return f"/static/{name}?v={_digest(name)}"


@cache
def _digests() -> dict[str, str]:
    return {
        entry.name: hashlib.sha256(Path(entry.path).read_bytes()).hexdigest()[:16]
        for entry in os.scandir(STATIC)
        if entry.is_file()
    }


def _digest(name: str) -> str:
    return _digests().get(name, "")
