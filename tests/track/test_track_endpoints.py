import asyncio
import re
from typing import Any

import pytest

from mailtypes.errors import StorageError
from postwright.track import asgi
from tracking.pixel import PIXEL
from tracking.tokens import TokenKeys, TokenKind, make

ONE_CLICK = (b"List-Unsubscribe=One-Click",)
FORM = "application/x-www-form-urlencoded"


def forged(visit: Any, kind: TokenKind) -> str:
    return make(kind, visit.delivery.id, 1 if kind is TokenKind.CLICK else 0, TokenKeys(1, {1: b"forged" * 6}))


@pytest.mark.parametrize("token", ["genuine", "forged", "nonsense", "another kind"])
async def test_the_pixel_always_answers_with_the_image(visit: Any, token: str) -> None:
    tokens = {
        "genuine": visit.tokens["o"],
        "forged": forged(visit, TokenKind.PIXEL),
        "nonsense": "x",
        "another kind": visit.tokens["u"],
    }
    answer = await visit("GET", f"/o/{tokens[token]}.gif")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, PIXEL, "image/gif")
    assert "no-store" in answer.headers["cache-control"]
    assert visit.happened() == (["opened"] if token == "genuine" else [])


async def test_the_pixel_is_owed_even_while_the_database_is_away(visit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise StorageError("away")

    monkeypatch.setattr(visit.world.engagement, "opened", fail)
    assert (await visit("GET", f"/o/{visit.tokens['o']}.gif")).body == PIXEL
    monkeypatch.setattr(visit.world.engagement, "clicked", fail)
    monkeypatch.setattr(visit.world.engagement, "unsubscribe", lambda *_: fail())
    for method, path, body in (("GET", f"/c/{visit.tokens['c']}", ()), ("POST", f"/u/{visit.tokens['u']}", ONE_CLICK)):

        async def away(*_: Any, **__: Any) -> None:
            raise StorageError("away")

        monkeypatch.setattr(visit.world.engagement, "clicked", away)
        monkeypatch.setattr(visit.world.engagement, "unsubscribe", away)
        answer = await visit(method, path, body, FORM)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert b"away" not in answer.body


async def test_head_of_the_pixel_is_no_open(visit: Any) -> None:
    answer = await visit("HEAD", f"/o/{visit.tokens['o']}.gif")
    assert (answer.status, answer.body, int(answer.headers["content-length"])) == (200, b"", len(PIXEL))
    assert visit.happened() == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_get_and_head_never_unsubscribe(visit: Any, method: str) -> None:
    answer = await visit(
        method, f"/u/{visit.tokens['u']}", ONE_CLICK, FORM, query_string=b"List-Unsubscribe=One-Click&confirm=yes"
    )
    assert answer.status == 200
    assert visit.happened() == []
    assert not visit.is_suppressed()
    assert (answer.body == b"") == (method == "HEAD")


@pytest.mark.parametrize(
    ("body", "content_type", "way"),
    [
        (ONE_CLICK, FORM, "one_click"),
        (ONE_CLICK, "", "one_click"),
        ((b"List-Unsub", b"scribe=One-Click"), FORM, "one_click"),
        (
            (b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',),
            "multipart/form-data; boundary=b",
            "one_click",
        ),
        ((b"confirm=yes",), FORM, "page"),
    ],
)
async def test_a_post_unsubscribes_at_once(visit: Any, body: Any, content_type: str, way: str) -> None:
    answer = await visit("POST", f"/u/{visit.tokens['u']}", body, content_type)
    assert (answer.status, visit.happened()) == (200, ["unsubscribed"])
    assert visit.is_suppressed()
    assert f'"way":"{way}"' in visit.world.rows("SELECT data FROM event WHERE kind = 'unsubscribed'")[0][0]
    assert "location" not in answer.headers  # RFC 8058 section 3.1: no redirect
    again = await visit("POST", f"/u/{visit.tokens['u']}", body, content_type)
    assert again.status == 200


async def test_any_other_post_does_not(visit: Any) -> None:
    for body in (b"", b"List-Unsubscribe=Maybe", b"confirm=no", b"\xff\xfe", b"x=" + b"y" * 100):
        answer = await visit("POST", f"/u/{visit.tokens['u']}", (body,), FORM)
        assert (answer.status, visit.happened(), visit.is_suppressed()) == (400, [], False), body


async def test_a_body_without_end_is_cut_off(visit: Any) -> None:
    answer = await visit("POST", f"/u/{visit.tokens['u']}", [b"List-Unsubscribe=One-Click&"] + [b"x" * 1000] * 5, FORM)
    assert (answer.status, visit.happened()) == (413, [])


async def test_who_hangs_up_in_the_middle_has_asked_for_nothing(visit: Any) -> None:
    sent: list[Any] = []
    waiting = [{"type": "http.request", "body": ONE_CLICK[0], "more_body": True}]

    async def receive() -> Any:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": f"/u/{visit.tokens['u']}", "headers": []}
    await visit.application(scope, receive, send)
    assert visit.happened() == []


async def test_a_click_goes_where_the_run_says_and_nowhere_else(visit: Any) -> None:
    answer = await visit("GET", f"/c/{visit.tokens['c']}", query_string=b"url=https://evil.test/&to=//evil.test")
    assert (answer.status, answer.headers["location"]) == (302, "https://acme.test/spring?from=mail")
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert visit.happened() == ["clicked"]
    looked = await visit("HEAD", f"/c/{visit.tokens['c']}")
    assert (looked.status, visit.happened()) == (302, ["clicked"])


async def test_a_target_that_could_mislead_is_not_redirected_to(visit: Any) -> None:
    targets = ("javascript:alert(1)", "//evil.test/", "https://a@evil.test/", "https://x\r\nSet-Cookie: a=b", "")
    for target in targets:
        await visit.world.change("UPDATE run_link SET url = :target", target=target)
        answer = await visit("GET", f"/c/{visit.tokens['c']}")
        assert (answer.status, "location" in answer.headers) == (404, False), target


NOT_OURS = (
    "/c/{c_forged}", "/u/{u_forged}", "/c/{u}", "/u/{c}", "/u/{o}", "/p/{u}", "/c/", "/u/", "/c/x", "/",
    "/c/{c}/x", "/c/https://evil.test/", "//evil.test/", "/favicon.ico", "/c/" + "A" * 10_000, "/c/\u05d0" * 5,
    "/../etc/passwd", "/%00",
)  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_we_did_not_make_gets_a_plain_page(visit: Any, method: str) -> None:
    made = {"c_forged": forged(visit, TokenKind.CLICK), "u_forged": forged(visit, TokenKind.UNSUBSCRIBE)}
    for path in NOT_OURS:
        asked = path.format(**made, **visit.tokens)
        answer = await visit(method, asked, ONE_CLICK, FORM)
        no_method = method == "POST" and asked.startswith("/c/")
        assert answer.status in ({404, 405} if no_method else {404}), asked
        assert "location" not in answer.headers
        assert b"evil" not in answer.body
    assert (visit.happened(), visit.is_suppressed()) == ([], False)


async def test_other_methods_are_refused(visit: Any) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "get"):
        answer = await visit(method, f"/u/{visit.tokens['u']}", ONE_CLICK, FORM)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    assert not visit.is_suppressed()


async def test_the_page_is_hebrew_safe_and_shows_no_address(visit: Any) -> None:
    for method, body in (("GET", ()), ("POST", ONE_CLICK)):
        answer = await visit(method, f"/u/{visit.tokens['u']}", body, FORM)
        page = answer.body.decode()
        assert '<html lang="he" dir="rtl">' in page
        assert "Acme &amp; &lt;b&gt;Sons&lt;/b&gt;" in page
        assert "<b>Sons" not in page
        assert "dana" not in page
        assert "דנה" not in page
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert (answer.headers["x-content-type-options"], answer.headers["referrer-policy"]) == (
            "nosniff",
            "no-referrer",
        )
        assert answer.headers["cache-control"] == "no-store"
        assert "src=" not in page
        assert re.findall(r'href="(.*?)"', page) == [f"/p/{visit.tokens['p']}"]


async def test_the_style_is_the_one_that_the_policy_allows(visit: Any) -> None:
    import base64  # noqa: PLC0415
    import hashlib  # noqa: PLC0415

    answer = await visit("GET", f"/u/{visit.tokens['u']}")
    style = re.search(rb"<style>(.*?)</style>", answer.body, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]
    assert b" style=" not in answer.body


async def test_english_for_everybody_else(visit: Any) -> None:
    await visit.world.change('UPDATE delivery SET merge_data = \'{"language":"fr"}\'')
    await visit.world.change('UPDATE contact SET fields = \'{"language":"fr"}\'')
    page = (await visit("GET", f"/u/{visit.tokens['u']}")).body.decode()
    assert '<html lang="en" dir="ltr">' in page


async def test_health_and_lifespan(visit: Any) -> None:
    assert (await visit("GET", "/healthz")).body == b"ok\n"
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return events.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await visit.application({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_form_that_comes_an_octet_at_a_time_is_given_up(visit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "_READ_SECONDS", 0.05)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"L", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": f"/u/{visit.tokens['u']}", "headers": [], "query_string": b""}
    await visit.application(scope, receive, send)
    assert sent[0]["status"] == 408
    assert not visit.is_suppressed()
