"""The mails of a campaign, one for each variant that differs, merged with real contacts and looked at."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import Microseconds, as_datetime
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.composition import contact_data
from postwright.services.errors import Problem
from postwright.services.experiment_terms import ExperimentDraft, VariantDraft
from postwright.services.template_parts import WholeText, whole_text
from postwright.store import templates
from postwright.store.campaigns import Campaign
from postwright.store.contacts import Contact
from postwright.store.templates import TemplateText, TemplateVersion
from rendering.segments import MessageUrls
from rendering.source import TemplateSyntaxError
from rendering.spam_risk import SpamRisk
from rendering.template import Layouts


@dataclass(frozen=True, slots=True)
class CampaignMail:
    """What some or all recipients get. ``names`` are the variants that are this mail, none where nothing is tested.

    ``whole`` is ``None`` where the parts that it includes cannot be put in, which ``fault`` tells.
    """

    names: tuple[str, ...]
    subject: str
    version: TemplateVersion
    whole: WholeText | None
    fault: TemplateSyntaxError | None = None

    @property
    def text(self) -> TemplateText:
        """What is sent, with its parts."""
        return self.version.text if self.whole is None else self.whole.text


@dataclass(slots=True)
class LookedAt:
    """What was found of one mail; ``largest_html`` in octets, ``layouts`` how many the sample takes."""

    mail: CampaignMail
    blocking: list[Problem] = field(default_factory=list)
    advisory: list[Problem] = field(default_factory=list)
    risk: SpamRisk | None = None
    layouts: int = 0
    largest_html: int = 0


@dataclass(slots=True)
class Sampled:
    """What merging the sample showed: whose mail is the largest, what cannot be merged, what no contact can get."""

    largest_html: int = 0
    largest: Mapping[str, object] | None = None
    faults: Counter[str] = field(default_factory=Counter)
    broken: TemplateSyntaxError | None = None


def campaign_mails(connection: Connection, campaign: Campaign) -> tuple[CampaignMail, ...]:
    """The mails of a campaign as they would be sent now; variants that differ in nothing to be read are one."""
    drafts = _drafts(campaign)
    found: dict[tuple[int, str, str | None], CampaignMail] = {}
    for draft in drafts:
        version = templates.latest_version(connection, draft.template_id or campaign.template_id)
        if version is None:
            continue  # a template that is gone; the start refuses it by name
        subject = draft.subject or campaign.subject
        key = (version.id, subject, draft.preheader)
        names = (draft.name,) if draft.name else ()
        if key in found:
            found[key] = replace(found[key], names=found[key].names + names)
        else:
            found[key] = _mail(connection, campaign, version, (subject, draft.preheader), names)
    return tuple(found.values())


def mail_digest(mails: Iterable[CampaignMail]) -> str:
    """Tells one content of a campaign from another: every text and subject, whoever gets which."""
    written = json.dumps([[mail.subject, *astuple(mail.text)] for mail in mails])
    return hashlib.sha256(written.encode()).hexdigest()


def merge_sample(layouts: Layouts, sample: Sequence[Contact], urls: MessageUrls, now: Microseconds) -> Sampled:
    """Merge a mail for contacts, until all are seen or a branch that one takes does not compile."""
    sampled = Sampled()
    moment = as_datetime(now).replace(microsecond=0)
    for contact in sample:
        if EmailAddress.parse(contact.address).needs_smtputf8:
            sampled.faults[say("the part before the @ needs SMTPUTF8 (RFC 6531), which is not offered")] += 1
            continue
        data = {**contact_data(contact.address, contact.fields), "now": moment}
        try:
            key, values = layouts.template.fill(data)
            size = layouts[key].html_size(values, urls)
        except TemplateSyntaxError as error:
            sampled.broken = error
            return sampled
        except InputSyntaxError as error:
            sampled.faults[error.message] += 1
            continue
        if size > sampled.largest_html:
            sampled.largest_html, sampled.largest = size, data
    return sampled


def told_once(found: Sequence[tuple[CampaignMail, Sequence[Problem]]]) -> list[Problem]:
    """The problems of all mails: what is true of every variant once, the others with the variants' names."""
    names: dict[Problem, list[str]] = {}
    for mail, problems in found:
        for problem in dict.fromkeys(problems):
            names.setdefault(problem, []).extend(mail.names)
    everybody = sum(len(mail.names) for mail, _ in found)
    return [
        problem if len(concerned) == everybody else _of_variants(problem, concerned)
        for problem, concerned in names.items()
    ]


def _of_variants(problem: Problem, names: Sequence[str]) -> Problem:
    told = f"{'variant' if len(names) == 1 else 'variants'} {', '.join(names)}"
    return replace(problem, place=f"{told}, {problem.place}" if problem.place else told)


def _drafts(campaign: Campaign) -> tuple[VariantDraft, ...]:
    if campaign.experiment is None:
        return (VariantDraft(""),)
    return ExperimentDraft.from_json(campaign.experiment).variants


def _mail(
    connection: Connection,
    campaign: Campaign,
    version: TemplateVersion,
    line: tuple[str, str | None],
    names: tuple[str, ...],
) -> CampaignMail:
    subject, preheader = line
    text = version.text if preheader is None else replace(version.text, preheader=preheader)
    try:
        whole = whole_text(connection, campaign.workspace_id, text)
    except TemplateSyntaxError as error:
        return CampaignMail(names, subject, version, None, error)
    return CampaignMail(names, subject, version, whole)
