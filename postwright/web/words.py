"""States in words: tone (never by colour alone: each has its icon), label, and what it means."""

from dataclasses import dataclass
from enum import StrEnum

from postwright.web.language import N_, Texts, gettext


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
    """A state as it is shown; it keeps its English words and says them in the language of the page."""

    key: str
    tone: Tone
    english: str
    explanation: str = ""

    @property
    def label(self) -> str:
        """Its name."""
        return gettext(self.english)

    @property
    def meaning(self) -> str:
        """What it means; may be empty."""
        return gettext(self.explanation) if self.explanation else ""


def by_key(*words: Word) -> dict[str, Word]:
    """A catalogue of words, in their order."""
    return {word.key: word for word in words}


OUTCOMES = by_key(
    Word("delivered", Tone.GOOD, N_("Delivered"), N_("The receiving host took the message (reply 2yz).")),
    Word(
        "under_way",
        Tone.ACTIVE,
        N_("Under way"),
        N_("Waiting for its turn or being sent now. A paused campaign holds these."),
    ),
    Word(
        "deferred",
        Tone.ATTENTION,
        N_("Deferred"),
        N_("The receiving host said not now (4yz). It is tried again by itself."),
    ),
    Word(
        "ambiguous",
        Tone.UNKNOWN,
        N_("Ambiguous"),
        N_("The connection broke before the answer: it may have arrived or not."),
    ),
    Word(
        "failed", Tone.BAD, N_("Failed"), N_("The receiving host said no for good (5yz), or the domain takes no mail.")
    ),
    Word("expired", Tone.BAD, N_("Expired"), N_("It was not taken within the time that the stream allows.")),
    Word("suppressed", Tone.QUIET, N_("Suppressed"), N_("Not sent: the address is on the suppression list.")),
    Word("cancelled", Tone.QUIET, N_("Cancelled"), N_("Not sent: the campaign was cancelled before its turn.")),
)
"""What became of recipients, in the order of the table; ``under_way`` stands for four states of the queue."""

UNDER_WAY = ("held", "ready", "leased", "transmitting")

DELIVERY = OUTCOMES | by_key(
    Word(
        "held", Tone.QUIET, N_("Held"), N_("It waits to be released: for a route, the budget, or the end of a pause.")
    ),
    Word("ready", Tone.ACTIVE, N_("Ready"), N_("It is due and waits for a free connection.")),
    Word("leased", Tone.ACTIVE, N_("Being prepared"), N_("A delivery worker has taken it.")),
    Word("transmitting", Tone.ACTIVE, N_("Being sent"), N_("It is being sent at this moment.")),
)

CAMPAIGN = by_key(
    Word("draft", Tone.QUIET, N_("Draft"), N_("Not sent yet.")),
    Word("scheduled", Tone.ACTIVE, N_("Scheduled"), N_("It begins by itself at its time.")),
    Word(
        "preparing",
        Tone.ACTIVE,
        N_("Preparing"),
        N_("The recipients are being written down; sending begins meanwhile."),
    ),
    Word("sending", Tone.ACTIVE, N_("Sending"), N_("Mail is on its way.")),
    Word("paused", Tone.ATTENTION, N_("Paused"), N_("Nobody new gets it until you resume.")),
    Word("finished", Tone.GOOD, N_("Finished"), N_("Nobody is on the way any more.")),
    Word("cancelled", Tone.QUIET, N_("Cancelled"), N_("It was stopped for good.")),
)

DOMAIN = by_key(
    Word("verified", Tone.GOOD, N_("Verified"), N_("Its records are in place; mail may be sent from it.")),
    Word("pending", Tone.UNKNOWN, N_("Not verified yet"), N_("Publish its records, then verify it.")),
    Word("failing", Tone.BAD, N_("Failing"), N_("Records that were there are missing now.")),
)

FINDING = by_key(
    Word("present", Tone.GOOD, N_("Present")),
    Word("absent", Tone.BAD, N_("Absent")),
    Word("unknown", Tone.UNKNOWN, N_("Unknown"), N_("The DNS gave no answer, so nobody can say.")),
)

