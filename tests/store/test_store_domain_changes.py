"""What is published for a domain, changed by several at once; and domains found by host and by name."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from postwright.store import domains, workspaces
from postwright.store.database import Database
from postwright.store.domains import SenderDomain

HOSTS = ("bounce.sender.test", "links.sender.test")


async def test_changes_at_once_see_what_the_others_have_made_of_it(
    world: Any, open_database: Callable[[], Database]
) -> None:
    made = await world.write(domains.add_domain, world.workspace, "sender.test", HOSTS, world.now)

    def one_more(found: SenderDomain) -> dict[str, str | bool | None]:
        return {"mta_sts_hosts": f"{found.mta_sts_hosts or ''}x"}

    others = [open_database() for _ in range(3)]
    await asyncio.gather(
        *(one.write(lambda connection: domains.change_domain(connection, made, one_more)) for one in others * 5)
    )
    found = await world.read(domains.get_domain, made)
    assert (found.mta_sts_hosts, found.state, found.under_platform) == ("x" * 15, "pending", False)


async def test_a_change_that_is_refused_changes_nothing(world: Any) -> None:
    made = await world.write(domains.add_domain, world.workspace, "sender.test", HOSTS, world.now)

    def refuse(_: SenderDomain) -> dict[str, str | bool | None]:
        raise ValueError("no")

    before = await world.read(domains.get_domain, made)
    with pytest.raises(ValueError, match="no"):
        await world.write(domains.change_domain, made, refuse)
    await world.write(domains.change_domain, made, lambda _: {})
    assert await world.read(domains.get_domain, made) == before


async def test_domains_by_return_path_host_and_by_name(world: Any) -> None:
    other = await world.write(workspaces.create_workspace, "other", world.now)
    for workspace, name in ((other, "sender.test"), (world.workspace, "sender.test"), (other, "alone.test")):
        hosts = (f"bounce.{name}", f"links.{name}")
        made = await world.write(domains.add_domain, workspace, name, hosts, world.now)
        if workspace == world.workspace:
            await world.write(domains.save_audit, made, "verified", "{}", world.now)
    assert await world.read(domains.workspaces_of_host, "bounce.sender.test") == sorted([world.workspace, other])
    assert await world.read(domains.workspaces_of_host, "bounce.alone.test") == [other]
    assert await world.read(domains.workspaces_of_host, "bounce.nobody.test") == []
    found = await world.read(domains.find_verified, "sender.test")
    assert found.workspace_id == world.workspace
    assert await world.read(domains.find_verified, "alone.test") is None
