"""Requests made from the OpenAPI description, good and bad ones, to a real server: none may be answered with a 5xx.

``SCHEMATHESIS_EXAMPLES`` is how many for each operation (3).
"""

import json
import os
from importlib.util import find_spec
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings

from postwright.api.examples import EXAMPLES
from postwright.api.openapi import api_document

if find_spec("schemathesis") is None:
    if os.environ.get("CI"):
        raise RuntimeError("schemathesis is not installed")
    pytest.skip("schemathesis is not installed", allow_module_level=True)

import schemathesis

EXAMPLES_EACH = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "3"))
DOCUMENT = json.loads(api_document())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
KNOWN = {
    name: value
    for example in EXAMPLES.values()
    for name, value in example.parameters.items()
    if name.endswith("_id") or name == "name"
}
"""Path parameters that name something: what the story of the examples made, ``test_api_examples`` too."""


@schemathesis.serializer("application/gzip", "application/zip", "message/rfc822", "application/x-ndjson")
def as_octets(_: Any, value: Any) -> bytes:
    """Whatever was made up as the octets of a body."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def storied(served: Any) -> Any:
    _tell_the_story(served)
    return served


def _tell_the_story(server: Any) -> None:
    """Make the things that the examples make, so that their ids lead somewhere."""
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}, timeout=30) as client:
        for path, methods in DOCUMENT["paths"].items():
            for method, operation in methods.items():
                example = EXAMPLES.get(operation["operationId"])
                if method != "post" or example is None or "{" in path:
                    continue
                options: dict[str, Any] = {"json": example.body}
                if example.media_type != "application/json":
                    options = {"content": example.body, "headers": {"Content-Type": example.media_type}}
                names = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "query"}
                options["params"] = {name: example.parameters[name] for name in names & set(example.parameters)}
                assert client.request(method, path, **options).status_code < 500, path


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES_EACH,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_is_answered_with_a_fault(case: Any, storied: Any) -> None:
    for name in set(KNOWN) & set(case.path_parameters or {}):
        if len(str(case.body)) % 2 == 0:
            case.path_parameters[name] = KNOWN[name]
    answer = case.call(base_url=storied.url, headers={"Authorization": f"Bearer {storied.key}"}, timeout=30)
    assert answer.status_code < 500, (case.method, case.formatted_path, case.body, answer.text)
    assert answer.headers["x-request-id"]
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == ["application/problem+json"]