TOPICS = Texts(
    {
        "spf": N_("SPF"),
        "dkim": N_("DKIM"),
        "dmarc": N_("DMARC"),
        "return_path": N_("Return path"),
        "tracking": N_("Links and unsubscribe"),
        "ptr": N_("Reverse names"),
        "mx": N_("Mail hosts"),
        "starttls": N_("TLS of mail hosts"),
        "mta_sts": N_("MTA-STS"),
        "tls_rpt": N_("TLS reports"),
        "tlsa": N_("DANE"),
        "bimi": N_("BIMI"),
        "dnsbl": N_("Block lists"),
    }
)
"""What findings are about, by the first part of their codes, in the order of the page."""

PROVIDERS = {"gmail": "Gmail", "yahoo": "Yahoo", "microsoft": "Microsoft", "apple": "Apple"}

REQUIREMENT = by_key(
    Word("pass", Tone.GOOD, N_("Pass")),
    Word("fail", Tone.BAD, N_("Fail")),
    Word(
        "unknown",
        Tone.UNKNOWN,
        N_("Unknown"),
        N_("Nobody could find out, or it depends on what only the provider knows."),
    ),
)

SENDERS = by_key(
    Word("all", Tone.QUIET, N_("Everybody"), N_("Asked of every sender.")),
    Word("bulk", Tone.QUIET, N_("Bulk senders"), N_("Asked of those who send much; the provider decides who that is.")),
    Word("advised", Tone.QUIET, N_("Advice"), N_("Advised; nobody is refused for it.")),
)

KEY = by_key(
    Word("made", Tone.ATTENTION, N_("Made"), N_("It waits until all name servers of the domain show its record.")),
    Word(
        "published",
        Tone.ACTIVE,
        N_("Published"),
        N_("All name servers show it; it begins to sign when that has settled."),
    ),
    Word("active", Tone.GOOD, N_("Active"), N_("It signs your mail.")),
    Word(
        "retiring",
        Tone.QUIET,
        N_("Retiring"),
        N_("It signs nothing more; mail that it has signed is still on its way."),
    ),
    Word("retired", Tone.QUIET, N_("Retired"), N_("Nobody needs it any more.")),
)

PLAN = by_key(
    Word("done", Tone.GOOD, N_("Done")),
    Word("current", Tone.ACTIVE, N_("You are here")),
    Word("next", Tone.QUIET, N_("Later")),
)

EFFECT = by_key(
    Word("breaks", Tone.BAD, N_("Would break")),
    Word("heals", Tone.GOOD, N_("Would heal")),
    Word("unclear", Tone.UNKNOWN, N_("Could not be found out")),
)

TLS_FAILURES = Texts(
    {
        "starttls-not-supported": N_("The host did not offer TLS."),
        "certificate-host-mismatch": N_("The certificate is for another host."),
        "certificate-expired": N_("The certificate has expired."),
        "certificate-not-trusted": N_("The certificate's issuer is not trusted."),
        "validation-failure": N_("The connection failed for another reason."),
        "tlsa-invalid": N_("The TLSA record does not fit the certificate."),
        "dnssec-invalid": N_("The DNSSEC signatures do not hold."),
        "dane-required": N_("DANE is needed and there is none."),
        "sts-policy-fetch-error": N_("The MTA-STS policy could not be fetched."),
        "sts-policy-invalid": N_("The MTA-STS policy cannot be read."),
        "sts-webpki-invalid": N_("The certificate of the MTA-STS policy's web host is not trusted."),
    }
)
"""The result types of RFC 8460 section 4.3 in words."""

SOURCE = by_key(
    Word("passing", Tone.GOOD, N_("Passing"), N_("DMARC passes: SPF or DKIM holds for the domain in From.")),
    Word("failing", Tone.BAD, N_("Failing"), N_("DMARC fails: neither SPF nor DKIM holds for the domain in From.")),
    Word("unsaid", Tone.UNKNOWN, N_("Not said"), N_("The receiver does not say whether it passes.")),
)

DESTINATION = by_key(
    Word("open", Tone.GOOD, N_("Open"), N_("Mail goes there at the configured pace.")),
    Word("slowed", Tone.ATTENTION, N_("Slowed"), N_("Replies asked for less; the pace recovers by itself.")),
    Word("suspended", Tone.BAD, N_("Suspended"), N_("Nothing is sent there until it is resumed.")),
)

