"""One example for each operation. Together, in their order, they are a story that a test plays on a fresh install.

All of it happens at ``EXAMPLE_MOMENT``, so the ids are those that a fresh database really gives. The answers are in
``examples.json``, as the story gave them.
"""

import json
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

from mailtypes.clock import SECOND
from postwright.api.destinations import DESTINATION
from postwright.api.representations import (
    CAMPAIGN,
    IMPORT,
    KEY,
    LIST,
    MESSAGE,
    REPORT,
    RUN,
    SUBMISSION,
    SUPPRESSION,
    TEMPLATE,
    Kind,
    outward,
)
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
_DRAFT = """\
acme.test. TXT "v=spf1 ip4:20.1.2.3 -all"
_dmarc.acme.test. TXT "v=DMARC1; p=none; rua=mailto:dmarc@acme.test"
"""
_REPORT = """\
<feedback>
 <report_metadata>
  <org_name>receiver.test</org_name><report_id>2026-02-28.1</report_id>
  <date_range><begin>1772236800</begin><end>1772323199</end></date_range>
 </report_metadata>
 <policy_published><domain>acme.test</domain><p>none</p></policy_published>
 <record>
  <row><source_ip>192.0.2.7</source_ip><count>120</count>
   <policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>pass</spf></policy_evaluated></row>
  <identifiers><header_from>news.acme.test</header_from></identifiers>
  <auth_results>
   <dkim><domain>news.acme.test</domain><selector>pw1</selector><result>pass</result></dkim>
   <spf><domain>bounce.news.acme.test</domain><result>pass</result></spf>
  </auth_results>
 </record>
</feedback>
"""


@dataclass(frozen=True, slots=True)
class Example:
    """A request and its answer: values of path, query and header, the body as its media type has it, and the status."""

    status: int = 200
    parameters: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    media_type: str = "application/json"
    answer: Any = None
    answer_type: str = "application/json"


def _first(kind: Kind, row_id: int = 1) -> str:
    return outward(kind, EXAMPLE_MOMENT, row_id)


_DOMAIN = {"name": "news.acme.test"}
_IMPORT = {"import_id": _first(IMPORT)}
_CAMPAIGN = {"campaign_id": _first(CAMPAIGN)}
_MESSAGE = _first(MESSAGE, delivery_id(1, 1))
_BULK = {"bulk_id": _first(RUN, 4)}
_RECEIPT = "<p>Thank you! Your order is on its way.</p>"
_RECORDS = """\
{"address": "ada@example.test", "key": "customer-1", "data": {"first_name": "Ada"}}
{"address": "grace@example.test", "key": "customer-2"}
{"address": "nobody", "key": "customer-3"}
"""

_REQUESTS: dict[str, Example] = {
    "create_domain": Example(201, body={"name": "news.acme.test"}),
    "list_domains": Example(parameters={"limit": 20}),
    "get_domain": Example(parameters=_DOMAIN),
    "change_domain": Example(
        parameters=_DOMAIN,
        body={
            "logo_url": "https://acme.test/logo.svg",
            "mta_sts_mode": "testing",
            "mta_sts_hosts": ["mx.acme.test"],
        },
    ),
    "list_domain_records": Example(parameters=_DOMAIN),
    "verify_domain": Example(parameters=_DOMAIN),
    "check_domain": Example(
        body={"name": "acme.test", "selectors": ["s1"], "ips": ["20.1.2.3"], "zone": _DRAFT, "fresh": False}
    ),
    "create_report": Example(201, {"name": "receiver.test!acme.test.xml"}, _REPORT, "application/xml"),
    "list_reports": Example(parameters={"domain": "acme.test", "limit": 20}),
    "get_report": Example(parameters={"report_id": _first(REPORT)}),
    "list_sources": Example(parameters=_DOMAIN | {"since": "2026-02-01T00:00:00Z"}),
    "create_import": Example(
        202,
        {"list": "Gardeners", "file_name": "contacts.csv"},
        "email,first_name\nada@example.test,Ada\nnobody,Nobody\n",
        "text/csv",
    ),
    "get_import": Example(parameters=_IMPORT),
    "list_import_refusals": Example(parameters=_IMPORT | {"limit": 20}),
    "list_lists": Example(parameters={"limit": 20}),
    "create_list": Example(201, body={"name": "Friends"}),
    "get_list": Example(parameters={"list_id": _first(LIST, 2)}),
    "create_suppression": Example(201, body={"address": "grace@example.test", "reason": "asked by phone"}),
    "import_suppressions": Example(body="email,reason\nalan@example.test,left\n", media_type="text/csv"),
    "list_suppressions": Example(parameters={"limit": 1}),
    "lift_suppression": Example(204, {"suppression_id": _first(SUPPRESSION, 2)}),
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
    "send_message": Example(
        202,
        {"Idempotency-Key": "order-1042"},
        {
            "from": "Acme Shop <orders@news.acme.test>",
            "to": ["Ada <ada@example.test>"],
            "bcc": ["grace@example.test"],
            "subject": "Your order 1042",
            "html": _RECEIPT,
            "tags": ["order"],
            "metadata": {"order": 1042},
        },
    ),
    "send_batch": Example(
        202,
        {"Idempotency-Key": "reminders-7"},
        {
            "messages": [
                {
                    "from": "orders@news.acme.test",
                    "to": ["alan@example.test"],
                    "template": _first(TEMPLATE),
                    "data": {"first_name": "Alan"},
                    "send_at": "2026-03-03T08:00:00Z",
                },
                {"from": "orders@news.acme.test", "to": ["nobody"], "subject": "Hello", "text": "Hello"},
            ]
        },
    ),
    "cancel_message": Example(parameters={"message_id": _first(SUBMISSION, delivery_id(3, 1))}),
    "get_message_content": Example(
        parameters={"message_id": _first(MESSAGE, delivery_id(2, 1))}, answer_type="message/rfc822"
    ),
    "create_bulk": Example(
        202,
        {"Idempotency-Key": "letter-2026-03"},
        {"from": "letter@news.acme.test", "template": _first(TEMPLATE), "tags": ["spring"]},
    ),
    "add_bulk_recipients": Example(200, _BULK, _RECORDS, "application/x-ndjson", answer_type="application/x-ndjson"),
    "get_bulk": Example(parameters=_BULK),
    "commit_bulk": Example(202, _BULK),
    "cancel_bulk": Example(parameters=_BULK),
    "list_destinations": Example(parameters={"everything": True, "limit": 20}),
    "get_destination": Example(parameters={"destination_id": outward(DESTINATION, 0, 1)}),
    "suspend_queue": Example(body={"domain": "example.test", "note": "Their mail hosts are moving."}),
    "resume_queue": Example(body={"domain": "example.test"}),
    "flush_queue": Example(body={"domain": "example.test"}),
    "fail_queue": Example(body={"domain": "example.test", "note": "The domain is gone."}),
    "list_events": Example(parameters={"message": _MESSAGE, "limit": 20}),
    "create_key": Example(
        201, body={"name": "shop", "scopes": ["send"], "domains": ["news.acme.test"], "rate_limit": 50}
    ),
    "list_keys": Example(parameters={"limit": 20}),
    "rotate_key": Example(201, {"key_id": _first(KEY, 2)}, {"overlap_hours": 24}),
    "revoke_key": Example(204, {"key_id": _first(KEY, 2)}),
}

EXAMPLES: dict[str, Example] = {
    name: replace(example, answer=_ANSWERS.get(name)) for name, example in _REQUESTS.items()
}
"""By operation id, in the order of the story."""
