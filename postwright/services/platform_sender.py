"""In whose name a campaign is sent: its own domain's if that is verified, else the platform's where allowed."""

from dataclasses import dataclass, replace
from hashlib import blake2b

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.saying import say
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
        # Another one for each address: several senders of a campaign are told apart, and drawn, by it.
        local_part = f"sender-{domain.id}-{blake2b(address.local_part.encode(), digest_size=6).hexdigest()}"
    name = campaign.from_name or address.smtp
    return replace(
        campaign,
        from_address=f"{local_part}@{platform_name}",
        from_name=f"{name} via {platform_name}",
        reply_to=campaign.reply_to or address.smtp,
    )


_STATES = {"pending": say("pending"), "failing": say("failing")}


def _under_platform(domain: SenderDomain, sent: Campaign) -> Problem:
    return Problem(
        "sent_under_platform",
        say(
            "The sender domain %(domain)s is %(state)s, not verified: the mail goes out from "
            "%(from_name)s <%(from_address)s>, and answers go to %(reply_to)s.",
            domain=domain.name,
            state=_STATES.get(domain.state, domain.state),
            from_name=sent.from_name,
            from_address=sent.from_address,
            reply_to=sent.reply_to,
        ),
        "from_address",
        "",
        say(
            "To send in its own name, publish its records and run: postwright domain verify %(domain)s",
            domain=domain.name,
        ),
    )


def _not_verified(domain: SenderDomain, *, has_platform: bool) -> Problem:
    values = {"domain": domain.name}
    step = say("Publish its records and run: postwright domain verify %(domain)s", **values)
    if has_platform and domain.under_platform:
        step = say(
            "Publish its records and run: postwright domain verify %(domain)s. The platform's domain could stand in for"
            " it, but is not verified itself.",
            **values,
        )
    elif has_platform:
        step = say(
            "Publish its records and run: postwright domain verify %(domain)s. Or an admin lets it go out in the"
            " platform's name until then: postwright domain set %(domain)s --under-platform",
            **values,
        )
    return Problem(
        "domain_not_verified",
        say(
            "The sender domain %(domain)s is %(state)s, not verified.",
            domain=domain.name,
            state=_STATES.get(domain.state, domain.state),
        ),
        "from_address",
        "",
        step,
    )
