from datetime import timedelta
from typing import Any

import pytest

from mailtypes.clock import HOUR
from postwright.services.audiences import AudienceDraft
from postwright.services.campaign_drafts import CampaignDraft
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store.templates import TemplateText

SENDER = "news.acme.test"


def body(text: str) -> str:
    return (
        f"<mjml><mj-body><mj-section><mj-column>\n<mj-text>{text}</mj-text>\n"
        '<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>'
    )


async def refused(world: Any, **changes: Any) -> Any:
    """The one problem that keeps a draft from being made or sent."""

    async def try_it() -> None:
        campaign = await world.draft(**changes)
        await world.campaigns.send(world.workspace, campaign.id)

    with pytest.raises(RefusedError) as caught:
        await try_it()
    assert world.rows("SELECT count(*) FROM run")[0][0] == 0
    assert world.rows("SELECT count(*) FROM delivery")[0][0] == 0
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].sentence
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{{ contact.first_name", "line 2"),
        ("{% if contact.first_name %}x", "line 2"),
        ("{% for x in contact %}x{% endfor %}{{ 1 | nofilter }}", "line 2"),
        ("<mj-nothing>", "line 2"),
        ("{{ contact.first_name | nofilter }}", "line 2"),
    ],
)
async def test_a_template_that_does_not_compile_is_refused_with_its_place(world: Any, text: str, place: str) -> None:
    problem = await refused(world, body=body(text))
    assert (problem.code, problem.field) == ("template_syntax", "body")
    assert problem.place.startswith(place)
    assert problem.next_step
    assert world.rows("SELECT count(*) FROM template")[0][0] == 0


async def test_a_merge_field_that_does_not_exist_blocks_with_place_and_next_step(world: Any) -> None:
    problem = await refused(world, body=body("Hello {{ contact.frist_name }}"))
    assert (problem.code, problem.field, problem.place) == ("unknown_merge_field", "body", "line 2, column 19")
    assert "first_name" in problem.sentence + problem.next_step


async def test_a_subject_with_an_unknown_field_blocks_too(world: Any) -> None:
    problem = await refused(world, subject="Hi {{ contact.nick }}")
    assert (problem.code, problem.field) == ("unknown_merge_field", "subject")


async def test_a_line_break_in_a_header_is_refused_at_its_column(world: Any) -> None:
    for field in ("subject", "from_name"):
        for break_ in ("\n", "\r", "\r\n", "\0", "\x7f"):
            problem = await refused(world, **{field: f"Hi{break_}Bcc: everybody@example.test"})
            assert (problem.code, problem.field, problem.place) == ("header_line_break", field, "column 3")
            assert problem.next_step


async def test_a_line_break_in_a_templates_subject_is_refused(world: Any) -> None:
    text = TemplateText(body("Hi"), "mjml", "Hi\r\nBcc: everybody@example.test")
    with pytest.raises(RefusedError) as caught:
        await world.templates.save(world.workspace, "Spring", text)
    assert caught.value.problems[0].field == "subject"


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("from_address", "letter"),
        ("from_address", f"let ter@{SENDER}"),
        ("from_address", f"מכתב@{SENDER}"),
        ("from_address", f"letter@{SENDER}\r\nBcc: all@example.test"),
        ("reply_to", "nobody"),
        ("reply_to", "דנה@acme.test"),
        ("reply_to", "a@b.test>, <c@d.test"),
    ],
)
async def test_an_address_that_cannot_stand_in_a_header_is_refused(world: Any, field: str, address: str) -> None:
    problem = await refused(world, **{field: address})
    assert (problem.code, problem.field) == ("bad_address", field)
    assert problem.next_step


async def test_every_wrong_field_is_named_at_once(world: Any) -> None:
    draft = CampaignDraft("", AudienceDraft(7), 8, "nobody", "a\nb", "x", "c\nd", "express")
    with pytest.raises(RefusedError) as caught:
        await world.campaigns.create(world.workspace, draft)
    fields = [problem.field for problem in caught.value.problems]
    assert sorted(fields) == [
        "from_address", "from_name", "list", "name", "reply_to", "stream", "subject", "template",
    ]  # fmt: skip


