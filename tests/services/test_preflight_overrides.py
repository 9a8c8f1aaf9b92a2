"""Sending against findings: by whom, why, for which content, and until when; every variant of a test is looked at."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from mailtypes.clock import HOUR, Microseconds
from mailtypes.questions import HttpAnswer, HttpFetch, HttpFetched, Unanswered
from postwright.outbound_http import HttpHead, NoHead
from postwright.services.campaign_plan import CampaignPlan
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.experiment_terms import ExperimentDraft, VariantDraft
from postwright.services.image_facts import ImageLooks
from postwright.services.link_facts import LinkLooks, LinkTerms
from postwright.services.mail_looks import MailLooks
from postwright.services.preflight import PreflightCheck, PreflightPolicy
from postwright.services.preflight_overrides import OverrideWish
from postwright.services.template_checks import TemplateChecks
from postwright.store.templates import TemplateText

HEAD = "<mjml><mj-body><mj-section><mj-column>\n"
END = '\n<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>'
GOOD = HEAD + "<mj-text>A letter about the garden.</mj-text>" + END
STRANGE = HEAD + '<mj-text colour="red">A letter about the garden.</mj-text>' + END
CODE = "mjml-unknown-attribute"


def wish(*codes: str, note: str = "The colour does no harm.") -> OverrideWish:
    return OverrideWish(frozenset(codes or {CODE}), "dana@acme.test", note)


async def saved(world: Any, body: str) -> int:
    """A new version of the campaign's template."""
    version = await world.templates.save(
        world.workspace, "Spring", TemplateText(body, "mjml", "Hello {{ contact.first_name }}", "Flowers")
    )
    return int(version.template.id)


async def overruled(world: Any, **changes: Any) -> Any:
    campaign = await world.draft(body=STRANGE, **changes)
    await world.campaigns.overrule(world.workspace, campaign.id, wish())
    return campaign


async def test_what_was_overruled_no_longer_blocks_and_the_log_says_who_and_why(world: Any) -> None:
    campaign = await world.draft(body=STRANGE)
    with pytest.raises(RefusedError) as caught:
        await world.campaigns.send(world.workspace, campaign.id)
    assert [one.code for one in caught.value.problems] == [CODE]
    found = await world.campaigns.overrule(world.workspace, campaign.id, wish())
    assert found.blocking == ()
    assert [(one.problem.code, one.override.who) for one in found.overruled] == [(CODE, "dana@acme.test")]
    status = await world.campaigns.send(world.workspace, campaign.id)
    assert status.campaign.state == "sending"
    ((run_id, data),) = world.rows("SELECT run_id, data FROM event WHERE kind = 'preflight_overridden'")
    assert run_id == status.run.id
    told = json.loads(data)
    assert (told["who"], told["note"]) == ("dana@acme.test", "The colour does no harm.")
    assert [one["code"] for one in told["findings"]] == [CODE]


async def test_another_text_voids_an_override_and_the_same_text_brings_it_back(world: Any) -> None:
    campaign = await overruled(world)
    await saved(world, STRANGE.replace("garden", "orchard"))
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    assert [one.code for one in found.blocking] == [CODE]
    assert [one.code for one in found.lapsed] == [CODE]
    with pytest.raises(RefusedError):
        await world.campaigns.send(world.workspace, campaign.id)
    await saved(world, STRANGE)
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    assert (found.blocking, found.lapsed) == ((), ())


async def test_an_override_that_is_withdrawn_blocks_again_and_stays_on_record(world: Any) -> None:
    campaign = await overruled(world)
    found = await world.campaigns.withdraw_override(world.workspace, campaign.id, CODE, "eli@acme.test")
    assert [one.code for one in found.blocking] == [CODE]
    assert found.lapsed == ()
    (kept,) = await world.campaigns.overrides(world.workspace, campaign.id)
    assert (kept.who, kept.withdrawn_by, kept.note) == ("dana@acme.test", "eli@acme.test", "The colour does no harm.")
    with pytest.raises(NotFoundError):
        await world.campaigns.withdraw_override(world.workspace, campaign.id, CODE, "eli@acme.test")


