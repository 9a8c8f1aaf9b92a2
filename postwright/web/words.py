"""States in words: tone (never by colour alone: each has its icon), label, and what it means."""

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """How a state feels. The first four are the states of every finding; the others colour what has no verdict."""

    GOOD = "good"
    ATTENTION = "attention"
    BAD = "bad"
    UNKNOWN = "unknown"
    ACTIVE = "active"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Word:
    """A state as it is shown."""

    key: str
    tone: Tone
    label: str
    meaning: str = ""


def _words(*words: Word) -> dict[str, Word]:
    return {word.key: word for word in words}


OUTCOMES = _words(
    Word("delivered", Tone.GOOD, "Delivered", "The receiving host took the message (reply 2yz)."),
    Word(
        "under_way", Tone.ACTIVE, "Under way", "Waiting for its turn or being sent now. A paused campaign holds these."
    ),
    Word("deferred", Tone.ATTENTION, "Deferred", "The receiving host said not now (4yz). It is tried again by itself."),
    Word("ambiguous", Tone.UNKNOWN, "Ambiguous", "The connection broke before the answer: it may have arrived or not."),
    Word("failed", Tone.BAD, "Failed", "The receiving host said no for good (5yz), or the domain takes no mail."),
    Word("expired", Tone.BAD, "Expired", "It was not taken within the time that the stream allows."),
    Word("suppressed", Tone.QUIET, "Suppressed", "Not sent: the address is on the suppression list."),
    Word("cancelled", Tone.QUIET, "Cancelled", "Not sent: the campaign was cancelled before its turn."),
)
"""What became of recipients, in the order of the table; ``under_way`` stands for four states of the queue."""

UNDER_WAY = ("held", "ready", "leased", "transmitting")

DELIVERY = OUTCOMES | _words(
    Word("held", Tone.QUIET, "Held", "It waits to be released: for a route, the budget, or the end of a pause."),
    Word("ready", Tone.ACTIVE, "Ready", "It is due and waits for a free connection."),
    Word("leased", Tone.ACTIVE, "Being prepared", "A delivery worker has taken it."),
    Word("transmitting", Tone.ACTIVE, "Being sent", "It is being sent at this moment."),
)

CAMPAIGN = _words(
    Word("draft", Tone.QUIET, "Draft", "Not sent yet."),
    Word("preparing", Tone.ACTIVE, "Preparing", "The recipients are being written down; sending begins meanwhile."),
    Word("sending", Tone.ACTIVE, "Sending", "Mail is on its way."),
    Word("paused", Tone.ATTENTION, "Paused", "Nobody new gets it until you resume."),
    Word("finished", Tone.GOOD, "Finished", "Nobody is on the way any more."),
    Word("cancelled", Tone.QUIET, "Cancelled", "It was stopped for good."),
)

DOMAIN = _words(
    Word("verified", Tone.GOOD, "Verified", "Its records are in place; mail may be sent from it."),
    Word("pending", Tone.UNKNOWN, "Not verified yet", "Publish its records, then verify it."),
    Word("failing", Tone.BAD, "Failing", "Records that were there are missing now."),
)

FINDING = _words(
    Word("present", Tone.GOOD, "Present"),
    Word("absent", Tone.BAD, "Absent"),
    Word("unknown", Tone.UNKNOWN, "Unknown", "The DNS gave no answer, so nobody can say."),
)

TOPICS = {
    "spf": "SPF",
    "dkim": "DKIM",
    "dmarc": "DMARC",
    "return_path": "Return path",
    "tracking": "Links and unsubscribe",
    "ptr": "Reverse names",
    "mx": "Mail hosts",
    "starttls": "TLS of mail hosts",
    "mta_sts": "MTA-STS",
    "tls_rpt": "TLS reports",
    "tlsa": "DANE",
    "bimi": "BIMI",
    "dnsbl": "Block lists",
}
"""What findings are about, by the first part of their codes, in the order of the page."""

PROVIDERS = {"gmail": "Gmail", "yahoo": "Yahoo", "microsoft": "Microsoft", "apple": "Apple"}

REQUIREMENT = _words(
    Word("pass", Tone.GOOD, "Pass"),
    Word("fail", Tone.BAD, "Fail"),
    Word("unknown", Tone.UNKNOWN, "Unknown", "Nobody could find out, or it depends on what only the provider knows."),
)

