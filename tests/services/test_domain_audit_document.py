"""What a stored audit holds, what-if against a draft, and records beside a DMARC record that exists."""

import json
from typing import Any

from dns_checks.audit import Effect, Verdict
from dns_checks.testing import Zone

SENDER = "news.acme.test"


async def test_the_stored_audit_has_the_requirements(world: Any) -> None:
    await world.verified()
    domain = await world.sender_domains.get(world.workspace, SENDER)
    document = json.loads(domain.audit)
    assert document["verdict"] == "verified"
    table = {(one["provider"], one["code"]): one for one in document["requirements"]}
    assert table["microsoft", "spf"]["state"] == "pass"
    assert table["gmail", "reverse_name"]["state"] == "fail"  # nobody published a PTR record for the egress address
    assert table["gmail", "reverse_name"]["reply_codes"] == ["4.7.23", "5.7.25"]
    assert table["gmail", "tls"]["state"] == "pass"
    assert table["gmail", "spam_rate"]["state"] == "unknown"
    assert document["facts"]["fcrdns"] == "absent"
    assert {finding["code"].partition(".")[0] for finding in document["findings"]} >= {"mx", "ptr", "bimi", "tlsa"}


async def test_what_if_changes_nothing_that_is_stored(world: Any) -> None:
    await world.verified()
    before = await world.sender_domains.get(world.workspace, SENDER)
    draft = Zone.parse(f'{before.return_path_host}. 300 IN TXT "v=spf1 -all"\n')
    found = await world.sender_domains.what_if(world.workspace, SENDER, draft)
    assert (found.before, found.after) == (Verdict.VERIFIED, Verdict.NOT_VERIFIED)
    assert [change.finding.code for change in found.of(Effect.BREAKS)] == ["spf.not_authorised"]
    assert await world.sender_domains.get(world.workspace, SENDER) == before


async def test_a_dmarc_record_that_exists_stays(world: Any) -> None:
    domain = await world.sender_domains.add(world.workspace, SENDER)
    world.resolver.zone = Zone.parse(f'_dmarc.{SENDER}. 300 IN TXT "v=DMARC1; p=quarantine; rua=mailto:d@{SENDER}"\n')
    proposed = [one.value for one in await world.sender_domains.records(domain) if one.topic == "dmarc"]
    assert proposed == [f"v=DMARC1; p=quarantine; rua=mailto:d@{SENDER}"]
    steps = await world.sender_domains.dmarc_steps(domain)
    assert [step.progress for step in steps] == ["done", "current", "next"]