async def test_nobody_overrules_a_domain_that_is_not_verified_or_a_missing_way_out(world: Any) -> None:
    campaign = await overruled(world)
    await world.change("UPDATE sender_domain SET state = 'pending'")
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    assert [one.code for one in found.blocking] == ["domain_not_verified"]
    assert not found.overridable
    with pytest.raises(RefusedError) as caught:
        await world.campaigns.overrule(world.workspace, campaign.id, wish("domain_not_verified"))
    assert caught.value.problems[0].code == "not_overridable"
    with pytest.raises(RefusedError):
        await world.campaigns.send(world.workspace, campaign.id)


async def test_another_workspace_cannot_overrule(world: Any) -> None:
    campaign = await world.draft(body=STRANGE)
    with pytest.raises(NotFoundError):
        await world.campaigns.overrule(world.workspace + 1, campaign.id, wish())
    assert world.rows("SELECT * FROM preflight_override") == []


async def test_a_scheduled_start_and_a_repeat_honour_what_still_holds(world: Any) -> None:
    campaign = await overruled(world, plan=CampaignPlan(Microseconds(world.clock.now() + HOUR)))
    assert (await world.campaigns.send(world.workspace, campaign.id)).campaign.state == "scheduled"
    world.clock.advance(timedelta(hours=1))
    assert await world.campaigns.step() == 1
    finished = text("UPDATE campaign SET state = 'finished'")
    await world.database.write(lambda connection: connection.execute(finished))
    again = await world.campaigns.repeat(world.workspace, campaign.id)
    assert again.run.number == 2
    assert world.rows("SELECT count(*) FROM event WHERE kind = 'preflight_overridden'") == [(2,)]
    await world.database.write(lambda connection: connection.execute(finished))
    await saved(world, STRANGE.replace("garden", "orchard"))
    with pytest.raises(RefusedError):
        await world.campaigns.repeat(world.workspace, campaign.id)


async def test_a_template_that_changes_before_a_scheduled_start_keeps_it_from_beginning(world: Any) -> None:
    campaign = await overruled(world, plan=CampaignPlan(Microseconds(world.clock.now() + HOUR)))
    await world.campaigns.send(world.workspace, campaign.id)
    await saved(world, STRANGE.replace("garden", "orchard"))
    world.clock.advance(timedelta(hours=1))
    assert await world.campaigns.step() == 0
    assert (await world.campaigns.get(world.workspace, campaign.id)).blocked_by


# -- variants ----------------------------------------------------------------------------------------------------------


async def with_variants(world: Any, *variants: VariantDraft, body: str = GOOD) -> Any:
    return await world.draft(body=body, experiment=ExperimentDraft(variants))


async def other_template(world: Any, body: str) -> int:
    saved = await world.templates.save(world.workspace, "Autumn", TemplateText(body, "mjml", "Hello", "Leaves"))
    return int(saved.template.id)


async def test_a_finding_of_one_variant_names_it_and_blocks(world: Any) -> None:
    await world.verified()
    other = await other_template(world, STRANGE)
    campaign = await with_variants(world, VariantDraft("Plain"), VariantDraft("Bold", template_id=other))
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    (problem,) = found.blocking
    assert (problem.code, problem.place) == (CODE, "variant Bold, line 2, column 10")
    await world.campaigns.overrule(world.workspace, campaign.id, wish())
    assert (await world.campaigns.send(world.workspace, campaign.id)).campaign.state == "sending"


async def test_a_changed_template_of_a_variant_voids_an_override(world: Any) -> None:
    await world.verified()
    other = await other_template(world, GOOD)
    campaign = await with_variants(world, VariantDraft("Plain"), VariantDraft("Bold", template_id=other), body=STRANGE)
    assert (await world.campaigns.overrule(world.workspace, campaign.id, wish())).blocking == ()
    await other_template(world, GOOD.replace("garden", "orchard"))
    assert [one.code for one in (await world.campaigns.preflight(world.workspace, campaign.id)).blocking] == [CODE]


async def test_what_is_true_of_every_variant_is_told_once(world: Any) -> None:
    subjects = ("A letter about the garden in May", "Flowers and how to keep them in May")
    variants = (VariantDraft("A", subject=subjects[0]), VariantDraft("B", subject=subjects[1]))
    found = await world.campaigns.preflight(world.workspace, (await with_variants(world, *variants, body=STRANGE)).id)
    assert [(one.code, one.place) for one in found.blocking] == [(CODE, "line 2, column 10")]


