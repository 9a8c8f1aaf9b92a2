"""Sender domains: added, told what to publish, verified."""

import asyncio
import json
from typing import Any, Literal, cast

from fastapi import APIRouter, Request, Response
from pydantic import Field

from dns_checks.publish import as_zone_text
from postwright.api.callers import Admin, Caller, Reader
from postwright.api.cursors import make_page, read_cursor
from postwright.api.parameters import PageQuery
from postwright.api.representations import (
    DOMAIN,
    Answer,
    Moment,
    Page,
    Text,
    Wanted,
    moment,
    optional_moment,
    outward,
    page_of,
)
from postwright.services.publication import DomainChanges, tls_policy_of
from postwright.store.domains import SenderDomain

_ZONE = "text/dns"  # RFC 4027


class NewDomain(Wanted):
    """A domain to send from."""

    name: Text = Field(max_length=253, description="The domain of the From address, as A-labels or U-labels.")


class DomainSummary(Answer):
    """A sender domain."""

    id: str
    name: str
    state: str = Field(description="pending, verified or failing")
    return_path_host: str
    tracking_host: str
    created_at: Moment
    verified_at: Moment | None
    checked_at: Moment | None


class DomainChanged(Wanted):
    """What to change; what is left out stays, `null` takes back what was set."""

    report_address: Text | None = Field(
        None, max_length=254, description="Who gets DMARC and TLS reports; ours at the return-path host if not set."
    )
    dmarc_policy: Literal["none", "quarantine", "reject"] | None = Field(
        None, description="The step of the DMARC plan to propose; what is published stays if not set."
    )
    logo_url: Text | None = Field(None, max_length=1000, description="Where the SVG file of the BIMI logo is (https).")
    certificate_url: Text | None = Field(None, max_length=1000, description="Where its mark certificate is (https).")
    mta_sts_mode: Literal["enforce", "testing", "none"] | None = Field(
        None, description="The mode of the MTA-STS policy; begin with testing."
    )
    mta_sts_hosts: list[Text] | None = Field(
        None, max_length=50, description="The mail hosts of the domain, as in its MX records, or `*.` and a name."
    )
    under_platform: bool = Field(
        False, description="Whether mail may go out in the platform domain's name while the domain is not verified."
    )


class TlsPolicyShown(Answer):
    """The MTA-STS policy (RFC 8461 section 3.2): a file to serve as text/plain, announced by a TXT record."""

    url: str
    file: str
    id: str = Field(description="The policy id in the record; it changes with the file.")


class DmarcStepShown(Answer):
    """A step from watching to rejecting."""

    policy: str
    record: str
    effect: str
    go_on_when: list[str]
    progress: str = Field(description="done, current or next")


class PublicationShown(Answer):
    """What the domain's owner wants published beside what sending needs."""

    report_address: str | None = Field(description="Who gets reports: as set, or ours.")
    dmarc_policy: str | None
    logo_url: str | None
    certificate_url: str | None
    mta_sts_mode: str | None
    mta_sts_hosts: list[str]
    mta_sts_policy: TlsPolicyShown | None
    dmarc_plan: list[DmarcStepShown]


class DkimKeyShown(Answer):
    """A signing key, of which only the public part is ever shown."""

    selector: str
    algorithm: str
    state: str = Field(description="made, published, active, retiring or retired")
    record: str = Field(description="The TXT record at `<selector>._domainkey.<domain>`.")
    created_at: Moment


class RecordShown(Answer):
    """A record to publish; `value` is what a DNS provider's form wants."""

    name: str
    type: str
    value: str
    purpose: str


class EvidenceShown(Answer):
    """A question that was asked and the answer that came."""

    question: str
    answer: str


class FindingShown(Answer):
    """One thing that was looked for."""

    code: str
    severity: str
    state: str = Field(description="present, absent or unknown")
    sentence: str
    next_step: str
    evidence: list[EvidenceShown]


class AuditShown(Answer):
    """The last look at a domain's records."""

    verdict: str = Field(description="verified, not_verified or unknown (the DNS was silent)")
    facts: dict[str, Any]
    findings: list[FindingShown]
    requirements: list[dict[str, Any]] = Field(
        description="What each mailbox provider asks for: pass, fail or unknown, with evidence and the reply codes."
    )


class DomainShown(DomainSummary):
    """A sender domain with its keys, what to publish, and what the last audit found."""

    dkim_keys: list[DkimKeyShown]
    records: list[RecordShown]
    publication: PublicationShown
    under_platform: bool
    audit: AuditShown | None


class RecordList(Answer):
    """All records of a domain, in the order in which they matter."""

    data: list[RecordShown]


async def create_domain(wanted: NewDomain, caller: Admin, response: Response) -> DomainShown:
    """Add a domain and make its DKIM key. A domain that is there already is answered as it is."""
    domain = await caller.services.sender_domains.add(caller.workspace_id, wanted.name)
    response.headers["Location"] = f"/v1/domains/{domain.name}"
    return await _whole(caller, domain)


async def list_domains(caller: Reader, query: PageQuery) -> Page[DomainSummary]:
    """All sender domains, in the order in which they were added."""
    (after,) = read_cursor("domains", query.cursor)
    found = list(await caller.services.sender_domains.list(caller.workspace_id))
    rows = page_of(found, lambda domain: domain.id, after, query.limit)
    return make_page("domains", rows, query.limit, _summary, lambda domain: (domain.id,), query.cursor)


