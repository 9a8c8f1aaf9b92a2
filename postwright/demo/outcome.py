"""What the demo claims at its end, taken from the receiving side."""

import csv
from dataclasses import dataclass
from pathlib import Path

from mailtypes.address import EmailAddress
from postwright.demo.main_job import CampaignResult, ImportResult
from postwright.sandbox.mailboxes import Mailboxes, MailboxSummary
from postwright.sandbox.providers import has_mailbox

_RESULTS = ("spf", "dkim", "dmarc")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Expected and received; ``faults`` is empty where every good recipient got exactly one well signed message."""

    good: int
    received: MailboxSummary
    campaign: CampaignResult
    faults: tuple[str, ...]


def good_recipients(examples: Path, imported: ImportResult) -> set[str]:
    """The address keys that must get the message: accepted, not suppressed, and with a mailbox at their provider."""
    refused = {line for line, _, _ in imported.refusals}
    good: set[str] = set()
    with (examples / "contacts.csv").open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        line = reader.line_num
        for row in reader:
            if line + 1 not in refused:
                address = EmailAddress.parse(row[header.index("email")])
                if has_mailbox(address):
                    good.add(address.key)
            line = reader.line_num
    with (examples / "suppressions.csv").open(encoding="utf-8-sig", newline="") as file:
        good -= {EmailAddress.parse(row["email"]).key for row in csv.DictReader(file)}
    return good


def judge(good: set[str], mailboxes: Mailboxes, campaign: CampaignResult) -> Outcome:
    """Hold what was received against what should have been."""
    received = mailboxes.summary()
    keys = mailboxes.recipient_keys()
    faults: list[str] = []
    if missing := good - keys:
        faults.append(f"{len(missing):,} good recipients have no message, for instance {min(missing)}")
    if strangers := keys - good:
        faults.append(f"{len(strangers):,} messages went where none should go, for instance {min(strangers)}")
    if received.duplicate_recipients:
        faults.append(f"{received.duplicate_recipients:,} recipients have more than one copy")
    for name in _RESULTS:
        others = received.messages - received.results.get(name, {}).get("pass", 0)
        if others:
            faults.append(f"{others:,} messages do not pass {name.upper()}")
    return Outcome(len(good), received, campaign, tuple(faults))
