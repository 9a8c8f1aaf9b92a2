import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import pytest

from mailtypes.address import AddressSyntaxError
from postwright.services.account_changes import AccountChanges
from postwright.services.accounts import Accounts, KeyScope, Role, WorkspaceChoiceError
from postwright.services.errors import NotFoundError, RefusedError, TooManyTriesError
from postwright.store import workspaces

PASSWORD = "correct horse battery"


async def add(world: Any, address: str = "Ada@acme.test", password: str = PASSWORD) -> int:
    return int(await world.accounts.save_user(world.workspace, address, password, Role.MARKETER))


async def fail(world: Any, address: str = "ada@acme.test", origin: str = "192.0.2.1") -> None:
    with pytest.raises(RefusedError) as caught:
        await world.accounts.sign_in(address, "wrong password", origin)
    assert caught.value.problems[0].code == "sign_in"


async def test_a_right_password_opens_a_session(world: Any) -> None:
    user = await add(world)
    token = await world.accounts.sign_in("ADA@ACME.TEST", PASSWORD, "192.0.2.1")
    who = await world.accounts.session(token)
    assert (who.user_id, who.address, who.role, who.workspace_id) == (
        user,
        "Ada@acme.test",
        "marketer",
        world.workspace,
    )
    assert len(who.csrf_token) >= 40
    assert who.csrf_token != token


async def test_neither_token_nor_password_is_in_the_database(world: Any) -> None:
    await add(world)
    token = await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1")
    await world.database.close()
    stored = b"".join(path.read_bytes() for path in world.folder.glob("postwright.db*"))
    assert hashlib.sha256(token.encode()).hexdigest().encode() in stored
    assert token.encode() not in stored
    assert PASSWORD.encode() not in stored


@pytest.mark.parametrize("address", ["ada@acme.test", "nobody@acme.test", "not an address", ""])
async def test_whatever_is_wrong_the_refusal_is_the_same(world: Any, address: str) -> None:
    await add(world)
    with pytest.raises(RefusedError) as caught:
        await world.accounts.sign_in(address, "wrong password", "192.0.2.1")
    assert str(caught.value) == "The address or the password is not right."


async def test_a_disabled_user_neither_signs_in_nor_stays_signed_in(world: Any) -> None:
    await add(world)
    token = await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1")
    await world.change("UPDATE user_account SET disabled_at = 1")
    assert await world.accounts.session(token) is None
    with pytest.raises(RefusedError):
        await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1")


async def test_a_longer_password_that_begins_like_the_right_one_is_wrong(world: Any) -> None:
    await add(world, password="x" * 200)
    await world.accounts.sign_in("ada@acme.test", "x" * 200, "192.0.2.1")
    for wrong in ("x" * 201, "x" * 199, "x" * 1_000_000):
        with pytest.raises(RefusedError):
            await world.accounts.sign_in("ada@acme.test", wrong, "192.0.2.1")


@pytest.mark.parametrize("length", [0, 9, 201])
async def test_a_password_has_ten_to_two_hundred_characters(world: Any, length: int) -> None:
    with pytest.raises(RefusedError) as caught:
        await add(world, password="p" * length)
    assert caught.value.problems[0].field == "password"
    with pytest.raises(AddressSyntaxError):
        await add(world, address="nobody")


async def test_tries_of_many_networks_slow_each_other_and_keep_nobody_out(world: Any) -> None:
    await add(world)
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)

    accounts = Accounts(world.database, world.clock, timedelta(hours=1), pause)
    for number in range(11):
        with pytest.raises(RefusedError):
            await accounts.sign_in("ada@acme.test", "wrong password", f"192.0.2.{number}")
    assert await accounts.sign_in("ada@acme.test", PASSWORD, "198.51.100.1")
    assert len(waits) == 2, "the eleventh wrong one, and the right one"
    assert max(waits) <= 5
    world.clock.advance(timedelta(minutes=15, seconds=1))
    await accounts.sign_in("ada@acme.test", PASSWORD, "198.51.100.2")
    assert len(waits) == 2


