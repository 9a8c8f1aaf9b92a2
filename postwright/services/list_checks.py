"""What is wrong with an audience before it is written to: fields that are missing, consent, the health of its list."""

import json
import re
from collections.abc import Iterator

from sqlalchemy import Connection

from hygiene.list_health import Health, ListCounts, judge_list
from hygiene.segments.errors import SegmentSyntaxError
from hygiene.segments.parse import parse
from hygiene.segments.tree import (
    AllOf,
    AnyOf,
    ConsentAnswer,
    ConsentIs,
    ConsentReach,
    FieldIs,
    FieldOperator,
    Node,
    NotThis,
    OnList,
)
from mailtypes.clock import DAY, Microseconds
from mailtypes.saying import say
from postwright.services.errors import Problem
from postwright.store import campaigns, contacts, events, recipients, segments
from postwright.store.campaigns import Campaign
from postwright.store.workspaces import Stream
from rendering.source import MergeField
from rendering.template import Template

_DEFAULT = re.compile(r"\|\s*default\b")
_SIMPLE = re.compile(r"contact\.([A-Za-z_][A-Za-z0-9_-]{0,199})\Z")
_MOST_FIELDS = 20
_HEALTH_RUNS = 20
_HEALTH_SINCE = 90 * DAY


def missing_field_problems(
    connection: Connection, template: Template, campaign: Campaign, now: Microseconds
) -> list[Problem]:
    """The fields that the template shows without a default, each with how many of all contacts have no value."""
    problems = []
    for use, name in list(unguarded_fields(template))[:_MOST_FIELDS]:
        without = count_without_field(connection, campaign, name, now)
        if without:
            values = {"without": f"{without:,}", "name": name}
            sentence = say("%(without)s contacts have no %(name)s: nothing is shown.", **values)
            if without == 1:
                sentence = say("%(without)s contact has no %(name)s: nothing is shown.", **values)
            step = say(
                'Write a default: {{ contact.%(name)s | default: "…" }}, or put it into {%% if contact.%(name)s %%}.',
                name=name,
            )
            problems.append(Problem("missing_merge_field", sentence, use.part, _place(template, use), step))
    return problems


def unguarded_fields(template: Template) -> Iterator[tuple[MergeField, str]]:
    """The first use of each field of contacts that is shown as it is: neither with a default nor asked for by a tag."""
    shown: dict[str, MergeField] = {}
    asked: set[str] = set()
    for use in template.merge_fields:
        match = _SIMPLE.match(use.path)
        if match is None or match[1] == "email":
            continue
        text = _text_of(template, use)
        if text.rfind("{%", 0, use.span.start) > text.rfind("{{", 0, use.span.start):
            asked.add(match[1])
        elif not _DEFAULT.search(text[use.span.end : text.find("}}", use.span.end)]):
            shown.setdefault(match[1], use)
    yield from ((use, name) for name, use in shown.items() if name not in asked)


def count_without_field(connection: Connection, campaign: Campaign, name: str, now: Microseconds) -> int:
    """How many contacts of the audience have no value in a field, or an empty one."""
    unset = NotThis(FieldIs(name, FieldOperator.IS_SET, True))
    try:
        return _count(connection, campaign, AnyOf((unset, FieldIs(name, FieldOperator.IS, ""))), now)
    except SegmentSyntaxError:  # a field of a kind that is never an empty text
        return _count(connection, campaign, unset, now)


def consent_problems(
    connection: Connection, campaign: Campaign, stream: Stream, recipients_in_all: int, now: Microseconds
) -> list[Problem]:
    """How many of the audience of a marketing mail never said yes to it, as far as their consent was kept."""
    if stream.kind != "marketing":
        return []
    given = [
        ConsentIs(ConsentAnswer.GIVEN, ConsentReach.ALL),
        ConsentIs(ConsentAnswer.GIVEN, ConsentReach.STREAM, stream.name),
    ]
    target = _list_name(connection, campaign)
    if target is not None:
        given.append(ConsentIs(ConsentAnswer.GIVEN, ConsentReach.LIST, target))
    without = _count(connection, campaign, NotThis(AnyOf(tuple(given))), now)
    if not without:
        return []
    sentence = say(
        "No consent is kept for %(without)s of %(recipients)s contacts.",
        without=f"{without:,}",
        recipients=f"{recipients_in_all:,}",
    )
    step = say("Keep where and when they agreed, or take out whoever did not: European law asks the sender for proof.")
    return [Problem("consent_missing", sentence, "list", "", step)]


def health_problems(connection: Connection, campaign: Campaign, now: Microseconds) -> list[Problem]:
    """Whether the last mails to this list did harm; ``list_health_pause`` blocks until somebody overrules it."""
    if campaign.list_id is None:
        return []
    counts = _counts(connection, campaign.workspace_id, campaign.list_id, now)
    verdict = judge_list(counts)
    if verdict.health not in {Health.REVIEW, Health.PAUSE}:
        return []
    sentence = say("The last mails to this list had %(cause)s.", cause=verdict.cause)
    step = say("Find out where these addresses come from, and prune the list before you send.")
    return [Problem(f"list_health_{verdict.health}", sentence, "list", "", step)]


def _counts(connection: Connection, workspace_id: int, list_id: int, now: Microseconds) -> ListCounts:
    sent = bounced = complained = 0
    for run in campaigns.runs_of_list(connection, workspace_id, list_id, now - _HEALTH_SINCE, _HEALTH_RUNS):
        states = recipients.count_run(connection, run.id).by_state
        told = events.event_counts(connection, workspace_id, run.id)
        sent += states.get("delivered", 0) + states.get("failed", 0)
        bounced += states.get("failed", 0) + told.get("bounced", 0)
        complained += told.get("complained", 0)
    # Late bounces and complaints are of mails that were delivered; no more of them than there were.
    bounced = min(bounced, sent)
    return ListCounts(sent, bounced, min(complained, sent - bounced))


def _count(connection: Connection, campaign: Campaign, condition: Node, now: Microseconds) -> int:
    parts: list[Node] = [condition]
    if campaign.audience is not None:
        parts.append(parse(json.loads(campaign.audience)))
    elif (name := _list_name(connection, campaign)) is not None:
        parts.append(OnList(name))
    audience = segments.open_audience(connection, campaign.workspace_id, AllOf(tuple(parts)))
    return segments.count_contacts(connection, audience, now)


def _list_name(connection: Connection, campaign: Campaign) -> str | None:
    if campaign.list_id is None:
        return None
    found = contacts.get_list(connection, campaign.workspace_id, campaign.list_id)
    return None if found is None else found.name


def _text_of(template: Template, use: MergeField) -> str:
    source = template.source
    texts = {"subject": source.subject, "preheader": source.preheader, "plain_text": source.plain_text or ""}
    return texts.get(use.part, source.body)


def _place(template: Template, use: MergeField) -> str:
    before = _text_of(template, use)[: use.span.start]
    return f"line {before.count(chr(10)) + 1}, column {use.span.start - (before.rfind(chr(10)) + 1) + 1}"