async def test_the_risk_is_that_of_the_riskiest_variant(world: Any) -> None:
    loud = "URGENT!!! FREE MONEY, 100% GUARANTEED, ACT NOW $$$"
    calm = VariantDraft("Calm", subject="A letter about the garden in May")
    campaign = await with_variants(world, calm, VariantDraft("Loud", subject=loud))
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    assert found.risk.band != "low"
    (told,) = [one for one in found.advisory if one.code == "spam_risk"]
    assert told.place == "variant Loud"


# -- images ------------------------------------------------------------------------------------------------------------


async def test_images_are_looked_at_once_for_all_variants_and_what_is_unknown_is_said(world: Any) -> None:
    asked: list[str] = []

    class Web:
        async def fetch(self, wanted: HttpFetch) -> HttpAnswer:
            asked.append(wanted.url)
            return HttpFetched(404, "text/html", b"") if "gone" in wanted.url else Unanswered("timeout")

    images = "".join(f'<mj-image alt="x" src="https://acme.test/{name}.png" />' for name in ("gone", "slow"))
    variants = (
        VariantDraft("A", subject="A letter about the garden"),
        VariantDraft("B", subject="Flowers in May, here"),
    )
    campaign = await with_variants(world, *variants, body=GOOD.replace("<mj-text>A", f"{images}<mj-text>A"))
    policy = PreflightPolicy(images=ImageLooks(Web(), world.clock))
    found = await PreflightCheck(world.database, world.clock, policy=policy).check(campaign)
    told = {one.code: one for one in found.advisory}
    assert told["image.unreachable"].place == "line 2, column 1"
    assert "https://acme.test/slow.png: timeout" in told["images_unknown"].sentence
    assert sorted(asked) == ["https://acme.test/gone.png", "https://acme.test/slow.png"]
    assert found.blocking == ()
    silent = (await world.campaigns.preflight(world.workspace, campaign.id)).advisory
    assert {"image.unreachable", "images_unknown"}.isdisjoint(one.code for one in silent)


# -- links -------------------------------------------------------------------------------------------------------------


async def test_links_are_asked_for_once_for_all_variants_and_what_was_seen_is_known_while_typing(world: Any) -> None:
    asked: list[str] = []

    class Web:
        async def glance(self, url: str, method: str = "HEAD") -> HttpHead | NoHead:
            asked.append(f"{method} {url}")
            return HttpHead(404) if "gone" in url else NoHead("refused")

    names = ("gone", "slow", "{{ contact.email }}")
    links = "".join(f'<mj-text><a href="https://acme.test/{name}">Read on</a></mj-text>' for name in names)
    body = GOOD.replace("<mj-text>A", f"{links}<mj-text>A")
    variants = (
        VariantDraft("A", subject="A letter about the garden"),
        VariantDraft("B", subject="Flowers in May, here"),
    )
    campaign = await with_variants(world, *variants, body=body)
    looks = LinkLooks(Web(), world.clock, LinkTerms(pause=timedelta(0)))
    policy = PreflightPolicy(links=looks)
    found = await PreflightCheck(world.database, world.clock, policy=policy).check(campaign)
    told = {one.code: one for one in found.advisory}
    assert told["link.dead"].place.startswith("line 2, column ")
    assert "(unknown: 1); of https://acme.test/slow: refused." in told["links_unknown"].sentence
    once = ["GET https://acme.test/gone", "HEAD https://acme.test/gone", "HEAD https://acme.test/slow"]
    assert sorted(asked) == once
    assert found.blocking == ()
    checks = TemplateChecks(world.database, world.clock, looks=MailLooks(links=looks))
    checked = await checks.check(world.workspace, TemplateText(body, "mjml", "Garden"))
    codes = {one.code for one in checked.mail.findings}
    assert {"link.dead", "link.unreachable"} <= codes
    assert sorted(asked) == once
    silent = (await world.campaigns.preflight(world.workspace, campaign.id)).advisory
    assert {"link.dead", "links_unknown"}.isdisjoint(one.code for one in silent)
