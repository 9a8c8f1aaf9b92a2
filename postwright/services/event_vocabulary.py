"""Every kind of event in one place: what it means and what its data say. One vocabulary for log, API and webhooks.

``docs/events.md`` is written from here (``events_page``), and what an endpoint of webhooks asks for is checked by it.
A kind that is recorded and stands not here fails a test.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from postwright.services.errors import Problem, RefusedError
from postwright.store.events import SCHEMA_VERSION

INTERNAL_FIELDS: Final = frozenset({"blob"})
"""Fields that mean something only inside, and are shown to nobody."""


class EventTopic(StrEnum):
    """What an event is about; the chapters of the page."""

    MESSAGE = "Messages on their way"
    RETURN = "What comes back"
    RUN = "Campaigns and bulks"
    DOMAIN = "Sender domains"
    QUEUE = "The queue and its pace"
    WARM_UP = "Warm-up"
    ACCOUNT = "People and lists, reports, webhooks"


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event. ``fields`` of its data by name; ``version`` rises when one of them changes its meaning.

    Fields are only ever added within a version. ``is_recorded`` is false where the word is set down for what nothing
    records yet, so that nobody gives it another meaning.
    """

    name: str
    topic: EventTopic
    meaning: str
    fields: Mapping[str, str] = field(default_factory=dict)
    version: int = SCHEMA_VERSION
    is_recorded: bool = True


_REFUSAL: Final = {
    "reason": "why, as in `BounceReason` (`user_unknown`, `mailbox_full`, ...)",
    "blames": "whose affair that is: `recipient`, `sender` or `neither`",
    "permanent": "whether trying again would help nobody",
    "evidence": "by what the reason was recognised",
    "kind": "what it counts as against the contact: `hard_bounce`, `soft_bounce`, `none`, or empty while undecided",
}
_ATTEMPT: Final = {
    "attempt": "the number of the attempt, from 1",
    "reply_code": "the SMTP reply code, or null where no reply was heard",
    "reply": "the reply's text, or why there was none",
    "remote": "the host that answered",
    "tls": "the TLS version of the connection, or empty",
    "enhanced_status": "the enhanced status code of RFC 3463, where there was one",
    "stage": "at which command of the conversation it ended",
}
_ENDED: Final = {"cause": "why, in words", "by": "who did it, where a person did", **_REFUSAL}
_BOUNCED: Final = {
    "status": "the status of the notice (RFC 3464)",
    "code": "the SMTP reply code in it",
    "diagnostic": "what the receiving host had said",
    **_REFUSAL,
}
_VERDICT: Final = {
    "verdict": "`human`, `probable` or `machine`",
    "rule": "the rule that decided (docs/tracking.md)",
}
_REVISED: Final = {"event": "the number of the event that is corrected", **_VERDICT, "was": "the verdict before"}
_UNSUBSCRIBED: Final = {
    "way": "`one_click`, `page` or `preferences`",
    "scope": "`list`, `stream` or `all`, where it is said",
}
_LINK: Final = {"link": "the number of the link in the message"}
_DOMAIN: Final = {"domain": "the sender domain"}
_KEY: Final = {"selector": "the DKIM selector"}
_SIGHTED: Final = {**_DOMAIN, **_KEY, "sentence": "what the name servers showed"}
_SCOPE: Final = {"scope": "`destination:<number>`, `provider:<name>` or `domain:<name>`"}
_PACE: Final = {
    **_SCOPE,
    "egress": "the address that the mail leaves from; empty: all",
    "before": "the limits before",
    "after": "the limits now",
    "rule": "the rule that acted",
    "evidence": "the reply that it acted on",
    "until": "until when, in microseconds since 1970, or null",
    "site": "the mail hosts, where the destination is one site",
    "provider": "the provider",
}
_ACTION: Final = {
    "target": "what it is about, in words",
    **_SCOPE,
    "by": "who did it: an API key, a person, or `time`",
    "note": "the reason that was given",
    "destination_id": "the number of the destination, or null",
    "domain": "the recipient domain, or null",
    "deliveries": "how many deliveries were moved",
    "until": "until when, in microseconds since 1970, or null",
}
_PACE_OR_ACTION: Final = {**_ACTION, **_PACE}
_CAMPAIGN: Final = {"campaign": "its name", "kind": "`bulk` where it is one of an API client"}
_REPORT: Final = {
    "report": "the number of the report",
    "kind": "`aggregate`, `failure` or `tls`",
    "organisation": "who reports",
    "report_id": "its id at that organisation",
    "domain": "the domain that it is about",
    "remarks": "how many remarks reading it left",
}
_HYGIENE_PLAN: Final = {"plan": "the number of the plan", "sentence": "whom it is about"}
_WARM_UP: Final = {
    "subject": "the sender domain or the address that mail leaves from",
    "of": "`domain` or `egress`",
    "by": "who decided: a rule, an API key or a person",
    "provider": "the provider",
    "day": "the day that was judged, yyyy-mm-dd",
    "action": "`advance`, `hold`, `step_back` or `pause`",
    "cause": "what it was decided by",
    "from_level": "the level before",
    "to_level": "the level now",
    "from_cap": "messages a day before",
    "to_cap": "messages a day now",
    "phase": "the part of the plan",
    "alarm": "whether a person has to look",
    "unknown": "the measures that nobody could find out",
    "evidence": "a list of the rules that spoke, with their figures",
    "note": "the reason that a person gave",
    "sentence": "the decision in words",
}
_PLAN: Final = {
    "plan": "the number of the plan",
    "sentence": "whom it is about",
    "by": "who did it",
    "moves": "how many people each step of it moves",
    "doubt": "why it may be wrong",
}
_ENDPOINT: Final = {"endpoint": "the endpoint's id", "url": "its URL", "reason": "why, in a sentence"}

