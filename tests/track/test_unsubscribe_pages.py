"""Unsubscribing by the page: how far it reaches, what it says, and the way back."""

import re
from datetime import timedelta
from typing import Any

import pytest

from postwright.services.page_words import accepted_language, known_language
from postwright.services.withdrawals import Breadth
from tracking.tokens import TokenKeys, TokenKind, make

FORM = "application/x-www-form-urlencoded"


def post(breadth: str) -> tuple[bytes, ...]:
    return (f"confirm=yes&from={breadth}".encode(),)


def undo_of(page: bytes) -> str:
    found = re.search(rb'action="(/b/[^"]+)"', page)
    assert found
    return found[1].decode()


def suppressed(visit: Any) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in visit.world.rows("SELECT scope, reason FROM suppression ORDER BY id")]


def log(visit: Any) -> list[str]:
    kinds = "('unsubscribed', 'resubscribed')"
    return [row[0] for row in visit.world.rows(f"SELECT kind FROM event WHERE kind IN {kinds} ORDER BY id")]


def consents(visit: Any) -> list[tuple[str, str, str]]:
    return [tuple(row) for row in visit.world.rows("SELECT scope, state, source FROM consent ORDER BY id")]


@pytest.mark.parametrize("breadth", list(Breadth))
async def test_it_reaches_as_far_as_was_chosen_and_comes_back(visit: Any, breadth: str) -> None:
    path = f"/u/{visit.tokens['u']}"
    shown = (await visit("GET", path)).body.decode()
    assert f'value="{breadth}"' in shown
    answer = await visit("POST", path, post(breadth), FORM, client=("198.51.100.7", 5))
    assert answer.status == 200
    assert suppressed(visit) == [(breadth, "unsubscribed")]
    again = await visit("POST", path, post(breadth), FORM)
    assert again.body == answer.body
    assert (log(visit), consents(visit)) == (["unsubscribed"], [(breadth, "withdrawn", "unsubscribe")])
    assert visit.world.rows("SELECT client_ip FROM consent") == [("198.51.100.7",)]
    wording = visit.world.rows("SELECT wording FROM consent")[0][0]
    assert wording
    assert wording.split("“")[0] in shown
    undo = undo_of(answer.body)
    for method in ("GET", "HEAD"):
        assert (await visit(method, undo)).status == 200
    assert suppressed(visit) == [(breadth, "unsubscribed")]
    assert (await visit("POST", undo, (b"confirm=no",), FORM)).status == 400
    back = await visit("POST", undo, (b"confirm=yes",), FORM)
    assert (back.status, suppressed(visit), log(visit)) == (200, [], ["unsubscribed", "resubscribed"])
    assert (await visit("POST", undo, (b"confirm=yes",), FORM)).body == back.body
    assert log(visit) == ["unsubscribed", "resubscribed"]
    assert consents(visit)[-1] == (breadth, "given", "undo")


async def test_the_way_back_closes_after_ten_minutes(visit: Any) -> None:
    answer = await visit("POST", f"/u/{visit.tokens['u']}", post("list"), FORM)
    visit.world.clock.advance(timedelta(minutes=10, microseconds=-1))
    undo = undo_of(answer.body)
    assert (await visit("POST", undo, (b"confirm=yes",), FORM)).status == 200
    answer = await visit("POST", f"/u/{visit.tokens['u']}", post("list"), FORM)
    visit.world.clock.advance(timedelta(minutes=10))
    late = await visit("POST", undo_of(answer.body), (b"confirm=yes",), FORM)
    assert (late.status, suppressed(visit)) == (409, [("list", "unsubscribed")])


async def test_the_way_back_undoes_no_complaint_and_nothing_of_others(visit: Any) -> None:
    world = visit.world
    await world.suppression_list.add(world.workspace, "dana@example.test", "complained")
    await world.suppression_list.add(world.workspace, "else@example.test", "unsubscribed")
    answer = await visit("POST", f"/u/{visit.tokens['u']}", post("all"), FORM)
    assert (await visit("POST", undo_of(answer.body), (b"confirm=yes",), FORM)).status == 409
    assert suppressed(visit) == [("all", "complained"), ("all", "unsubscribed")]


