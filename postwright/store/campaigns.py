"""Campaigns, and their runs with everything frozen that a run was started with."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import Connection, func, select, update

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, fetch_one, insert_row, page, select_as, table

_campaign, _run, _variant, _link = table("campaign"), table("run"), table("variant"), table("run_link")


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """A campaign as it is created or changed; ``audience`` and the three after it are JSON (``tables.sending``)."""

    name: str
    stream_id: int
    list_id: int | None
    template_id: int
    domain_id: int
    from_address: str
    from_name: str
    reply_to: str | None
    subject: str
    audience: str | None = None
    plan: str = "{}"
    frequency_cap: str | None = None
    experiment: str | None = None
    longest: int | None = None
    other_senders: str = "[]"


@dataclass(frozen=True, slots=True)
class Campaign:
    """A mail to many; ``state``: draft, scheduled, sending, paused, finished, cancelled."""

    id: int
    workspace_id: int
    name: str
    stream_id: int
    list_id: int | None
    template_id: int
    domain_id: int
    from_address: str
    from_name: str
    reply_to: str | None
    subject: str
    state: str
    created_at: int
    audience: str | None
    plan: str
    frequency_cap: str | None
    experiment: str | None
    longest: int | None
    starts_at: int | None
    archived_at: int | None
    blocked_by: str
    other_senders: str = "[]"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a campaign, or what API clients handed over; kinds and states as in ``tables.sending.Run``."""

    id: int
    workspace_id: int
    kind: str
    campaign_id: int | None
    number: int
    state: str
    stream_id: int
    list_id: int | None
    domain_id: int
    signing_domain: str
    return_path_host: str
    tracking_host: str
    feedback_key_id: int
    from_address: str
    from_name: str
    reply_to: str | None
    last_contact_id: int
    recipients: int
    duplicates: int
    expires_at: int
    created_at: int
    finished_at: int | None
    starts_at: int | None
    open_until: int | None
    is_test: bool
    tags: str
    audience: str | None = None
    plan: str = "{}"
    frequency_cap: str | None = None
    expiry: int | None = None
    other_senders: str = "[]"


@dataclass(frozen=True, slots=True)
class FrozenVariant:
    """What a part of the recipients gets: template version, subject, share, and its tracked links (number, target).

    ``from_name`` and ``preheader`` stand where they differ from the run's and the template's.
    """

    template_version_id: int
    subject: str
    share: float
    links: tuple[tuple[int, str], ...]
    name: str = ""
    from_name: str | None = None
    preheader: str | None = None


@dataclass(frozen=True, slots=True)
class RunTerms:
    """When a run ends, and what is frozen of its campaign beside the mail itself."""

    expires_at: int
    audience: str | None = None
    plan: str = "{}"
    frequency_cap: str | None = None
    expiry: int | None = None
    other_senders: str = "[]"


@dataclass(frozen=True, slots=True)
class Variant:
    """A stored variant; ``number`` from 0."""

    id: int
    run_id: int
    number: int
    template_version_id: int
    subject: str
    share: float
    name: str
    from_name: str | None
    preheader: str | None


@dataclass(frozen=True, slots=True)
class FrozenSender:
    """What the sender domain was when the run began, and the key that Message-IDs and return paths are made with."""

    signing_domain: str
    return_path_host: str
    tracking_host: str
    feedback_key_id: int = 0


def add_campaign(connection: Connection, workspace_id: int, campaign: NewCampaign, now: Microseconds) -> int:
    """Store a draft; returns its id."""
    values = {field.name: getattr(campaign, field.name) for field in fields(NewCampaign)}
    return insert_row(connection, _campaign, workspace_id=workspace_id, state="draft", created_at=now, **values)


def get_campaign(connection: Connection, workspace_id: int, campaign_id: int) -> Campaign | None:
    """The campaign with that id."""
    return fetch_one(
        connection, Campaign, _campaign, _campaign.c.workspace_id == workspace_id, _campaign.c.id == campaign_id
    )


def find_campaign(connection: Connection, workspace_id: int, name: str) -> Campaign | None:
    """The campaign of that name."""
    return fetch_one(
        connection, Campaign, _campaign, _campaign.c.workspace_id == workspace_id, _campaign.c.name == name
    )


def list_campaigns(connection: Connection, workspace_id: int, *, after: int = 0, limit: int = 100) -> list[Campaign]:
    """Campaigns in the order of their ids."""
    return page(connection, Campaign, _campaign, [_campaign.c.workspace_id == workspace_id], after=after, limit=limit)


def change_campaign(connection: Connection, campaign_id: int, campaign: NewCampaign) -> bool:
    """Change a draft; ``False`` where it is none any more."""
    values = {field.name: getattr(campaign, field.name) for field in fields(NewCampaign)}
    mine = (_campaign.c.id == campaign_id, _campaign.c.state == "draft")
    return connection.execute(update(_campaign).where(*mine).values(**values)).rowcount == 1


def set_campaign_fields(connection: Connection, campaign_id: int, **values: object) -> None:
    """Set when it starts, that it is archived, or what blocked it."""
    connection.execute(update(_campaign).where(_campaign.c.id == campaign_id).values(**values))


