"""Events, the numbers of a day and webhooks in words."""

from postwright.web.language import N_
from postwright.web.words import Tone, Word, by_key

EVENTS = by_key(
    Word("delivered", Tone.GOOD, N_("Delivered")),
    Word("deferred", Tone.ATTENTION, N_("Deferred")),
    Word("failed", Tone.BAD, N_("Failed")),
    Word("ambiguous", Tone.UNKNOWN, N_("Ambiguous")),
    Word("suppressed", Tone.QUIET, N_("Suppressed")),
    Word("expired", Tone.BAD, N_("Expired")),
    Word("cancelled", Tone.QUIET, N_("Cancelled")),
    Word("bounced", Tone.BAD, N_("Bounced later")),
    Word("delayed", Tone.ATTENTION, N_("Delayed at the receiver")),
    Word("complained", Tone.BAD, N_("Complained"), N_("The recipient called it spam; their provider told us.")),
    Word(
        "feedback_unread",
        Tone.UNKNOWN,
        N_("Unclear feedback"),
        N_("A report came back that does not say what became of it."),
    ),
    Word("opened", Tone.ACTIVE, N_("Opened"), N_("The pixel was fetched; machines fetch it too.")),
    Word("clicked", Tone.ACTIVE, N_("Clicked"), N_("A link was followed; scanners follow links too.")),
    Word("unsubscribed", Tone.ATTENTION, N_("Unsubscribed")),
    Word("campaign_scheduled", Tone.ACTIVE, N_("Scheduled")),
    Word("campaign_blocked", Tone.BAD, N_("Did not begin")),
    Word("experiment_decided", Tone.GOOD, N_("Test decided")),
    Word("experiment_asks", Tone.ATTENTION, N_("Test waits for you")),
    Word("run_started", Tone.ACTIVE, N_("Sending began")),
    Word("run_preparing", Tone.ACTIVE, N_("Resumed")),
    Word("run_paused", Tone.ATTENTION, N_("Paused")),
    Word("run_cancelled", Tone.QUIET, N_("Cancelled")),
    Word("domain_state_changed", Tone.ACTIVE, N_("State changed")),
    Word("domain_drift", Tone.ATTENTION, N_("Records changed")),
    Word("domain_expiring", Tone.ATTENTION, N_("Expires")),
    Word("dkim_rotation_begun", Tone.ACTIVE, N_("Key rotation begun")),
    Word("dkim_key_moved", Tone.ACTIVE, N_("Key moved on")),
    Word("dkim_key_missing", Tone.BAD, N_("Signing key gone")),
    Word("dkim_key_back", Tone.GOOD, N_("Signing key is back")),
    Word("accepted", Tone.ACTIVE, N_("Accepted"), N_("A client handed the message over; it is stored.")),
    Word("opened_revised", Tone.QUIET, N_("Open judged anew")),
    Word("clicked_revised", Tone.QUIET, N_("Click judged anew")),
    Word("run_sending", Tone.ACTIVE, N_("Resumed")),
    Word("domain_changed", Tone.ACTIVE, N_("Settings changed")),
    Word("destination_slowed", Tone.ATTENTION, N_("Slowed down"), N_("A receiving host asked for less.")),
    Word("destination_raised", Tone.GOOD, N_("Sped up"), N_("The pace was raised a step after a quiet while.")),
    Word("destination_suspended", Tone.BAD, N_("Destination suspended"), N_("Nothing is sent there for now.")),
    Word("destination_resumed", Tone.GOOD, N_("Destination resumed")),
    Word("queue_suspended", Tone.ATTENTION, N_("Mail held back")),
    Word("queue_resumed", Tone.GOOD, N_("Mail goes on")),
    Word("queue_flushed", Tone.ACTIVE, N_("Tried at once")),
    Word("queue_failed", Tone.BAD, N_("Given up")),
    Word("suppression_lifted", Tone.ACTIVE, N_("Suppression lifted")),
    Word("report_stored", Tone.QUIET, N_("Report stored")),
    Word("report_unread", Tone.UNKNOWN, N_("Report unreadable")),
    Word("webhook_disabled", Tone.BAD, N_("Webhook disabled"), N_("Its endpoint gets nothing any more.")),
    Word("webhook_enabled", Tone.GOOD, N_("Webhook enabled")),
    Word("warmup_paused", Tone.ATTENTION, N_("Warm-up paused")),
    Word("resubscribed", Tone.GOOD, N_("Came back"), N_("They took an unsubscribe back.")),
    Word("preferences_changed", Tone.ACTIVE, N_("Preferences changed")),
    Word("replied", Tone.GOOD, N_("Replied")),
    Word(
        "acted",
        Tone.GOOD,
        N_("Reached the goal"),
        N_("Something that the campaign was for, told by your own software."),
    ),
    Word("confirmed", Tone.GOOD, N_("Sign-up confirmed")),
    Word("person_erased", Tone.QUIET, N_("Person forgotten")),
    Word("preflight_overridden", Tone.ATTENTION, N_("Sent despite the check"), N_("Somebody took the blame for it.")),
    Word("warmup_started", Tone.ACTIVE, N_("Warm-up begun")),
    Word("warmup_advanced", Tone.GOOD, N_("Warm-up goes up")),
    Word("warmup_held", Tone.QUIET, N_("Warm-up stays")),
    Word("warmup_stepped_back", Tone.ATTENTION, N_("Warm-up goes down")),
    Word("warmup_resumed", Tone.GOOD, N_("Warm-up goes on")),
    Word("warmup_alarm", Tone.BAD, N_("Warm-up needs you")),
    Word("warmup_overridden", Tone.ATTENTION, N_("Somebody decided about the warm-up")),
    Word("warmup_ended", Tone.GOOD, N_("Warm-up is over")),
    Word("warmup_jump", Tone.ATTENTION, N_("Volume jumped")),
    Word("hygiene_plan_ready", Tone.ATTENTION, N_("Hygiene plan waits for you")),
    Word("hygiene_plan_applied", Tone.ACTIVE, N_("Hygiene plan applied")),
    Word("hygiene_plan_undone", Tone.QUIET, N_("Hygiene plan undone")),
    Word("list_health_changed", Tone.ATTENTION, N_("Health of a list changed")),
)