_M, _B, _R, _D = EventTopic.MESSAGE, EventTopic.RETURN, EventTopic.RUN, EventTopic.DOMAIN
_Q, _W, _A = EventTopic.QUEUE, EventTopic.WARM_UP, EventTopic.ACCOUNT
_ALL: Final = (
    EventKind("accepted", _M, "A message of an API client or SMTP submitter was stored for this recipient."),
    EventKind("delivered", _M, "The receiving host took the message (reply 2yz).", {**_ATTEMPT, **_REFUSAL}),
    EventKind(
        "deferred",
        _M,
        "The receiving host said not now (4yz), or could not be reached; it is tried again.",
        {**_ATTEMPT, "retry_at": "when, in microseconds since 1970", **_REFUSAL},
    ),
    EventKind(
        "failed",
        _M,
        "The receiving host said no for good (5yz), the domain takes no mail, or somebody gave it up.",
        {**_ATTEMPT, **_ENDED},
    ),
    EventKind("expired", _M, "It was not taken within the time that the stream allows.", {**_ATTEMPT, **_ENDED}),
    EventKind(
        "ambiguous",
        _M,
        "The connection broke before the answer: it may have arrived or not.",
        {**_ATTEMPT, "retry_at": "when it is tried again", "cause": "`lease` where a worker vanished", **_REFUSAL},
    ),
    EventKind("suppressed", _M, "Not sent: the address is on the suppression list.", {"reason": "the suppression's"}),
    EventKind("cancelled", _M, "Not sent: the campaign or message was cancelled before its turn.", _ENDED),
    EventKind("bounced", _B, "A bounce came back after the message had been taken.", _BOUNCED),
    EventKind("delayed", _B, "The receiver tells that it has not delivered the message yet.", _BOUNCED),
    EventKind(
        "complained",
        _B,
        "The recipient called it spam, and their provider told us (RFC 5965).",
        {"feedback_type": "the type in the report", "user_agent": "who wrote the report", **_REFUSAL},
    ),
    EventKind(
        "feedback_unread",
        _B,
        "Something came back that does not say what became of the message.",
        {**_BOUNCED, "feedback_type": "the type in the report", "user_agent": "who wrote the report"},
    ),
    EventKind("opened", _B, "The pixel was fetched, by a person or a machine.", _VERDICT),
    EventKind("clicked", _B, "A link was followed, by a person or a machine.", {**_LINK, **_VERDICT}),
    EventKind("opened_revised", _B, "The verdict of an open is another one than it was.", _REVISED),
    EventKind("clicked_revised", _B, "The verdict of a click is another one than it was.", {**_REVISED, **_LINK}),
    EventKind("unsubscribed", _B, "The recipient unsubscribed.", _UNSUBSCRIBED),
    EventKind("resubscribed", _B, "The recipient took an unsubscribe back.", _UNSUBSCRIBED),
    EventKind(
        "preferences_changed",
        _B,
        "The recipient changed what they get, or how.",
        {"changed": "the names of what changed"},
    ),
    EventKind("replied", _B, "The recipient answered the message.", is_recorded=False),
    EventKind(
        "acted",
        _B,
        "The recipient did what the message asked for, as an API client tells.",
        {"goal": "what it is called", "value": "what it is worth, where it has a value"},
    ),
    EventKind(
        "campaign_scheduled",
        _R,
        "It begins by itself at its time.",
        {"campaign": "its name", "starts_at": "when, in microseconds since 1970"},
    ),
    EventKind(
        "campaign_blocked",
        _R,
        "Its time came, and pre-flight kept it from beginning.",
        {"campaign": "its name", "cause": "what blocks it"},
    ),
    EventKind("run_started", _R, "Sending began.", _CAMPAIGN),
    EventKind(
        "experiment_decided",
        _R,
        "A test is decided, and the rest gets the winner.",
        {
            "winner": "the number of the variant",
            "by": "rule, deadline, person or too_few_recipients",
            "sentence": "why",
        },
    ),
    EventKind(
        "experiment_asks",
        _R,
        "A person has to say which variant the rest gets.",
        {"proposed": "the name of the variant that leads, or null", "sentence": "why"},
    ),
    EventKind(
        "preflight_overridden",
        _R,
        "Somebody sent a campaign against findings of pre-flight, and said why.",
        {**_CAMPAIGN, "who": "who it was", "note": "why", "findings": "code and sentence of each"},
    ),
    EventKind("run_preparing", _R, "Sending was resumed.", _CAMPAIGN),
    EventKind("run_sending", _R, "Sending was resumed.", _CAMPAIGN),
    EventKind("run_paused", _R, "It was paused.", _CAMPAIGN),
    EventKind("run_cancelled", _R, "It was cancelled.", _CAMPAIGN),
    EventKind(
        "campaign_scheduled",
        _R,
        "A campaign begins by itself later.",
        {**_CAMPAIGN, "starts_at": "when, in microseconds since 1970"},
    ),
    EventKind(
        "campaign_blocked",
        _R,
        "A campaign could not begin when its time had come.",
        {**_CAMPAIGN, "cause": "why"},
    ),
    EventKind(
        "experiment_asks",
        _R,
        "The sample of an A/B test is in, and a person has to decide.",
        {"proposed": "the variant that the counts speak for", "sentence": "what they say"},
    ),
    EventKind(
        "experiment_decided",
        _R,
        "The rest of an A/B test gets the winner.",
        {"winner": "the variant", "by": "who decided", "sentence": "what the counts say"},
    ),
    EventKind(
        "domain_state_changed",
        _D,
        "A sender domain is verified, failing or pending now.",
        {**_DOMAIN, "before": "the state before", "after": "the state now"},
    ),
    EventKind(
        "domain_changed", _D, "Somebody changed its settings.", {**_DOMAIN, "changed": "the names of what changed"}
    ),
    EventKind(
        "domain_drift",
        _D,
        "Its records are not what they were.",
        {**_DOMAIN, "changes": "a list of code, before, after"},
    ),
    EventKind(
        "domain_expiring",
        _D,
        "Something of it expires soon, or has expired.",
        {**_DOMAIN, "code": "the finding", "sentence": "what it says"},
    ),
    EventKind(
        "dkim_rotation_begun", _D, "The next DKIM key was made.", {**_DOMAIN, "selectors": "those of the new keys"}
    ),
    EventKind(
        "dkim_key_moved",
        _D,
        "A DKIM key is in another state of its life.",
        {**_DOMAIN, **_KEY, "before": "the state before", "after": "the state now"},
    ),
    EventKind("dkim_key_missing", _D, "A key that signs is not to be seen any more.", _SIGHTED),
    EventKind("dkim_key_back", _D, "It is to be seen again.", _SIGHTED),
    EventKind("destination_slowed", _Q, "A rule lowered the pace, after what a receiving host had said.", _PACE),
    EventKind("destination_raised", _Q, "The pace was raised a step after a quiet while.", _PACE),
    EventKind("destination_suspended", _Q, "Nothing is sent there, by a rule or a person.", _PACE_OR_ACTION),
    EventKind("destination_resumed", _Q, "Mail goes there again.", _PACE_OR_ACTION),
    EventKind("queue_suspended", _Q, "A domain or campaign is sent nothing, by a person.", _ACTION),
    EventKind("queue_resumed", _Q, "It is sent mail again.", _ACTION),
    EventKind("queue_flushed", _Q, "What was deferred is tried at once.", _ACTION),
    EventKind("queue_failed", _Q, "What waited was given up.", _ACTION),
    EventKind(
        "warmup_started",
        _W,
        "A warm-up has begun, or began anew for a provider.",
        {**_WARM_UP, "plan": "its plan, as it was frozen"},
    ),
    EventKind("warmup_advanced", _W, "More may be sent from now on.", _WARM_UP),
    EventKind("warmup_held", _W, "The amount stays as it is.", _WARM_UP),
    EventKind("warmup_stepped_back", _W, "Less may be sent from now on.", _WARM_UP),
    EventKind("warmup_paused", _W, "Nothing may be sent until somebody resumes it.", _WARM_UP),
    EventKind("warmup_resumed", _W, "It goes on.", _WARM_UP),
    EventKind("warmup_alarm", _W, "Something of a warm-up needs a person. An alarm.", _WARM_UP),
    EventKind(
        "warmup_overridden",
        _W,
        "A person decided against the rules.",
        {**_WARM_UP, "providers": "of which providers", "ignored": "the preconditions that did not hold"},
    ),
    EventKind("warmup_ended", _W, "A warm-up is over: what waited for its budget goes out.", _WARM_UP),
    EventKind(
        "warmup_jump",
        _W,
        "Far more was sent on a day than is usual.",
        {
            **_WARM_UP,
            "sent": "how many messages",
            "usual": "how many are usual",
            "allowed": "how many would not have been a jump",
        },
    ),
    EventKind(
        "confirmed", _A, "Somebody confirmed that they had signed up by a form.", {"form": "the name of the form"}
    ),
    EventKind("person_erased", _A, "Somebody was forgotten at their wish."),
    EventKind("hygiene_plan_ready", _A, "A plan to prune lists is ready to be looked at.", _PLAN),
    EventKind("hygiene_plan_applied", _A, "A plan to prune lists was carried out.", _PLAN),
    EventKind("hygiene_plan_undone", _A, "A plan to prune lists was taken back.", _PLAN),
    EventKind(
        "suppression_lifted",
        _A,
        "An address may be written to again.",
        {
            "address": "the address",
            "scope": "all, stream or list",
            "reason": "why it was suppressed",
            "by": "who lifted it",
            "note": "why",
        },
    ),
    EventKind(
        "hygiene_plan_ready",
        _A,
        "A plan to prune is ready to be looked at.",
        {**_HYGIENE_PLAN, "moves": "how many contacts each move is for", "doubt": "why not to believe it"},
    ),
    EventKind("hygiene_plan_applied", _A, "A plan to prune was applied.", {**_HYGIENE_PLAN, "by": "who did it"}),
    EventKind("hygiene_plan_undone", _A, "A plan to prune was taken back.", {**_HYGIENE_PLAN, "by": "who did it"}),
    EventKind(
        "list_health_changed",
        _A,
        "Bounces or complaints of a list prove another state than before. An alarm.",
        {
            "list": "the number of the list",
            "name": "its name",
            "before": "`healthy`, `unknown`, `review` or `pause`",
            "after": "the same, now",
            "cause": "why, in a sentence",
        },
    ),
    EventKind("report_stored", _A, "A DMARC or TLS report came in.", _REPORT),
    EventKind(
        "report_unread",
        _A,
        "Something came to the report address that cannot be read.",
        {
            "report": "its number",
            "detail": "why it cannot be read",
            "place": "line and column",
            "within": "the packed file or part that it is in",
            "next_step": "what to do",
        },
    ),
    EventKind("webhook_disabled", _A, "An endpoint of webhooks gets nothing any more. An alarm.", _ENDPOINT),
    EventKind("webhook_enabled", _A, "An endpoint of webhooks was enabled again.", _ENDPOINT),
)
KINDS: Final[Mapping[str, EventKind]] = {kind.name: kind for kind in _ALL}
"""Every kind by its name, in the order of the page."""


