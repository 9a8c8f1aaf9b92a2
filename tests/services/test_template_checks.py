"""Templates looked at before anybody gets them: places, parts of the library, scores, samples, tests to oneself."""

import json
from typing import Any

import pytest

from postwright.services.accounts import Client, KeyScope
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.mail_checks import unmarked
from postwright.services.preflight_findings import overridable
from postwright.services.preflight_overrides import OverrideGround, OverrideWish, new_overrides
from postwright.services.proofs import NO_KEY, Proofs, ProofWanted
from postwright.services.template_checks import CheckWish, TemplateChecks
from postwright.services.template_parts import FROZEN_MARK, freeze
from postwright.store import templates
from postwright.store.templates import TemplateText

HEAD = "<mjml><mj-body><mj-section><mj-column>\n"
END = '\n<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>'
GOOD = HEAD + '<mj-text>Hello {{ contact.first_name | default: "you" }}, this is a letter.</mj-text>' + END


def text(body: str, subject: str = "A letter about the garden in May") -> TemplateText:
    return TemplateText(body, "mjml", subject)


@pytest.fixture
def checks(world: Any) -> TemplateChecks:
    return TemplateChecks(world.database, world.clock)


async def test_findings_have_the_place_in_the_source_and_its_mark_in_the_mail(world: Any, checks: Any) -> None:
    body = HEAD + '<mj-text>Hello</mj-text>\n  <mj-image src="https://acme.test/a.png" />' + END
    found = await checks.check(world.workspace, text(body))
    index = [finding.code for finding in found.mail.findings].index("image.alt_missing")
    finding, mark = found.mail.findings[index], found.mail.marks[index]
    assert (finding.line, finding.column) == (3, 3)
    assert f"pw-at-{mark}" in found.mail.html
    assert "pw-at-" not in unmarked(found.mail.html)
    assert "image-without-alt" not in [one.code for one in found.mail.findings]  # told once


async def test_errors_of_mjml_are_findings_and_what_does_not_compile_is_a_problem(world: Any, checks: Any) -> None:
    found = await checks.check(world.workspace, text(HEAD + '<mj-text colour="red">x</mj-text>' + END))
    errors = [(one.code, one.line) for one in found.mail.findings if one.severity == "error"]
    assert ("mjml-unknown-attribute", 2) in errors
    broken = await checks.check(world.workspace, text(HEAD + "<mj-text>{{ contact.x | nofilter }}</mj-text>" + END))
    assert broken.mail is None
    assert [(one.code, one.field, one.place[:6]) for one in broken.problems] == [("template_syntax", "body", "line 2")]


async def test_a_part_of_the_library_is_put_in_and_its_findings_name_it(world: Any, checks: Any) -> None:
    part = '<mj-text>Part</mj-text>\n<mj-image src="https://acme.test/part.png" />'
    await world.templates.save(world.workspace, "foot", text(HEAD + part + END))
    body = HEAD + '<mj-include path="foot" />\n<mj-image src="https://acme.test/own.png" />' + END
    await world.templates.save(world.workspace, "whole", text(body))
    found = await checks.check(world.workspace, text(body))
    assert "Part" in found.mail.html
    alts = [(one.message, one.line) for one in found.mail.findings if one.code == "image.alt_missing"]
    assert any("in the part 'foot'" in message and line is None for message, line in alts)
    assert any("in the part" not in message and line == 3 for message, line in alts)


async def test_a_missing_part_is_refused_when_the_template_is_stored(world: Any) -> None:
    with pytest.raises(RefusedError) as caught:
        await world.templates.save(world.workspace, "whole", text(HEAD + '<mj-include path="nowhere" />' + END))
    assert (caught.value.problems[0].code, caught.value.problems[0].field) == ("template_syntax", "body")
    assert "nowhere" in caught.value.problems[0].sentence


async def test_what_is_frozen_does_not_change_with_its_parts_and_shows_in_no_list(world: Any) -> None:
    await world.templates.save(world.workspace, "foot", text("<mj-text>old</mj-text>".join((HEAD, END))))
    whole = await world.templates.save(world.workspace, "whole", text(HEAD + '<mj-include path="foot" />' + END))
    now = world.clock.now()

    def work(connection: Any) -> Any:
        return freeze(connection, world.workspace, whole.version, now)

    frozen = await world.database.write(work)
    again = await world.database.write(work)
    assert frozen.id == again.id != whole.version.id
    await world.templates.save(world.workspace, "foot", text("<mj-text>new</mj-text>".join((HEAD, END))))
    newer = await world.database.write(work)
    assert newer.id != frozen.id
    kept = await world.database.read(lambda connection: templates.get_version(connection, frozen.id))
    assert "old" in kept.body
    assert "mj-include" not in kept.body
    assert [one.template.name for one in await world.templates.list(world.workspace)] == ["foot", "whole"]
    with pytest.raises(NotFoundError):
        await world.templates.get(world.workspace, frozen.template_id)
    with pytest.raises(RefusedError):
        await world.templates.save(world.workspace, f"x{FROZEN_MARK}y", text(GOOD))


