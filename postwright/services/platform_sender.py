"""In whose name a campaign is sent: its own domain's if that is verified, else the platform's where allowed."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from postwright.services.errors import Problem
from postwright.store import domains
from postwright.store.campaigns import Campaign
from postwright.store.domains import SenderDomain

_MAX_LOCAL_OCTETS = 64  # RFC 5321 section 4.5.3.1.1


@dataclass(frozen=True, slots=True)
class Sender:
    """``domain`` signs and gets bounces; ``campaign`` has the From and Reply-To that go out.

    ``blocking`` says why nothing may be sent, ``advisory`` that it goes out in another name than was written.
    """

    domain: SenderDomain
    campaign: Campaign
    blocking: Problem | None = None
    advisory: Problem | None = None


def sender_of(connection: Connection, campaign: Campaign, platform_name: str) -> Sender:
    """In whose name ``campaign`` would go out now; ``platform_name`` (A-labels) is empty where there is no platform."""
    domain = domains.get_domain(connection, campaign.domain_id)
    assert domain is not None  # foreign keys
    if domain.state == "verified":
        return Sender(domain, campaign)
    platform = domains.find_verified(connection, platform_name) if platform_name and domain.under_platform else None
    if platform is None:
        return Sender(domain, campaign, blocking=_not_verified(domain, has_platform=bool(platform_name)))
    sent = rewritten(campaign, domain, platform.name)
    return Sender(platform, replace(sent, domain_id=platform.id), advisory=_under_platform(domain, sent))


def rewritten(campaign: Campaign, domain: SenderDomain, platform_name: str) -> Campaign:
    """The campaign with an address of the platform in From, its own in Reply-To, and a name that says "via"."""
    address = EmailAddress.parse(campaign.from_address)
    local_part = f"{address.local_part}={domain.name}"
    if len(local_part) > _MAX_LOCAL_OCTETS:
        local_part = f"sender-{domain.id}"
    name = campaign.from_name or address.smtp
    return replace(
        campaign,
        from_address=f"{local_part}@{platform_name}",
        from_name=f"{name} via {platform_name}",
        reply_to=campaign.reply_to or address.smtp,
    )


def _under_platform(domain: SenderDomain, sent: Campaign) -> Problem:
    return Problem(
        "sent_under_platform",
        f"The sender domain {domain.name} is {domain.state}, not verified: the mail goes out from"
        f" {sent.from_name} <{sent.from_address}>, and answers go to {sent.reply_to}.",
        "from_address",
        "",
        f"To send in its own name, publish its records and run: postwright domain verify {domain.name}",
    )


def _not_verified(domain: SenderDomain, *, has_platform: bool) -> Problem:
    step = f"Publish its records and run: postwright domain verify {domain.name}"
    if has_platform and domain.under_platform:
        step += ". The platform's domain could stand in for it, but is not verified itself."
    elif has_platform:
        step += ". Or an admin lets it go out in the platform's name until then:"
        step += f" postwright domain set {domain.name} --under-platform"
    return Problem(
        "domain_not_verified",
        f"The sender domain {domain.name} is {domain.state}, not verified.",
        "from_address",
        "",
        step,
    )
