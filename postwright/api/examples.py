"""One example for each operation. Together, in their order, they are a story that a test plays on a fresh install.

All of it happens at ``EXAMPLE_MOMENT``, so the ids are those that a fresh database really gives. The answers are in
``examples.json``, as the story gave them.
"""

import json
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

from mailtypes.clock import SECOND
from postwright.api.contacts import CONTACT, SEGMENT
from postwright.api.destinations import DESTINATION
from postwright.api.forms import FORM
from postwright.api.hygiene import PLAN
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
from postwright.api.webhooks import ENDPOINT
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
_SUBJECT = {"subject": "news.acme.test"}
_PLAN = {"plan_id": _first(PLAN)}
_CONTACT = {"contact_id": _first(CONTACT, 2)}
_SEGMENT = {"segment_id": _first(SEGMENT)}
_CAMPAIGN = {"campaign_id": _first(CAMPAIGN)}
_MESSAGE = _first(MESSAGE, delivery_id(1, 1))
_BULK = {"bulk_id": _first(RUN, 4)}
_WEBHOOK = {"webhook_id": _first(ENDPOINT)}
_FORM = {"form_id": _first(FORM)}
_RECEIPT = "<p>Thank you! Your order is on its way.</p>"
_RECORDS = """\
{"address": "ada@example.test", "key": "customer-1", "data": {"first_name": "Ada"}}
{"address": "grace@example.test", "key": "customer-2"}
{"address": "nobody", "key": "customer-3"}
"""