@pytest.mark.parametrize("others", ["192.0.2.1", "2001:db8:0:1::{}"])
async def test_one_network_is_barred_for_one_person_and_later_for_all(world: Any, others: str) -> None:
    await add(world)
    await add(world, address="eli@acme.test")
    for number in range(10):
        await fail(world, origin=others.format(number))
    with pytest.raises(TooManyTriesError):
        await world.accounts.sign_in("ada@acme.test", PASSWORD, others.format(77))
    assert await world.accounts.sign_in("eli@acme.test", PASSWORD, others.format(77))
    for number in range(20):
        await fail(world, address=f"guess{number}@acme.test", origin=others.format(number))
    with pytest.raises(TooManyTriesError):
        await world.accounts.sign_in("eli@acme.test", PASSWORD, others.format(78))
    assert await world.accounts.sign_in("eli@acme.test", PASSWORD, "2001:db8:0:2::1")


async def test_a_known_browser_is_counted_by_itself(world: Any) -> None:
    """All of a proxy look like one network: whoever was here before is not barred by the others."""
    await add(world)
    mark = await world.accounts.mark_of(await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1"))
    for _ in range(10):
        await fail(world)
    with pytest.raises(TooManyTriesError):
        await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1", mark="1-" + "0" * 64)
    assert await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1", mark=mark)
    for _ in range(10):
        with pytest.raises(RefusedError):
            await world.accounts.sign_in("ada@acme.test", "wrong password", "192.0.2.9", mark=mark)
    with pytest.raises(TooManyTriesError):
        await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.9", mark=mark)
    await add(world, password="another password")
    with pytest.raises(TooManyTriesError):
        await world.accounts.sign_in("ada@acme.test", "another password", "192.0.2.1", mark=mark)


async def test_tries_that_come_together_do_not_slip_past_the_limit(world: Any) -> None:
    await add(world)
    tries = [world.accounts.sign_in("ada@acme.test", "wrong password", "192.0.2.1") for _ in range(15)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(end, RefusedError) for end in ends) == 10
    assert sum(isinstance(end, TooManyTriesError) for end in ends) == 5


async def test_all_processes_count_together_and_a_restart_forgets_nothing(world: Any) -> None:
    await add(world)
    others = [Accounts(world.database, world.clock, timedelta(hours=1)) for _ in range(2)]
    for number in range(10):
        with pytest.raises(RefusedError):
            await others[number % 2].sign_in("ada@acme.test", "wrong password", "192.0.2.1")
    rows = "SELECT name_hash, count(*) FROM sign_in_failure GROUP BY name_hash"
    written = world.rows(rows)
    assert [count for _, count in written] == [10, 10, 10]
    assert not any("192.0.2.1" in name or "ada" in name for name, _ in written)
    for accounts in (*others, world.accounts):
        with pytest.raises(TooManyTriesError):
            await accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1")
    assert world.rows(rows) == written, "who is barred makes nobody write"
    world.clock.advance(timedelta(minutes=15))
    assert await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1")
    assert world.rows(rows) == written, "nor does who is right"
    await fail(world)
    assert [count for _, count in world.rows(rows)] == [1, 1, 1]


async def test_who_is_in_two_workspaces_signs_in_to_either(world: Any) -> None:
    await add(world)
    second = await world.database.write(
        lambda connection: workspaces.create_workspace(connection, "second", world.clock.now())
    )
    await world.accounts.save_user(second, "ada@acme.test", "the second one", Role.ADMIN)

    async def opened(password: str, **options: Any) -> int:
        token = await world.accounts.sign_in("ada@acme.test", password, "192.0.2.1", **options)
        return int((await world.accounts.session(token)).workspace_id)

    assert await opened(PASSWORD) == world.workspace
    assert await opened("the second one") == second
    await world.accounts.save_user(second, "ada@acme.test", PASSWORD, Role.ADMIN)
    with pytest.raises(WorkspaceChoiceError) as caught:
        await opened(PASSWORD)
    assert [one for one, _ in caught.value.workspaces] == [world.workspace, second]
    assert await opened(PASSWORD, workspace_id=second) == second
    await world.change(f"UPDATE user_account SET disabled_at = 1 WHERE workspace_id = {world.workspace}")
    assert await opened(PASSWORD) == second


async def test_a_link_works_once_and_never_for_who_was_shut_out_meanwhile(world: Any) -> None:
    changes = AccountChanges(world.database, world.clock, world.accounts)
    link = await changes.invite(world.workspace, "ada@acme.test", Role.MARKETER)
    tries = [changes.choose_password(link, f"password number {number}") for number in range(2)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(end, NotFoundError) for end in ends) == 1

    link = await changes.invite(world.workspace, "eli@acme.test", Role.MARKETER)
    user_id = int(link.split("-")[0])
    hash_password = world.accounts.hash_password

    async def hash_slowly(password: str) -> str:
        await changes.disable(world.workspace, user_id)
        return str(await hash_password(password))

    world.accounts.hash_password = hash_slowly
    with pytest.raises(NotFoundError):
        await changes.choose_password(link, "the password of Eli")
    (eli,) = [user for user in await world.accounts.users(world.workspace) if user.id == user_id]
    assert eli.disabled_at is not None


async def test_a_password_changes_in_the_workspace_where_one_is(world: Any) -> None:
    changes = AccountChanges(world.database, world.clock, world.accounts)
    await add(world)
    second = await world.database.write(
        lambda connection: workspaces.create_workspace(connection, "second", world.clock.now())
    )
    await world.accounts.save_user(second, "ada@acme.test", "the second one", Role.ADMIN)
    token = await world.accounts.sign_in("ada@acme.test", "the second one", "192.0.2.1")
    await changes.change_password(await world.accounts.session(token), "the second one", "a third one", "192.0.2.1")
    assert await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1")
    assert await world.accounts.sign_in("ada@acme.test", "a third one", "192.0.2.1")


async def test_a_right_password_does_not_count_as_a_try(world: Any) -> None:
    await add(world)
    for _ in range(12):
        assert await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1")


async def test_an_origin_cannot_be_mistaken_for_an_address(world: Any) -> None:
    await add(world)
    for number in range(10):
        await fail(world, address=f"guess{number}@acme.test", origin="ada@acme.test")
    assert await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1")


async def test_a_session_ends_by_itself_and_by_signing_out(world: Any) -> None:
    await add(world)
    first = await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1")
    second = await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1")
    await world.accounts.sign_out(await world.accounts.session(first))
    assert await world.accounts.session(first) is None
    world.clock.advance(timedelta(minutes=59))
    assert await world.accounts.session(second)
    world.clock.advance(timedelta(minutes=1))
    assert await world.accounts.session(second) is None
    assert await world.accounts.session("") is None


async def test_a_new_password_replaces_the_old_one(world: Any) -> None:
    first = await add(world)
    assert await add(world, address="ada@ACME.test", password="another password") == first
    assert len(await world.accounts.users(world.workspace)) == 1
    await world.accounts.sign_in("ada@acme.test", "another password", "192.0.2.1")
    with pytest.raises(RefusedError):
        await world.accounts.sign_in("ada@acme.test", PASSWORD, "192.0.2.1")


@pytest.mark.parametrize(
    ("given", "granted"),
    [({"read"}, {"read"}), ({"send"}, {"read", "send"}), ({"admin"}, {"read", "send", "admin"})],
)
async def test_scopes_include_the_smaller_ones(world: Any, given: set[str], granted: set[str]) -> None:
    _, key = await world.accounts.create_key(world.workspace, "shop", frozenset(KeyScope(one) for one in given))
    client = await world.accounts.client(key)
    assert (client.scopes, client.workspace_id) == (granted, world.workspace)


async def test_only_the_sha256_of_a_key_is_kept(world: Any) -> None:
    _, key = await world.accounts.create_key(world.workspace, "shop", frozenset({KeyScope.READ}))
    await world.database.close()
    stored = b"".join(path.read_bytes() for path in world.folder.glob("postwright.db*"))
    assert hashlib.sha256(key.encode()).hexdigest().encode() in stored
    assert key[12:].encode() not in stored


async def test_a_revoked_key_is_nobodys(world: Any) -> None:
    key_id, key = await world.accounts.create_key(world.workspace, "shop", frozenset({KeyScope.ADMIN}))
    with pytest.raises(NotFoundError):
        await world.accounts.revoke_key(world.workspace + 1, key_id)
    assert await world.accounts.client(key)
    await world.accounts.revoke_key(world.workspace, key_id)
    assert await world.accounts.client(key) is None
    with pytest.raises(NotFoundError):
        await world.accounts.revoke_key(world.workspace, key_id)
    assert await world.accounts.client(key[:-1]) is None


@pytest.mark.parametrize(("name", "scopes"), [("", {"read"}), ("x" * 101, {"read"}), ("shop", set())])
async def test_a_key_needs_name_and_scope(world: Any, name: str, scopes: set[str]) -> None:
    with pytest.raises(RefusedError):
        await world.accounts.create_key(world.workspace, name, frozenset(KeyScope(one) for one in scopes))
