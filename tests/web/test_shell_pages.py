"""The shell and the pages of whoever watches: languages, looks, queue, events, home, settings, audit log."""

import re
from typing import Any

import pytest

from mailtypes.clock import MINUTE
from mta.delivery import Happening
from postwright.services.accounts import Role
from postwright.web.hrefs import message_id

HEBREW = {"Accept-Language": "he-IL,he;q=0.9,en;q=0.5"}


async def _sent(install: Any, people: int = 12) -> int:
    await install.domain()
    await install.contacts(people)
    run_id: int = await install.send(await install.draft())
    return run_id


async def test_the_language_follows_the_browser_and_then_the_choice(browser: Any) -> None:
    page = (await browser.get("/sign-in", headers=HEBREW)).text
    assert '<html lang="he" dir="rtl"' in page
    assert "Sign in" not in page
    await browser.post(
        "/preferences", data={"language": "en", "back": "/sign-in"}, headers={"Origin": "http://127.0.0.1:8025"}
    )
    assert '<html lang="en" dir="ltr"' in (await browser.get("/sign-in", headers=HEBREW)).text


async def test_preferences_of_strangers_need_our_own_form(browser: Any) -> None:
    answer = await browser.post("/preferences", data={"language": "he"}, headers={"Origin": "https://evil.test"})
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


async def test_preferences_of_somebody_signed_in_need_the_token(browser: Any) -> None:
    await browser.sign_in(Role.VIEWER)
    assert (await browser.post("/preferences", data={"theme": "dark"})).status_code == 403
    assert (await browser.submit("/preferences", theme="dark", back="/events")).headers["Location"] == "/events"
    assert 'data-theme="dark"' in (await browser.get("/")).text


@pytest.mark.parametrize(("name", "value"), [("theme", "x\r\nA: b"), ("language", "de"), ("zone", "../etc/passwd")])
async def test_what_is_no_preference_is_not_kept(browser: Any, name: str, value: str) -> None:
    await browser.sign_in()
    assert "Set-Cookie" not in (await browser.submit("/preferences", **{name: value})).headers


@pytest.mark.parametrize("back", ["https://evil.test/", "//evil.test", "/\\evil.test"])
async def test_nobody_is_led_elsewhere_by_preferences(browser: Any, back: str) -> None:
    await browser.sign_in()
    assert (await browser.submit("/preferences", theme="dark", back=back)).headers["Location"] == "/"


async def test_times_are_in_the_zone_that_was_chosen(browser: Any, install: Any) -> None:
    await _sent(install)
    await browser.sign_in()
    await browser.submit("/preferences", zone="Asia/Kolkata")
    page = (await browser.get("/events")).text
    assert "+05:30" in page
    assert "+00:00</span>" not in page


async def test_hostile_cookies_are_worth_nothing(browser: Any) -> None:
    for name in ("language", "theme", "zone"):
        browser.cookies.set(f"postwright-{name}", '"><script>')
    page = await browser.get("/sign-in")
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert '<html lang="en" dir="ltr">' in page.text


async def test_every_page_speaks_hebrew(browser: Any, pages: Any) -> None:
    await browser.sign_in()
    await browser.submit("/preferences", language="he")
    for name, address in pages.items():
        text = (await browser.get(address)).text
        assert '<html lang="he" dir="rtl"' in text, name
        heading = re.search(r"<h1[^>]*>(.*?)</h1>", text, re.DOTALL)
        assert heading is not None, name
        assert re.search(r"[א-ת]", text.partition("<main")[2]), name
        # Neither how Python writes what it holds, nor a catalogue's header.
        assert not re.search(r"\[?\{(&#39;|')|Content-Transfer-Encoding: 8bit\\n|Generated-By", text), name


async def test_a_destination_is_suspended_and_the_way_back_is_offered(browser: Any, install: Any) -> None:
    await _sent(install)
    (destination, *_) = await install.application.destinations.list(install.workspace, everything=True)
    href = f"/queue/{destination.destination.id}"
    await browser.sign_in(Role.MARKETER)
    assert destination.destination.site in (await browser.get("/queue")).text
    answer = await browser.submit(f"{href}/suspend", note="their mail hosts are down", span="60")
    page = (await browser.get(answer.headers["Location"])).text
    assert f'action="{href}/resume" data-undo' in page
    assert "their mail hosts are down" in page
    status = (await install.application.destinations.get(install.workspace, destination.destination.id)).status
    assert status.state == "suspended"
    assert 59 * MINUTE < status.until - install.application.clock.now() <= 60 * MINUTE
    home = (await browser.get("/")).text
    assert f"Nothing is sent to {destination.destination.site}." in home
    assert "their mail hosts are down" in home
    assert (await browser.submit(f"{href}/flush")).status_code == 409
    assert (await browser.submit(f"{href}/resume")).status_code == 303
    assert f"Nothing is sent to {destination.destination.site}." not in (await browser.get("/")).text


