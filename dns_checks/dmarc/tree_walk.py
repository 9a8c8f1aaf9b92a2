"""The DNS tree walk, and the organizational domain that it finds (RFC 9989 section 4.10)."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass

from dns_checks.dmarc.record import DmarcRecord, DmarcSyntaxError, PublicSuffix, is_policy_record, parse_record
from mailtypes.domain import DomainName
from mailtypes.questions import Absent, DnsAnswer, DnsEvaluation, DnsQuestion, RecordType, TxtRecord, Unanswered

MAX_QUERIES = 8
_LABELS_AFTER_SHORTCUT = 7


@dataclass(frozen=True, slots=True)
class WalkStep:
    """What one query found: the record, or why there is none.

    ``unanswered`` is the cause where it could not be found out; ``discarded`` counts records of which there were
    too many (more than one is as good as none).
    """

    domain: DomainName
    record: DmarcRecord | None
    unanswered: str = ""
    discarded: int = 0


@dataclass(frozen=True, slots=True)
class TreeWalk:
    """The steps from the starting domain upwards. ``unanswered`` is set where a query failed and the walk ended."""

    start: DomainName
    steps: tuple[WalkStep, ...]

    @property
    def unanswered(self) -> str:
        """Why the walk could not be finished; empty where it was."""
        return self.steps[-1].unanswered

    @property
    def records(self) -> dict[DomainName, DmarcRecord]:
        """The records found, from the longest name to the shortest."""
        return {step.domain: step.record for step in self.steps if step.record is not None}

    @property
    def organizational_domain(self) -> DomainName | None:
        """RFC 9989 section 4.10.2; ``None`` where the walk could not be finished."""
        if self.unanswered:
            return None
        for domain, record in self.records.items():
            if record.psd is PublicSuffix.NO:
                return domain
            if record.psd is PublicSuffix.YES and domain != self.start:
                below = len(domain.labels) + 1
                return DomainName(".".join(self.start.labels[-below:]))
        return next(reversed(self.records), self.start)

    @property
    def public_suffix_domain(self) -> DomainName | None:
        """The domain above the start whose record says ``psd=y``."""
        for domain, record in self.records.items():
            if record.psd is PublicSuffix.YES and domain != self.start:
                return domain
        return None


def targets(domain: DomainName) -> Iterator[DomainName]:
    """The domains that a walk from ``domain`` asks about, at most eight (section 4.10 steps 1 to 7)."""
    yield domain
    labels = domain.labels
    rest = labels[1:] if len(labels) < MAX_QUERIES else labels[-_LABELS_AFTER_SHORTCUT:]
    for cut in range(len(rest)):
        yield DomainName(".".join(rest[cut:]))


def walk(domain: DomainName, known: MutableMapping[DomainName, WalkStep] | None = None) -> DnsEvaluation[TreeWalk]:
    """Walk upwards from ``domain`` until ``psd=y``, ``psd=n``, the root, or a query that nobody answers.

    ``known`` holds steps of earlier walks, so that walks for one message ask nothing twice.
    """
    memory = {} if known is None else known
    steps = []
    for target in targets(domain):
        step = memory.get(target)
        if step is None:
            step = memory[target] = yield from query(target)
        steps.append(step)
        if step.unanswered or (step.record is not None and step.record.psd is not PublicSuffix.UNKNOWN):
            break
    return TreeWalk(domain, tuple(steps))


def query(domain: DomainName) -> DnsEvaluation[WalkStep]:
    """One step: the record at ``_dmarc.<domain>``."""
    name = f"_dmarc.{domain.ascii}"
    if len(name) > 253:
        return WalkStep(domain, None)  # such a name cannot exist (RFC 1035 section 2.3.4)
    answer = yield DnsQuestion(name, RecordType.TXT)
    return read_step(domain, answer)


def read_step(domain: DomainName, answer: DnsAnswer) -> WalkStep:
    """What an answer says (section 4.10 steps 2 and 6)."""
    if isinstance(answer, Unanswered):
        return WalkStep(domain, None, unanswered=answer.cause)
    if isinstance(answer, Absent):
        return WalkStep(domain, None)
    texts = [record.joined.decode("latin-1") for record in answer.records if isinstance(record, TxtRecord)]
    policies = [text for text in texts if is_policy_record(text)]
    if len(policies) != 1:
        return WalkStep(domain, None, discarded=len(policies))
    try:
        return WalkStep(domain, parse_record(policies[0]))
    except DmarcSyntaxError:
        return WalkStep(domain, None, discarded=1)