async def test_a_sender_domain_has_to_be_there_and_verified(world: Any) -> None:
    problem = await refused(world, from_address="letter@acme.test")
    assert (problem.code, problem.field) == ("unknown_domain", "from_address")
    assert "domain add acme.test" in problem.next_step
    await world.sender_domains.add(world.workspace, "acme.test")
    problem = await refused(world, from_address="letter@acme.test")
    assert problem.code == "domain_not_verified"
    assert "domain verify acme.test" in problem.next_step


async def test_a_domain_that_failed_after_the_draft_blocks_the_send(world: Any) -> None:
    campaign = await world.draft()
    await world.publish(without="_domainkey")
    await world.sender_domains.verify(world.workspace, SENDER)
    with pytest.raises(RefusedError) as caught:
        await world.campaigns.send(world.workspace, campaign.id)
    assert caught.value.problems[0].code == "domain_not_verified"


async def test_an_empty_list_blocks(world: Any) -> None:
    problem = await refused(world, people="nobody,x,en\n")
    assert (problem.code, problem.next_step) == ("empty_list", "Import contacts first.")


async def test_contacts_that_cannot_be_merged_are_an_advisory_with_their_number(world: Any) -> None:
    people = 'a@example.test,"two\nlines",en\nb@example.test,"three\nlines",en\nc@example.test,Good,en\n'
    campaign = await world.draft(people)
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    assert (found.blocking, found.recipients, found.sampled) == ((), 3, 3)
    (problem,) = [one for one in found.advisory if one.code == "cannot_merge"]
    assert problem.sentence.startswith("2 of the first 3 contacts: ")
    assert found.largest_html > 1000


async def test_contacts_whose_address_no_header_can_hold_are_an_advisory(world: Any) -> None:
    campaign = await world.draft("דנה@example.test,Dana,he\nb@example.test,B,en\n")
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    (problem,) = [one for one in found.advisory if one.code == "cannot_merge"]
    assert problem.sentence.startswith("1 of the first 2 contacts: ")
    assert "SMTPUTF8" in problem.sentence


async def test_a_campaign_is_sent_once(world: Any) -> None:
    campaign = await world.draft()
    await world.campaigns.send(world.workspace, campaign.id)
    with pytest.raises(RefusedError) as caught:
        await world.campaigns.send(world.workspace, campaign.id)
    assert caught.value.problems[0].code == "not_a_draft"
    assert world.rows("SELECT count(*) FROM run")[0][0] == 1
    with pytest.raises(RefusedError) as caught:
        await world.draft()
    assert caught.value.problems[0].code == "name_taken"


async def test_a_draft_knows_no_pause(world: Any) -> None:
    campaign = await world.draft()
    for act in (world.campaigns.pause, world.campaigns.resume, world.campaigns.cancel):
        with pytest.raises(RefusedError) as caught:
            await act(world.workspace, campaign.id)
        assert caught.value.problems[0].code == "wrong_state"
    with pytest.raises(NotFoundError):
        await world.campaigns.pause(world.workspace + 1, campaign.id)
    assert (await world.campaigns.status(world.workspace, campaign.id)).run is None


async def test_what_runs_is_what_was_frozen(world: Any) -> None:
    campaign = await world.sending()
    await world.templates.save(world.workspace, "Spring", TemplateText(body("Changed"), "mjml", "Changed"))
    await world.imported("email,first_name,language\nreader0@example.test,Changed,en\nnew@example.test,New,en\n")
    messages = b"".join(world.messages(await world.leased()))
    assert b"Changed" not in messages
    assert await world.states(campaign) == {"leased": 3}


async def put(world: Any, stage: str) -> Any:
    """A campaign whose three recipients all are ``held``, ``ready`` or ``deferred``."""
    if stage == "held":
        world.resolver.zone = type(world.resolver.zone).parse(";; SERVFAIL silent.test\n")
        people = "".join(f"p{n}@silent.test,P,en\n" for n in range(3))
        await world.verified()
        campaign = await world.sending(people)
    else:
        campaign = await world.sending()
    if stage == "deferred":
        deliveries = await world.leased()
        await world.transmit(deliveries)
        await world.answer(deliveries, "451 4.7.1 later")
    assert await world.states(campaign) == {stage: 3}
    return campaign