async def test_versions_are_listed_and_an_old_one_is_restored_as_the_newest(world: Any) -> None:
    first = await world.templates.save(world.workspace, "letter", text(GOOD, "One"))
    await world.templates.save(world.workspace, "letter", text(GOOD, "Two"))
    restored = await world.templates.restore(world.workspace, first.template.id, 1)
    assert (restored.version.number, restored.version.subject) == (3, "One")
    versions = await world.templates.versions(world.workspace, first.template.id)
    assert [(one.number, one.subject) for one in versions] == [(3, "One"), (2, "Two"), (1, "One")]
    with pytest.raises(NotFoundError):
        await world.templates.version(world.workspace, first.template.id, 4)


async def test_starters_become_templates_under_free_names(world: Any, checks: Any) -> None:
    names = [(await world.templates.begin_with(world.workspace, "newsletter.he")).template.name for _ in range(2)]
    assert names[1] == f"{names[0]} 2"
    for key in ("newsletter.en", "newsletter.he", "announcement.en", "announcement.he"):
        stored = await world.templates.begin_with(world.workspace, key, f"my {key}")
        found = await checks.check(world.workspace, stored.version.text)
        assert found.mail.risk.band == "low", key
        assert found.mail.measures.is_right_to_left is key.endswith("he")
        assert not [one.code for one in found.mail.findings if one.severity == "error"]
    with pytest.raises(RefusedError) as caught:
        await world.templates.begin_with(world.workspace, "nothing.en")
    assert "newsletter.en" in caught.value.problems[0].next_step


async def test_contacts_are_chosen_and_found_by_address(world: Any, checks: Any) -> None:
    people = "a@example.test,Maximiliana,en\nb@example.test,נועה,he\nc@example.test,,en\n"
    await world.draft(people)
    chosen = {str(one.kind): one.address for one in await checks.contacts.choose(world.workspace)}
    assert chosen["longest-name"] == "a@example.test"
    assert chosen["right-to-left"] == "b@example.test"
    assert chosen["emptiest"] == "c@example.test"
    found = await checks.check(world.workspace, text(GOOD), CheckWish(contact_address="B@example.test"))
    assert "נועה" in found.mail.html
    with pytest.raises(RefusedError) as caught:
        await checks.check(world.workspace, text(GOOD), CheckWish(contact_address="nobody@example.test"))
    assert caught.value.problems[0].code == "unknown_contact"


async def test_a_field_that_no_contact_has_is_named(world: Any, checks: Any) -> None:
    await world.draft()
    found = await checks.check(world.workspace, text(GOOD.replace("first_name", "frist_name")))
    assert [(one.code, one.place) for one in found.unknown_fields] == [("unknown_merge_field", "line 2, column 19")]


async def test_the_audit_of_the_sender_counts_in_the_score(world: Any, checks: Any) -> None:
    await world.verified()
    good = await checks.check(world.workspace, text(GOOD))
    assert good.mail.risk.authentication == 0
    await world.publish(without="_domainkey")
    await world.sender_domains.verify(world.workspace, "news.acme.test")
    bad = await checks.check(world.workspace, text(GOOD))
    assert "dkim-missing" in [reason.code for reason in bad.mail.risk.reasons]
    assert bad.mail.risk.score > good.mail.risk.score


async def test_the_score_is_compared_with_the_last_campaigns(world: Any, checks: Any) -> None:
    campaign = await world.draft()
    assert (await checks.check(world.workspace, text(GOOD))).mail.changes is None
    await world.campaigns.send(world.workspace, campaign.id)
    found = (await checks.check(world.workspace, text(GOOD, "URGENT: FREE MONEY!!! ACT NOW"))).mail.changes
    assert found.compared == 1
    assert found.difference > 0
    assert found.new


# -- pre-flight --------------------------------------------------------------------------------------------------------


