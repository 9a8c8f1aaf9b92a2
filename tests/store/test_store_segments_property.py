"""A segment tree in SQL against the plain reading in Python: random contacts, random trees, both databases."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from hygiene.segments.activity import RECENT, Activity, ActivityEvent, Happening
from hygiene.segments.document import as_document
from hygiene.segments.facts import ActivityFacts, ContactFacts
from hygiene.segments.fields import FieldDefinition, FieldKind
from hygiene.segments.matching import matches
from hygiene.segments.parse import parse
from hygiene.segments.tree import ActivityKind, ConsentAnswer, ConsentReach
from mailtypes.clock import DAY, HOUR
from postwright.store import contact_book, contact_facts, contact_fields, contacts, segments
from postwright.store.records import table

NOW = 20_000 * DAY + 5 * HOUR
TODAY = "2024-10-04"
CONTACTS = 60
KINDS = {
    "points": FieldKind.NUMBER,
    "stars": FieldKind.RATING,
    "renews": FieldKind.DATE,
    "plan": FieldKind.CHOICE,
    "member": FieldKind.YES_NO,
}
TEXTS = [
    "Leeds",
    "LEEDS",
    "leeds",
    "Éze",
    "éze",
    "a%b",
    "a_b",
    "x'y",
    'x"y',
    "עכו",
    "",
    " ",
    "ab",
    "abab",
    "𝒳y",
    "5",
    "true",
]
NUMBERS: list[object] = [0, 5, -3, 5.0, 0.1, 12.5, 2**40, "5", "", True, None, "n/a"]
DATES: list[object] = [
    "2024-10-04", "2024-10-03", "2024-10-05", "2024-09-04", "2023-01-01", "9999-12-31", "2024-10-4", "soon",
    "2024-10-04\n",
    "２０２４-10-04", 20241004, True, "",
]  # fmt: skip
FIELDS: dict[str, list[Any]] = {
    "city": [*TEXTS, 5, True, 2.5],
    "points": NUMBERS,
    "stars": [1, 2, 3, 4, 5, "4"],
    "renews": DATES,
    "plan": ["gold", "Gold", "silver", 1],
    "member": [True, False, "true", 1, 0],
    "odd.name [0]": ["x", "y"],
}
LISTS, TAGS, STREAMS = ["news", "offers", "quiet"], ["vip", "Bäcker"], ["marketing", "transactional"]
LIST_TRACKING = {"offers": "full", "quiet": "aggregate"}
DOMAINS, PROVIDERS = ["a.test", "b.test", "c.test"], ["gmail", "doar"]
SCOPES = [(ConsentReach.ALL, ""), (ConsentReach.LIST, "news"), (ConsentReach.STREAM, "marketing")]


# --- contacts -----------------------------------------------------------------------------------------------------


def _activity(chance: random.Random) -> Activity:
    activity = Activity()
    at = NOW - chance.randint(0, 120) * DAY
    mails = chance.randint(0, 14)
    for mail in range(mails):
        at = min(NOW, at + chance.randint(0, 12) * DAY + chance.randint(-5, 5) * HOUR)
        activity.apply(ActivityEvent(Happening.RECEIVED, at, mail))
        for happening in (Happening.OPENED, Happening.OPENED, Happening.CLICKED, Happening.ACTED):
            if chance.random() < 0.25:
                activity.apply(ActivityEvent(happening, at + HOUR, mail - chance.randint(0, 1)))
        if chance.random() < 0.1:
            activity.apply(ActivityEvent(Happening.OPEN_REVISED, at, mail, counts=False, counted=True))
    return activity


def _facts(chance: random.Random, number: int) -> tuple[ContactFacts, Activity | None]:
    activity = _activity(chance) if chance.random() < 0.8 else None
    domain = chance.choice(DOMAINS)
    days: dict[int, list[int]] = {}
    for (day, kind), amount in (activity.days if activity else {}).items():
        days.setdefault(day, [0, 0, 0, 0])[list(ActivityKind).index(kind)] = max(0, amount)
    some = [name for name in FIELDS if chance.random() < 0.7]
    facts = ContactFacts(
        address=f"Person{number}@{domain}",
        domain=domain,
        created_at=NOW - chance.choice([0, DAY, 30 * DAY, 30 * DAY + 1, 400 * DAY]),
        locale=chance.choice([None, "", "he", "en-GB", "EN-gb"]),
        time_zone=chance.choice([None, "Asia/Jerusalem"]),
        tracking=chance.choice([None, None, "off", "aggregate", "last_open", "full", "no such mode"]),
        fields={name: value for name in some if (value := chance.choice(FIELDS[name])) is not None},
        lists=(lists := frozenset(name for name in LISTS if chance.random() < 0.5)),
        list_tracking=frozenset(mode for name, mode in LIST_TRACKING.items() if name in lists),
        tracked_since=chance.choice([None, None, None, NOW - 20 * DAY, NOW - 31 * DAY]),
        tags=frozenset(name for name in TAGS if chance.random() < 0.4),
        consents={
            scope: chance.choice([ConsentAnswer.GIVEN, ConsentAnswer.WITHDRAWN, ConsentAnswer.PENDING])
            for scope in SCOPES
            if chance.random() < 0.6
        },
        provider={"a.test": "gmail", "b.test": "doar"}.get(domain),
        last_open_day=chance.choice([None, None, None, 20_000, 19_999, 19_970, 19_000]),
    )
    if activity is None:
        return facts, None
    return replace(
        facts,
        activity=ActivityFacts(
            totals=dict(activity.totals),
            last_at={kind: at for kind, at in activity.last_at.items() if at is not None},
            received_since=dict(activity.received_since),
            opened_in_a_row=activity.opened_in_a_row,
            days={day: (one[0], one[1], one[2], one[3]) for day, one in days.items()},
        ),
    ), activity


def _store(connection: Connection, world: Any, number: int, chance: random.Random) -> ContactFacts:
    facts, activity = _facts(chance, number)
    key = {"workspace_id": world.workspace}
    contact_id = connection.execute(
        table("contact").insert().values(
            **key, address=facts.address, address_key=facts.address.lower(), domain=facts.domain,
            fields=json.dumps(facts.fields, ensure_ascii=chance.random() < 0.5), created_at=facts.created_at,
            updated_at=NOW, locale=facts.locale, time_zone=facts.time_zone, tracking=facts.tracking,
            last_open_day=facts.last_open_day,
        )
    ).inserted_primary_key[0]  # fmt: skip
    for name in facts.lists:
        target = contacts.ensure_list(connection, world.workspace, name, NOW)
        row = {**key, "list_id": target.id, "contact_id": contact_id, "joined_at": NOW, "source": "test"}
        connection.execute(table("list_membership").insert(), [row])
    for name in facts.tags:
        tag = contact_facts.ensure_tag(connection, world.workspace, name, NOW)
        contact_facts.tag_contacts(connection, world.workspace, tag, [contact_id], NOW)
    for (reach, name), answer in facts.consents.items():
        scope_id = _scope_id(connection, world.workspace, reach, name)
        said = [(NOW - DAY, chance.choice(["given", "withdrawn"])), (NOW, str(answer))]
        chance.shuffle(said)  # an older entry may be told of later
        contact_facts.append_consents(
            connection,
            world.workspace,
            [
                contact_facts.NewConsent(contact_id, str(reach), scope_id, state, "form", "Yes", at)
                for at, state in said
            ],
        )
    if facts.tracked_since is not None:
        agreed = contact_facts.NewConsent(contact_id, "tracking", 0, "given", "page", "Yes", facts.tracked_since)
        contact_facts.append_consents(connection, world.workspace, [agreed])
    if activity is not None:
        _store_activity(connection, contact_id, world.workspace, activity)
    return facts


def _scope_id(connection: Connection, workspace: int, reach: ConsentReach, name: str) -> int:
    if reach is ConsentReach.LIST:
        return contacts.ensure_list(connection, workspace, name, NOW).id
    if reach is ConsentReach.STREAM:
        stream = table("stream")
        found = connection.execute(stream.select().where(stream.c.name == name)).one()
        return int(found.id)
    return 0


def _store_activity(connection: Connection, contact_id: int, workspace: int, activity: Activity) -> None:
    key = {"contact_id": contact_id, "workspace_id": workspace}
    row: dict[str, Any] = {str(kind): number for kind, number in activity.totals.items()}
    row |= {f"last_{kind}_at": at for kind, at in activity.last_at.items()}
    row |= {f"received_since_{kind}": number for kind, number in activity.received_since.items()}
    row |= {"opened_in_a_row": activity.opened_in_a_row, "soft_bounces": activity.soft_bounces}
    connection.execute(table("contact_activity").insert(), [{**key, **row}])
    days: dict[int, dict[str, int]] = {}
    for (day, kind), amount in activity.days.items():
        days.setdefault(day, dict.fromkeys(map(str, ActivityKind), 0))[str(kind)] = max(0, amount)
    if days:
        connection.execute(table("contact_day").insert(), [{**key, "day": day, **one} for day, one in days.items()])


# --- trees --------------------------------------------------------------------------------------------------------


def _comparisons() -> st.SearchStrategy[dict[str, Any]]:
    texts = st.sampled_from([*TEXTS, "e", "ee", "LEE"])
    full = texts.filter(bool)
    numbers = st.sampled_from([0, 5, -3, 0.1, 12.5, 5.0, 2**40, 6])
    days = st.sampled_from(["2024-10-04", "2024-10-03", "2023-01-01", "9999-12-31"])

    def one(name: str, operators: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.builds(
            lambda op, value: {"field": name, "op": op, "value": value}, st.sampled_from(operators), values
        )

    def several(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.lists(values, min_size=1, max_size=3).map(lambda one: {"field": name, "op": "one_of", "value": one})

    is_or_not = ["is", "is_not"]
    return st.one_of(
        one("city", is_or_not, texts),
        one("city", ["contains", "starts_with", "ends_with"], full),
        several("city", texts),
        one("points", [*is_or_not, "at_least", "at_most"], numbers),
        several("points", numbers),
        one("stars", [*is_or_not, "at_least", "at_most"], st.integers(1, 5)),
        one("renews", [*is_or_not, "before", "after"], days),
        one("renews", ["within_days", "in_next_days"], st.sampled_from([0, 1, 30, 3650])),
        several("renews", days),
        one("plan", is_or_not, st.sampled_from(["gold", "GOLD", "silver"])),
        one("member", is_or_not, st.booleans()),
        one("odd.name [0]", is_or_not, st.just("X")),
        st.sampled_from([*FIELDS, "nobody has it"]).map(lambda name: {"field": name, "op": "is_set"}),
        st.builds(
            lambda what, op, value: {"contact": what, "op": op, "value": value},
            st.sampled_from(["address", "locale", "time_zone", "tracking"]),
            st.sampled_from(["is", "is_not", "contains", "starts_with"]),
            st.sampled_from(["he", "en-gb", "off", "person1", "Asia/Jerusalem"]),
        ),
    )


def _behaviour() -> st.SearchStrategy[dict[str, Any]]:
    kinds = st.sampled_from([str(kind) for kind in ActivityKind])
    windows = st.one_of(
        st.just({}), st.sampled_from([1, 2, 14, 30, 31, 90, 365]).map(lambda days: {"within_days": days})
    )
    amounts = st.one_of(
        st.builds(
            lambda op, value: {"op": op, "value": value}, st.sampled_from(["at_least", "at_most"]), st.integers(0, 5)
        ),
        st.just({"op": "none"}),
    )
    ages = st.builds(
        lambda word, days: {word: days}, st.sampled_from(["within_days", "before_days"]), st.sampled_from([1, 30, 100])
    )
    return st.one_of(
        st.builds(lambda kind, amount, window: {"activity": kind, **amount, **window}, kinds, amounts, windows),
        st.builds(lambda kind, age: {"activity_last": kind, **age}, kinds, ages),
        st.builds(lambda kind, one: {"received_since": kind, **one}, st.sampled_from(["opened", "clicked"]), amounts),
        st.integers(1, RECENT).map(lambda number: {"opened_in_a_row": number}),
        ages.map(lambda age: {"joined": age}),
    )


def _belongings() -> st.SearchStrategy[dict[str, Any]]:
    scopes = st.sampled_from(["all", {"list": "news"}, {"stream": "marketing"}])
    return st.one_of(
        st.sampled_from(LISTS).map(lambda name: {"list": name}),
        st.sampled_from(TAGS).map(lambda name: {"tag": name}),
        st.builds(
            lambda answer, scope: {"consent": str(answer), "scope": scope}, st.sampled_from(list(ConsentAnswer)), scopes
        ),
        st.lists(st.sampled_from(DOMAINS), min_size=1, max_size=2).map(lambda names: {"domain": names}),
        st.sampled_from(PROVIDERS).map(lambda name: {"provider": name}),
    )


TREES = st.recursive(
    st.one_of(_comparisons(), _behaviour(), _belongings()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_sql_of_a_tree_equals_the_plain_reading(world: Any, seed: int) -> None:
    chance = random.Random(seed)

    def fill(connection: Connection) -> dict[str, ContactFacts]:
        for name in LISTS:
            made = contacts.ensure_list(connection, world.workspace, name, NOW)
            contact_book.set_list_tracking(connection, world.workspace, made.id, LIST_TRACKING.get(name))
        for name in TAGS:
            contact_facts.ensure_tag(connection, world.workspace, name, NOW)
        for name, kind in KINDS.items():
            choices = ("gold", "silver") if kind is FieldKind.CHOICE else ()
            contact_fields.add_field(connection, world.workspace, FieldDefinition(name, kind, choices), NOW)
        for domain, provider in (("a.test", "gmail"), ("b.test", "doar")):
            destination = table("destination").insert().values(
                workspace_id=world.workspace, site=f"mx.{domain}", provider=provider, hosts="[]"
            )  # fmt: skip
            key = connection.execute(destination).inserted_primary_key
            route = table("route").insert().values(
                workspace_id=world.workspace, domain=domain, result="found", cause="", destination_id=key[0],
                expires_at=NOW,
            )  # fmt: skip
            connection.execute(route)
        return {one.address.lower(): one for one in (_store(connection, world, n, chance) for n in range(CONTACTS))}

    people = await world.write(fill)

    def compare(connection: Connection) -> None:
        hits = set()

        @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(TREES)
        def check(document: dict[str, Any]) -> None:
            tree = parse(document)
            assert parse(as_document(tree)) == tree
            audience = segments.open_audience(connection, world.workspace, tree)
            found = {key for _, key in segments.segment_keys(connection, audience, NOW, limit=CONTACTS)}
            expected = {key for key, facts in people.items() if matches(audience.tree, facts, NOW, KINDS)}
            assert found == expected
            assert segments.count_contacts(connection, audience, NOW) == len(expected)
            hits.add(len(expected))

        check()
        assert len(hits) > 20, "the trees do not tell the contacts apart"

    await world.read(compare)