_COPY = {"campaign_id": _first(CAMPAIGN, 2)}

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
    "preview_import": Example(
        parameters={"file_name": "people.csv"},
        body="Mail;City\nada@example.test;York\n",
        media_type="text/csv",
    ),
    "get_import": Example(parameters=_IMPORT),
    "list_imports": Example(parameters={"limit": 20}),
    "get_import_report": Example(parameters=_IMPORT, answer_type="text/csv"),
    "list_import_refusals": Example(parameters=_IMPORT | {"limit": 20}),
    "list_lists": Example(parameters={"limit": 20}),
    "create_list": Example(201, body={"name": "Friends"}),
    "get_list": Example(parameters={"list_id": _first(LIST, 2)}),
    "create_contact": Example(
        201,
        body={
            "address": "hedy@example.test",
            "fields": {"first_name": "Hedy", "city": "Vienna", "visits": 3},
            "lists": ["Old letters"],
            "tags": ["vip"],
            "locale": "de-AT",
            "time_zone": "Europe/Vienna",
        },
    ),
    "list_contacts": Example(parameters={"search": "hedy", "limit": 20}),
    "create_field": Example(201, body={"name": "visits", "kind": "number"}),
    "list_fields": Example(),
    "count_contact_field": Example(parameters=_CONTACT | {"name": "visits"}, body={"by": 1}),
    "get_contact": Example(parameters=_CONTACT),
    "change_contact": Example(parameters=_CONTACT, body={"fields": {"city": "Paris"}, "tracking": "last_open"}),
    "tag_contact": Example(parameters=_CONTACT, body={"add": ["inventor"], "remove": ["vip"]}),
    "archive_contact": Example(parameters=_CONTACT),
    "restore_contact": Example(parameters=_CONTACT),
    "get_contact_timeline": Example(parameters=_CONTACT),
    "create_segment": Example(
        201,
        body={"name": "Paris", "tree": {"all": [{"tag": "inventor"}, {"field": "city", "op": "is", "value": "Paris"}]}},
    ),
    "list_segments": Example(parameters={"limit": 20}),
    "get_segment": Example(parameters=_SEGMENT),
    "get_segment_count": Example(parameters=_SEGMENT),
    "list_segment_contacts": Example(parameters=_SEGMENT | {"limit": 20}),
    "count_segment": Example(body={"tree": {"not": {"segment": "Paris"}}}),
    "change_segment": Example(parameters=_SEGMENT, body={"name": "In Paris"}),
    "change_contacts": Example(body={"tree": {"segment": "In Paris"}, "remove_lists": ["Old letters"]}),
    "export_contacts": Example(parameters={"format": "csv", "segment": _first(SEGMENT)}, answer_type="text/csv"),
    "delete_segment": Example(204, _SEGMENT),
    "list_tags": Example(),
    "create_tag": Example(201, body={"name": "press"}),
    "delete_tag": Example(204, {"name": "press"}),
    "change_list": Example(parameters={"list_id": _first(LIST, 3)}, body={"name": "Letters", "tracking": "off"}),
    "list_list_contacts": Example(parameters={"list_id": _first(LIST), "limit": 20}),
    "delete_list": Example(204, {"list_id": _first(LIST, 3)}),
    "get_field": Example(parameters={"name": "visits"}),
    "change_field": Example(parameters={"name": "plan"}, body={"choices": ["basic", "club", "gold"]}),
    "delete_field": Example(204, {"name": "visits"}),
    "publish_list": Example(
        204, {"list_id": _first(LIST, 2)}, {"title": "The garden letter", "description": "On the first of each month"}
    ),
    "hide_list": Example(204, {"list_id": _first(LIST, 2)}),
    "create_form": Example(
        201,
        body={
            "name": "footer",
            "title": "The garden letter",
            "wording": "Yes, send me the garden letter once a month. I can unsubscribe at any time.",
            "lists": [_first(LIST, 2)],
            "from_address": "letter@news.acme.test",
            "from_name": "Acme",
            "fields": ["first_name"],
            "return_url": "https://acme.test/thanks",
        },
    ),
    "list_forms": Example(parameters={"limit": 20}),
    "get_form": Example(parameters=_FORM),
    "change_form": Example(parameters=_FORM, body={"title": "The garden letter, monthly"}),
    "embed_form": Example(parameters=_FORM),
    "list_sign_ups": Example(parameters=_FORM | {"limit": 20}),
    "close_form": Example(204, _FORM),
    "export_person": Example(body={"address": "nobody@example.test"}),
    "erase_person": Example(body={"address": "nobody@example.test"}),
    "create_suppression": Example(201, body={"address": "grace@example.test", "reason": "asked by phone"}),
    "import_suppressions": Example(body="email,reason\nalan@example.test,left\n", media_type="text/csv"),
    "list_suppressions": Example(parameters={"search": "GRACE", "active": True, "limit": 1}),
    "export_suppressions": Example(parameters={"form": "sendgrid"}, answer_type="text/csv"),
    "lift_suppression": Example(204, {"suppression_id": _first(SUPPRESSION, 2), "note": "came back by phone"}),
    "create_hygiene_plan": Example(201, body={"list": _first(LIST), "preset": "weekly", "protect_tags": []}),
    "list_hygiene_plans": Example(parameters={"limit": 20}),
    "get_hygiene_plan": Example(parameters=_PLAN),
    "list_hygiene_steps": Example(parameters=_PLAN | {"limit": 20}),
    "apply_hygiene_plan": Example(202, parameters=_PLAN),
    "undo_hygiene_plan": Example(202, parameters=_PLAN),
    "discard_hygiene_plan": Example(204, parameters=_PLAN),
    "get_hygiene_settings": Example(),
    "change_hygiene_settings": Example(body={"soft_bounces": "three_over_14_days", "is_scheduled": False}),
    "get_list_health": Example(parameters={"list_id": _first(LIST)}),
    "create_template": Example(
        201, body={"name": "Spring", "subject": "{{ contact.first_name }}, spring is here", "body": _BODY}
    ),
    "list_templates": Example(parameters={"limit": 20}),
    "get_template": Example(parameters={"template_id": _first(TEMPLATE)}),
    "list_template_versions": Example(parameters={"template_id": _first(TEMPLATE)}),
    "list_starters": Example(),
    "begin_template": Example(201, {"starter": "announcement.en"}, {"name": "Opening"}),
    "list_preview_contacts": Example(),
    "render_template": Example(parameters={"template_id": _first(TEMPLATE)}, body={"contact": "ada@example.test"}),
    "lint_template": Example(parameters={"template_id": _first(TEMPLATE)}, body={}),
    "score_template": Example(parameters={"template_id": _first(TEMPLATE)}, body={}),
    "preview": Example(
        body={
            "body": "<p>Hello {{ contact.first_name }}</p>",
            "body_format": "html",
            "subject": "Spring is here",
            "data": {"contact": {"first_name": "Ada"}},
            "stream": "transactional",
        }
    ),
    "create_campaign": Example(
        201,
        body={
            "name": "Spring letter",
            "list": _first(LIST),
            "template": _first(TEMPLATE),
            "from_address": "letter@news.acme.test",
            "from_name": "Acme Gardens",
            "other_senders": [{"address": "dana@news.acme.test", "name": "Dana of Acme Gardens", "share": 0.5}],
            "experiment": {
                "variants": [{"subject": "Spring is here"}, {"subject": "What to sow in March"}],
                "share": 0.5,
                "wait_hours": 24,
            },
        },
    ),
    "count_campaign": Example(parameters=_CAMPAIGN),
    "copy_campaign": Example(201, _CAMPAIGN, {"name": "Spring letter, once more"}),
    "change_campaign": Example(
        parameters=_COPY,
        body={
            "name": "Spring letter to Ada's friends",
            "list": _first(LIST),
            "audience": {"domain": "example.test"},
            "template": _first(TEMPLATE),
            "from_address": "letter@news.acme.test",
            "plan": {"starts_at": "2026-03-03T07:00:00Z", "zone": "Asia/Jerusalem", "window": {"first": 9, "end": 18}},
            "frequency_limit": {"mails": 3, "days": 7},
        },
    ),
    "archive_campaign": Example(parameters=_COPY, body={"is_archived": True}),
    "unschedule_campaign": Example(409, _COPY, answer_type="application/problem+json"),
    "list_campaigns": Example(parameters={"limit": 20}),
    "preflight_campaign": Example(parameters=_CAMPAIGN),
    "overrule_preflight": Example(
        422,
        _CAMPAIGN,
        {"codes": ["mjml-unknown-attribute"], "note": "The attribute does no harm; all our clients ignore it."},
        answer_type="application/problem+json",
    ),
    "list_preflight_overrides": Example(parameters=_CAMPAIGN),
    "withdraw_preflight_override": Example(
        404, {**_CAMPAIGN, "code": "spam_risk"}, answer_type="application/problem+json"
    ),
    "send_campaign": Example(202, parameters=_CAMPAIGN),
    "pause_campaign": Example(parameters=_CAMPAIGN),
    "resume_campaign": Example(parameters=_CAMPAIGN),
    "get_campaign": Example(parameters=_CAMPAIGN),
    "compare_campaign": Example(parameters=_CAMPAIGN),
    "list_messages": Example(parameters={"campaign": _first(CAMPAIGN), "state": "held"}),
    "get_message": Example(parameters={"message_id": _MESSAGE}),
    "plan_experiment": Example(body={"baseline": 0.02, "lift": 0.2, "recipients": 20_000}),
    "list_experiments": Example(parameters={"limit": 20}),
    "get_experiment": Example(parameters={"run_id": _first(RUN)}),
    "choose_variant": Example(409, {"run_id": _first(RUN)}, {"variant": "B"}, answer_type="application/problem+json"),
    "export_experiment": Example(422, {"run_id": _first(RUN)}, answer_type="application/problem+json"),
    "tell_goals": Example(
        body={
            "events": [
                {"address": "ada@example.test", "name": "purchase", "value": 49.9},
                {"address": "nobody", "name": "visit"},
            ]
        }
    ),
    "cancel_campaign": Example(parameters=_CAMPAIGN),
    "repeat_campaign": Example(409, _CAMPAIGN, answer_type="application/problem+json"),
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
    "create_webhook": Example(
        201,
        body={
            "url": "https://shop.acme.test/postwright",
            "description": "The shop's order status",
            "kinds": ["delivered", "bounced", "complained"],
        },
    ),
    "list_webhooks": Example(parameters={"limit": 20}),
    "change_webhook": Example(parameters=_WEBHOOK, body={"kinds": ["delivered", "bounced", "complained", "clicked"]}),
    "rotate_webhook_secret": Example(201, _WEBHOOK, {"overlap_hours": 24}),
    "disable_webhook": Example(parameters=_WEBHOOK),
    "enable_webhook": Example(parameters=_WEBHOOK, body={"skip_missed": False}),
    "skip_webhook": Example(parameters=_WEBHOOK),
    "try_webhook": Example(parameters=_WEBHOOK),
    "replay_webhook": Example(202, _WEBHOOK, {"since": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"}),
    "list_webhook_deliveries": Example(parameters=_WEBHOOK | {"limit": 20}),
    "get_webhook": Example(parameters=_WEBHOOK),
    "remove_webhook": Example(204, _WEBHOOK),
    "get_statistics": Example(parameters={"by": "total", "campaign": _first(CAMPAIGN)}),
    "get_best_hours": Example(parameters={"metric": "click", "zone": "Asia/Jerusalem"}),
    "list_clickers": Example(parameters={"run_id": _first(RUN)}, body={"list": "Clicked in spring", "link": 0}),
    "send_test": Example(
        202, {"template_id": _first(TEMPLATE)}, {"to": "editor@news.acme.test", "contact": "ada@example.test"}
    ),
    "create_key": Example(
        201, body={"name": "shop", "scopes": ["send"], "domains": ["news.acme.test"], "rate_limit": 50}
    ),
    "list_keys": Example(parameters={"limit": 20}),
    "rotate_key": Example(201, {"key_id": _first(KEY, 2)}, {"overlap_hours": 24}),
    "revoke_key": Example(204, {"key_id": _first(KEY, 2)}),
    "start_warm_up": Example(
        201,
        body={
            "subject": "news.acme.test",
            "plan": {"preset": "postmark", "providers": {"google": {"first": 50}}, "zone": "Asia/Jerusalem"},
            "note": "The list signed up last week, and nobody has cleaned it yet.",
        },
    ),
    "list_warm_ups": Example(parameters={"limit": 20}),
    "pause_warm_up": Example(parameters=_SUBJECT, body={"provider": "google", "note": "The list is being mended."}),
    "resume_warm_up": Example(parameters=_SUBJECT, body={"provider": "google", "note": "The list is mended."}),
    "set_warm_up_level": Example(
        parameters=_SUBJECT, body={"provider": "google", "level": 3, "note": "The domain has sent for years."}
    ),
    "import_warm_up_figures": Example(
        204,
        _SUBJECT,
        {"provider": "google", "day": "2026-03-01", "spam_rate": 0.0004, "reputation": "high"},
    ),
    "get_warm_up": Example(parameters=_SUBJECT),
    "list_warm_up_days": Example(parameters=_SUBJECT | {"days": 7}),
    "list_warm_up_decisions": Example(parameters=_SUBJECT | {"limit": 20}),
    "end_warm_up": Example(204, _SUBJECT, {"note": "The domain sends from another server now."}),
}

EXAMPLES: dict[str, Example] = {
    name: replace(example, answer=_ANSWERS.get(name)) for name, example in _REQUESTS.items()
}
"""By operation id, in the order of the story."""
