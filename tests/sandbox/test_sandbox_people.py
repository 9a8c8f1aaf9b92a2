"""The people of the sandbox: as many act as is stated, the same for the same seed, and machines look like machines."""

import random
from collections import Counter
from email.message import EmailMessage

import pytest

from mailtypes.clock import HOUR, SECOND
from postwright.sandbox.people import ADDRESSES, AGENTS, Appeal, AppealSyntaxError, Mail, People, read_mail
from tracking.tokens import TokenKeys, TokenKind, make
from tracking.urls import click_url, pixel_url, preferences_url, unsubscribe_url
from tracking.verdicts import NetworkClass, family_of, shipped_networks

KEYS = TokenKeys(1, {1: b"k" * 32})
BASE = "https://links.acme.test"
PIXEL = pixel_url(BASE, make(TokenKind.PIXEL, 7, 0, KEYS))
LINKS = tuple(click_url(BASE, make(TokenKind.CLICK, 7, number, KEYS)) for number in range(1, 5))
PAGE = unsubscribe_url(BASE, make(TokenKind.UNSUBSCRIBE, 7, 0, KEYS))
OTHER_PAGE = preferences_url(BASE, make(TokenKind.PREFERENCES, 7, 0, KEYS))
HIDDEN = click_url(BASE, make(TokenKind.CLICK, 7, 65_535, KEYS))
SENT = 1_700_000_000 * SECOND
SIZE = 3_000


def mails(subject: str) -> list[Mail]:
    return [Mail(f"p{number}@mailhub.test", subject, SENT, PIXEL, LINKS, (PAGE,)) for number in range(SIZE)]


def test_as_many_open_and_click_as_is_stated() -> None:
    people = People(3, [("Spring", Appeal(opens=0.4, clicks=0.1, scanned=0)), ("Sale", Appeal(0.2, 0.05, scanned=0.5))])
    for subject, opens, clicks, scanned in (
        ("Spring is here", 0.4, 0.1, 0.0),
        ("A sale!", 0, 0, 0),
        ("Sale", 0.2, 0.05, 0.5),
    ):
        seen: Counter[str] = Counter()
        for mail in mails(subject):
            made = people.requests(mail)
            seen["opens"] += any(one.by_person for one in made)
            seen["clicks"] += any(one.by_person and one.url in LINKS for one in made)
            seen["scanned"] += any(not one.by_person and one.url in (*LINKS, PAGE) for one in made)
        # Three in ten block images or have them loaded beforehand: without a click nobody sees them open.
        for name, share in (("opens", opens - 0.30 * (opens - clicks)), ("clicks", clicks), ("scanned", scanned)):
            assert abs(seen[name] / SIZE - share) < 0.035, (subject, name)
            assert share > 0 or not seen[name]


def test_the_same_seed_is_the_same_day() -> None:
    (mail, *_) = mails("Spring")
    appeal = Appeal(1, 1, 1)
    once, again = (People(3, [("Spring", appeal)]).requests(mail) for _ in range(2))
    assert once == again
    assert once != People(4, [("Spring", appeal)]).requests(mail)
    assert [one.at for one in once] == sorted(one.at for one in once)
    # The reader's name in the subject changes nothing; another mailbox is another person.
    named = Mail(mail.mailbox, "Ada, Spring", SENT, PIXEL, LINKS, (PAGE,))
    assert People(3, [("Spring", appeal)]).requests(named) == once


def test_people_take_their_time() -> None:
    people = People(1, [("Spring", Appeal(1, 1, 0))])
    found = [[one.at - SENT for one in people.requests(mail) if one.by_person] for mail in mails("Spring")[:500]]
    firsts = sorted(one[0] for one in found)
    assert firsts[0] > 10 * SECOND
    assert HOUR // 10 < firsts[250] < 2 * HOUR
    assert max(one[-1] for one in found) < 24 * HOUR


def test_everybody_is_taken_for_what_they_claim_to_be() -> None:
    for family, header in AGENTS.items():
        assert family_of(header) is family
    networks = shipped_networks()
    for network, first in ADDRESSES.items():
        assert networks.class_of(first) is network
    people = People(1, [("Spring", Appeal(1, 1, 1))])
    chance = random.Random(5)
    for mail in chance.sample(mails("Spring"), 300):
        for one in people.requests(mail):
            found = networks.class_of(one.address)
            assert found in {*ADDRESSES, NetworkClass.OTHER}
            if one.by_person and one.url in LINKS:
                assert found is NetworkClass.OTHER
                assert one.address.startswith("198.18.")


def test_a_mail_without_links_is_read_all_the_same() -> None:
    people = People(1, [("Spring", Appeal(1, 1, 1))])
    for mail in mails("Spring")[:200]:
        bare = Mail(mail.mailbox, mail.subject, SENT)
        assert people.requests(bare) == []
        pictured = Mail(mail.mailbox, mail.subject, SENT, PIXEL)
        assert {one.url for one in people.requests(pictured)} <= {PIXEL}


def test_a_mail_is_read_by_what_is_linked_in_it() -> None:
    message = EmailMessage()
    message["Subject"] = "Spring"
    message.set_content(f"See {LINKS[0]}")
    shown = "".join(f'<a href="{one}">x</a>' for one in (LINKS[1], LINKS[0], LINKS[1], "https://www.acme.test/"))
    message.add_alternative(
        f'<p>{shown}<a href="{PAGE}">no</a> <a href="{OTHER_PAGE}?a=1&amp;b=2">p</a><img src="{PIXEL}">'
        '<img src="https://www.acme.test/a.png"><a href="javascript:x">y</a></p>'
        f'<a href="{HIDDEN}" tabindex="-1" aria-hidden="true" style="display:none"></a>',
        subtype="html",
    )
    mail = read_mail("ada@mailhub.test", "Spring", SENT, message.as_bytes())
    assert mail == Mail(
        "ada@mailhub.test", "Spring", SENT, PIXEL, (LINKS[1], LINKS[0]), (PAGE, f"{OTHER_PAGE}?a=1&b=2", HIDDEN)
    ), "nobody clicks what nobody sees; gateways do"
    assert read_mail("a@b.test", "", SENT, b"no mail at all") == Mail("a@b.test", "", SENT)


@pytest.mark.parametrize("shares", [(0.1, 0.2), (1.1, 0.5), (0.5, -0.1), (0.5, 0.1, 2), (float("nan"), 0.1)])
def test_what_is_no_share_is_refused(shares) -> None:
    with pytest.raises(AppealSyntaxError):
        Appeal(*shares)