ROLE = by_key(
    Word("admin", Tone.ACTIVE, N_("Admin"), N_("Does everything, and decides who else may.")),
    Word("marketer", Tone.ACTIVE, N_("Marketer"), N_("Writes and sends; adds no domain, key or person.")),
    Word("viewer", Tone.QUIET, N_("Viewer"), N_("Looks at everything and changes nothing.")),
)

IMPORT = by_key(
    Word("storing", Tone.ACTIVE, N_("Being stored"), N_("The file is still coming in.")),
    Word(
        "draft", Tone.ATTENTION, N_("Columns to be said"), N_("Nothing is imported until you say what the columns are.")
    ),
    Word("waiting", Tone.UNKNOWN, N_("Waiting"), N_("It begins as soon as the scheduler has its turn.")),
    Word("running", Tone.ACTIVE, N_("Running"), N_("Rows are being read.")),
    Word("finished", Tone.GOOD, N_("Finished"), N_("All rows were read.")),
    Word("failed", Tone.BAD, N_("Failed"), N_("It could not be brought to its end.")),
)

_PASS = {"pass": Tone.GOOD, "fail": Tone.BAD, "permerror": Tone.BAD, "softfail": Tone.ATTENTION}
_MEANINGS = {
    "pass": N_("The receiving host checked it and it holds."),
    "fail": N_("The receiving host checked it and it does not hold."),
    "softfail": N_("The address is probably not allowed to send for the domain."),
    "neutral": N_("The domain says nothing about the address."),
    "none": N_("There was nothing to check."),
    "temperror": N_("The receiving host could not find out; the DNS gave no answer."),
    "permerror": N_("What is published cannot be read."),
    "policy": N_("It holds, but not by the rules of the receiving host."),
    "unjudged": N_("The sandbox was told not to judge."),
}

REASONS = Texts(
    {
        "user_unknown": N_("There is no such mailbox."),
        "host_unknown": N_("The domain does not exist, or has nothing that takes mail."),
        "no_mail_service": N_("The domain says that it takes no mail."),
        "moved": N_("The mailbox has moved."),
        "suspended": N_("The mailbox is inactive or disabled."),
        "mailbox_full": N_("The mailbox is full."),
        "filtered": N_("The recipient's filter turned it away."),
        "blocked": N_("The receiver blocks our address or domain."),
        "reverse_dns": N_("The PTR record of the sending host is missing or wrong."),
        "authentication": N_("SPF, DKIM or DMARC did not pass."),
        "policy": N_("The receiver's policy refuses it."),
        "security": N_("The receiver asks for TLS or a login."),
        "spam": N_("The receiver takes it for spam."),
        "virus": N_("The receiver found something malicious."),
        "content": N_("The receiver does not accept the headers or the body."),
        "too_large": N_("The message is too large."),
        "rate_limited": N_("Too much mail in too short a time."),
        "sender_rejected": N_("The receiver refuses the envelope sender."),
        "relay_denied": N_("The host takes no mail for that domain."),
        "protocol": N_("The receiver did not understand a command."),
        "greylisted": N_("The receiver asks everybody new to come again later."),
        "expired": N_("It was tried for as long as mail is kept."),
        "system_error": N_("The receiving host has trouble of its own."),
        "network_error": N_("The receiving host could not be reached."),
    }
)
"""Why mail was refused (``mailtypes.bounce.BounceReason``)."""

API_KEY = by_key(
    Word("open", Tone.GOOD, N_("In use"), N_("It opens the API.")),
    Word("expired", Tone.QUIET, N_("Expired"), N_("Its time is over.")),
    Word("revoked", Tone.QUIET, N_("Revoked"), N_("It was ended by a person.")),
)

SCOPE = by_key(
    Word("read", Tone.QUIET, N_("Read"), N_("Looks at everything.")),
    Word("send", Tone.ACTIVE, N_("Send"), N_("Reads, and hands over mail.")),
    Word("admin", Tone.ATTENTION, N_("Everything"), N_("Changes everything, keys too.")),
)