def check_kinds(names: Iterable[str], field_name: str = "kinds") -> tuple[str, ...]:
    """The names in the order of the vocabulary, each once; raises ``RefusedError`` naming every unknown one."""
    wanted = set(names)
    unknown = sorted(wanted - KINDS.keys())
    if unknown:
        raise RefusedError.of(
            [
                Problem(
                    "unknown_event_kind",
                    f"'{name[:60]}' is no kind of event.",
                    field_name,
                    next_step="docs/events.md lists them all.",
                )
                for name in unknown
            ]
        )
    return tuple(name for name in KINDS if name in wanted)


def events_page() -> str:
    """``docs/events.md`` without its first lines: a table for each topic."""
    parts = [_INTRODUCTION]
    for topic in EventTopic:
        kinds = [kind for kind in KINDS.values() if kind.topic is topic]
        if kinds:
            rows = "\n".join(_row(kind) for kind in kinds)
            parts.append(f"## {topic}\n\n| kind | meaning | version | data |\n|---|---|---|---|\n{rows}")
    return "\n\n".join(parts) + "\n"


def _row(kind: EventKind) -> str:
    fields = "; ".join(f"`{name}`: {meaning}" for name, meaning in kind.fields.items())
    meaning = kind.meaning if kind.is_recorded else f"{kind.meaning} Set down for later: nothing records it yet."
    return f"| `{kind.name}` | {meaning} | {kind.version} | {fields} |"


_INTRODUCTION: Final = """\
What happens is written down once, in the event log, and never changed; `GET /v1/events`, webhooks and statistics all
speak of it in these words. Every event has an id, `kind`, `schema_version`, `occurred_at` (when it happened),
`recorded_at` (when it was written down) and, where it is about one, the run, the message and the address. What else it
says is in `data`, by kind, as below. A field may be missing where it does not apply. Fields are added without notice; a
field that changes its meaning, or goes, raises the version of its kind.

The one exception to "never changed": when somebody withdraws consent, their opens and clicks lose message and address,
and say from then on that somebody did so.

Events are read in the order of `recorded_at` and id. One appears two seconds after it was recorded, so that none is
missed by whoever reads on from where they were."""
