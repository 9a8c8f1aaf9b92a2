"""Unverified domains: refused, or sent under the platform's domain where an admin allows it."""

from typing import Any

import pytest

from dns_checks.publish import as_zone_text
from dns_checks.testing import Zone
from mailtypes.domain import DomainName
from postwright.services.campaign_start import CampaignStart
from postwright.services.campaigns import Campaigns
from postwright.services.errors import RefusedError
from postwright.services.preflight import PreflightCheck
from postwright.services.signing_keys import StoredKeys
from postwright.store.workspaces import PooledSource, create_workspace, set_egress_sources

SENDER, PLATFORM = "news.acme.test", "mail.platform.test"
HOSTS = "links.postwright.test. A 192.0.2.7\nmx.postwright.test. A 192.0.2.7\n"


@pytest.fixture
async def platform(world: Any) -> int:
    """A verified platform domain in a workspace of its own; returns the workspace."""
    checked = PreflightCheck(world.database, world.clock, 443, PLATFORM)
    world.campaigns = Campaigns(world.database, world.clock, CampaignStart(world.database, world.clock, checked, 1))
    owner: int = await world.database.write(lambda c: create_workspace(c, "platform", world.clock.now()))
    await world.database.write(
        lambda c: set_egress_sources(c, owner, [PooledSource("192.0.2.7", "mx.postwright.test")], {})
    )
    domain = await world.sender_domains.add(owner, PLATFORM)
    records = await world.sender_domains.records(domain)
    world.resolver.zone = Zone.parse(as_zone_text(tuple(records)) + HOSTS)
    domain, _ = await world.sender_domains.verify(owner, PLATFORM)
    assert domain.state == "verified"
    await world.sender_domains.add(world.workspace, SENDER)
    return owner


async def allow(world: Any, *, allowed: bool = True) -> None:
    await world.sender_domains.change(world.workspace, SENDER, {"under_platform": allowed})


async def codes(world: Any, campaign: Any) -> tuple[list[str], list[str]]:
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    return [one.code for one in found.blocking], [one.code for one in found.advisory]


async def test_an_unverified_domain_is_refused(world: Any, platform: int) -> None:
    campaign = await world.draft()
    blocking, advisory = await codes(world, campaign)
    assert "domain_not_verified" in blocking
    assert "sent_under_platform" not in advisory
    with pytest.raises(RefusedError) as error:
        await world.campaigns.send(world.workspace, campaign.id)
    assert "--under-platform" in error.value.problems[0].next_step
    assert world.rows("SELECT * FROM run") == []


async def test_where_an_admin_allows_it_the_platforms_name_is_in_from(world: Any, platform: int) -> None:
    await allow(world)
    campaign = await world.draft()
    blocking, advisory = await codes(world, campaign)
    assert (blocking, advisory[0]) == ([], "sent_under_platform")
    await world.campaigns.send(world.workspace, campaign.id)
    (run,) = world.rows("SELECT * FROM run")
    assert (run.signing_domain, run.return_path_host) == (PLATFORM, f"bounce.{PLATFORM}")
    assert (run.from_address, run.from_name, run.reply_to) == (
        f"letter={SENDER}@{PLATFORM}",
        f"Acme via {PLATFORM}",
        f"letter@{SENDER}",
    )
    # The campaign itself stays as it was written.
    kept = await world.campaigns.get(world.workspace, campaign.id)
    assert (kept.from_address, kept.from_name, kept.reply_to) == (f"letter@{SENDER}", "Acme", None)


async def test_the_platforms_keys_sign_for_everybody_and_others_for_their_own_alone(world: Any, platform: int) -> None:
    keys = StoredKeys(world.database, world.master, world.clock, PLATFORM)
    await keys.prefetch(DomainName(PLATFORM), world.workspace)
    (key,) = keys.signing_keys(DomainName(PLATFORM), world.workspace)
    assert key.domain == DomainName(PLATFORM)
    others = StoredKeys(world.database, world.master, world.clock)
    await others.prefetch(DomainName(PLATFORM), world.workspace)
    with pytest.raises(Exception, match="no active DKIM key"):
        others.signing_keys(DomainName(PLATFORM), world.workspace)


async def test_without_a_verified_platform_the_allowance_is_worth_nothing(world: Any, platform: int) -> None:
    await allow(world)
    campaign = await world.draft()
    await world.change("UPDATE sender_domain SET state = 'failing' WHERE name = :name", name=PLATFORM)
    (blocking,) = (await world.campaigns.preflight(world.workspace, campaign.id)).blocking
    assert blocking.code == "domain_not_verified"
    assert "not verified itself" in blocking.next_step
    await world.change("UPDATE sender_domain SET state = 'verified' WHERE name = :name", name=PLATFORM)
    await allow(world, allowed=False)
    with pytest.raises(RefusedError):
        await world.campaigns.send(world.workspace, campaign.id)


async def test_a_verified_domain_goes_in_its_own_name_whatever_is_allowed(world: Any, platform: int) -> None:
    await allow(world)
    await world.change("UPDATE sender_domain SET state = 'verified' WHERE name = :name", name=SENDER)
    campaign = await world.draft()
    blocking, advisory = await codes(world, campaign)
    assert blocking == []
    assert "sent_under_platform" not in advisory
    await world.campaigns.send(world.workspace, campaign.id)
    assert world.rows("SELECT signing_domain, from_address FROM run") == [(SENDER, f"letter@{SENDER}")]


async def test_a_domain_that_fails_between_preflight_and_start_is_refused(
    world: Any, platform: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.change("UPDATE sender_domain SET state = 'verified' WHERE name = :name", name=SENDER)
    campaign = await world.draft()
    check = PreflightCheck.check

    async def check_and_fail(self: PreflightCheck, given: Any) -> Any:
        found = await check(self, given)
        await world.change("UPDATE sender_domain SET state = 'failing' WHERE name = :name", name=SENDER)
        return found

    monkeypatch.setattr(PreflightCheck, "check", check_and_fail)
    with pytest.raises(RefusedError, match="is failing, not verified"):
        await world.campaigns.send(world.workspace, campaign.id)
    assert (await world.campaigns.get(world.workspace, campaign.id)).state == "draft"


async def test_long_names_have_an_address_too(world: Any, platform: int) -> None:
    await allow(world)
    campaign = await world.draft(from_address=f"{'l' * 60}@{SENDER}", from_name="", reply_to="answers@acme.test")
    await world.campaigns.send(world.workspace, campaign.id)
    ((address, name, reply_to),) = world.rows("SELECT from_address, from_name, reply_to FROM run")
    assert address.startswith("sender-")
    assert name == f"{'l' * 60}@{SENDER} via {PLATFORM}"
    assert reply_to == "answers@acme.test"
