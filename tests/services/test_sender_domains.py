from typing import Any

import pytest

from dns_checks.dkim.keys import parse_key_record
from dns_checks.publish import as_zone_text
from dns_checks.testing import Zone
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.questions import DnsAnswer, DnsQuestion, Unanswered
from mta.ports import NoSigningKeyError
from postwright.keyrings import KeyRing, UnsealError, unseal
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.signing_keys import StoredKeys, open_key

SENDER = "news.acme.test"


class Silence:
    """A world in which nobody answers."""

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        return Unanswered("timeout")


async def verify(world: Any) -> tuple[str, str]:
    domain, report = await world.sender_domains.verify(world.workspace, SENDER)
    return domain.state, str(report.verdict)


async def key_states(world: Any) -> list[str]:
    domain = await world.sender_domains.get(world.workspace, SENDER)
    return [key.state for key in await world.sender_domains.keys(domain)]


async def test_adding_twice_gives_the_same_domain_and_key(world: Any) -> None:
    first = await world.sender_domains.add(world.workspace, SENDER)
    again = await world.sender_domains.add(world.workspace, "NEWS.acme.test.")
    assert first == again
    assert len(await world.sender_domains.keys(first)) == 1
    assert (first.state, first.return_path_host, first.tracking_host) == (
        "pending",
        f"bounce.{SENDER}",
        f"links.{SENDER}",
    )


async def test_a_key_is_made_where_a_process_died_between_domain_and_key(world: Any) -> None:
    domain = await world.sender_domains.add(world.workspace, SENDER)
    await world.change("DELETE FROM dkim_key")
    assert len(await world.sender_domains.keys(domain)) == 1
    await world.publish()
    assert await verify(world) == ("verified", "verified")


async def test_the_private_key_is_sealed_to_its_domain_and_master_key(world: Any) -> None:
    domain = await world.sender_domains.add(world.workspace, SENDER)
    (key,) = await world.sender_domains.keys(domain)
    assert parse_key_record(key.public_record).public_key is not None
    private = open_key(world.master, key)
    assert private.key_size == 2048
    await world.database.close()
    stored = b"".join(path.read_bytes() for path in world.folder.glob("postwright.db*"))
    assert b"PRIVATE KEY" not in stored
    numbers = private.private_numbers()
    assert numbers.p.to_bytes(128, "big") not in stored
    assert numbers.d.to_bytes(256, "big") not in stored
    with pytest.raises(UnsealError):
        unseal(world.master, key.sealed_with, key.private_key_sealed, f"dkim:{domain.id + 1}:{key.selector}")
    with pytest.raises(UnsealError):
        open_key(KeyRing("1", {"1": b"x" * 32}), key)
    with pytest.raises(UnsealError, match="is not in the key file"):
        open_key(KeyRing("2", {"2": b"x" * 32}), key)


async def test_what_is_published_as_told_verifies(world: Any) -> None:
    await world.sender_domains.add(world.workspace, SENDER)
    assert await key_states(world) == ["made"]
    assert await verify(world) == ("pending", "not_verified")
    assert await key_states(world) == ["made"]
    await world.publish()
    assert await verify(world) == ("verified", "verified")
    assert await key_states(world) == ["active"]


async def test_one_servfail_keeps_a_verified_domain_verified(world: Any) -> None:
    await world.sender_domains.add(world.workspace, SENDER)
    await world.publish()
    await verify(world)
    await world.publish(without="_domainkey", extra=f";; SERVFAIL pw1._domainkey.{SENDER} TXT\n")
    assert await verify(world) == ("verified", "unknown")


@pytest.mark.parametrize(
    ("missing", "keys"), [("_domainkey", "made"), ("v=spf1", "active"), (" MX ", "active"), ("_dmarc", "active")]
)
async def test_without_one_of_the_records_it_is_not_verified(world: Any, missing: str, keys: str) -> None:
    domain = await world.sender_domains.add(world.workspace, SENDER)
    zone_text = as_zone_text(tuple(await world.sender_domains.records(domain)))
    assert missing in zone_text
    await world.publish(without=missing)
    assert await verify(world) == ("pending", "not_verified")
    assert await key_states(world) == [keys]


