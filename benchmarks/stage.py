"""Sets a campaign up in a folder: configuration, database, verified domain, contacts, one run made ready to send.

Everything goes through Postwright's own services; only the verdict on the domain is written down rather than found
out, since no receiver here looks at the DNS of the sender.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import letter
from sqlalchemy import Connection

from mailtypes.clock import SystemClock
from postwright.install.initialise import initialise
from postwright.services.audiences import AudienceDraft
from postwright.services.campaign_drafts import CampaignDraft
from postwright.settings import Settings, read_settings
from postwright.store import campaigns, contacts, domains
from postwright.store.campaigns import Run
from postwright.store.contacts import NewContact
from postwright.store.templates import TemplateText
from postwright.wiring.application import Application

SENDER = "news.acme.test"
_CHUNK = 5000
# Five recipient domains at three destinations: domain -> MX host.
_MX = {
    "alpha.test": "mx.alpha.test",
    "beta.test": "mx.beta.test",
    "gamma.test": "mx.gamma.test",
    "delta.test": "mx.alpha.test",
    "epsilon.test": "mx.beta.test",
}

DESTINATIONS = len(set(_MX.values()))


def zones() -> dict[str, str]:
    """The zones of the recipient domains, each with its MX and, where it has one, its host."""
    return {
        domain: f"@ MX 10 {host}.\n" + ("mx A 127.0.0.1\n" if host == f"mx.{domain}" else "")
        for domain, host in _MX.items()
    }


_CONFIG = """\
log_level = "warning"

[database]
url = "{url}"

[dns]
nameservers = ["127.0.0.1"]
port = {dns_port}

[smtp]
hostname = "mx.postwright.test"

[track]
hostname = "track.postwright.test"

[deliver]
smtp_port = {smtp_port}
allow_private_destinations = true
signing_threads = {threads}
connections_per_destination = {connections}
batch = {batch}

[[deliver.egress]]
ip = "127.0.0.1"
ehlo = "mta1.postwright.test"
"""


@dataclass(frozen=True)
class Ports:
    """Where the name server and the sink listen, how many threads sign, and how much goes on at once."""

    dns: int
    smtp: int
    threads: int
    connections: int = 10  # to one destination
    batch: int = 100


@dataclass(frozen=True)
class Ready:
    """A run whose recipients are all ready: its settings and ids, and how long scheduling took, in seconds."""

    settings: Settings
    workspace_id: int
    campaign_id: int
    run_id: int
    scheduling: float


async def make_ready(folder: Path, recipients: int, ports: Ports, url: str) -> Ready:
    """Make the folder's configuration and database, and schedule a campaign to ``recipients`` contacts."""
    config = folder / "postwright.toml"
    config.write_text(
        _CONFIG.format(
            url=url,
            dns_port=ports.dns,
            smtp_port=ports.smtp,
            threads=ports.threads,
            connections=ports.connections,
            batch=ports.batch,
        ),
        encoding="utf-8",
    )
    clock = SystemClock()
    done = await initialise(config, "bench@acme.test", "bench", clock)
    settings = read_settings(config)
    application = Application.open(settings)
    try:
        await verified_domain(application, done.workspace_id)
        list_id = await fill_list(application, done.workspace_id, recipients)
        campaign_id, run_id = await send_campaign(application, done.workspace_id, list_id)
        begun = clock.now()
        while (await application.scheduler.step()).did_something:
            pass
        scheduling = (clock.now() - begun) / 1_000_000
    finally:
        await application.close()
    return Ready(settings, done.workspace_id, campaign_id, run_id, scheduling)


async def verified_domain(application: Application, workspace_id: int) -> None:
    """Add the sender domain with the verdict that its records are published."""
    domain = await application.sender_domains.add(workspace_id, SENDER)
    now = application.clock.now()

    def verify(connection: Connection) -> None:
        domains.save_audit(connection, domain.id, "verified", "{}", now)
        for key in domains.list_keys(connection, domain.id):
            domains.set_key_state(connection, key.id, "active", now)

    await application.database.write(verify)


async def fill_list(application: Application, workspace_id: int, recipients: int) -> int:
    """Make the list and its contacts; returns the list's id."""
    now = application.clock.now()
    target = await application.database.write(
        lambda connection: contacts.ensure_list(connection, workspace_id, "Everybody", now)
    )
    for chunk in _chunks(recipients):
        await application.database.write(
            partial(contacts.put_on_list, target=target, contacts=chunk, source="benchmark", now=now)
        )
    return target.id


def _chunks(recipients: int) -> Iterator[list[NewContact]]:
    names = tuple(_MX)
    for start in range(0, recipients, _CHUNK):
        numbers = range(start, min(start + _CHUNK, recipients))
        yield [_contact(number, names[number % len(names)]) for number in numbers]


def _contact(number: int, domain: str) -> NewContact:
    address = f"reader.{number:07}@{domain}"
    return NewContact(address, address, domain, letter.fields(number))


async def send_campaign(application: Application, workspace_id: int, list_id: int) -> tuple[int, int]:
    """Begin a campaign to a list; returns the campaign's and the run's id."""
    text = TemplateText(letter.body(), "html", letter.SUBJECT)
    template = await application.templates.save(workspace_id, "Letter", text)
    audience, author = AudienceDraft(list_id), f"hello@{SENDER}"
    draft = CampaignDraft("Benchmark", audience, template.template.id, author, from_name="Acme Garden")
    campaign = await application.campaigns.create(workspace_id, draft)
    status = await application.campaigns.send(workspace_id, campaign.id)
    assert status.run is not None
    return campaign.id, status.run.id


async def run_of(application: Application, run_id: int) -> Run:
    """The run of that id."""
    run = await application.database.read(partial(campaigns.get_run, run_id=run_id))
    assert run is not None
    return run
