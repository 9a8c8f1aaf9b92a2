"""What a run was frozen with, loaded once in each process and shared by its threads."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailtypes.address import EmailAddress
from mailtypes.domain import DomainName
from postwright.services.campaign_senders import CampaignSender, from_json
from postwright.services.template_texts import template_of
from postwright.store import campaigns, contacts, templates, workspaces
from postwright.store.campaigns import Run, Variant
from postwright.store.database import Database
from postwright.store.public_ids import public_id
from postwright.store.workspaces import Stream
from rendering.template import Layouts

_KEPT = 64


@dataclass(frozen=True, slots=True)
class FrozenAuthor:
    """What stands in From and Reply-To."""

    address: EmailAddress
    name: str
    reply_to: EmailAddress | None


@dataclass(frozen=True, slots=True)
class FrozenRun:
    """A run with its stream, its compiled variants and the names that go into its headers.

    A run of single messages has neither variants nor ``from_address``: each message brings its own.
    """

    run: Run
    stream: Stream
    variants: tuple[Layouts, ...]
    from_names: tuple[str, ...]
    links: Mapping[tuple[int, int], str]
    from_address: EmailAddress | None
    reply_to: EmailAddress | None
    signing_domain: DomainName
    list_id: str
    list_name: str
    feedback_id: str
    tracking_base: str
    others: tuple[FrozenAuthor, ...] = ()

    def author(self, number: int, variant: int) -> FrozenAuthor:
        """Who a recipient with that sender and variant gets it from."""
        if number:
            return self.others[number - 1]
        assert self.from_address is not None  # only runs of whole messages have none
        return FrozenAuthor(self.from_address, self.from_names[variant], self.reply_to)


class FrozenRuns:
    """Runs by id. ``public_port`` is the port in links to tracking hosts."""

    def __init__(self, database: Database, public_port: int) -> None:
        self._database = database
        self._public_port = public_port
        self._runs: dict[int, FrozenRun] = {}

    async def get(self, run_id: int) -> FrozenRun:
        """The run with that id; the frozen things never change, so they are read once."""
        found = self._runs.get(run_id)
        if found is None:
            found = await self._load(run_id)
            while len(self._runs) >= _KEPT:
                self._runs.pop(next(iter(self._runs)))
            self._runs[run_id] = found
        return found

    async def _load(self, run_id: int) -> FrozenRun:
        run = await self._database.read(lambda connection: campaigns.get_run(connection, run_id))
        assert run is not None  # deliveries refer to runs that exist
        stream = await self._database.read(lambda connection: workspaces.get_stream(connection, run.stream_id))
        assert stream is not None  # foreign keys
        list_id, list_name = await self._list_of(run, stream)
        variants = await self._database.read(lambda connection: campaigns.variants_of(connection, run_id))
        return FrozenRun(
            run=run,
            stream=stream,
            variants=tuple([await self._variant(variant) for variant in variants]),
            from_names=tuple(run.from_name if one.from_name is None else one.from_name for one in variants),
            links=await self._database.read(lambda connection: campaigns.links_of(connection, run_id)),
            from_address=EmailAddress.parse(run.from_address) if run.from_address else None,
            reply_to=EmailAddress.parse(run.reply_to) if run.reply_to else None,
            signing_domain=DomainName(run.signing_domain),
            list_id=list_id,
            list_name=list_name,
            feedback_id=_feedback_id(run, stream),
            tracking_base=tracking_base(run.tracking_host, self._public_port),
            others=tuple(_author(run, one) for one in from_json(run.other_senders)),
        )

    async def _list_of(self, run: Run, stream: Stream) -> tuple[str, str]:
        """List-Id and name: the list's, or those of the stream for marketing mail that goes to no list of ours."""
        list_id = run.list_id
        if list_id is None:
            is_marketing = stream.kind == "marketing"
            return (f"stream-{stream.id}.{run.signing_domain}", stream.name) if is_marketing else ("", "")
        target = await self._database.read(lambda connection: contacts.get_list(connection, run.workspace_id, list_id))
        assert target is not None  # foreign keys
        return f"list-{list_id}.{run.signing_domain}", target.name

    async def _variant(self, variant: Variant) -> Layouts:
        version = await self._database.read(
            lambda connection: templates.get_version(connection, variant.template_version_id)
        )
        assert version is not None  # versions are immutable and never deleted while a run refers to them
        return Layouts(template_of(version, variant.subject, variant.preheader))


def _author(run: Run, one: CampaignSender) -> FrozenAuthor:
    reply_to = one.reply_to or run.reply_to
    return FrozenAuthor(EmailAddress.parse(one.address), one.name, EmailAddress.parse(reply_to) if reply_to else None)


def tracking_base(host: str, public_port: int) -> str:
    """The beginning of the links in mails."""
    return f"https://{host}" if public_port == 443 else f"https://{host}:{public_port}"


def _feedback_id(run: Run, stream: Stream) -> str:
    """Campaign, workspace, stream, sender: from the finest to the constant, as Gmail's feedback loop reads it."""
    campaign = public_id("run", run.created_at, run.id).removeprefix("run_")
    return f"{campaign}:w{run.workspace_id}:{stream.kind}:postwright"