@pytest.mark.parametrize("stage", ["held", "ready", "deferred"])
async def test_pause_holds_and_resume_goes_on(world: Any, stage: str) -> None:
    campaign = await put(world, stage)
    for _ in range(2):  # asking again changes nothing
        status = await world.campaigns.pause(world.workspace, campaign.id)
        assert (status.campaign.state, status.run.state, status.counts.by_state) == ("paused", "paused", {"held": 3})
    for _ in range(3):
        await world.scheduler.step()
    assert await world.leased() == []
    assert await world.states(campaign) == {"held": 3}
    status = await world.campaigns.resume(world.workspace, campaign.id)
    assert (status.campaign.state, status.run.state) == ("sending", "preparing")
    with pytest.raises(RefusedError):
        await world.campaigns.resume(world.workspace, campaign.id)
    for _ in range(3):
        await world.scheduler.step()
    assert await world.states(campaign) == {"held" if stage == "held" else "ready": 3}
    assert world.rows("SELECT count(*) FROM event WHERE kind = 'run_paused'")[0][0] == 1
    if stage == "deferred":
        assert await world.leased() == []  # they keep their time
        world.clock.advance(timedelta(hours=1))
        assert len(await world.leased()) == 3


@pytest.mark.parametrize("stage", ["held", "ready", "deferred", "paused"])
async def test_cancel_is_for_good(world: Any, stage: str) -> None:
    campaign = await put(world, "ready" if stage == "paused" else stage)
    if stage == "paused":
        await world.campaigns.pause(world.workspace, campaign.id)
    for _ in range(2):
        status = await world.campaigns.cancel(world.workspace, campaign.id)
        assert (status.campaign.state, status.run.state) == ("cancelled", "cancelled")
        assert status.counts.by_state == {"cancelled": 3}
    for _ in range(3):
        await world.scheduler.step()
    assert await world.leased() == []
    for act in (world.campaigns.pause, world.campaigns.resume, world.campaigns.send):
        with pytest.raises(RefusedError):
            await act(world.workspace, campaign.id)
    assert world.rows("SELECT count(*) FROM event WHERE kind = 'run_cancelled'")[0][0] == 1
    assert world.rows("SELECT count(*) FROM event WHERE kind = 'cancelled'")[0][0] == 3


@pytest.mark.parametrize(("act", "after"), [("pause", "held"), ("cancel", "cancelled")])
async def test_what_comes_back_from_transmission_goes_out_no_more(world: Any, act: str, after: str) -> None:
    campaign = await world.sending()
    deliveries = await world.leased()
    await world.transmit(deliveries)
    await getattr(world.campaigns, act)(world.workspace, campaign.id)
    assert await world.states(campaign) == {"transmitting": 3}
    await world.answer(deliveries[:1], "250 2.0.0 ok")
    await world.answer(deliveries[1:], "451 4.7.1 later")
    world.clock.advance(timedelta(hours=2))
    assert await world.leased() == []
    assert await world.states(campaign) == {"delivered": 1, after: 2}
    if act == "pause":
        await world.campaigns.resume(world.workspace, campaign.id)
        for _ in range(2):
            await world.scheduler.step()
        again = await world.leased()
        assert [one.attempt for one in again] == [2, 2]


@pytest.mark.parametrize(("act", "after"), [("pause", "held"), ("cancel", "cancelled")])
async def test_a_pause_or_cancel_that_was_cut_off_is_done_by_asking_again(
    world: Any, monkeypatch: pytest.MonkeyPatch, act: str, after: str
) -> None:
    from postwright.store import recipients  # noqa: PLC0415

    def die(*_: Any, **__: Any) -> int:
        raise InterruptedError

    campaign = await world.sending()
    with monkeypatch.context() as patched:
        patched.setattr(recipients, "hold", die)
        patched.setattr(recipients, "cancel", die)
        with pytest.raises(InterruptedError):
            await getattr(world.campaigns, act)(world.workspace, campaign.id)
    assert await world.states(campaign) == {"ready": 3}
    assert await world.leased(limit=1) == []  # the queue sends nothing of it meanwhile
    await getattr(world.campaigns, act)(world.workspace, campaign.id)
    assert await world.states(campaign) == {after: 3}


async def test_expiry_follows_the_stream(world: Any) -> None:
    await world.sending()
    (delivery, *_) = await world.leased()
    assert delivery.expires_at - world.clock.now() == 48 * HOUR
