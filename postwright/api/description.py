"""What OpenAPI says beyond the routes: the form of problems, and the examples."""

from copy import deepcopy
from typing import Any

from postwright.api.bulk_records import BulkBody, RecipientsBody, RecipientWanted
from postwright.api.examples import EXAMPLES
from postwright.api.message_bodies import BatchWanted, MessageBody
from postwright.api.representations import ProblemDocument

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
_MEANINGS = {
    401: "No good API key was shown.",
    403: "The API key lacks the scope.",
    404: "There is no such thing in this workspace.",
    408: "The body did not come in time.",
    409: "The state of the thing does not allow it.",
    413: "The body is too large.",
    415: "The body is of a kind that is not read here.",
    422: "Something in the request is wrong; `errors` names each thing and the next step.",
    429: "Too many requests; `Retry-After` has the seconds to wait.",
    500: "Something unforeseen; the log has it under the request's id.",
    503: "The storage cannot take this now; `Retry-After` has the seconds to wait.",
}
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": meaning, "content": _PROBLEM} for status, meaning in _MEANINGS.items()
}
_BODIES = (MessageBody, BatchWanted, BulkBody, RecipientsBody, RecipientWanted)
"""What routes read themselves, so that FastAPI does not know it."""
_FORM: dict[str, Any] = {
    "title": "MessageForm",
    "type": "object",
    "description": "A message with its files. Any further part is a file; an attachment names it in `part`.",
    "required": ["message"],
    "properties": {"message": {"$ref": "#/components/schemas/MessageBody"}},
    "additionalProperties": {"type": "string", "format": "binary"},
}
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


def described(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the form of problems and with examples; the same document, changed."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (ProblemDocument, *_BODIES):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    schemas["MessageForm"] = _FORM
    # These are checked one by one, so that one that is wrong does not take the others along.
    message, recipient = ({"$ref": f"#/components/schemas/{name}"} for name in ("MessageBody", "RecipientWanted"))
    schemas["BatchWanted"]["properties"]["messages"]["items"] = message
    schemas["BulkBody"]["properties"]["recipients"]["items"] = recipient
    schemas["RecipientsBody"]["items"] = recipient
    for path in document["paths"].values():
        for method, operation in path.items():
            if method in _METHODS and operation.get("operationId") in EXAMPLES:
                _add_example(operation)
    return document


def _add_example(operation: dict[str, Any]) -> None:
    example = EXAMPLES[operation["operationId"]]
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in example.parameters:
            parameter["example"] = example.parameters[parameter["name"]]
    if example.body is not None:
        operation["requestBody"] = deepcopy(operation["requestBody"])  # operations may share one
        operation["requestBody"]["content"][example.media_type]["example"] = example.body
    if example.answer is not None:
        operation["responses"][str(example.status)]["content"][example.answer_type]["example"] = example.answer
