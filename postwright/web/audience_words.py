"""What becomes of addresses, lists and contacts, in words."""

from postwright.web.language import N_, Texts
from postwright.web.words import Tone, Word, by_key

ADDRESS_CODES = Texts(
    {
        "empty": N_("empty"),
        "no_at_sign": N_("no @ in it"),
        "too_long": N_("too long"),
        "bad_local_part": N_("faulty before the @"),
        "bad_domain": N_("faulty domain"),
        "unregistrable": N_("no such domain can exist"),
        "null_mx": N_("the domain takes no mail"),
        "no_mail_host": N_("no mail host"),
        "no_such_domain": N_("no such domain"),
        "duplicate": N_("twice in the file"),
        "likely_duplicate": N_("most likely twice"),
        "likely_typo": N_("most likely a slip"),
        "hebrew_layout": N_("typed on a Hebrew keyboard"),
        "disposable_domain": N_("thrown away soon"),
        "role_address": N_("role address"),
        "needs_smtputf8": N_("needs SMTPUTF8"),
        "domain_unknown": N_("domain not looked up"),
    }
)
"""What speaks against an address, in few words (``hygiene.address_verdict.AddressCode``)."""

SUPPRESSION_SCOPES = by_key(
    Word("all", Tone.QUIET, N_("Everything")),
    Word("stream", Tone.QUIET, N_("Marketing mail")),
    Word("list", Tone.QUIET, N_("One list")),
)
SUPPRESSION_REASONS = by_key(
    Word("hard_bounce", Tone.BAD, N_("Hard bounce")),
    Word("soft_bounces", Tone.BAD, N_("Repeated soft bounces")),
    Word("complaint", Tone.BAD, N_("Complaint")),
    Word("unsubscribed", Tone.QUIET, N_("Unsubscribed")),
    Word("manual", Tone.QUIET, N_("By hand")),
    Word("imported", Tone.QUIET, N_("Taken over")),
    Word("erased", Tone.QUIET, N_("Erased")),
    Word("dormant", Tone.QUIET, N_("Gone quiet")),
)
LIST_HEALTH = by_key(
    Word("healthy", Tone.GOOD, N_("Healthy")),
    Word("unknown", Tone.UNKNOWN, N_("Too few mails to tell")),
    Word("review", Tone.ATTENTION, N_("Find out where the addresses come from")),
    Word("pause", Tone.BAD, N_("Send no more to it for now")),
)
PLAN_STATES = by_key(
    Word("making", Tone.ACTIVE, N_("Being made")),
    Word("ready", Tone.ATTENTION, N_("Waits for you")),
    Word("applying", Tone.ACTIVE, N_("Being applied")),
    Word("applied", Tone.GOOD, N_("Applied")),
    Word("undoing", Tone.ACTIVE, N_("Being undone")),
    Word("undone", Tone.QUIET, N_("Undone")),
)
STEP_STATES = by_key(
    Word("planned", Tone.ACTIVE, N_("Planned")),
    Word("done", Tone.GOOD, N_("Done")),
    Word("skipped", Tone.QUIET, N_("Skipped: changed since")),
    Word("undone", Tone.QUIET, N_("Undone")),
    Word("kept", Tone.QUIET, N_("Kept: changed since")),
)
HYGIENE_MOVES = by_key(
    Word("reengage", Tone.ACTIVE, N_("Ask to stay")),
    Word("win_back", Tone.GOOD, N_("Won back")),
    Word("archive", Tone.QUIET, N_("Archive")),
    Word("suppress", Tone.QUIET, N_("Suppress")),
)
WIN_BACK_STAGES = by_key(
    Word("mail_1", Tone.ACTIVE, N_("Due: first mail")),
    Word("mail_2", Tone.ACTIVE, N_("Due: second mail")),
    Word("mail_3", Tone.ACTIVE, N_("Due: third mail")),
    Word("wait", Tone.ACTIVE, N_("Have time to answer")),
    Word("won_back", Tone.GOOD, N_("Won back")),
    Word("given_up", Tone.QUIET, N_("Gave no sign of life")),
)
HYGIENE_PRESETS = by_key(
    Word("quiet_for_a_year", Tone.QUIET, N_("No click for half a year, nothing bought for a year")),
    Word("quiet_for_a_quarter", Tone.QUIET, N_("No open for two months, nothing bought for three")),
    Word("daily", Tone.QUIET, N_("Nothing for two months (daily mail)")),
    Word("mid", Tone.QUIET, N_("Nothing for four months (two or three mails a week)")),
    Word("weekly", Tone.QUIET, N_("Nothing for half a year (weekly mail)")),
    Word("monthly", Tone.QUIET, N_("Nothing for nine months (monthly mail)")),
)
SOFT_BOUNCE_POLICIES = by_key(
    Word("seven_in_a_row", Tone.QUIET, N_("7 in a row, 15 for active contacts")),
    Word("three_over_14_days", Tone.QUIET, N_("3 over at least 14 days")),
    Word("fifteen_in_a_row", Tone.QUIET, N_("15 in a row")),
)