async def test_preflight_counts_the_contacts_without_a_field_that_is_shown_as_it_is(world: Any) -> None:
    body = HEAD + "<mj-text>Hello {{ contact.first_name }}</mj-text>" + END
    people = "a@example.test,Ada,en\nb@example.test,,en\nc@example.test,,en\n"
    campaign = await world.draft(people, body=body, subject="Hi")
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    (problem,) = [one for one in found.advisory if one.code == "missing_merge_field"]
    assert problem.sentence.startswith("2 contacts have no first_name")
    assert (problem.field, problem.place) == ("body", "line 2, column 19")


@pytest.mark.parametrize(
    "shown",
    ['{{ contact.first_name | default: "you" }}', "{% if contact.first_name %}{{ contact.first_name }}{% endif %}"],
)
async def test_a_field_with_a_default_or_a_condition_is_missed_by_nobody(world: Any, shown: str) -> None:
    body = HEAD + f"<mj-text>Hello {shown}</mj-text>" + END
    campaign = await world.draft("a@example.test,Ada,en\nb@example.test,,en\n", body=body, subject="Hi")
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    assert "missing_merge_field" not in [one.code for one in found.advisory]


async def test_errors_block_and_the_risk_advises(world: Any) -> None:
    campaign = await world.draft(subject="URGENT!!! FREE MONEY, 100% GUARANTEED, ACT NOW $$$")
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    assert found.blocking == ()
    assert found.risk.band != "low"
    assert "spam_risk" in [one.code for one in found.advisory]
    bare = HEAD + "<mj-text>Hello there, nothing to leave by.</mj-text></mj-column></mj-section></mj-body></mjml>"
    blocked = await world.draft(name="bare", body=bare)
    found = await world.campaigns.preflight(world.workspace, blocked.id)
    assert [one.code for one in found.blocking] == ["required.unsubscribe_missing"]
    assert not found.overridable


async def test_consent_is_counted_for_marketing_mail(world: Any) -> None:
    campaign = await world.draft("a@example.test,Ada,en\nb@example.test,B,en\n")
    found = await world.campaigns.preflight(world.workspace, campaign.id)
    (problem,) = [one for one in found.advisory if one.code == "consent_missing"]
    assert "2 of 2" in problem.sentence


def test_an_override_needs_a_note_and_may_not_touch_what_law_asks_for() -> None:
    blocking = [Problem("spam_risk", "x"), Problem("required.unsubscribe_missing", "y"), Problem("empty_list", "z")]
    assert overridable(blocking) == {"spam_risk"}
    ground = OverrideGround("mail", "high")
    made = new_overrides(
        blocking, OverrideWish(frozenset({"spam_risk"}), "dana@acme.test", " It is our usual. "), ground
    )
    assert [(one.code, one.note, one.content) for one in made] == [
        ("spam_risk", "It is our usual.", ground.content("spam_risk"))
    ]
    for codes, note, code in (
        ({"spam_risk"}, "  ", "override_note"),
        ({"spam_risk"}, "x" * 1001, "override_note"),
        (set(), "why not", "override_codes"),
        ({"empty_list"}, "why not", "not_overridable"),
        ({"spam_risk", "required.unsubscribe_missing"}, "why not", "not_overridable"),
        ({"link.dangerous"}, "why not", "not_blocking"),
    ):
        with pytest.raises(RefusedError) as caught:
            new_overrides(blocking, OverrideWish(frozenset(codes), "dana@acme.test", note), ground)
        assert caught.value.problems[0].code == code


# -- tests to oneself --------------------------------------------------------------------------------------------------


def person(world: Any) -> Client:
    return Client(NO_KEY, world.workspace, frozenset({KeyScope.SEND}), "dana@news.acme.test")


async def test_a_test_goes_to_own_addresses_alone_and_says_so(world: Any, checks: Any) -> None:
    await world.verified()
    proofs = Proofs(world.database, world.intake, world.submissions)
    contact = await checks.contacts.by_id(world.workspace, 0)
    with pytest.raises(RefusedError) as caught:
        await proofs.send(person(world), text(GOOD), contact, ProofWanted("stranger@example.test"))
    assert caught.value.problems[0].code == "not_an_own_address"
    stored = await proofs.send(person(world), text(GOOD), contact, ProofWanted("dana@news.acme.test"))
    ((subject, key_id, tags),) = world.rows("SELECT subject, key_id, tags FROM message")
    assert subject.startswith("[test] ")
    assert (key_id, json.loads(tags)) == (None, ["test"])
    assert stored.accepted[0].address == "dana@news.acme.test"
