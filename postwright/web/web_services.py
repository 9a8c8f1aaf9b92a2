"""What the pages stand on."""

from dataclasses import dataclass

from mailtypes.clock import Clock
from postwright.sandbox.mailboxes import Mailboxes
from postwright.services.accounts import Accounts
from postwright.services.campaigns import Campaigns
from postwright.services.imports import ContactImports
from postwright.services.log import Log
from postwright.services.reports import Reports
from postwright.services.sender_domains import SenderDomains
from postwright.services.signing_keys import KeyRotation
from postwright.services.templates import Templates


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """The services of one install.

    ``mailboxes`` are the sandbox's, ``None`` where mail goes to the real Internet. ``secure_cookies``: people reach the
    pages by https, so cookies are ``Secure`` and browsers are told to stay with https. ``max_upload`` in octets.
    """

    accounts: Accounts
    campaigns: Campaigns
    sender_domains: SenderDomains
    key_rotation: KeyRotation
    reports: Reports
    imports: ContactImports
    templates: Templates
    log: Log
    clock: Clock
    mailboxes: Mailboxes | None
    secure_cookies: bool
    max_upload: int = 64 * 1024 * 1024