async def test_somebody_elses_key_under_our_selector_does_not_verify(world: Any) -> None:
    await world.sender_domains.add(world.workspace, SENDER)
    await world.publish()
    node = world.resolver.zone
    domain = await world.sender_domains.get(world.workspace, SENDER)
    (key,) = await world.sender_domains.keys(domain)
    await world.sender_domains.add(world.workspace, "other.acme.test")
    (other,) = await world.sender_domains.keys(await world.sender_domains.get(world.workspace, "other.acme.test"))
    await world.publish(
        without="_domainkey",
        extra=f'{key.selector}._domainkey.{SENDER}. 300 IN TXT "{other.public_record[:200]}" '
        f'"{other.public_record[200:]}"\n',
    )
    assert world.resolver.zone is not node
    assert await verify(world) == ("pending", "not_verified")
    assert await key_states(world) == ["made"]


async def test_while_the_world_is_silent_nothing_changes(world: Any) -> None:
    await world.sender_domains.add(world.workspace, SENDER)
    await world.publish()
    heard, world.resolver.zone = world.resolver.zone, Silence()
    assert await verify(world) == ("pending", "unknown")
    world.resolver.zone = heard
    assert await verify(world) == ("verified", "verified")
    world.resolver.zone = Silence()
    assert await verify(world) == ("verified", "unknown")
    assert await key_states(world) == ["active"]


async def test_what_is_really_gone_fails_a_verified_domain_and_can_come_back(world: Any) -> None:
    await world.sender_domains.add(world.workspace, SENDER)
    await world.publish()
    await verify(world)
    verified_at = (await world.sender_domains.get(world.workspace, SENDER)).verified_at
    await world.publish(without="_domainkey")
    assert await verify(world) == ("failing", "not_verified")
    world.resolver.zone = Silence()
    assert await verify(world) == ("failing", "unknown")  # silence does not heal either
    await world.publish()
    assert await verify(world) == ("verified", "verified")
    assert (await world.sender_domains.get(world.workspace, SENDER)).verified_at == verified_at
    changes = world.rows("SELECT data FROM event WHERE kind = 'domain_state_changed' ORDER BY id")
    assert [
        ('"before":"' + a, '"after":"' + b)
        for a, b in (("pending", "verified"), ("verified", "failing"), ("failing", "verified"))
    ] == [
        (row[0][row[0].index('"before"') :].split('",')[0], row[0][row[0].index('"after"') :].split('"}')[0])
        for row in changes
    ]


async def test_records_take_what_is_published_into_account(world: Any) -> None:
    domain = await world.sender_domains.add(world.workspace, SENDER)
    world.resolver.zone = Zone.parse(f'{domain.return_path_host}. 300 IN TXT "v=spf1 ip4:198.51.100.9 -all"\n')
    values = [one.value for one in await world.sender_domains.records(domain) if "v=spf1" in one.value]
    assert len(values) == 1
    assert "ip4:198.51.100.9" in values[0]
    assert "ip4:192.0.2.7" in values[0]


async def test_only_active_keys_sign(world: Any) -> None:
    await world.sender_domains.add(world.workspace, SENDER)
    keys = StoredKeys(world.database, world.master, world.clock)
    await keys.prefetch(DomainName(SENDER), world.workspace)
    with pytest.raises(NoSigningKeyError):
        keys.signing_keys(DomainName(SENDER), world.workspace)
    await world.publish()
    await verify(world)
    fresh = StoredKeys(world.database, world.master, world.clock)
    await fresh.prefetch(DomainName(SENDER), world.workspace)
    assert [key.selector for key in fresh.signing_keys(DomainName(SENDER), world.workspace)] == ["pw1"]
    await fresh.prefetch(DomainName(SENDER), world.workspace + 1)
    with pytest.raises(NoSigningKeyError):
        fresh.signing_keys(DomainName(SENDER), world.workspace + 1)


@pytest.mark.parametrize("name", ["", "a..b", "-a.test", "a b.test"])
async def test_what_is_no_domain_is_refused(world: Any, name: str) -> None:
    with pytest.raises(DomainSyntaxError):
        await world.sender_domains.add(world.workspace, name)
    assert world.rows("SELECT count(*) FROM sender_domain")[0][0] == 0


async def test_other_refusals(world: Any) -> None:
    with pytest.raises(RefusedError):
        await world.sender_domains.add(world.workspace, "test")
    with pytest.raises(NotFoundError):
        await world.sender_domains.get(world.workspace, SENDER)
    domain = await world.sender_domains.add(world.workspace, SENDER)
    await world.change("DELETE FROM egress_source")
    with pytest.raises(RefusedError, match="No address to send from"):
        await world.sender_domains.records(domain)
