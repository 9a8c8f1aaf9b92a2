"""Drafts of campaigns: what somebody asks for, checked, and as the store keeps it."""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta

from sqlalchemy import Connection

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.clock import Microseconds, microseconds
from mailtypes.saying import say
from postwright.services.audiences import AudienceDraft, audience_json
from postwright.services.campaign_plan import CampaignPlan, check_plan
from postwright.services.campaign_senders import CampaignSender, as_json, check_senders
from postwright.services.errors import Problem, RefusedError
from postwright.services.experiment_terms import ExperimentDraft, check_experiment
from postwright.store import campaigns, domains, templates, workspaces
from postwright.store.campaigns import Campaign, NewCampaign
from postwright.store.templates import TemplateText, TemplateVersion

LONGEST_NAME = 200
NAME_RULE = say("A campaign has a name of 1 to %(longest_name)s characters.", longest_name=LONGEST_NAME)
_MOST_MAILS, _MOST_DAYS = 100, 366
_LONGEST_RUN = timedelta(days=90)
_FORBIDDEN = tuple(chr(code) for code in (*range(32), 127))


@dataclass(frozen=True, slots=True)
class FrequencyLimit:
    """Whoever got ``mails`` in the last ``days`` gets nothing of this campaign."""

    mails: int
    days: int


@dataclass(frozen=True, slots=True)
class CampaignDraft:
    """What a campaign is created from. ``subject`` empty: the template's own. ``longest``: how long it may take.

    ``other_senders``: people at the same domain who send a part of it each, beside ``from_address``.
    """

    name: str
    audience: AudienceDraft
    template_id: int
    from_address: str
    from_name: str = ""
    reply_to: str | None = None
    subject: str = ""
    stream: str = "marketing"
    plan: CampaignPlan = field(default_factory=CampaignPlan)
    frequency_limit: FrequencyLimit | None = None
    experiment: ExperimentDraft | None = None
    longest: timedelta | None = None
    other_senders: tuple[CampaignSender, ...] = ()


def resolve_draft(
    connection: Connection, workspace_id: int, draft: CampaignDraft, known: Campaign | None, now: Microseconds
) -> tuple[TemplateText, NewCampaign]:
    """The draft for the store, with its template's text; raises ``RefusedError`` naming every field that is wrong.

    ``known`` is the campaign that is changed, if it is one.
    """
    problems = [*_header_problems(draft), *check_plan(draft.plan, now), *_limit_problems(draft)]
    if draft.experiment is not None:
        check_experiment(draft.experiment)
    stream = workspaces.find_stream(connection, workspace_id, draft.stream)
    if stream is None:
        problems.append(
            Problem("unknown_stream", say("There is no stream '%(stream)s'.", stream=draft.stream), "stream")
        )
    audience = audience_json(connection, workspace_id, draft.audience, problems)
    version = _latest(connection, workspace_id, draft.template_id, problems)
    for variant in draft.experiment.variants if draft.experiment else ():
        if variant.template_id is not None:
            _latest(connection, workspace_id, variant.template_id, problems)
    same_name = campaigns.find_campaign(connection, workspace_id, draft.name.strip())
    if same_name is not None and (known is None or same_name.id != known.id):
        problems.append(Problem("name_taken", say("There is a campaign '%(name)s' already.", name=draft.name), "name"))
    domain_id = _sender_domain_id(connection, workspace_id, draft.from_address, problems)
    problems += _sender_problems(draft)
    if problems or stream is None or version is None or domain_id is None:
        raise RefusedError.of(problems)
    limit = draft.frequency_limit
    return version.text, NewCampaign(
        name=draft.name.strip(),
        stream_id=stream.id,
        list_id=draft.audience.list_id,
        template_id=draft.template_id,
        domain_id=domain_id,
        from_address=draft.from_address.strip(),
        from_name=draft.from_name.strip(),
        reply_to=draft.reply_to.strip() if draft.reply_to else None,
        subject=draft.subject or version.subject,
        audience=audience,
        plan=draft.plan.as_json(),
        frequency_cap=None if limit is None else json.dumps(asdict(limit)),
        experiment=None if draft.experiment is None else draft.experiment.as_json(),
        longest=None if draft.longest is None else microseconds(draft.longest),
        other_senders=as_json([_trimmed(one) for one in draft.other_senders]),
    )