TODAY = by_key(
    Word("delivered", Tone.GOOD, N_("Delivered"), N_("The receiving host took the message (reply 2yz).")),
    Word("deferred", Tone.ATTENTION, N_("Put off"), N_("Attempts that were answered with not now (4yz).")),
    Word("refused", Tone.BAD, N_("Refused"), N_("Refused for good, or not taken in time.")),
    Word("bounced", Tone.BAD, N_("Bounced later"), N_("Taken first, sent back afterwards.")),
    Word("complained", Tone.BAD, N_("Complained"), N_("The recipient called it spam; their provider told us.")),
    Word("unsubscribed", Tone.QUIET, N_("Unsubscribed"), N_("People who want no more of it.")),
)
"""The numbers of a day, in their order."""

WEBHOOK = by_key(
    Word("enabled", Tone.GOOD, N_("Enabled"), N_("It is told of what happens.")),
    Word(
        "failing", Tone.ATTENTION, N_("Failing"), N_("It did not take the last webhook, and is tried again by itself.")
    ),
    Word("disabled", Tone.BAD, N_("Disabled"), N_("It is told nothing until somebody enables it.")),
)

WEBHOOK_DELIVERY = by_key(
    Word("delivered", Tone.GOOD, N_("Taken"), N_("It answered with a status from 200 to 299.")),
    Word("failing", Tone.ATTENTION, N_("Failing"), N_("It is tried again by itself.")),
    Word("given_up", Tone.BAD, N_("Given up"), N_("It was tried for three days.")),
    Word("skipped", Tone.QUIET, N_("Left out"), N_("A person left it out.")),
)

EVENT_GROUPS = by_key(
    Word("MESSAGE", Tone.ACTIVE, N_("Messages on their way")),
    Word("RETURN", Tone.ACTIVE, N_("What comes back")),
    Word("RUN", Tone.ACTIVE, N_("Campaigns and bulks")),
    Word("DOMAIN", Tone.ACTIVE, N_("Sender domains")),
    Word("QUEUE", Tone.ACTIVE, N_("The queue and its pace")),
    Word("WARM_UP", Tone.ACTIVE, N_("Warm-up")),
    Word("ACCOUNT", Tone.ACTIVE, N_("Suppressions, reports, webhooks")),
)
"""The topics of ``postwright.services.event_vocabulary``, by their names."""
