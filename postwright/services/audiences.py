"""Whom a campaign goes to: a list, a segment tree, or both, less whoever is excluded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from hygiene.segments.document import as_document
from hygiene.segments.errors import SegmentSyntaxError
from hygiene.segments.parse import parse
from hygiene.segments.tree import AllOf, Node, OnList
from mailtypes.clock import Microseconds
from mailtypes.saying import say
from postwright.services.errors import Problem
from postwright.store import contacts, segments
from postwright.store.campaigns import Campaign
from postwright.store.contacts import Contact, ContactList
from postwright.store.segments import Segment

_FIELD_SAMPLE = 10_000
_MOST_CHOICES = 500


@dataclass(frozen=True, slots=True)
class AudienceDraft:
    """``list_id``: members of that list alone, and what unsubscribing is from. ``tree`` narrows it or stands alone.

    ``without``: trees whose contacts get nothing.
    """

    list_id: int | None = None
    tree: object | None = None
    without: tuple[object, ...] = ()

    @property
    def is_list_alone(self) -> bool:
        """Whether everybody on the list is meant."""
        return self.list_id is not None and self.tree is None and not self.without


def audience_json(
    connection: Connection, workspace_id: int, draft: AudienceDraft, problems: list[Problem]
) -> str | None:
    """The draft as one tree for the store, ``None`` for a list alone; what is wrong is added to ``problems``."""
    target = None if draft.list_id is None else contacts.get_list(connection, workspace_id, draft.list_id)
    if draft.list_id is not None and target is None:
        problems.append(Problem("unknown_list", say("There is no such list."), "list"))
        return None
    if draft.list_id is None and draft.tree is None:
        problems.append(
            Problem("no_audience", say("A campaign needs a list or an audience."), "list", "", say("Name one."))
        )
        return None
    if draft.is_list_alone:
        return None
    try:
        parts: list[Node] = [] if target is None else [OnList(target.name)]
        parts += [] if draft.tree is None else [parse(draft.tree)]
        tree = parts[0] if len(parts) == 1 else AllOf(tuple(parts))
        tree = segments.without(tree, [parse(one) for one in draft.without])
        audience = segments.open_audience(connection, workspace_id, tree)
        # Compiled over nobody: lists, tags and streams that do not exist are found now, and not when it is sent.
        segments.count_contacts(connection, audience, Microseconds(0), ids=(0, 0))
    except SegmentSyntaxError as error:
        problems.append(Problem.of(error, "audience", "audience"))
        return None
    return json.dumps(as_document(tree), ensure_ascii=False)


def frozen_audience(connection: Connection, campaign: Campaign) -> str | None:
    """The tree with its segments put in, so that nobody changes who gets a run that has begun."""
    if campaign.audience is None:
        return None
    audience = segments.open_audience(connection, campaign.workspace_id, parse(json.loads(campaign.audience)))
    return json.dumps(as_document(audience.tree), ensure_ascii=False)


def count_audience(connection: Connection, campaign: Campaign, now: Microseconds) -> int:
    """How many contacts are in now."""
    return segments.count_contacts(connection, _audience(connection, campaign), now)


def sample_audience(connection: Connection, campaign: Campaign, now: Microseconds, limit: int) -> list[Contact]:
    """The first of them."""
    return segments.segment_contacts(connection, _audience(connection, campaign), now, limit=limit)


def field_names(connection: Connection, campaign: Campaign, now: Microseconds) -> set[str]:
    """The merge fields that the first of them have."""
    sample: Sequence[Contact] = sample_audience(connection, campaign, now, _FIELD_SAMPLE)
    names: set[str] = set()
    for contact in sample:
        fields: Mapping[str, object] = json.loads(contact.fields)
        names.update(fields)
    return names


@dataclass(frozen=True, slots=True)
class AudienceChoices:
    """What a person can choose from: lists with how many are on them, and segments."""

    lists: Sequence[tuple[ContactList, int]]
    segments: Sequence[Segment]


def audience_choices(connection: Connection, workspace_id: int) -> AudienceChoices:
    """The lists and the first segments of a workspace."""
    listed = segments.list_segments(connection, workspace_id, limit=_MOST_CHOICES)
    return AudienceChoices(contacts.list_lists(connection, workspace_id), listed)


def _audience(connection: Connection, campaign: Campaign) -> segments.Audience:
    if campaign.audience is not None:
        tree = parse(json.loads(campaign.audience))
    else:
        assert campaign.list_id is not None  # a campaign has one or the other
        target = contacts.get_list(connection, campaign.workspace_id, campaign.list_id)
        assert target is not None  # foreign keys
        tree = OnList(target.name)
    return segments.open_audience(connection, campaign.workspace_id, tree)