def _latest(
    connection: Connection, workspace_id: int, template_id: int, problems: list[Problem]
) -> TemplateVersion | None:
    template = templates.get_template(connection, workspace_id, template_id)
    version = templates.latest_version(connection, template_id) if template else None
    if version is None:
        problems.append(Problem("unknown_template", say("There is no such template."), "template"))
    return version


def _limit_problems(draft: CampaignDraft) -> list[Problem]:
    found: list[Problem] = []
    limit = draft.frequency_limit
    if limit is not None and not (1 <= limit.mails <= _MOST_MAILS and 1 <= limit.days <= _MOST_DAYS):
        sentence = say(
            "A limit is 1 to %(most_mails)s mails in 1 to %(most_days)s days.",
            most_mails=_MOST_MAILS,
            most_days=_MOST_DAYS,
        )
        found.append(Problem("frequency_limit", sentence, "frequency_limit"))
    if draft.longest is not None and not timedelta(hours=1) <= draft.longest <= _LONGEST_RUN:
        found.append(
            Problem("longest", say("Sending may take an hour to %(days)s days.", days=_LONGEST_RUN.days), "longest")
        )
    return found


def _sender_problems(draft: CampaignDraft) -> list[Problem]:
    """What is wrong with those who send it beside the campaign's own sender."""
    problems: list[Problem] = []
    for one in draft.other_senders:
        _header_address(one.address, "other_senders", problems)
        _header_text(one.name, "other_senders", problems)
        if one.reply_to is not None:
            _header_address(one.reply_to, "other_senders", problems)
    variants = draft.experiment.variants if draft.other_senders and draft.experiment else ()
    if any(variant.from_name is not None for variant in variants):
        sentence = say("A test of the sender's name goes with one sender only.")
        problems.append(Problem("senders", sentence, "other_senders", "", say("Test something else.")))
    if problems:
        return problems
    try:
        own = EmailAddress.parse(draft.from_address)
    except AddressSyntaxError:
        own = None  # named with the field
    return check_senders(own, draft.other_senders)


def _trimmed(one: CampaignSender) -> CampaignSender:
    reply_to = one.reply_to.strip() if one.reply_to else None
    return replace(one, address=one.address.strip(), name=one.name.strip(), reply_to=reply_to)


def _header_text(value: str, field: str, problems: list[Problem]) -> None:
    place = next((index for index, character in enumerate(value) if character in _FORBIDDEN), None)
    if place is not None:
        sentence = say("A line break or control character cannot stand in a header.")
        problems.append(
            Problem("header_line_break", sentence, field, say("column %(column)s", column=place + 1), say("Remove it."))
        )


def _header_problems(draft: CampaignDraft) -> list[Problem]:
    problems: list[Problem] = []
    if not draft.name.strip() or len(draft.name) > LONGEST_NAME:
        problems.append(Problem("campaign_name", NAME_RULE, "name"))
    for name, value in (("subject", draft.subject), ("from_name", draft.from_name)):
        _header_text(value, name, problems)
    if draft.reply_to is not None:
        _header_address(draft.reply_to, "reply_to", problems)
    return problems


def _header_address(text: str, field: str, problems: list[Problem]) -> EmailAddress | None:
    """The address, unless it cannot stand in a header: every single message would fail because of it."""
    try:
        address = EmailAddress.parse(text)
    except AddressSyntaxError as error:
        problems.append(Problem.of(error, "bad_address", field))
        return None
    if address.needs_smtputf8:
        sentence = say(
            "The part before the @ of %(address)s needs SMTPUTF8 (RFC 6531), which is not offered.", address=address
        )
        problems.append(Problem("bad_address", sentence, field, "", say("Use an address in ASCII.")))
        return None
    return address


def _sender_domain_id(
    connection: Connection, workspace_id: int, from_address: str, problems: list[Problem]
) -> int | None:
    address = _header_address(from_address, "from_address", problems)
    if address is None:
        return None
    found = domains.find_domain(connection, workspace_id, address.domain.ascii)
    if found is None:
        problems.append(
            Problem(
                "unknown_domain",
                say("%(domain)s is not a sender domain of this workspace.", domain=address.domain),
                "from_address",
                "",
                say("Add it first: postwright domain add %(domain)s.", domain=address.domain),
            )
        )
        return None
    return found.id