async def test_giving_up_needs_a_reason(browser: Any, install: Any) -> None:
    await _sent(install)
    (destination, *_) = await install.application.destinations.list(install.workspace)
    await browser.sign_in()
    href = f"/queue/{destination.destination.id}"
    refused = await browser.submit(f"{href}/fail", note="  ")
    assert refused.status_code == 409
    assert "needs a note" in refused.text
    assert (await browser.submit(f"{href}/fail", note="The list was wrong")).status_code == 303
    after = await install.application.destinations.get(install.workspace, destination.destination.id)
    assert after.status.waiting.ready == 0


async def test_a_destination_tells_what_its_hosts_said(browser: Any, install: Any) -> None:
    await _sent(install)
    await install.deliver(Happening.TRANSIENT, 4)
    found = await install.application.destinations.list(install.workspace)
    deferred = max(found, key=lambda one: one.waiting.deferred)
    await browser.sign_in(Role.VIEWER)
    page = (await browser.get(f"/queue/{deferred.destination.id}")).text
    assert "451 4.7.1 Greylisted, come again in 30 s" in page
    assert "/suspend" not in page


async def test_destinations_sort_filter_and_export(browser: Any, install: Any) -> None:
    await _sent(install, 30)
    await browser.sign_in()
    sites = [f"mx1.{name}" for name in ("mailhub.test", "postbox.test", "doar.test")]
    page = (await browser.get("/queue?sort=-destination")).text.partition("<tbody>")[2]
    places = [page.index(f"<bdi>{site}</bdi>") for site in sorted(sites, reverse=True)]
    assert places == sorted(places)
    found = (await browser.get("/queue?find=DOAR")).text
    assert "mx1.doar.test" in found
    assert "mx1.mailhub.test" not in found
    assert "Nothing fits" in (await browser.get("/queue?state=suspended")).text
    answer = await browser.get("/queue.csv?find=doar")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.text.splitlines()[1].startswith("mx1.doar.test,open,10")


@pytest.mark.parametrize("place", ["x", "-1", "99999999999999999999", "²"])
async def test_no_destination_is_no_page(browser: Any, place: str) -> None:
    await browser.sign_in()
    assert (await browser.get(f"/queue/{place}")).status_code == 404


async def test_a_message_is_found_by_address_id_and_message_id(browser: Any, install: Any) -> None:
    from mta.message_id import make_message_id  # noqa: PLC0415

    await _sent(install)
    (delivery,) = await install.application.event_search.messages(install.workspace, "person1@postbox.test")
    key = next(iter(install.application.feedback_keys.values()))
    from mailtypes.domain import DomainName  # noqa: PLC0415

    made = make_message_id(delivery.id, DomainName("news.acme.test"), key)
    await browser.sign_in(Role.VIEWER)
    for query in ("PERSON1@postbox.test", message_id(delivery), made, made.strip("<>")):
        page = (await browser.get("/messages", params={"query": query})).text
        assert f"/messages/{message_id(delivery)}" in page, query
    for query in ("no-such-thing", "<x@y.test>" * 50):
        assert (await browser.get("/messages", params={"query": query})).status_code == 200


async def test_events_are_filtered_paged_and_exported(browser: Any, install: Any) -> None:
    await _sent(install, 60)
    await install.deliver(Happening.PERMANENT, 3)
    await install.deliver(Happening.ACCEPTED, 57)
    await browser.sign_in()
    failed = (await browser.get("/events?kind=failed")).text
    assert failed.count("550 5.1.1 No such user here") == 3
    first = (await browser.get("/events")).text
    later = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = (await browser.get(later)).text
    shown = re.findall(r'href="(/messages/msg_\w+)"', first) + re.findall(r'href="(/messages/msg_\w+)"', second)
    assert len(shown) == len(set(shown)) == 60
    file = (await browser.get("/events.csv?kind=MESSAGE")).text
    assert len(file.splitlines()) == 61
    assert "delivered" in file


@pytest.mark.parametrize(
    "query", ["kind=x'--", "before=1", "before=a-b", "before=99999999999999999999-1", "before=²-1"]
)
async def test_nonsense_shows_the_newest(browser: Any, query: str) -> None:
    await browser.sign_in()
    assert (await browser.get(f"/events?{query}")).status_code == 200


