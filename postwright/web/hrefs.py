"""Addresses of pages. Rows are named by their public ids, sender domains by their names."""

from urllib.parse import quote

from postwright.store.campaigns import Campaign
from postwright.store.contact_book import ContactCard
from postwright.store.contacts import ContactList
from postwright.store.imports import ImportJob
from postwright.store.public_ids import public_id, read_public_id
from postwright.store.recipients import DeliveryRecord
from postwright.store.segments import Segment
from postwright.store.templates import Template

_CAMPAIGN, _MESSAGE, _TEMPLATE, _IMPORT = "cmp", "msg", "tpl", "imp"
_CONTACT, _SEGMENT, _LIST = "con", "seg", "lst"


def campaign_href(campaign: Campaign) -> str:
    """The page of a campaign."""
    return f"/campaigns/{public_id(_CAMPAIGN, campaign.created_at, campaign.id)}"


def message_href(delivery: DeliveryRecord) -> str:
    """The page of one recipient's message."""
    return f"/messages/{message_id(delivery)}"


def message_id(delivery: DeliveryRecord) -> str:
    """The public id of a delivery."""
    return public_id(_MESSAGE, delivery.queued_at, delivery.id)


def template_href(template: Template) -> str:
    """The page of a template."""
    return f"/templates/{public_id(_TEMPLATE, template.created_at, template.id)}"


def import_href(job: ImportJob) -> str:
    """The page of an import."""
    return f"/imports/{public_id(_IMPORT, job.created_at, job.id)}"


def contact_href(contact: ContactCard) -> str:
    """The page of a contact."""
    return f"/contacts/{public_id(_CONTACT, contact.created_at, contact.id)}"


def segment_href(segment: Segment) -> str:
    """The page of a segment."""
    return f"/segments/{public_id(_SEGMENT, segment.created_at, segment.id)}"


def list_href(contact_list: ContactList) -> str:
    """The address that changes a list."""
    return f"/contacts/lists/{public_id(_LIST, contact_list.created_at, contact_list.id)}"


def domain_href(name: str) -> str:
    """The page of a sender domain, named in A-labels."""
    return f"/domains/{quote(name, safe='')}"


def read_campaign(text: str) -> int:
    """The row id in a campaign's address; raises ``PublicIdSyntaxError``."""
    return read_public_id(text, _CAMPAIGN)


def read_message(text: str) -> int:
    """The row id in a message's address; raises ``PublicIdSyntaxError``."""
    return read_public_id(text, _MESSAGE)


def read_template(text: str) -> int:
    """The row id in a template's address; raises ``PublicIdSyntaxError``."""
    return read_public_id(text, _TEMPLATE)


def read_import(text: str) -> int:
    """The row id in an import's address; raises ``PublicIdSyntaxError``."""
    return read_public_id(text, _IMPORT)


def read_contact(text: str) -> int:
    """The row id in a contact's address; raises ``PublicIdSyntaxError``."""
    return read_public_id(text, _CONTACT)


def read_segment(text: str) -> int:
    """The row id in a segment's address; raises ``PublicIdSyntaxError``."""
    return read_public_id(text, _SEGMENT)


def read_list(text: str) -> int:
    """The row id in a list's address; raises ``PublicIdSyntaxError``."""
    return read_public_id(text, _LIST)