SENDERS = _words(
    Word("all", Tone.QUIET, "Everybody", "Asked of every sender."),
    Word("bulk", Tone.QUIET, "Bulk senders", "Asked of those who send much; the provider decides who that is."),
    Word("advised", Tone.QUIET, "Advice", "Advised; nobody is refused for it."),
)

KEY = _words(
    Word("made", Tone.ATTENTION, "Made", "It waits until all name servers of the domain show its record."),
    Word("published", Tone.ACTIVE, "Published", "All name servers show it; it begins to sign when that has settled."),
    Word("active", Tone.GOOD, "Active", "It signs your mail."),
    Word("retiring", Tone.QUIET, "Retiring", "It signs nothing more; mail that it has signed is still on its way."),
    Word("retired", Tone.QUIET, "Retired", "Nobody needs it any more."),
)

PLAN = _words(
    Word("done", Tone.GOOD, "Done"),
    Word("current", Tone.ACTIVE, "You are here"),
    Word("next", Tone.QUIET, "Later"),
)

EFFECT = _words(
    Word("breaks", Tone.BAD, "Would break"),
    Word("heals", Tone.GOOD, "Would heal"),
    Word("unclear", Tone.UNKNOWN, "Could not be found out"),
)

TLS_FAILURES = {
    "starttls-not-supported": "The host did not offer TLS.",
    "certificate-host-mismatch": "The certificate is for another host.",
    "certificate-expired": "The certificate has expired.",
    "certificate-not-trusted": "The certificate's issuer is not trusted.",
    "validation-failure": "The connection failed for another reason.",
    "tlsa-invalid": "The TLSA record does not fit the certificate.",
    "dnssec-invalid": "The DNSSEC signatures do not hold.",
    "dane-required": "DANE is needed and there is none.",
    "sts-policy-fetch-error": "The MTA-STS policy could not be fetched.",
    "sts-policy-invalid": "The MTA-STS policy cannot be read.",
    "sts-webpki-invalid": "The certificate of the MTA-STS policy's web host is not trusted.",
}
"""The result types of RFC 8460 section 4.3 in words."""

SOURCE = _words(
    Word("passing", Tone.GOOD, "Passing", "DMARC passes: SPF or DKIM holds for the domain in From."),
    Word("failing", Tone.BAD, "Failing", "DMARC fails: neither SPF nor DKIM holds for the domain in From."),
    Word("unsaid", Tone.UNKNOWN, "Not said", "The receiver does not say whether it passes."),
)

IMPORT = _words(
    Word("waiting", Tone.UNKNOWN, "Waiting", "It begins as soon as the scheduler has its turn."),
    Word("running", Tone.ACTIVE, "Running", "Rows are being read."),
    Word("finished", Tone.GOOD, "Finished", "All rows were read."),
    Word("failed", Tone.BAD, "Failed", "It could not be brought to its end."),
)

_PASS = {"pass": Tone.GOOD, "fail": Tone.BAD, "permerror": Tone.BAD, "softfail": Tone.ATTENTION}
_MEANINGS = {
    "pass": "The receiving host checked it and it holds.",
    "fail": "The receiving host checked it and it does not hold.",
    "softfail": "The address is probably not allowed to send for the domain.",
    "neutral": "The domain says nothing about the address.",
    "none": "There was nothing to check.",
    "temperror": "The receiving host could not find out; the DNS gave no answer.",
    "permerror": "What is published cannot be read.",
    "policy": "It holds, but not by the rules of the receiving host.",
    "unjudged": "The sandbox was told not to judge.",
}

