"""What a campaign is made of: domains and keys, templates, routes, streams, runs."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from postwright.store import campaigns, domains, routes, templates, workspaces
from postwright.store.database import Database
from postwright.store.workspaces import PooledSource

HOSTS = ("bounce.sender.test", "track.sender.test")
TEXT = templates.TemplateText("<p>Hi</p>", "html", "Hi", "soon", None)


async def test_the_first_verification_is_remembered(world: Any) -> None:
    made = await world.write(domains.add_domain, world.workspace, "sender.test", HOSTS, world.now)
    for moment, state in ((1, "failing"), (2, "verified"), (3, "failing"), (4, "verified")):
        await world.write(domains.save_audit, made, state, f'{{"n": {moment}}}', world.now + moment)
    found = await world.read(domains.find_domain, world.workspace, "sender.test")
    assert (found.state, found.audit, found.checked_at) == ("verified", '{"n": 4}', world.now + 4)
    assert found.verified_at == world.now + 2
    assert await world.read(domains.find_domain, world.workspace + 1, "sender.test") is None
    assert await world.read(domains.return_path_hosts) == {"bounce.sender.test"}


async def test_only_active_keys_sign_and_rsa_first(world: Any) -> None:
    made = await world.write(domains.add_domain, world.workspace, "sender.test", HOSTS, world.now)
    key = domains.DkimKey(0, world.workspace, made, "s1", "ed25519", "made", "v=DKIM1", b"\x00sealed", "k1", world.now)
    ids = [
        await world.write(domains.add_key, one)
        for one in (key, replace(key, selector="s2", algorithm="rsa"), replace(key, selector="s3", algorithm="rsa"))
    ]
    active = (domains.active_keys, world.workspace, "sender.test")
    assert await world.read(*active) == []
    for one in ids[:2]:
        await world.write(domains.set_key_state, one, "active", world.now)
    assert [one.selector for one in await world.read(*active)] == ["s2", "s1"]
    assert (await world.read(*active))[1].private_key_sealed == b"\x00sealed"
    await world.write(domains.set_key_state, ids[1], "retired", world.now)
    assert [one.selector for one in await world.read(*active)] == ["s1"]
    assert await world.read(domains.active_keys, world.workspace + 1, "sender.test") == []
    assert [one.selector for one in await world.read(domains.list_keys, made)] == ["s1", "s2", "s3"]


async def test_the_same_text_stays_the_same_version(world: Any) -> None:
    save = partial(world.write, templates.save_template, world.workspace, "hello")
    first = await save(TEXT, world.now)
    assert await save(TEXT, world.now + 1) == first
    second = await save(replace(TEXT, subject="Ho"), world.now + 2)
    back = await save(TEXT, world.now + 3)
    assert [one.number for one in (first, second, back)] == [1, 2, 3]
    assert await world.read(templates.get_version, first.id) == first
    assert await world.read(templates.latest_version, first.template_id) == back
    assert first.text == TEXT
    other = await world.write(templates.save_template, world.workspace, "other", TEXT, world.now)
    assert (other.number, other.template_id == first.template_id) == (1, False)


@pytest.mark.parametrize("field", ["body", "body_format", "subject", "preheader", "plain_text"])
async def test_a_change_anywhere_makes_a_version(world: Any, field: str) -> None:
    first = await world.write(templates.save_template, world.workspace, "hello", TEXT, world.now)
    changed = replace(TEXT, **{field: "changed"})
    second = await world.write(templates.save_template, world.workspace, "hello", changed, world.now)
    assert (second.number, second.text) == (first.number + 1, changed)


async def test_processes_that_make_the_same_thing(world: Any, open_database: Callable[[], Database]) -> None:
    """Each looks in vain and inserts; on PostgreSQL the one that comes too late has to look again."""
    databases = [open_database() for _ in range(3)]
    for number in range(8):
        text = replace(TEXT, subject=str(number))
        save = partial(
            templates.save_template, workspace_id=world.workspace, name=f"t{number}", text=text, now=world.now
        )
        versions = await asyncio.gather(*(one.write(save) for one in databases))
        assert len({version.id for version in versions}) == 1
        site = partial(
            routes.save_destination, workspace_id=world.workspace, site=f"mx{number}", provider="", host_groups=()
        )
        assert len(set(await asyncio.gather(*(one.write(site) for one in databases)))) == 1


async def test_a_route_lasts_until_it_expires(world: Any) -> None:
    route = routes.Route("a.test", "hosts", "", world.destination, world.now + 10)
    await world.write(routes.save_route, world.workspace, route)
    await world.write(routes.save_route, world.workspace, replace(route, domain="b.test", expires_at=world.now))
    fresh = (routes.fresh_routes, world.workspace, ["a.test", "b.test", "c.test"])
    assert await world.read(*fresh, world.now) == {"a.test": route}
    assert await world.read(*fresh, world.now + 10) == {}
    changed = routes.Route("a.test", "null_mx", "takes no mail", None, world.now + 99)
    await world.write(routes.save_route, world.workspace, changed)
    assert await world.read(*fresh, world.now + 10) == {"a.test": changed}
    assert await world.read(routes.fresh_routes, world.workspace + 1, ["a.test"], world.now) == {}


async def test_a_destination_is_brought_up_to_date(world: Any) -> None:
    groups = (("mx1.test", "mx2.test"), ("backup.test",))
    again = await world.write(routes.save_destination, world.workspace, "mx.example.test", "other", groups)
    assert again == world.destination
    (found,) = await world.read(routes.list_destinations, [again])
    assert (found.provider, found.host_groups) == ("other", groups)


async def test_a_workspace_begins_with_two_streams(world: Any) -> None:
    marketing = await world.read(workspaces.find_stream, world.workspace, "marketing")
    receipts = await world.read(workspaces.find_stream, world.workspace, "transactional")
    assert (marketing.one_click, receipts.one_click, receipts.tracks_opens) == (True, False, False)
    assert await world.read(workspaces.get_stream, marketing.id) == marketing
    await world.write(
        workspaces.set_egress_sources,
        world.workspace,
        [PooledSource("192.0.2.1", "a.test"), PooledSource("192.0.2.2", "b.test")],
        {},
    )
    await world.write(workspaces.set_egress_sources, world.workspace, [PooledSource("192.0.2.3", "c.test")], {})
    assert [one.ip for one in await world.read(workspaces.list_egress_sources, world.workspace)] == ["192.0.2.3"]


async def test_a_run_is_numbered_and_moves_by_conditional_update(world: Any) -> None:
    run = await world.start([])
    assert (run.number, run.state, run.stream_id) == (1, "preparing", run.stream_id)
    assert await world.write(campaigns.move_run, run.id, ["sending"], "paused", world.now) is False
    assert await world.write(campaigns.move_run, run.id, ["preparing"], "cancelled", world.now + 1) is True
    assert (await world.again(run)).finished_at == world.now + 1
    assert await world.read(campaigns.runs_in_state, "preparing") == []
    assert await world.read(campaigns.latest_run, run.campaign_id) == await world.again(run)
    assert await world.read(campaigns.link_target, run.id, 0, 0) == "https://example.test/"
    assert await world.read(campaigns.link_target, run.id, 0, 1) is None
    assert [one.number for one in await world.read(campaigns.variants_of, run.id)] == [0]


async def test_streams_take_the_pool_that_is_set_for_them(world: Any) -> None:
    sources = [PooledSource("192.0.2.1", "a.test"), PooledSource("192.0.2.2", "b.test", "receipts")]
    await world.write(workspaces.set_egress_sources, world.workspace, sources, {"transactional": "receipts"})
    streams = {
        name: await world.read(workspaces.find_stream, world.workspace, name) for name in ("marketing", "transactional")
    }
    listed = {one.ip: one.pool_id for one in await world.read(workspaces.list_egress_sources, world.workspace)}
    assert streams["marketing"].pool_id == listed["192.0.2.1"]
    assert streams["transactional"].pool_id == listed["192.0.2.2"]
    await world.write(workspaces.set_egress_sources, world.workspace, sources[:1], {})
    back = await world.read(workspaces.find_stream, world.workspace, "transactional")
    assert back.pool_id == streams["marketing"].pool_id