async def get_domain(name: str, caller: Reader) -> DomainShown:
    """A domain with its DKIM keys, the records to publish, and the last audit."""
    return await _whole(caller, await caller.services.sender_domains.get(caller.workspace_id, name))


async def list_domain_records(name: str, caller: Reader, request: Request) -> Response:
    """The records to publish: JSON, or a piece of a zone file where `Accept` names `text/dns`."""
    domain = await caller.services.sender_domains.get(caller.workspace_id, name)
    if _prefers_zone(request.headers.get("accept", "")):
        records = tuple(await caller.services.sender_domains.records(domain))
        return Response(as_zone_text(records), media_type=_ZONE)
    return Response(RecordList(data=await _records(caller, domain)).model_dump_json(), media_type="application/json")


async def verify_domain(name: str, caller: Admin) -> DomainShown:
    """Look at the domain's records now. `audit` has every finding with its evidence and the next step."""
    domain, _report = await caller.services.sender_domains.verify(caller.workspace_id, name)
    return await _whole(caller, domain)


async def change_domain(name: str, wanted: DomainChanged, caller: Admin) -> DomainShown:
    """Say what is to be published beside what sending needs: report address, DMARC step, logo, MTA-STS policy."""
    changes = cast(DomainChanges, wanted.model_dump(exclude_unset=True))
    return await _whole(caller, await caller.services.sender_domains.change(caller.workspace_id, name, changes))


def add_domain_routes(router: APIRouter) -> None:
    """The routes of sender domains."""
    router.add_api_route("/domains", create_domain, methods=["POST"], status_code=201)
    router.add_api_route("/domains", list_domains, methods=["GET"])
    router.add_api_route("/domains/{name}", get_domain, methods=["GET"])
    router.add_api_route("/domains/{name}", change_domain, methods=["PATCH"])
    router.add_api_route(
        "/domains/{name}/records",
        list_domain_records,
        methods=["GET"],
        response_model=RecordList,
        responses={200: {"content": {_ZONE: {"schema": {"type": "string"}}}}},
    )
    router.add_api_route("/domains/{name}/verify", verify_domain, methods=["POST"])


def _prefers_zone(accept: str) -> bool:
    """Whether `text/dns` is named with a higher weight than JSON (RFC 9110 section 12.5.1)."""
    weights: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            weights[name] = float(quality)
        except ValueError:
            weights[name] = 0.0
    wanted = weights.get(_ZONE, 0.0)
    return wanted > 0 and wanted >= weights.get("application/json", 0.0)


async def _whole(caller: Caller, domain: SenderDomain) -> DomainShown:
    keys = await caller.services.sender_domains.keys(domain)
    # Both ask the DNS, which may be slow.
    records, publication = await asyncio.gather(_records(caller, domain), _publication(caller, domain))
    return DomainShown(
        **_summary(domain).model_dump(),
        dkim_keys=[
            DkimKeyShown(
                selector=key.selector,
                algorithm=key.algorithm,
                state=key.state,
                record=key.public_record,
                created_at=moment(key.created_at),
            )
            for key in keys
        ],
        records=records,
        publication=publication,
        under_platform=domain.under_platform,
        audit=_audit(json.loads(domain.audit)) if domain.audit else None,
    )


async def _publication(caller: Caller, domain: SenderDomain) -> PublicationShown:
    senders, policy = caller.services.sender_domains, tls_policy_of(domain)
    shown = None
    if policy is not None:
        url = f"https://mta-sts.{domain.name}/.well-known/mta-sts.txt"
        shown = TlsPolicyShown(url=url, file=policy.text, id=policy.record.partition("id=")[2])
    return PublicationShown(
        report_address=senders.report_address(domain),
        dmarc_policy=domain.dmarc_policy,
        logo_url=domain.logo_url,
        certificate_url=domain.certificate_url,
        mta_sts_mode=domain.mta_sts_mode,
        mta_sts_hosts=(domain.mta_sts_hosts or "").split(),
        mta_sts_policy=shown,
        dmarc_plan=[
            DmarcStepShown(
                policy=step.policy,
                record=step.record,
                effect=step.effect,
                go_on_when=list(step.go_on_when),
                progress=step.progress,
            )
            for step in await senders.dmarc_steps(domain)
        ],
    )


async def _records(caller: Caller, domain: SenderDomain) -> list[RecordShown]:
    return [
        RecordShown(name=record.name.ascii, type=record.record_type, value=record.value, purpose=record.purpose)
        for record in await caller.services.sender_domains.records(domain)
    ]


def _summary(domain: SenderDomain) -> DomainSummary:
    return DomainSummary(
        id=outward(DOMAIN, domain.created_at, domain.id),
        name=domain.name,
        state=domain.state,
        return_path_host=domain.return_path_host,
        tracking_host=domain.tracking_host,
        created_at=moment(domain.created_at),
        verified_at=optional_moment(domain.verified_at),
        checked_at=optional_moment(domain.checked_at),
    )


def _audit(document: dict[str, Any]) -> AuditShown:
    """A stored audit (``audit_document``) for the outside."""
    findings = [{name: finding[name] for name in FindingShown.model_fields} for finding in document["findings"]]
    shown = {name: document[name] for name in ("verdict", "facts")}
    return AuditShown.model_validate(shown | {"findings": findings, "requirements": document.get("requirements", [])})