REASONS = {
    "user_unknown": "There is no such mailbox.",
    "host_unknown": "The domain does not exist, or has nothing that takes mail.",
    "no_mail_service": "The domain says that it takes no mail.",
    "moved": "The mailbox has moved.",
    "suspended": "The mailbox is inactive or disabled.",
    "mailbox_full": "The mailbox is full.",
    "filtered": "The recipient's filter turned it away.",
    "blocked": "The receiver blocks our address or domain.",
    "reverse_dns": "The PTR record of the sending host is missing or wrong.",
    "authentication": "SPF, DKIM or DMARC did not pass.",
    "policy": "The receiver's policy refuses it.",
    "security": "The receiver asks for TLS or a login.",
    "spam": "The receiver takes it for spam.",
    "virus": "The receiver found something malicious.",
    "content": "The receiver does not accept the headers or the body.",
    "too_large": "The message is too large.",
    "rate_limited": "Too much mail in too short a time.",
    "sender_rejected": "The receiver refuses the envelope sender.",
    "relay_denied": "The host takes no mail for that domain.",
    "protocol": "The receiver did not understand a command.",
    "greylisted": "The receiver asks everybody new to come again later.",
    "expired": "It was tried for as long as mail is kept.",
    "system_error": "The receiving host has trouble of its own.",
    "network_error": "The receiving host could not be reached.",
}
"""Why mail was refused (``mailtypes.bounce.BounceReason``)."""

EVENTS = _words(
    Word("delivered", Tone.GOOD, "Delivered"),
    Word("deferred", Tone.ATTENTION, "Deferred"),
    Word("failed", Tone.BAD, "Failed"),
    Word("ambiguous", Tone.UNKNOWN, "Ambiguous"),
    Word("suppressed", Tone.QUIET, "Suppressed"),
    Word("expired", Tone.BAD, "Expired"),
    Word("cancelled", Tone.QUIET, "Cancelled"),
    Word("bounced", Tone.BAD, "Bounced later"),
    Word("delayed", Tone.ATTENTION, "Delayed at the receiver"),
    Word("complained", Tone.BAD, "Complained", "The recipient called it spam; their provider told us."),
    Word(
        "feedback_unread", Tone.UNKNOWN, "Unclear feedback", "A report came back that does not say what became of it."
    ),
    Word("opened", Tone.ACTIVE, "Opened", "The pixel was fetched; machines fetch it too."),
    Word("clicked", Tone.ACTIVE, "Clicked", "A link was followed; scanners follow links too."),
    Word("unsubscribed", Tone.ATTENTION, "Unsubscribed"),
    Word("run_started", Tone.ACTIVE, "Sending began"),
    Word("run_preparing", Tone.ACTIVE, "Resumed"),
    Word("run_paused", Tone.ATTENTION, "Paused"),
    Word("run_cancelled", Tone.QUIET, "Cancelled"),
    Word("domain_state_changed", Tone.ACTIVE, "State changed"),
    Word("domain_drift", Tone.ATTENTION, "Records changed"),
    Word("domain_expiring", Tone.ATTENTION, "Expires"),
    Word("dkim_rotation_begun", Tone.ACTIVE, "Key rotation begun"),
    Word("dkim_key_moved", Tone.ACTIVE, "Key moved on"),
    Word("dkim_key_missing", Tone.BAD, "Signing key gone"),
    Word("dkim_key_back", Tone.GOOD, "Signing key is back"),
)

DONE = {
    "sent": "Sending has begun.",
    "pause": "The campaign is paused. What was being sent at that moment still went out; everybody else waits.",
    "resume": "Sending goes on where it had stopped.",
    "cancel": "The campaign is cancelled. Nobody else will get it.",
    "verified": "The records were looked up just now. The findings below are fresh.",
    "domain": "The domain was added with a key of its own. Publish the records below, then verify.",
    "import": "The file was stored. Its rows are read in the background.",
    "rotation": "The next key is made. Publish its record below; it takes over by itself, and nothing stops meanwhile.",
    "report": "The report was read and stored.",
    "report_known": "This report was there already; it counts once.",
    "report_elsewhere": "The report was read and stored. It is about another domain, so nothing changes on this page.",
}
"""What a page says after something was done, by the name in its address; other names say nothing."""


def word(catalogue: dict[str, Word], key: str) -> Word:
    """The word for a state; a state that this page does not know yet is shown by its name."""
    return catalogue.get(key) or Word(key, Tone.UNKNOWN, key.replace("_", " ").capitalize())


def auth_word(method: str, result: str) -> Word:
    """The verdict of a receiving host on SPF, DKIM or DMARC (the result tokens of RFC 8601 section 2.7)."""
    return Word(result, _PASS.get(result, Tone.UNKNOWN), f"{method} {result}", _MEANINGS.get(result, ""))
