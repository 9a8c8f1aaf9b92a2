"""What a domain's owner wants published: stored whole or not at all, and turned into exact records."""

import asyncio
from typing import Any

import pytest

from dns_checks.bimi import parse_record as parse_bimi
from dns_checks.mta_sts.policy import parse_policy
from dns_checks.testing import Zone
from postwright.services.errors import RefusedError
from postwright.services.publication import tls_policy_of
from postwright.services.sender_domains import PublicHosts

SENDER = "news.acme.test"
LOGO = "https://acme.test/logo.svg"


@pytest.fixture
async def domain(world: Any) -> Any:
    hosts = world.sender_domains._hosts
    world.sender_domains._hosts = PublicHosts(hosts.mail_host, hosts.tracking_target, "reports")
    return await world.sender_domains.add(world.workspace, SENDER)


async def change(world: Any, **changes: Any) -> Any:
    return await world.sender_domains.change(world.workspace, SENDER, changes)


async def proposed(world: Any, topic: str) -> dict[str, str]:
    domain = await world.sender_domains.get(world.workspace, SENDER)
    records = await world.sender_domains.records(domain)
    return {record.name.ascii: record.value for record in records if record.topic == topic}


async def refused(world: Any, **changes: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(RefusedError) as error:
        await change(world, **changes)
    assert all(problem.sentence for problem in error.value.problems)
    return [(problem.code, problem.field, problem.place) for problem in error.value.problems]


async def test_reports_come_to_us_where_nobody_has_to_agree(world: Any, domain: Any) -> None:
    ours = f"reports@bounce.{SENDER}"
    assert world.sender_domains.report_address(domain) == ours
    assert await proposed(world, "dmarc") == {f"_dmarc.{SENDER}": f"v=DMARC1; p=none; rua=mailto:{ours}"}
    assert await proposed(world, "tls_rpt") == {f"_smtp._tls.{SENDER}": f"v=TLSRPTv1; rua=mailto:{ours}"}
    await change(world, report_address="dmarc@reader.test")
    assert await proposed(world, "dmarc") == {
        f"_dmarc.{SENDER}": "v=DMARC1; p=none; rua=mailto:dmarc@reader.test",
        f"{SENDER}._report._dmarc.reader.test": "v=DMARC1;",
    }
    assert (await change(world, report_address="")).report_address is None


async def test_a_published_address_for_tls_reports_stays_until_another_is_set(world: Any, domain: Any) -> None:
    published = "v=TLSRPTv1; rua=mailto:tls@acme.test"
    world.resolver.zone = Zone.parse(f'_smtp._tls.{SENDER}. 300 IN TXT "{published}"\n')
    assert set((await proposed(world, "tls_rpt")).values()) == {published}
    await change(world, report_address="dmarc@acme.test")
    assert set((await proposed(world, "tls_rpt")).values()) == {"v=TLSRPTv1; rua=mailto:dmarc@acme.test"}


async def test_the_dmarc_step_is_proposed_with_what_is_published(world: Any, domain: Any) -> None:
    world.resolver.zone = Zone.parse(f'_dmarc.{SENDER}. 300 IN TXT "v=DMARC1; p=none; rua=mailto:d@acme.test"\n')
    assert set((await proposed(world, "dmarc")).values()) == {"v=DMARC1; p=none; rua=mailto:d@acme.test"}
    await change(world, dmarc_policy="Quarantine")
    assert set((await proposed(world, "dmarc")).values()) == {"v=DMARC1; p=quarantine; rua=mailto:d@acme.test"}
    found = await world.sender_domains.get(world.workspace, SENDER)
    (told,) = [one for one in await world.sender_domains.records(found) if one.topic == "dmarc"]
    assert told.purpose.startswith("DMARC, step 'quarantine'")
    await change(world, dmarc_policy=None)
    assert set((await proposed(world, "dmarc")).values()) == {"v=DMARC1; p=none; rua=mailto:d@acme.test"}


async def test_logo_and_certificate(world: Any, domain: Any) -> None:
    assert await proposed(world, "bimi") == {}
    await change(world, logo_url=LOGO)
    await change(world, certificate_url="https://acme.test/vmc.pem")
    (text,) = (await proposed(world, "bimi")).values()
    record = parse_bimi(text)
    assert (record.location, record.authority) == (LOGO, "https://acme.test/vmc.pem")
    assert await refused(world, logo_url=None) == [("logo_url", "logo_url", "")]
    assert await refused(world, logo_url="http://acme.test/logo.svg") == [("logo_url", "logo_url", "")]
    assert await refused(world, certificate_url="ftp://x") == [("certificate_url", "certificate_url", "")]
    assert await refused(world, logo_url=LOGO + ";a=") == [("logo_url", "logo_url", "")]


async def test_the_mta_sts_policy_is_one_that_senders_read(world: Any, domain: Any) -> None:
    found = await change(world, mta_sts_mode="testing", mta_sts_hosts=["MX1.acme.test.", "*.mail.acme.test"])
    policy = tls_policy_of(found)
    assert policy is not None
    assert parse_policy(policy.text).patterns == ("mx1.acme.test", "*.mail.acme.test")
    assert await proposed(world, "mta_sts") == {f"_mta-sts.{SENDER}": policy.record}
    enforced = tls_policy_of(await change(world, mta_sts_mode="enforce"))
    assert enforced is not None
    assert enforced.record != policy.record
    assert await refused(world, mta_sts_hosts=[]) == [("mta_sts_hosts", "mta_sts_hosts", "")]
    assert tls_policy_of(await change(world, mta_sts_mode="none", mta_sts_hosts=None)) is not None
    assert tls_policy_of(await change(world, mta_sts_mode="")) is None


async def test_everything_that_is_wrong_is_named_and_nothing_is_stored(world: Any, domain: Any) -> None:
    wrong = {
        "report_address": "nobody",
        "dmarc_policy": "strict",
        "mta_sts_mode": "on",
        "mta_sts_hosts": ["mx.acme.test", "a..b"],
        "logo_url": LOGO,
    }
    assert await refused(world, **wrong) == [
        ("bad_address", "report_address", ""),
        ("dmarc_policy", "dmarc_policy", ""),
        ("mta_sts_mode", "mta_sts_mode", ""),
        ("mta_sts_hosts", "mta_sts_hosts", "line 1, column 2"),
    ]
    assert await world.sender_domains.get(world.workspace, SENDER) == domain
    for line_break in ("a@acme.test\r\nx", "a@acme.test\x00"):
        assert await refused(world, report_address=line_break)


async def test_two_changes_at_once_are_judged_one_after_the_other(world: Any, domain: Any) -> None:
    await change(world, logo_url=LOGO)
    found = await asyncio.gather(
        change(world, certificate_url="https://acme.test/vmc.pem"), change(world, logo_url=None), return_exceptions=True
    )
    assert sum(isinstance(one, RefusedError) for one in found) == 1
    stored = await world.sender_domains.get(world.workspace, SENDER)
    assert stored.logo_url == LOGO or stored.certificate_url is None


async def test_a_change_is_in_the_log(world: Any, domain: Any) -> None:
    await change(world, dmarc_policy="none", under_platform=True)
    (data,) = [row[0] for row in world.rows("SELECT data FROM event WHERE kind = 'domain_changed'")]
    assert data == '{"domain":"news.acme.test","changed":["dmarc_policy","under_platform"]}'