DONE = Texts(
    {
        "suppression_added": N_("The address is suppressed. What waited for it is stopped."),
        "hygiene_applied": N_("The plan is being applied, or is so already; contacts who changed since are skipped."),
        "hygiene_undone": N_("Everything is as it was, but for what people changed meanwhile."),
        "hygiene_discarded": N_("The plan is thrown away. Nothing was changed by it."),
        "hygiene_settings": N_("The settings hold from now on."),
        "password": N_("The password is changed. All other sessions of yours have ended."),
        "password_chosen": N_("The password is set. Sign in with it."),
        "session_ended": N_("The session has ended."),
        "role": N_("The role is changed; it holds from the next page on."),
        "enabled": N_("This person can sign in again."),
        "key_revoked": N_("The key is revoked. Whoever uses it is refused from now on."),
        "warm_up_started": N_("The warm-up has started."),
        "warm_up_paused": N_("Nothing more is sent there until somebody resumes it."),
        "warm_up_resumed": N_("It goes on."),
        "queue_suspend": N_("The destination is suspended. What is being sent at this moment ends by itself."),
        "queue_resume": N_("Mail goes there again. Where the pace was slowed, it recovers by itself."),
        "queue_flush": N_("What was deferred is tried at once."),
        "queue_fail": N_("What waited was given up; your note stands with each message."),
        "webhook_changed": N_("The endpoint is changed."),
        "webhook_enabled": N_("The endpoint is enabled and told at once."),
        "webhook_disabled": N_("The endpoint is disabled. What happens meanwhile waits in the log."),
        "webhook_skipped": N_("The event is left out; the next one is told at once."),
        "webhook_nothing": N_("There is no event that it refuses."),
        "webhook_replay": N_("It is told again, beside what is new."),
        "webhook_gone": N_("The endpoint is removed."),
        "sent": N_("Sending has begun."),
        "pause": N_("The campaign is paused. What was being sent at that moment still went out; everybody else waits."),
        "resume": N_("Sending goes on where it had stopped."),
        "changed": N_("The draft is changed."),
        "chosen": N_("The rest gets that variant."),
        "overruled": N_("Overruled. Your name and your reason are kept with the campaign."),
        "override_withdrawn": N_("Withdrawn: it keeps the campaign from being sent again."),
        "unschedule": N_("It is a draft again, and nothing goes out by itself."),
        "repeat": N_("Sending has begun once more."),
        "archive": N_("The campaign is archived."),
        "unarchive": N_("The campaign is back."),
        "cancel": N_("The campaign is cancelled. Nobody else will get it."),
        "verified": N_("The records were looked up just now. The findings below are fresh."),
        "domain": N_("The domain was added with a key of its own. Publish the records below, then verify."),
        "contact": N_("The contact is changed."),
        "contact_new": N_("The contact was added."),
        "archived_contact": N_("The contact is archived and gets no campaigns any more."),
        "restored_contact": N_("The contact is back."),
        "list": N_("The list is there."),
        "list_changed": N_("The list is changed."),
        "list_gone": N_("The list is deleted. Its contacts stay."),
        "field": N_("The field has its kind. Values that fit were brought over."),
        "field_gone": N_("The field is text again. What contacts have stays."),
        "tag": N_("The tag is there."),
        "tag_gone": N_("The tag is deleted."),
        "segment": N_("The segment is saved."),
        "segment_gone": N_("The segment is deleted. Its contacts stay."),
        "import": N_("The file was stored. Its rows are read in the background."),
        "rotation": N_(
            "The next key is made. Publish its record below; it takes over by itself, and nothing stops meanwhile."
        ),
        "report": N_("The report was read and stored."),
        "template_saved": N_("The version is stored. Campaigns that are being sent keep theirs."),
        "template_restored": N_("The old version is the newest again."),
        "report_known": N_("This report was there already; it counts once."),
        "report_elsewhere": N_(
            "The report was read and stored. It is about another domain, so nothing changes on this page."
        ),
    }
)
"""What a page says after something was done, by the name in its address; other names say nothing."""


def word(catalogue: dict[str, Word], key: str) -> Word:
    """The word for a state; a state that this page does not know yet is shown by its name."""
    return catalogue.get(key) or Word(key, Tone.UNKNOWN, key.replace("_", " ").capitalize())


def auth_word(method: str, result: str) -> Word:
    """The verdict of a receiving host on SPF, DKIM or DMARC (the result tokens of RFC 8601 section 2.7)."""
    return Word(result, _PASS.get(result, Tone.UNKNOWN), f"{method} {result}", _MEANINGS.get(result, ""))