async def test_forged_cut_and_swapped_tokens_get_a_plain_page(visit: Any) -> None:
    forged = TokenKeys(1, {1: b"forged" * 6})
    number = visit.delivery.id
    undo = make(TokenKind.UNDO, number, 0, visit.world.token_keys)
    tried = [make(TokenKind.UNDO, number, 0, forged), undo[:-1], undo + "A", visit.tokens["u"]]
    tried += [
        make(TokenKind.UNDO, number, 3, visit.world.token_keys),
        make(TokenKind.UNDO, 2**40, 0, visit.world.token_keys),
    ]
    for token in tried:
        for method in ("GET", "POST"):
            answer = await visit(method, f"/b/{token}", (b"confirm=yes",), FORM)
            assert (answer.status, b"does not work" in answer.body) == (404, True), token
    for kind in "upsv":
        assert (await visit("POST", f"/{kind}/{undo}", (b"confirm=yes",), FORM)).status == 404
    assert log(visit) == []


@pytest.mark.parametrize(
    "body", [b"", b"from=all", b"confirm=yes&from=", b"confirm=yes&from=all&from=list", b"confirm=yes&confirm=yes",
             b"\xff", b"confirm=yes&from=everyone", b"&".join(b"x=1" for _ in range(200))]
)  # fmt: skip
async def test_what_no_form_of_ours_sends_does_nothing(visit: Any, body: bytes) -> None:
    answer = await visit("POST", f"/u/{visit.tokens['u']}", (body,), FORM)
    assert (answer.status, suppressed(visit)) == (400, [])


async def test_queued_mail_of_the_stream_stops_and_a_receipt_goes_on(visit: Any) -> None:
    world = visit.world
    queued = await world.sending("dana@example.test,Dana,he\n", name="Second", list_name="Cooks")
    receipt = await world.sending(
        "dana@example.test,Dana,he\n", name="Receipt", list_name="Buyers", stream="transactional"
    )
    await visit("POST", f"/u/{visit.tokens['u']}", post("stream"), FORM)
    assert (await world.states(queued), await world.states(receipt)) == ({"suppressed": 1}, {"ready": 1})
    await visit("POST", f"/u/{visit.tokens['u']}", post("all"), FORM)
    assert await world.states(receipt) == {"suppressed": 1}


@pytest.mark.parametrize(
    ("locale", "merged", "accepted", "language"),
    [("en-GB", "he", "he", "en"), (None, "he", "en", "he"), (None, "fr", "fr;q=1, he;q=0.5", "he"),
     ("iw", "", "", "he"), (None, "", "de", "en")],
)  # fmt: skip
async def test_the_language_is_the_contacts_else_the_browsers(
    visit: Any, locale: str | None, merged: str, accepted: str, language: str
) -> None:
    await visit.world.change("UPDATE contact SET locale = :locale, fields = '{}'", locale=locale)
    await visit.world.change(f'UPDATE delivery SET merge_data = \'{{"language":"{merged}"}}\'')
    headers = [(b"accept-language", accepted.encode())]
    for method, body in (("GET", ()), ("POST", post("list"))):
        scope = {"headers": [*headers, (b"content-type", FORM.encode())]}
        page = (await visit(method, f"/u/{visit.tokens['u']}", body, **scope)).body.decode()
        assert f'<html lang="{language}" dir="{"rtl" if language == "he" else "ltr"}">' in page


def test_languages_are_read_as_they_are_written() -> None:
    assert [known_language(tag) for tag in ("he", "HE_il", "iw-IL", "en", "fr", "", None, "hebrew")] == [
        "he", "he", "he", "en", None, None, None, None,
    ]  # fmt: skip
    assert accepted_language("fr, he;q=0.4, en;q=0.8") == "en"
    assert accepted_language("he;q=0, en;q=0") is None
    assert accepted_language("he;q=nan,;q=,=,,,en;q=2") is None
    assert accepted_language("x," * 100_000) is None
