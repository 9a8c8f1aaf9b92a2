"""A test of two subjects, rehearsed on the sandbox: seeded people read a real campaign, a day passes in seconds.

Everything is real but the readers and the clock: composed and signed mail over SMTP, judged on arrival, links and
pixels answered by the tracking endpoints, verdicts on machines, looks, decision and release by the scheduler.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from dns_checks.publish import as_zone_text
from mailtypes.clock import DAY, ManualClock, Microseconds, SystemClock
from mailtypes.errors import SurroundingsError
from postwright.demo.main_job import CampaignResult, ImportResult
from postwright.demo.outcome import Outcome, good_recipients, judge
from postwright.demo.stage import SENDER_DOMAIN, write_notes
from postwright.demo.virtual_install import VirtualInstall, virtual_install
from postwright.sandbox.mailboxes import Mailboxes, ReceivedMessage
from postwright.sandbox.people import Appeal, People
from postwright.sandbox.reading import Readers
from postwright.sandbox.zones import publish_zone
from postwright.services.audiences import AudienceDraft
from postwright.services.campaign_drafts import CampaignDraft
from postwright.services.experiment_terms import ExperimentDraft, VariantDraft
from postwright.store.campaigns import Campaign
from postwright.store.experiments import StoredExperiment
from postwright.store.templates import TemplateText
from postwright.store.workspaces import find_workspace

CAMPAIGN = "Spring harvest guide, two subjects"
SUBJECTS = ("{{ contact.first_name }}, your spring harvest guide", "Radishes in 28 days, {{ contact.first_name }}")
TEXTS = ("your spring harvest guide", "Radishes in 28 days")
"""What the people know the subjects by, whatever name stands beside it."""
_WORSE, _BETTER = Appeal(opens=0.28, clicks=0.06, scanned=0.25), Appeal(opens=0.40, clicks=0.18, scanned=0.10)
NAMES = ("A", "B")
_NOTHING_COUNTED = {"recipients": 0, "successes": 0, "successes_upper": 0}
_LIST = "Newsletter"
_LONGEST = timedelta(days=3)
_HOUR, _MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)
_MOST_REFUSALS = 10_000


class RehearsalError(SurroundingsError):
    """The rehearsal did not come to its end."""


@dataclass(frozen=True, slots=True)
class RehearsalTerms:
    """What is rehearsed: how the two subjects go down, on which share of the list, and how the readers are drawn.

    ``earliest`` and ``wait`` in hours, as a test has them; ``read_on`` is how long the rest reads at the end.
    """

    first: Appeal = _WORSE
    second: Appeal = _BETTER
    seed: int = 1
    share: float = 0.5
    earliest: float = 2.0
    wait: float = 24.0
    read_on: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class VariantOutcome:
    """One subject. ``sampled`` people had it in the test, of whom ``lower`` to ``upper`` clicked as far as was counted
    and ``truly`` clicked in fact; ``raw`` is what somebody counts who takes every click for a person's.

    ``mails`` is how many have it in the end.
    """

    name: str
    subject: str
    sampled: int
    lower: int
    upper: int
    truly: int
    raw: int
    mails: int


@dataclass(frozen=True, slots=True)
class AbOutcome:
    """The test's end, and whether everything arrived as decided. ``decided_after`` counts from the first mail."""

    job: Outcome
    variants: tuple[VariantOutcome, ...]
    winner: int
    decided_by: str
    sentence: str
    decided_after: timedelta
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LookTold:
    """What a look said, ``after`` the first mail: for each variant lower and upper bound, and recipients."""

    after: timedelta
    counts: tuple[tuple[int, int, int], ...]
    sentence: str


Show = Callable[[LookTold], None]


async def rehearse(
    folder: Path, examples: Path, terms: RehearsalTerms, show: Show = lambda _: None, http_port: int = 0
) -> AbOutcome:
    """Play the test in an empty folder; ``show`` is told of each look. With a port ``Stage.set_up`` can go on there.

    It begins some days ago, so that whoever looks at it afterwards finds nothing in the future.
    """
    clock = ManualClock(SystemClock().now() - 4 * DAY)
    async with virtual_install(folder, clock, http_port) as install:
        # Time that stood still cannot go on: whoever comes next begins anew, unless this comes to its end for them.
        write_notes(folder, replace(install.notes, finished=True))
        play = _Play(install, terms)
        imported, campaign = await play.prepare(examples)
        people = People(terms.seed, tuple(zip(TEXTS, (terms.first, terms.second), strict=True)))
        async with install.readers(people) as readers:
            decided = await play.run(campaign, readers, show)
        job = judge(good_recipients(examples, imported), install.mailboxes, await play.result(campaign))
        if http_port:
            write_notes(folder, install.notes)
        return play.outcome(job, decided)