def campaigns_due(connection: Connection, now: Microseconds) -> list[Campaign]:
    """Scheduled campaigns whose time has come."""
    due = (_campaign.c.state == "scheduled", _campaign.c.starts_at <= now)
    return fetch_all(connection, Campaign, select_as(Campaign, _campaign).where(*due).order_by(_campaign.c.id))


def move_campaign(connection: Connection, campaign_id: int, before: Sequence[str], after: str) -> bool:
    """Set the state if it is one of ``before``; ``False`` where it is not (somebody else was first)."""
    statement = (
        update(_campaign).where(_campaign.c.id == campaign_id, _campaign.c.state.in_(before)).values(state=after)
    )
    return connection.execute(statement).rowcount == 1


def start_run(
    connection: Connection,
    campaign: Campaign,
    sender: FrozenSender,
    variants: Sequence[FrozenVariant],
    terms: RunTerms,
    now: Microseconds,
) -> int:
    """Freeze a campaign into a run that is preparing; returns the run's id."""
    latest = connection.execute(
        select(func.max(_run.c.number)).where(
            _run.c.workspace_id == campaign.workspace_id, _run.c.campaign_id == campaign.id
        )
    ).scalar_one_or_none()
    run_id = insert_row(
        connection,
        _run,
        workspace_id=campaign.workspace_id,
        campaign_id=campaign.id,
        number=(latest or 0) + 1,
        state="preparing",
        stream_id=campaign.stream_id,
        list_id=campaign.list_id,
        domain_id=campaign.domain_id,
        signing_domain=sender.signing_domain,
        return_path_host=sender.return_path_host,
        tracking_host=sender.tracking_host,
        feedback_key_id=sender.feedback_key_id,
        from_address=campaign.from_address,
        from_name=campaign.from_name,
        reply_to=campaign.reply_to,
        created_at=now,
        **{field.name: getattr(terms, field.name) for field in fields(RunTerms)},
    )
    for number, variant in enumerate(variants):
        freeze_variant(connection, campaign.workspace_id, run_id, number, variant)
    return run_id


def freeze_variant(connection: Connection, workspace_id: int, run_id: int, number: int, variant: FrozenVariant) -> None:
    """Store what a part of a run's recipients gets."""
    insert_row(
        connection,
        _variant,
        workspace_id=workspace_id,
        run_id=run_id,
        number=number,
        template_version_id=variant.template_version_id,
        subject=variant.subject,
        share=variant.share,
        name=variant.name,
        from_name=variant.from_name,
        preheader=variant.preheader,
    )
    if variant.links:
        connection.execute(
            _link.insert(),
            [
                {"workspace_id": workspace_id, "run_id": run_id, "variant": number, "number": place, "url": url}
                for place, url in variant.links
            ],
        )


def get_run(connection: Connection, run_id: int) -> Run | None:
    """The run with that id."""
    return fetch_one(connection, Run, _run, _run.c.id == run_id)


def latest_run(connection: Connection, campaign_id: int) -> Run | None:
    """The newest run of a campaign."""
    # With the workspace, since with it begins the key that leads there.
    workspace = select(_campaign.c.workspace_id).where(_campaign.c.id == campaign_id).scalar_subquery()
    mine = (_run.c.workspace_id == workspace, _run.c.campaign_id == campaign_id)
    row = connection.execute(select_as(Run, _run).where(*mine).order_by(_run.c.number.desc()).limit(1)).first()
    return None if row is None else Run(*row)


def runs_of_list(connection: Connection, workspace_id: int, list_id: int, since: int, limit: int) -> list[Run]:
    """The newest runs to a list that began since then."""
    mine = (_run.c.workspace_id == workspace_id, _run.c.list_id == list_id, _run.c.created_at >= since)
    statement = select_as(Run, _run).where(*mine).order_by(_run.c.id.desc()).limit(limit)
    return fetch_all(connection, Run, statement)


def runs_in_state(connection: Connection, state: str) -> list[Run]:
    """The runs in a state, the oldest first."""
    return fetch_all(connection, Run, select_as(Run, _run).where(_run.c.state == state).order_by(_run.c.id))


def move_run(connection: Connection, run_id: int, before: Sequence[str], after: str, now: Microseconds) -> bool:
    """Set a run's state if it is one of ``before``; ``False`` where it is not."""
    values: dict[str, object] = {"state": after}
    if after in {"finished", "cancelled"}:
        values["finished_at"] = now
    statement = update(_run).where(_run.c.id == run_id, _run.c.state.in_(before)).values(**values)
    return connection.execute(statement).rowcount == 1


def variants_of(connection: Connection, run_id: int) -> list[Variant]:
    """The variants of a run by number."""
    statement = select_as(Variant, _variant).where(_variant.c.run_id == run_id).order_by(_variant.c.number)
    return fetch_all(connection, Variant, statement)


def links_of(connection: Connection, run_id: int) -> dict[tuple[int, int], str]:
    """All link targets of a run by (variant, link number)."""
    rows = connection.execute(select(_link.c.variant, _link.c.number, _link.c.url).where(_link.c.run_id == run_id))
    return {(int(row[0]), int(row[1])): str(row[2]) for row in rows}


def link_target(connection: Connection, run_id: int, variant: int, number: int) -> str | None:
    """Where a tracked link leads."""
    found = connection.execute(
        select(_link.c.url).where(_link.c.run_id == run_id, _link.c.variant == variant, _link.c.number == number)
    ).scalar_one_or_none()
    return None if found is None else str(found)
