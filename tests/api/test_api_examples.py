"""Every example of the OpenAPI document is sent to a real app, in order; its answer has to be the one that is shown.

``POSTWRIGHT_RECORD=1`` writes the answers down anew (postwright/api/examples.json).
"""

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

import postwright.api
from hygiene.segments.fields import FieldDefinition, FieldKind
from postwright.api.examples import EXAMPLES
from postwright.api.openapi import api_document, main
from postwright.services.contact_fields import ContactFields
from postwright.store.blobs import put_blob
from postwright.store.messages import capture
from postwright.store.routes import save_destination

ROOT = Path(postwright.api.__file__).parents[2]
DOCUMENT = ROOT / "docs" / "openapi.json"
RECORD = ROOT / "postwright" / "api" / "examples.json"
PLACEHOLDERS = {
    "key": "pw_live_EXAMPLE-ONLY",
    "prefix": "pw_live_EXAM",
    "secret": "whsec_EXAMPLE-ONLY",
    "instance": "/requests/req_EXAMPLE",
}
"""What chance decides, and what stands for it in the examples."""


CAPTURED = (
    b"From: Acme Shop <orders@news.acme.test>\r\nTo: Ada <ada@example.test>\r\nSubject: Your order 1042\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nThank you!\r\n"
)


@pytest.fixture(scope="module", name="document_text")
def fixture_document_text() -> str:
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
    if isinstance(answer, str) and answer.startswith("pw_live_"):
        return PLACEHOLDERS["prefix"]
    if isinstance(answer, str) and answer.startswith("test_"):
        return "test_EXAMPLE-ONLY"
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
    options: dict[str, Any] = {"params": {}, "headers": {}}
    for parameter in operation.get("parameters", ()):
        if "example" not in parameter:
            assert not parameter["required"], parameter["name"]
        elif parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", parameter["example"])
        elif parameter["in"] == "header":
            options["headers"][parameter["name"]] = parameter["example"]
        else:
            options["params"][parameter["name"]] = parameter["example"]
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        if "example" not in content:  # one of several media types has it
            continue
        if media_type == "application/json":
            options["json"] = content["example"]
        else:
            options["content"] = content["example"]
            options["headers"]["Content-Type"] = media_type
    assert {"json", "content"} & set(options) or "requestBody" not in operation, "no media type has an example"
    return method, path, options


async def captured(world: Any) -> None:
    """What the delivery role does with a test key's message."""

    def store(connection: Connection) -> None:
        where = "JOIN run ON run.id = run_id WHERE kind = 'messages' ORDER BY delivery.id LIMIT 1"
        row = connection.execute(text(f"SELECT delivery.workspace_id, delivery.id FROM delivery {where}")).one()
        blob = put_blob(connection, row[0], CAPTURED, world.clock.now())
        capture(connection, (row[0], row[1]), ("bounce@news.acme.test", "ada@example.test"), blob, world.clock.now())

    await world.services.database.write(store)


async def chosen(world: Any) -> None:
    """A second field, whose choices can be changed."""
    plan = FieldDefinition("plan", FieldKind.CHOICE, ("basic", "club"))
    await ContactFields(world.services.database, world.clock).define(world.workspaces[0], plan)


async def routed(world: Any) -> None:
    """What the scheduler does when it has found the mail hosts of a domain."""
    hosts = (("mx.example.test",),)
    await world.services.database.write(
        lambda connection: save_destination(connection, world.workspaces[0], "mx.example.test", "example", hosts)
    )


async def test_every_example_gives_the_answer_that_is_shown(world: Any, document_text: str) -> None:
    document = json.loads(document_text)
    found = operations(document)
    assert set(found) == set(EXAMPLES), "an operation has no example"
    before: dict[str, Callable[[], Awaitable[Any]]] = {
        "verify_domain": world.publish,
        "get_import": world.services.imports.run_jobs,
        "get_campaign": world.prepare,
        "get_message_content": partial(captured, world),
        "list_destinations": partial(routed, world),
        "change_field": partial(chosen, world),
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
        content = answer.json() if example.answer_type.endswith("json") else answer.text
        if name == "create_domain":
            public_key = content["dkim_keys"][0]["record"].split("p=")[1]
        recorded[name] = settled(content, public_key)
        shown = found[name][2]["responses"][str(example.status)]["content"]
        shown = shown[example.answer_type].get("example")
        assert os.environ.get("POSTWRIGHT_RECORD") or recorded[name] == shown, name
    if os.environ.get("POSTWRIGHT_RECORD"):
        RECORD.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", "utf-8")


def test_the_document_is_up_to_date(document_text: str) -> None:
    assert DOCUMENT.read_text("utf-8") == document_text, "run: python -m postwright.api.openapi"


def test_check_tells_an_old_document(tmp_path: Path, document_text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.api.openapi.api_document", lambda: document_text)
    file = tmp_path / "openapi.json"
    assert main(["--check", str(file)]) == 1
    assert main([str(file)]) == 0
    assert main(["--check", str(file)]) == 0
    file.write_text("{}")
    assert main(["--check", str(file)]) == 1


def test_every_operation_is_described_and_lists_its_problems(document_text: str) -> None:
    document = json.loads(document_text)
    assert document["openapi"].startswith("3.1")
    for name, (_, _, operation) in operations(document).items():
        assert operation["description"].endswith("."), name
        assert operation["security"] == [{"apiKey": []}], name
        for status in ("401", "403", "404", "409", "413", "422", "429", "500", "503"):
            assert list(operation["responses"][status]["content"]) == ["application/problem+json"], (name, status)


def test_every_reference_leads_somewhere(document_text: str) -> None:
    document = json.loads(document_text)
    names = {part.split('"')[0] for part in document_text.split('"#/components/schemas/')[1:]}
    assert names <= set(document["components"]["schemas"])
