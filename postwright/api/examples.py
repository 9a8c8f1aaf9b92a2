"""One example for each operation. Together, in their order, they are a story that a test plays on a fresh install.

All of it happens at ``EXAMPLE_MOMENT``, so the ids are those that a fresh database really gives. The answers are in
``examples.json``, as the story gave them.
"""

import json
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from mailtypes.clock import SECOND
from postwright.api.representations import CAMPAIGN, IMPORT, KEY, LIST, MESSAGE, TEMPLATE, Kind, outward
from postwright.store.public_ids import delivery_id

EXAMPLE_MOMENT = 1_772_442_000 * SECOND
_ANSWERS: dict[str, Any] = json.loads(resources.files(__package__).joinpath("examples.json").read_text("utf-8"))
_BODY = """\
<mjml>
  <mj-body>
    <mj-section><mj-column>
      <mj-text>Hello {{ contact.first_name | default: "you" }}, spring is here.</mj-text>
      <mj-button href="https://acme.test/spring">See what is new</mj-button>
      <mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
    </mj-column></mj-section>
  </mj-body>
</mjml>
"""


@dataclass(frozen=True, slots=True)
class Example:
    """A request and its answer: values of path and query, the body as its media type has it, and the status."""

    status: int = 200
    parameters: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    media_type: str = "application/json"
    answer: Any = None


def _first(kind: Kind, row_id: int = 1) -> str:
    return outward(kind, EXAMPLE_MOMENT, row_id)


_DOMAIN = {"name": "news.acme.test"}
_IMPORT = {"import_id": _first(IMPORT)}
_CAMPAIGN = {"campaign_id": _first(CAMPAIGN)}
_MESSAGE = _first(MESSAGE, delivery_id(1, 1))

_REQUESTS: dict[str, Example] = {
    "create_domain": Example(201, body={"name": "news.acme.test"}),
    "list_domains": Example(parameters={"limit": 20}),
    "get_domain": Example(parameters=_DOMAIN),
    "list_domain_records": Example(parameters=_DOMAIN),
    "verify_domain": Example(parameters=_DOMAIN),
    "create_import": Example(
        202,
        {"list": "Gardeners", "file_name": "contacts.csv"},
        "email,first_name\nada@example.test,Ada\nnobody,Nobody\n",
        "text/csv",
    ),
    "get_import": Example(parameters=_IMPORT),
    "list_import_refusals": Example(parameters=_IMPORT | {"limit": 20}),
    "list_lists": Example(parameters={"limit": 20}),
    "create_suppression": Example(201, body={"address": "grace@example.test", "reason": "asked by phone"}),
    "import_suppressions": Example(body="email,reason\nalan@example.test,left\n", media_type="text/csv"),
    "list_suppressions": Example(parameters={"limit": 1}),
    "create_template": Example(
        201, body={"name": "Spring", "subject": "{{ contact.first_name }}, spring is here", "body": _BODY}
    ),
    "list_templates": Example(parameters={"limit": 20}),
    "get_template": Example(parameters={"template_id": _first(TEMPLATE)}),
    "create_campaign": Example(
        201,
        body={
            "name": "Spring letter",
            "list": _first(LIST),
            "template": _first(TEMPLATE),
            "from_address": "letter@news.acme.test",
            "from_name": "Acme Gardens",
        },
    ),
    "list_campaigns": Example(parameters={"limit": 20}),
    "preflight_campaign": Example(parameters=_CAMPAIGN),
    "send_campaign": Example(202, parameters=_CAMPAIGN),
    "pause_campaign": Example(parameters=_CAMPAIGN),
    "resume_campaign": Example(parameters=_CAMPAIGN),
    "get_campaign": Example(parameters=_CAMPAIGN),
    "list_messages": Example(parameters={"campaign": _first(CAMPAIGN), "state": "held"}),
    "get_message": Example(parameters={"message_id": _MESSAGE}),
    "cancel_campaign": Example(parameters=_CAMPAIGN),
    "list_events": Example(parameters={"message": _MESSAGE, "limit": 20}),
    "create_key": Example(201, body={"name": "shop", "scopes": ["send"]}),
    "list_keys": Example(parameters={"limit": 20}),
    "revoke_key": Example(204, {"key_id": _first(KEY, 2)}),
}

EXAMPLES: dict[str, Example] = {
    name: Example(example.status, example.parameters, example.body, example.media_type, _ANSWERS.get(name))
    for name, example in _REQUESTS.items()
}
"""By operation id, in the order of the story."""
