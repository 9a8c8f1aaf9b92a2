"""The step that settles verdicts, over a mail that went through everything before."""

from datetime import timedelta
from typing import Any

from postwright.services.engagement import Visitor
from postwright.services.verdicts import Verdicts
from tracking.tokens import TokenClaims, TokenKind

CHROME = Visitor("203.0.113.7", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36")
BODY = '<a href="https://acme.test/1">1</a> <a href="https://acme.test/2">2</a> <a href="https://acme.test/3">3</a>'


def happened(world: Any) -> list[tuple[str, str]]:
    wanted = "('opened', 'clicked', 'opened_revised', 'clicked_revised')"
    return [tuple(row) for row in world.rows(f"SELECT kind, data FROM event WHERE kind IN {wanted} ORDER BY id")]


async def test_a_burst_is_told_after_five_minutes(world: Any) -> None:
    body = f'<mjml><mj-body><mj-section><mj-column><mj-text>{BODY} <a href="{{{{ unsubscribe_url }}}}">Stop</a></mj-text></mj-column></mj-section></mj-body></mjml>'  # fmt: skip  # noqa: E501
    await world.sending("dana@example.test,Dana,en\n", body=body)
    (delivery,) = await world.leased()
    await world.transmit([delivery])
    await world.answer([delivery], "250 ok")
    links = [row[0] for row in world.rows("SELECT number FROM run_link ORDER BY number")]
    world.clock.advance(timedelta(seconds=43))
    for link in links:
        world.clock.advance(timedelta(seconds=1))
        claims = TokenClaims(TokenKind.CLICK, delivery.id, link)
        assert await world.engagement.clicked(claims, CHROME, is_fetch=True)
    verdicts = Verdicts(world.database, world.clock)
    assert not await verdicts.step()
    world.clock.advance(timedelta(minutes=5))
    assert await verdicts.step()
    assert not await verdicts.step()
    rows = world.rows("SELECT verdict, rule, address, user_agent FROM engagement ORDER BY id")
    assert [tuple(row) for row in rows] == [("machine", "many_links_at_once", None, None)] * 3
    kinds = [kind for kind, _ in happened(world)]
    assert kinds == ["clicked"] * 3 + ["clicked_revised"]  # the second was told already
    assert '"verdict":"machine","was":"probable"' in happened(world)[3][1]


async def test_links_of_variants_are_told_apart_and_remembered(world: Any) -> None:
    await world.sending("dana@example.test,Dana,en\n")
    (delivery,) = await world.leased()
    claims = TokenClaims(TokenKind.CLICK, delivery.id, 1)
    await world.change(
        "INSERT INTO run_link (workspace_id, run_id, variant, number, url)"
        " SELECT workspace_id, run_id, 1, number, 'https://acme.test/b' FROM run_link"
    )
    assert await world.engagement.clicked(claims, is_fetch=False) == "https://acme.test/spring?from=mail"
    await world.change("UPDATE delivery SET variant = 1")
    assert await world.engagement.clicked(claims, is_fetch=False) == "https://acme.test/spring?from=mail"