@dataclass(frozen=True, slots=True)
class _Decided:
    """The test as it was decided, and who had truly clicked by then, by the subject's text."""

    test: StoredExperiment
    clicked: Mapping[str, frozenset[str]]
    clicked_by_anything: Mapping[str, frozenset[str]]


class _Play:
    def __init__(self, install: VirtualInstall, terms: RehearsalTerms) -> None:
        self._install = install
        self._application = install.application
        self._terms = terms
        self._workspace = 0
        self._begun = install.clock.now()

    async def prepare(self, examples: Path) -> tuple[ImportResult, Campaign]:
        """Domain, contacts, suppressions, template, campaign: sent, but the clock stands."""
        workspace = await self._application.database.read(lambda connection: find_workspace(connection, "main"))
        assert workspace is not None  # made with the install
        self._workspace = workspace.id
        await self._verify_domain()
        imported, list_id = await self._import(examples)
        suppressions = (examples / "suppressions.csv").read_bytes()
        await self._application.suppression_list.import_csv(self._workspace, suppressions)
        campaign = await self._create(examples, list_id)
        await self._application.campaigns.send(self._workspace, campaign.id)
        return imported, campaign

    async def _verify_domain(self) -> None:
        domains = self._application.sender_domains
        await domains.add(self._workspace, SENDER_DOMAIN)
        records = await domains.records(await domains.get(self._workspace, SENDER_DOMAIN))
        publish_zone(self._install.layout.zones_directory, SENDER_DOMAIN, as_zone_text(tuple(records)))
        await domains.verify(self._workspace, SENDER_DOMAIN)

    async def _import(self, examples: Path) -> tuple[ImportResult, int]:
        imports = self._application.imports
        content = (examples / "contacts.csv").read_bytes()
        job_id = await imports.start(self._workspace, _LIST, "contacts.csv", content)
        await imports.run_jobs()
        job = await imports.job(self._workspace, job_id)
        refusals = await imports.refusals(self._workspace, job_id, limit=_MOST_REFUSALS)
        rows = tuple((one.row_number, one.value, one.reason) for one in refusals if one.outcome == "refused")
        target, _ = await imports.make_list(self._workspace, _LIST)
        return ImportResult(job.created, job.updated, job.refused, rows), target.id

    async def _create(self, examples: Path, list_id: int) -> Campaign:
        body = (examples / "newsletter.mjml").read_text("utf-8")
        stored = await self._application.templates.save(
            self._workspace, "Newsletter", TemplateText(body, "mjml", SUBJECTS[0])
        )
        draft = CampaignDraft(
            name=CAMPAIGN,
            audience=AudienceDraft(list_id),
            template_id=stored.template.id,
            from_address=f"hello@{SENDER_DOMAIN}",
            from_name="Acme Garden",
            experiment=self._experiment(),
        )
        return await self._application.campaigns.create(self._workspace, draft)

    def _experiment(self) -> ExperimentDraft:
        terms = self._terms
        variants = tuple(VariantDraft(name, subject=subject) for name, subject in zip(NAMES, SUBJECTS, strict=True))
        return ExperimentDraft(
            variants, terms.share, wait=terms.wait, earliest=terms.earliest, seed=f"rehearsal {terms.seed}"
        )

    async def run(self, campaign: Campaign, readers: Readers, show: Show) -> _Decided:
        """Let time pass until the campaign is finished and the rest has read."""
        await self._install.work()
        test = await self._until_decided(campaign, readers, show)
        clicked = {text: frozenset(one.clicked) for text, one in readers.truth.items()}
        anything = {text: clicked[text] | one.clicked_by_machines for text, one in readers.truth.items()}
        await self._until_finished(campaign, readers)
        return _Decided(test, clicked, anything)

    async def _until_decided(self, campaign: Campaign, readers: Readers, show: Show) -> StoredExperiment:
        told: LookTold | None = None
        made = 1
        for _ in self._ticks():
            test = await self._test(campaign)
            if test.looked_at is not None:
                look = self._told(test, test.looked_at)
                if told is None or (look.counts, look.sentence) != (told.counts, told.sentence):
                    show(look)
                told = look
            if test.winner is not None:
                return test
            # Once everybody's verdict is settled, the next look is no other one before somebody reads.
            is_quiet = made == 0 and test.deadline is not None and self._after() > self._terms.earliest * _HOUR
            made = await self._install.pass_time(readers, Microseconds(test.deadline or 0) if is_quiet else None)
        raise RehearsalError("The test was not decided.")

    async def _until_finished(self, campaign: Campaign, readers: Readers) -> None:
        ends: Microseconds | None = None
        for _ in self._ticks():
            await self._install.pass_time(readers, ends)
            now = self._install.clock.now()
            if ends is None and (await self.result(campaign)).state == "finished":
                ends = Microseconds(now + self._terms.read_on // _MICROSECOND)
            if ends is not None and now >= ends:
                return
        raise RehearsalError("The campaign did not finish.")

    def _after(self) -> timedelta:
        return (self._install.clock.now() - self._begun) * _MICROSECOND

    def _ticks(self) -> Iterator[None]:
        while self._after() < _LONGEST:
            yield

    async def _test(self, campaign: Campaign) -> StoredExperiment:
        status = await self._application.campaigns.status(self._workspace, campaign.id)
        assert status.run is not None  # it has been sent
        return await self._application.experiment_runs.get(self._workspace, status.run.id)

    def _told(self, test: StoredExperiment, looked: int) -> LookTold:
        verdict = json.loads(test.verdict)
        counts = tuple((one["successes"], one["successes_upper"], one["recipients"]) for one in verdict["look"])
        return LookTold((looked - self._begun) * _MICROSECOND, counts, verdict["sentence"])

    async def result(self, campaign: Campaign) -> CampaignResult:
        """Where the campaign stands."""
        status = await self._application.campaigns.status(self._workspace, campaign.id)
        counts = status.counts
        assert counts is not None  # it has been sent
        return CampaignResult(
            status.campaign.state,
            counts.total,
            counts.settled,
            counts.by_state,
            counts.deferred_ever,
            counts.ambiguous_ever,
        )

    def outcome(self, job: Outcome, decided: _Decided) -> AbOutcome:
        """What came of it, held against what was received."""
        test = decided.test
        assert test.winner is not None  # decided
        assert test.decided_at is not None
        verdict, cut = json.loads(test.verdict), json.loads(test.cut)
        mails = _mails(self._install.mailboxes)
        # Without a look the list was too small for a sample.
        looks = verdict.get("look") or [_NOTHING_COUNTED] * len(TEXTS)
        variants = tuple(
            VariantOutcome(
                name=name,
                subject=text,
                sampled=counted["recipients"],
                lower=counted["successes"],
                upper=counted["successes_upper"],
                truly=len(decided.clicked.get(text, ())),
                raw=len(decided.clicked_by_anything.get(text, ())),
                mails=mails[text],
            )
            for name, text, counted in zip(NAMES, TEXTS, looks, strict=True)
        )
        drawn = cut["sizes"] if cut else [0] * len(TEXTS)
        faults = (*job.faults, *_faults(mails, drawn, test.winner))
        after = (test.decided_at - self._begun) * _MICROSECOND
        return AbOutcome(job, variants, test.winner, test.decided_by, verdict["sentence"], after, faults)


def _mails(mailboxes: Mailboxes) -> Counter[str]:
    """Mails by the text in their subject."""
    subjects = (message.subject for message in _everything(mailboxes))
    return Counter(next((text for text in TEXTS if text in subject), subject) for subject in subjects)


def _everything(mailboxes: Mailboxes) -> Iterator[ReceivedMessage]:
    before: int | None = None
    while page := mailboxes.list_messages(limit=1000, before=before):
        yield from page
        before = page[-1].id


def _faults(mails: Mapping[str, int], drawn: Sequence[int], winner: int) -> tuple[str, ...]:
    """Whether the rest of the list got the winner: nobody has another subject who was not drawn for it."""
    found = []
    for number, text in enumerate(TEXTS):
        if number != winner and mails[text] > drawn[number]:
            found.append(f"{mails[text] - drawn[number]:,} people got “{text}” who were not drawn for it")
    if strangers := mails.keys() - set(TEXTS):
        found.append(f"there are mails with a subject that nobody tests, for instance “{min(strangers)}”")
    return tuple(found)
