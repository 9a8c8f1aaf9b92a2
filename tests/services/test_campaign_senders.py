"""Several senders of one campaign: drawn for good, in proportion; checked; in the mail; told apart afterwards."""

import email
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postwright.services.campaign_senders import CampaignSender, drawing, from_json, sent_in_the_name_of
from postwright.services.errors import RefusedError
from postwright.services.experiment_terms import ExperimentDraft, VariantDraft
from postwright.services.statistics import By, Statistics
from postwright.store.person_records import _deliveries as deliveries_of
from postwright.store.statistics import RunFilter

OTHERS = (
    CampaignSender("dana@news.acme.test", "Dana", share=2.0),
    CampaignSender("noa@news.acme.test", "Noa", "n@x.test"),
)
PEOPLE = [f"reader{number}@example.test" for number in range(4_000)]


def test_shares_are_kept_and_nobody_is_moved_between_those_who_stay() -> None:
    shares = [("letter@a.test", 1.0), ("dana@a.test", 2.0), ("noa@a.test", 1.0)]
    draw = drawing(shares, seed=7)
    drawn = {key: shares[draw(key)][0] for key in PEOPLE}
    parts = [sum(one == name for one in drawn.values()) / len(PEOPLE) for name, _ in shares]
    assert parts == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    fewer = shares[1:]
    again = drawing(fewer, seed=7)
    assert all(fewer[again(key)][0] == name for key, name in drawn.items() if name != "letter@a.test")
    other = drawing(shares, seed=8)
    assert sum(shares[other(key)][0] == name for key, name in drawn.items()) < 0.6 * len(PEOPLE), "another workspace"


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0.001, 1000), min_size=1, max_size=10), st.text(max_size=40), st.integers(0, 1 << 62), st.data()
)
def test_everybody_has_one_sender_whatever_the_order(
    shares: list[float], key: str, seed: int, data: st.DataObject
) -> None:
    named = [(f"s{number}@a.test", share) for number, share in enumerate(shares)]
    name = named[drawing(named, seed)(key)][0]
    shuffled = data.draw(st.permutations(named))
    assert shuffled[drawing(shuffled, seed)(key)][0] == name


async def test_each_recipient_gets_it_from_one_and_the_report_tells_them_apart(world: Any) -> None:
    people = "".join(f"{key},R,en\n" for key in PEOPLE[:40])
    campaign = await world.sending(people, other_senders=OTHERS)
    deliveries = await world.leased()
    authors: dict[str, set[str]] = {}
    for message in world.messages(deliveries):
        read = email.message_from_bytes(message)
        authors.setdefault(str(read["From"]), set()).add(str(read["Reply-To"]))
    assert authors == {
        "Acme <letter@news.acme.test>": {"None"},
        "Dana <dana@news.acme.test>": {"None"},
        "Noa <noa@news.acme.test>": {"n@x.test"},
    }
    again = world.messages(deliveries)
    assert again == world.messages(deliveries), "an attempt that follows is from the same"
    await world.transmit(deliveries)
    await world.answer(deliveries, "250 2.0.0 taken")
    statistics = Statistics(world.database, world.clock)
    found = await statistics.table(world.workspace, RunFilter(campaign_id=campaign.id), By.SENDER)
    told = {one.key: one.measures.counts["delivered"] for one in found.rows}
    expected = {f"{name}@news.acme.test": 0 for name in ("letter", "dana", "noa")}
    for delivery in deliveries:
        number = delivery.payload.lease.sender
        expected[["letter", "dana", "noa"][number] + "@news.acme.test"] += 1
    assert told == expected
    assert min(told.values()) > 0


async def test_under_the_platform_each_goes_out_in_its_name_and_answers_go_home(world: Any) -> None:
    campaign = await world.draft(other_senders=OTHERS)
    domain = await world.sender_domains.get(world.workspace, "news.acme.test")
    dana, noa = from_json(sent_in_the_name_of(campaign, domain, "mail.host.test"))
    assert (dana.address, dana.name) == ("dana=news.acme.test@mail.host.test", "Dana via mail.host.test")
    assert (dana.reply_to, dana.share) == ("dana@news.acme.test", 2.0)
    assert noa.reply_to == "n@x.test"
    assert from_json(sent_in_the_name_of(campaign, domain, None)) == OTHERS


async def test_long_addresses_stay_apart_under_the_platform(world: Any) -> None:
    others = tuple(CampaignSender(f"{name}.{'l' * 55}@news.acme.test", name) for name in ("dana", "noa", "ziv"))
    campaign = await world.draft(other_senders=others)
    domain = await world.sender_domains.get(world.workspace, "news.acme.test")
    sent = from_json(sent_in_the_name_of(campaign, domain, "mail.host.test"))
    assert len({one.address for one in sent}) == 3
    assert sent == from_json(sent_in_the_name_of(campaign, domain, "mail.host.test"))
    draw = drawing([(one.address, 1.0) for one in sent], seed=7)
    assert {draw(key) for key in PEOPLE[:100]} == {0, 1, 2}


async def test_a_copy_has_them_too(world: Any) -> None:
    campaign = await world.draft(other_senders=OTHERS)
    copied = await world.campaigns.copy(world.workspace, campaign.id, "Once more")
    assert from_json(copied.other_senders) == OTHERS


NAMES = ExperimentDraft((VariantDraft("A"), VariantDraft("B", from_name="Else")))


REFUSED: list[tuple[tuple[CampaignSender, ...], dict[str, Any], str]] = [
    ((CampaignSender("dana@elsewhere.test"),), {}, "senders"),
    ((CampaignSender("letter@news.acme.test"),), {}, "senders"),
    ((CampaignSender("dana@news.acme.test", share=0),), {}, "senders"),
    ((CampaignSender("dana@news.acme.test", share=float("nan")),), {}, "senders"),
    (tuple(CampaignSender(f"d{one}@news.acme.test") for one in range(10)), {}, "senders"),
    (OTHERS, {"experiment": NAMES}, "senders"),
    ((CampaignSender("no address"),), {}, "bad_address"),
    ((CampaignSender("dana@news.acme.test", "two\nlines"),), {}, "header_line_break"),
    ((CampaignSender("dana@news.acme.test", reply_to="nowhere"),), {}, "bad_address"),
]


async def test_what_cannot_go_out_is_refused_with_the_field(world: Any) -> None:
    for others, more, code in REFUSED:
        with pytest.raises(RefusedError) as caught:
            await world.draft(other_senders=others, **more)
        assert [(one.code, one.field) for one in caught.value.problems] == [(code, "other_senders")], others


async def test_a_person_s_record_says_from_whom_it_was(world: Any) -> None:
    await world.sending("".join(f"{key},R,en\n" for key in PEOPLE[:12]), other_senders=OTHERS)
    wanted = world.rows("SELECT address_key, sender FROM delivery")
    names = ["letter", "dana", "noa"]
    assert len({number for _, number in wanted}) > 1
    for key, number in wanted:
        found = await world.database.read(partial(deliveries_of, workspace_id=world.workspace, address_key=key))
        assert [one["from_address"] for one in found] == [f"{names[number]}@news.acme.test"]
        assert "other_senders" not in found[0]