async def test_home_counts_the_day_and_tells_what_waits(browser: Any, install: Any) -> None:
    await _sent(install, 30)
    await install.deliver(Happening.ACCEPTED, 5)
    await install.deliver(Happening.TRANSIENT, 2)
    await browser.sign_in()
    page = (await browser.get("/")).text
    today = page.partition('aria-labelledby="today"')[2].partition("</dl>")[0]
    assert [int(one) for one in re.findall(r"<bdi>(\d+)</bdi>", today)] == [5, 2, 0, 0, 0, 0]
    assert "2 messages" in page.partition('aria-labelledby="waits"')[2]


async def test_nothing_of_another_workspace_is_seen(browser: Any, install: Any) -> None:
    await _sent(install)
    (destination, *_) = await install.application.destinations.list(install.workspace, everything=True)
    (delivery,) = await install.application.event_search.messages(install.workspace, "person1@postbox.test")
    await install.begin("other")
    await browser.sign_in(Role.ADMIN, "other")
    assert (await browser.get(f"/queue/{destination.destination.id}")).status_code == 404
    assert (await browser.submit(f"/queue/{destination.destination.id}/suspend")).status_code == 404
    for address in ("/queue", "/queue.csv", "/events", "/events.csv", "/", "/settings/people", "/settings/sessions"):
        page = await browser.get(address)
        assert page.status_code == 200
        assert "test" not in page.text.replace("other.test", "").replace("main.test</bdi></a>", "") or address == "/"
        assert "main.test" not in page.text
        assert destination.destination.site not in page.text
    assert message_id(delivery) not in (
        await browser.get("/messages", params={"query": message_id(delivery)})
    ).text.partition("<main")[2].replace(f'value="{message_id(delivery)}"', "").replace(
        f"<bdi>{message_id(delivery)}</bdi>", ""
    )


