"""Checks of any domain: everything that can be found out, with evidence and the next step."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from postwright.api.callers import Reader
from postwright.api.domains import EvidenceShown
from postwright.api.representations import Answer, Moment, Text, Wanted, moment
from postwright.services.domain_checks import MAX_ADDRESSES, MAX_SELECTORS, MAX_ZONE, DomainCheck, check_document


class CheckWanted(Wanted):
    """A domain to check, and what is known of whoever sends in its name."""

    name: Text = Field(max_length=1000, description="Any domain, as A-labels or U-labels; it need not be ours.")
    selectors: list[Text] = Field([], max_length=MAX_SELECTORS, description="DKIM selectors to look up.")
    ips: list[Text] = Field([], max_length=MAX_ADDRESSES, description="Addresses that send.")
    zone: Text = Field(
        "",
        max_length=MAX_ZONE,
        description="A draft (RFC 1035 master file) that is laid over live DNS: what the answer would be with it.",
    )
    starttls: bool = Field(False, description="Whether its mail hosts are spoken to as well; that takes longer.")
    fresh: bool = Field(True, description="`false` takes an answer to the same request that is under a minute old.")


class MarkShown(Answer):
    """A record, one character an octet, and the half-open range in it that is at fault."""

    text: str
    start: int
    end: int


class CheckFindingShown(Answer):
    """One thing that was looked for; codes never change their meaning."""

    code: str
    severity: str = Field(description="error, warning or info: how much hangs on it")
    state: str = Field(description="present, absent or unknown")
    sentence: str
    next_step: str
    evidence: list[EvidenceShown]
    mark: MarkShown | None = None


class CertificateShown(Answer):
    """The certificate of a mail host."""

    names: list[str]
    expires_at: Moment
    is_trusted: bool = Field(description="Whether its chain leads to a public authority, and it has not expired.")
    is_named: bool = Field(description="Whether one of its names is the host's.")


class MailHostShown(Answer):
    """What one mail host does about STARTTLS (RFC 3207)."""

    host: str
    state: str = Field(description="present: offered; absent: not offered; unknown: it could not be spoken to")
    tls_version: str | None
    certificate: CertificateShown | None
    findings: list[CheckFindingShown]


class CheckShown(Answer):
    """All that was found, as `postwright check domain --json` prints it."""

    domain: str
    checked_at: Moment
    verdict: str = Field(description="verified, not_verified or unknown (the DNS was silent)")
    dmarc_policy: str | None
    findings: list[CheckFindingShown]
    requirements: list[dict[str, Any]] = Field(
        description="What each mailbox provider asks for: pass, fail or unknown, with the next step and reply codes."
    )
    starttls: list[MailHostShown] | None = Field(description="Of each mail host; `null` where it was not asked for.")


async def check_domain(wanted: CheckWanted, caller: Reader) -> CheckShown:
    """Look at all records of a domain and say what is right, what is wrong, and what could not be found out.

    It takes seconds; what has no answer within half a minute (mail hosts: three quarters) is unknown. Nothing is kept
    but the answer itself, for a minute.
    """
    check = DomainCheck.parse(wanted.name, wanted.selectors, wanted.ips, wanted.zone, starttls=wanted.starttls)
    checked = await caller.services.domain_checks.check(check, fresh=wanted.fresh)
    document = check_document(checked.report, checked.mail_hosts)
    return CheckShown.model_validate({**document, "checked_at": moment(checked.checked_at)})


def add_check_routes(router: APIRouter) -> None:
    """The routes of checks."""
    router.add_api_route("/checks/domain", check_domain, methods=["POST"])
