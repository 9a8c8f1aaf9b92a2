"""Writes ``docs/openapi.json``: ``python -m postwright.api.openapi [--check] [FILE]``."""

import json
import sys
from pathlib import Path
from typing import cast

from fastapi import FastAPI

from postwright import __version__
from postwright.api.callers import ApiServices
from postwright.api.problems import install_error_handlers
from postwright.api.router import create_router

DEFAULT_FILE = Path("docs/openapi.json")
_DESCRIPTION = """\
Send signed bulk mail and see what became of every message.

Requests carry an API key: `Authorization: Bearer pw_live_...`. Keys have scopes: `read` for every GET and for checks, \
`send` for messages, bulks, contacts, suppressions, templates, campaigns and reports, `admin` for domains, keys and \
lifting suppressions. What a `pw_test_...` key sends goes through everything but delivery.

202 means stored for good. POSTs that send take an `Idempotency-Key`: asked twice is done once. Partly wrong requests \
keep what is good and name the rest in `refused`. Limits of a key are told in `RateLimit-Policy` and `RateLimit`.

Lists come in pages; go on with `next_cursor` while `has_more` is true. Errors are problem details (RFC 9457); \
`errors` names everything that is wrong, with the place and the next step. Every answer has `X-Request-Id`; send your \
own if you like. Times are RFC 3339 in UTC.
"""


def api_document() -> str:
    """The OpenAPI description of ``/v1`` as JSON text."""
    app = FastAPI(title="Postwright", version=__version__, description=_DESCRIPTION)
    # Routes are described without being called, and only calls need services.
    app.include_router(create_router(cast(ApiServices, None)))
    install_error_handlers(app)
    return json.dumps(app.openapi(), ensure_ascii=False, indent=1) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with ``--check`` compare it; 1 where it is not up to date."""
    names = [argument for argument in arguments if argument != "--check"]
    file = Path(names[0]) if names else DEFAULT_FILE
    document = api_document()
    if "--check" in arguments:
        return 0 if file.exists() and file.read_text("utf-8") == document else 1
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(document, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