async def test_only_admins_see_people_keys_and_the_audit_log(browser: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    for path in ("/settings/people", "/settings/keys", "/settings/audit", "/settings/audit.csv"):
        assert (await browser.get(path)).status_code == 403
    for path in ("/settings/people", "/settings/keys", "/settings/people/1/role", "/settings/people/1/disable"):
        assert (await browser.submit(path, role="admin")).status_code == 403
    assert (await browser.get("/settings")).status_code == 200


async def test_an_invitation_leads_to_a_password_once(browser: Any, install: Any, open_browser: Any) -> None:
    await browser.sign_in()
    page = (await browser.submit("/settings/people", address="new@main.test", role="marketer")).text
    link = re.search(r"<code>http://127\.0\.0\.1:8025(/welcome\?link=[\w-]+)</code>", page)
    assert link is not None
    async with open_browser(install.app()) as other:
        assert "new@main.test" in (await other.get(link[1])).text
        secret = link[1].partition("=")[2]
        data = {"link": secret, "password": "another good password"}
        assert (await other.post("/welcome", data=data, headers={"Origin": "http://evil.test"})).status_code == 403
        origin = {"Origin": "http://127.0.0.1:8025"}
        assert (await other.post("/welcome", data={**data, "password": "short"}, headers=origin)).status_code == 409
        assert (await other.post("/welcome", data=data, headers=origin)).status_code == 303
        assert (await other.post("/welcome", data=data, headers=origin)).status_code == 410
        assert (await other.get(link[1])).status_code == 410
        answer = await other.post(
            "/sign-in", data={"address": "new@main.test", "password": "another good password"}, headers=origin
        )
        assert answer.status_code == 303


@pytest.mark.parametrize("link", ["", "1", "1-", "1-x", "²-x", "99999999999999999999-x", "link:"])
async def test_a_link_that_was_never_made_leads_nowhere(browser: Any, link: str) -> None:
    assert (await browser.get("/welcome", params={"link": link})).status_code == 410


async def test_who_is_shut_out_is_out_at_once_and_can_come_back(browser: Any, install: Any, open_browser: Any) -> None:
    users = {user.address: user for user in await install.application.accounts.users(install.workspace)}
    async with open_browser(install.app()) as viewer:
        await viewer.sign_in(Role.VIEWER)
        await browser.sign_in()
        user_id = users["viewer@main.test"].id
        answer = await browser.submit(f"/settings/people/{user_id}/disable")
        assert (
            f'action="/settings/people/{user_id}/enable" data-undo'
            in (await browser.get(answer.headers["Location"])).text
        )
        assert (await viewer.get("/")).status_code == 303
        assert (await browser.submit(f"/settings/people/{user_id}/enable")).status_code == 303
        await viewer.sign_in(Role.VIEWER)


async def test_the_last_admin_stays(browser: Any, install: Any) -> None:
    users = {user.address: user for user in await install.application.accounts.users(install.workspace)}
    await browser.sign_in()
    admin = users["admin@main.test"].id
    for path, data in ((f"{admin}/role", {"role": "viewer"}), (f"{admin}/disable", {})):
        answer = await browser.submit(f"/settings/people/{path}", **data)
        assert answer.status_code == 409
        assert "only admin" in answer.text


async def test_sessions_end_where_they_may(browser: Any, install: Any, open_browser: Any) -> None:
    async with open_browser(install.app()) as viewer:
        await viewer.sign_in(Role.VIEWER)
        await browser.sign_in()
        found = await install.application.account_changes.sessions(install.workspace)
        theirs = {one.address: one.id for one in found}
        assert (
            await viewer.submit("/settings/sessions/end", session=str(theirs["admin@main.test"]))
        ).status_code == 404
        assert "admin@main.test" not in (await viewer.get("/settings/sessions")).text
        assert (
            await browser.submit("/settings/sessions/end", session=str(theirs["viewer@main.test"]))
        ).status_code == 303
        assert (await viewer.get("/")).status_code == 303


async def test_a_password_is_changed_by_who_knows_it(browser: Any, install: Any, open_browser: Any) -> None:
    async with open_browser(install.app()) as elsewhere:
        await elsewhere.sign_in(Role.VIEWER)
        await browser.sign_in(Role.VIEWER)
        wrong = await browser.submit("/settings/password", old="not it at all", new="a wholly new one")
        assert wrong.status_code == 409
        answer = await browser.submit("/settings/password", old=install.password, new="a wholly new one")
        assert answer.status_code == 303
        assert (await browser.get("/")).status_code == 200
        assert (await elsewhere.get("/")).status_code == 303


async def test_a_key_is_shown_once_and_revoked(browser: Any, install: Any) -> None:
    await browser.sign_in()
    page = (await browser.submit("/settings/keys", name="shop", scope="send", domains="news.acme.test", days="30")).text
    key = re.search(r"<code>(pw_live_[\w-]+)</code>", page)
    assert key is not None
    client = await install.application.accounts.client(key[1])
    assert client is not None
    assert str(next(iter(client.terms.domains))) == "news.acme.test"
    assert key[1] not in (await browser.get("/settings/keys")).text
    assert (await browser.submit("/settings/keys", name="x", scope="root")).status_code == 409
    assert (await browser.submit(f"/settings/keys/{client.key_id}/revoke")).status_code == 303
    assert await install.application.accounts.client(key[1]) is None


async def test_the_audit_log_tells_who_did_what_and_no_secret(browser: Any, install: Any) -> None:
    await browser.sign_in()
    await browser.submit("/settings/keys", name="shop", scope="send")
    await browser.submit("/settings/password", old="a secret guess", new="another secret")
    await browser.submit("/domains/nowhere.test/verify")
    entries = await install.application.audit_log.newest(install.workspace)
    assert [(one.action, one.target, one.status) for one in entries] == [
        ("POST /domains/{name}/verify", "/domains/nowhere.test/verify", 404),
        ("POST /settings/password", "/settings/password", 409),
        ("POST /settings/keys", "/settings/keys", 200),
        ("POST /sign-in", "/sign-in", 303),
    ]
    assert {one.who for one in entries} == {"admin@main.test"}
    page = (await browser.get("/settings/audit")).text
    assert "POST /domains/{name}/verify" in page
    assert "secret" not in page
    assert len((await browser.get("/settings/audit.csv")).text.splitlines()) == 5


async def test_a_viewers_try_is_in_the_audit_log(browser: Any, install: Any) -> None:
    await browser.sign_in(Role.VIEWER)
    await browser.submit("/domains", name="x.test")
    entry, _ = await install.application.audit_log.newest(install.workspace)
    assert (entry.who, entry.status) == ("viewer@main.test", 403)


def test_every_message_is_translated_and_none_is_left_over() -> None:
    import importlib.util  # noqa: PLC0415
    import sys  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    path = Path(__file__).parents[2] / "scripts" / "translations.py"
    spec = importlib.util.spec_from_file_location("postwright_translations", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    assert len(module.extracted()) > 500
    assert [str(fault) for fault in module.faults("he")] == []
