"""Values that no schema foresees: whatever stands in a body, the answer names its place and is never a 500."""

import json
from typing import Any

import pytest

from postwright.api.json_values import read_json

BODIES = {
    "half of a pair": b'"a\\ud800"',
    "NUL": b'"a\\u0000b"',
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "too large a number": b"1e400",
    "more than 64 bits": b"18446744073709551616",
    "thousands of digits": b"9" * 4400,
    "an unknown zone": b'"No/Where"',
    "a zone that is a folder": b'"America"',
    "deep": b"[" * 3000 + b"]" * 3000,
}
REFUSED = {"half of a pair", "NUL", "NaN", "infinity", "too large a number", "more than 64 bits"}
FILES = {"/v1/reports"}
"""What takes files as they are."""


def operations(description: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and schema of each operation that takes JSON."""
    found = []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None and path not in FILES:
                found.append((method.upper(), path, content["schema"]))
    return found


def names_of(schema: dict[str, Any], description: dict[str, Any]) -> list[str]:
    """The fields of a body."""
    if "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return list(schema.get("properties", {}))


async def test_no_body_of_any_operation_is_a_500(world: Any) -> None:
    """Every field of every operation with every value; ids are those of nothing, so most ends at the schema."""
    description = world.app.openapi()
    headers = {"Authorization": f"Bearer {world.keys['admin']}", "Content-Type": "application/json"}
    failed = []
    for method, path, schema in operations(description):
        place = path.replace("{", "").replace("}", "")
        for kind, value in BODIES.items():
            members = b",".join(
                json.dumps(name).encode() + b":" + value for name in names_of(schema, description) or ["fields"]
            )
            answer = await world.http.request(method, place, headers=headers, content=b"{%s}" % members)
            if answer.status_code >= 500 or (kind in REFUSED and answer.is_success):
                failed.append((method, path, kind, answer.status_code))
    assert failed == []


@pytest.mark.parametrize("kind", sorted(REFUSED))
async def test_fields_that_no_schema_declares_are_looked_at(world: Any, kind: str) -> None:
    value = BODIES[kind]
    headers = {"Content-Type": "application/json"}
    for path, body, pointer in (
        ("/v1/contacts", b'{"address": "x@example.test", "fields": {"city": "Leeds", "odd": %s}}', "#/fields/odd"),
        ("/v1/hygiene/plans", b'{"protect_tags": ["a", %s]}', "#/protect_tags/1"),
        ("/v1/segments", b'{"name": "s", "tree": {"all": [{"tag": %s}]}}', "#/tree/all/0/tag"),
    ):
        answer = await world.admin("POST", path, content=body % value, headers=headers)
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["errors"][0]["pointer"] == pointer
    whole = b'{"address": "x@example.test", "fields": {%s: 1}}' % (value if value[:1] == b'"' else b'"fine"')
    answer = await world.admin("POST", "/v1/contacts", content=whole, headers=headers)
    assert answer.is_success == (value[:1] != b'"')


@pytest.mark.parametrize("kind", sorted(BODIES))
async def test_texts_of_queries_and_files_are_looked_at(world: Any, kind: str) -> None:
    value = BODIES[kind]
    answers = [await world.admin("GET", "/v1/contacts", params={"tree": b'{"tag": %s}' % value})]
    lines = b'{"email": "x@example.test", "note": %s, "reason": %s}' % (value, value)
    for path, file_type in (("/v1/imports?list=L", "application/x-ndjson"), ("/v1/suppressions/import", "text/csv")):
        answers.append(await world.admin("POST", path, content=lines, headers={"Content-Type": file_type}))
    await world.services.imports.run_jobs()
    answers.append(await world.admin("GET", "/v1/contacts"))
    answers.append(await world.admin("GET", "/v1/suppressions"))
    assert [answer.status_code for answer in answers if answer.status_code >= 500] == []
    assert answers[-1].is_success


async def test_a_moment_before_all_moments(world: Any) -> None:
    endpoint = await world.admin.good("POST", "/v1/webhooks", json={"url": "https://hooks.acme.test/in"})
    replay = {"since": "0001-01-01T00:00:00+23:59"}
    assert (await world.admin("POST", f"/v1/webhooks/{endpoint['id']}/replay", json=replay)).status_code == 202


def test_what_is_fine_is_read_as_it_is() -> None:
    text = '{"a": [1, -9223372036854775807, 1e308, true, null, "שלום \\ud83d\\ude00"]}'
    assert read_json(text.encode()) == json.loads(text)
