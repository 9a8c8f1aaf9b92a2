"""Every example of the OpenAPI document is sent to a real app, in order; its answer has to be the one that is shown.

``POSTWRIGHT_RECORD=1`` writes the answers down anew (postwright/api/examples.json).
"""

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import postwright.api
from postwright.api.examples import EXAMPLES
from postwright.api.openapi import api_document, main

ROOT = Path(postwright.api.__file__).parents[2]
DOCUMENT = ROOT / "docs" / "openapi.json"
RECORD = ROOT / "postwright" / "api" / "examples.json"
PLACEHOLDERS = {"key": "pw_live_EXAMPLE-ONLY", "prefix": "pw_live_EXAM"}
"""What chance decides, and what stands for it in the examples."""


@pytest.fixture(scope="module")
def text() -> str:
    return api_document()


def settled(answer: Any, public_key: str) -> Any:
    """An answer with what chance decided replaced."""
    if isinstance(answer, dict):
        return {
            name: PLACEHOLDERS[name] if name in PLACEHOLDERS else settled(value, public_key)
            for name, value in answer.items()
        }
    if isinstance(answer, list):
        return [settled(item, public_key) for item in answer]
    if isinstance(answer, str) and public_key and public_key in answer:
        return answer.replace(public_key, "MIIBIjANEXAMPLEONLY")
    return answer


def operations(document: Mapping[str, Any]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def request_of(method: str, path: str, operation: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The request that the examples in a document describe."""
    options: dict[str, Any] = {"params": {}}
    for parameter in operation.get("parameters", ()):
        if "example" not in parameter:
            assert not parameter["required"], parameter["name"]
        elif parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", parameter["example"])
        else:
            options["params"][parameter["name"]] = parameter["example"]
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        if media_type == "application/json":
            options["json"] = content["example"]
        elif "example" in content:
            options |= {"content": content["example"], "headers": {"Content-Type": media_type}}
    return method, path, options


async def test_every_example_gives_the_answer_that_is_shown(world: Any, text: str) -> None:
    document = json.loads(text)
    found = operations(document)
    assert set(found) == set(EXAMPLES), "an operation has no example"
    before: dict[str, Callable[[], Awaitable[Any]]] = {
        "verify_domain": world.publish,
        "get_import": world.services.imports.run_jobs,
        "get_campaign": world.prepare,
        "list_events": world.events_shown,
    }
    recorded: dict[str, Any] = {}
    public_key = ""
    for name, example in EXAMPLES.items():
        if name in before:
            await before[name]()
        method, path, options = request_of(*found[name])
        answer = await world.admin(method, path, **options)
        assert answer.status_code == example.status, (name, answer.text)
        assert str(example.status) in found[name][2]["responses"], name
        if not answer.content:
            continue
        content = answer.json()
        if name == "create_domain":
            public_key = content["dkim_keys"][0]["record"].split("p=")[1]
        recorded[name] = settled(content, public_key)
        shown = found[name][2]["responses"][str(example.status)]["content"]["application/json"].get("example")
        assert os.environ.get("POSTWRIGHT_RECORD") or recorded[name] == shown, name
    if os.environ.get("POSTWRIGHT_RECORD"):
        RECORD.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", "utf-8")


def test_the_document_is_up_to_date(text: str) -> None:
    assert DOCUMENT.read_text("utf-8") == text, "run: python -m postwright.api.openapi"


def test_check_tells_an_old_document(tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"
    assert main(["--check", str(file)]) == 1
    assert main([str(file)]) == 0
    assert main(["--check", str(file)]) == 0
    file.write_text("{}")
    assert main(["--check", str(file)]) == 1


def test_every_operation_is_described_and_lists_its_problems(text: str) -> None:
    document = json.loads(text)
    assert document["openapi"].startswith("3.1")
    for name, (_, _, operation) in operations(document).items():
        assert operation["description"].endswith("."), name
        assert operation["security"] == [{"apiKey": []}], name
        for status in ("401", "403", "404", "409", "413", "422", "429", "500", "503"):
            assert list(operation["responses"][status]["content"]) == ["application/problem+json"], (name, status)


def test_every_reference_leads_somewhere(text: str) -> None:
    document = json.loads(text)
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= set(document["components"]["schemas"])
