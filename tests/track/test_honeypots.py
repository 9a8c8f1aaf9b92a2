"""The link that no reader sees: in mail only where it is turned on, followed by machines alone, and never counted."""

import asyncio
import email
import email.policy
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html import unescape
from typing import Any, ClassVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.clock import ManualClock
from mta.signing import ChunkPreparer, MessageSigner
from postwright.services.composition import StoredComposer
from postwright.services.engagement import Engagement
from postwright.services.engagement_records import Criteria, Visit, VisitKind
from postwright.services.link_targets import LinkTargets
from postwright.services.statistics import By, Statistics
from postwright.services.verdicts import Verdicts
from postwright.services.whole_messages import StoredMessages
from postwright.store import events
from postwright.store.statistics import RunFilter
from postwright.track.asgi import TrackApplication
from tests.services.conftest import World
from tracking.tokens import TokenKeys, TokenKind, make, read
from tracking.urls import read_path
from tracking.verdicts.features import HONEYPOT_LINK

KEYS = TokenKeys(1, {1: b"t" * 32})
CHROME = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36"
SCANNER = [(b"user-agent", CHROME), (b"x-forwarded-for", b"203.0.113.7")]
HIDDEN = re.compile(r'<a href="(https://[^"]+/c/[^"]+)" tabindex="-1" aria-hidden="true" style="([^"]+)"></a>')


class EverythingLeadsSomewhere:
    """The worst link table there can be: each number, the honeypot's too, has a target."""

    async def find(self, _delivery_id: int, _link: int) -> str:
        return "https://acme.test/"


@dataclass
class Taken:
    """An intake that keeps what it is given."""

    visits: list[Visit] = field(default_factory=list)

    def soon(self, visit: Visit) -> bool:
        self.visits.append(visit)
        return True

    async def durably(self, visit: Visit) -> None:
        self.visits.append(visit)


@given(
    st.integers(0, 2**63 - 1),
    st.sampled_from(["GET", "HEAD"]),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from([b"user-agent", b"x-forwarded-for", b"referer"]), st.binary(max_size=30))),
)
@settings(max_examples=60, deadline=None)
def test_it_never_leads_anywhere_and_is_no_click(
    delivery_id: int, method: str, is_on: bool, headers: list[tuple[bytes, bytes]]
) -> None:
    database: Any = None  # nothing of it may need one
    engagement = Engagement(database, ManualClock(), KEYS, Criteria(honeypots=is_on))
    engagement._targets = cast(LinkTargets, EverythingLeadsSomewhere())
    taken = engagement.intake = Taken()
    token = make(TokenKind.CLICK, delivery_id, HONEYPOT_LINK, KEYS)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": f"/c/{token}", "headers": headers, "query_string": b"url=//x"}
    asyncio.run(TrackApplication(engagement)(scope, cast(Any, None), send))
    assert (sent[0]["status"], sent[1]["body"]) == (200, b"")
    assert b"location" not in dict(sent[0]["headers"])
    assert [visit.kind for visit in taken.visits] == [VisitKind.HONEYPOT] * is_on
    claims = read(token, KEYS)
    assert claims is not None
    assert asyncio.run(engagement.clicked(claims, is_fetch=True)) is None


def with_honeypots(world: World) -> None:
    """The world's messages from now on, and its judging."""
    world.engagement = Engagement(world.database, world.clock, world.token_keys, Criteria(honeypots=True))
    messages = StoredMessages(world.database)
    composer = StoredComposer(world.token_keys, world.feedback_keys, messages, honeypots=True)
    world.preparer = ChunkPreparer(composer, MessageSigner(world.stored_keys))


def texts(raw: bytes) -> tuple[str, str]:
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    html, plain = message.get_body(("html",)), message.get_body(("plain",))
    assert html is not None
    assert plain is not None
    return html.get_content(), plain.get_content()


class TestInMail:
    """What a campaign's mail has of it."""

    on: ClassVar[list[bool]] = [False, True]

    @pytest.mark.parametrize("is_on", on)
    async def test_it_is_there_once_where_it_is_on(self, visit: Any, is_on: bool) -> None:
        world = visit.world
        if is_on:
            with_honeypots(world)
        html, plain = texts(world.messages([visit.delivery])[0])
        found = HIDDEN.findall(html)
        assert len(found) == is_on
        for url, style in found:
            claims = read(unescape(url).rpartition("/")[2], world.token_keys)
            assert claims == (TokenKind.CLICK, visit.delivery.id, HONEYPOT_LINK)
            assert {"display:none", "mso-hide:all", "width:0", "height:0"} <= set(style.split(";"))
            assert url not in plain
        assert "aria-hidden" not in HIDDEN.sub("", html)

    async def test_a_stream_that_tracks_no_clicks_has_none(self, visit: Any) -> None:
        with_honeypots(visit.world)
        lease = visit.delivery.payload
        untracked = replace(lease.frozen, stream=replace(lease.frozen.stream, tracks_clicks=False))
        delivery = replace(visit.delivery, payload=replace(lease, frozen=untracked))
        assert not HIDDEN.search(texts(visit.world.messages([delivery])[0])[0])


async def test_a_scanner_that_follows_it_is_told_and_counts_nowhere(visit: Any) -> None:
    world = visit.world
    with_honeypots(world)
    visit.application = TrackApplication(world.engagement)
    (raw,) = world.messages([visit.delivery])
    await world.transmit([visit.delivery])
    await world.answer([visit.delivery], "250 2.0.0 taken")
    hidden = unescape(HIDDEN.findall(texts(raw)[0])[0][0])
    asked = read_path("/" + hidden.split("/", 3)[3])
    assert asked is not None
    world.clock.advance(timedelta(seconds=80))
    opened = await visit("GET", f"/o/{visit.tokens['o']}.gif", headers=SCANNER)
    clicked = await visit("GET", f"/c/{visit.tokens['c']}", headers=SCANNER)
    world.clock.advance(timedelta(seconds=20))
    caught = await visit("GET", f"/c/{asked[1]}", headers=SCANNER)
    assert [one.status for one in (opened, clicked, caught)] == [200, 302, 200]
    assert (caught.body, "location" in caught.headers) == (b"", False)
    assert visit.happened() == ["opened", "clicked"], "the honeypot is no event"
    assert world.rows("SELECT data FROM event WHERE kind = 'clicked'")[0][0].count('"human"') == 1
    world.clock.advance(timedelta(minutes=6))
    assert await Verdicts(world.database, world.clock).step()
    told = [tuple(row) for row in world.rows("SELECT kind, verdict, rule FROM engagement ORDER BY id")]
    assert told == [
        ("open", "machine", "among_machines"),
        ("click", "machine", "among_machines"),
        ("honeypot", "machine", "honeypot"),
    ]
    assert world.rows("SELECT COUNT(*) FROM event WHERE kind = 'clicked_revised'")[0][0] == 1
    world.clock.advance(timedelta(minutes=10))
    statistics, now = Statistics(world.database, world.clock), world.clock.now()
    await world.database.write(lambda connection: events.roll_up(connection, world.workspace, now))
    while await statistics.step():
        pass
    links = await statistics.table(world.workspace, RunFilter(), By.LINK)
    assert str(HONEYPOT_LINK) not in {row.key for row in links.rows}
    (total,) = (await statistics.table(world.workspace, RunFilter(), By.TOTAL)).rows
    clicks, clickers = total.measures.clicks, total.measures.clickers
    assert (clicks.human, clicks.probable, clicks.machine) == (0, 0, 1), "the one link of the mail, not the honeypot"
    assert (clickers.human, clickers.probable, clickers.machine) == (0, 0, 1)
