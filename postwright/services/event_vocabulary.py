"""Every kind of event in one place: what it means and what its data say. One vocabulary for log, API and webhooks.

``docs/events.md`` is written from here (``events_page``), and what an endpoint of webhooks asks for is checked by it.
A kind that is recorded and stands not here fails a test.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mailtypes.saying import say
from postwright.services.errors import Problem, RefusedError
from postwright.services.event_fields import (
    ACTION,
    ATTEMPT,
    BOUNCED,
    CAMPAIGN,
    DOMAIN,
    ENDED,
    ENDPOINT,
    HYGIENE_PLAN,
    KEY,
    LINK,
    PACE,
    PACE_OR_ACTION,
    REFUSAL,
    REPORT,
    REVISED,
    SIGHTED,
    UNSUBSCRIBED,
    VERDICT,
    WARM_UP,
)
from postwright.store.events import SCHEMA_VERSION


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


_M, _B, _R, _D = EventTopic.MESSAGE, EventTopic.RETURN, EventTopic.RUN, EventTopic.DOMAIN
_Q, _W, _A = EventTopic.QUEUE, EventTopic.WARM_UP, EventTopic.ACCOUNT
_ALL: Final = (
    EventKind("accepted", _M, "A message of an API client or SMTP submitter was stored for this recipient."),
    EventKind("delivered", _M, "The receiving host took the message (reply 2yz).", {**ATTEMPT, **REFUSAL}),
    EventKind(
        "deferred",
        _M,
        "The receiving host said not now (4yz), or could not be reached; it is tried again.",
        {**ATTEMPT, "retry_at": "when, in microseconds since 1970", **REFUSAL},
    ),
    EventKind(
        "failed",
        _M,
        "The receiving host said no for good (5yz), the domain takes no mail, or somebody gave it up.",
        {**ATTEMPT, **ENDED},
    ),
    EventKind("expired", _M, "It was not taken within the time that the stream allows.", {**ATTEMPT, **ENDED}),
    EventKind(
        "ambiguous",
        _M,
        "The connection broke before the answer: it may have arrived or not.",
        {**ATTEMPT, "retry_at": "when it is tried again", "cause": "`lease` where a worker vanished", **REFUSAL},
    ),
    EventKind(
        "suppressed",
        _M,
        "Not sent: the address is suppressed, or the contact is not meant any more.",
        {"reason": "the suppression's, or `archived`, `frequency_cap`, `win_back`"},
    ),
    EventKind("cancelled", _M, "Not sent: the campaign or message was cancelled before its turn.", ENDED),
    EventKind("bounced", _B, "A bounce came back after the message had been taken.", BOUNCED),
    EventKind("delayed", _B, "The receiver tells that it has not delivered the message yet.", BOUNCED),
    EventKind(
        "complained",
        _B,
        "The recipient called it spam, and their provider told us (RFC 5965).",
        {"feedback_type": "the type in the report", "user_agent": "who wrote the report", **REFUSAL},
    ),
    EventKind(
        "feedback_unread",
        _B,
        "Something came back that does not say what became of the message.",
        {**BOUNCED, "feedback_type": "the type in the report", "user_agent": "who wrote the report"},
    ),
    EventKind("opened", _B, "The pixel was fetched, by a person or a machine.", VERDICT),
    EventKind("clicked", _B, "A link was followed, by a person or a machine.", {**LINK, **VERDICT}),
    EventKind("opened_revised", _B, "The verdict of an open is another one than it was.", REVISED),
    EventKind("clicked_revised", _B, "The verdict of a click is another one than it was.", {**REVISED, **LINK}),
    EventKind("unsubscribed", _B, "The recipient unsubscribed.", UNSUBSCRIBED),
    EventKind("resubscribed", _B, "The recipient took an unsubscribe back.", UNSUBSCRIBED),
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
        "A campaign begins by itself later.",
        {**CAMPAIGN, "starts_at": "when, in microseconds since 1970"},
    ),
    EventKind(
        "campaign_blocked",
        _R,
        "A campaign could not begin when its time had come, or paused itself since its audience cannot be read.",
        {**CAMPAIGN, "cause": "why"},
    ),
    EventKind("run_started", _R, "Sending began.", CAMPAIGN),
    EventKind(
        "experiment_decided",
        _R,
        "The rest of an A/B test gets the winner.",
        {"winner": "the variant", "by": "who decided", "sentence": "what the counts say"},
    ),
    EventKind(
        "experiment_asks",
        _R,
        "The sample of an A/B test is in, and a person has to decide.",
        {"proposed": "the variant that the counts speak for", "sentence": "what they say"},
    ),
    EventKind(
        "preflight_overridden",
        _R,
        "A run began against findings of pre-flight that somebody had overruled, and said why.",
        {**CAMPAIGN, "who": "who it was", "note": "why", "findings": "code and sentence of each"},
    ),
    EventKind("run_preparing", _R, "Sending was resumed.", CAMPAIGN),
    EventKind("run_sending", _R, "Sending was resumed.", CAMPAIGN),
    EventKind("run_paused", _R, "It was paused.", CAMPAIGN),
    EventKind("run_cancelled", _R, "It was cancelled.", CAMPAIGN),
    EventKind(
        "domain_state_changed",
        _D,
        "A sender domain is verified, failing or pending now.",
        {**DOMAIN, "before": "the state before", "after": "the state now"},
    ),
    EventKind(
        "domain_changed", _D, "Somebody changed its settings.", {**DOMAIN, "changed": "the names of what changed"}
    ),
    EventKind(
        "domain_drift",
        _D,
        "Its records are not what they were.",
        {**DOMAIN, "changes": "a list of code, before, after"},
    ),
    EventKind(
        "domain_expiring",
        _D,
        "Something of it expires soon, or has expired.",
        {**DOMAIN, "code": "the finding", "sentence": "what it says"},
    ),
    EventKind(
        "dkim_rotation_begun", _D, "The next DKIM key was made.", {**DOMAIN, "selectors": "those of the new keys"}
    ),
    EventKind(
        "dkim_key_moved",
        _D,
        "A DKIM key is in another state of its life.",
        {**DOMAIN, **KEY, "before": "the state before", "after": "the state now"},
    ),
    EventKind("dkim_key_missing", _D, "A key that signs is not to be seen any more.", SIGHTED),
    EventKind("dkim_key_back", _D, "It is to be seen again.", SIGHTED),
    EventKind("destination_slowed", _Q, "A rule lowered the pace, after what a receiving host had said.", PACE),
    EventKind("destination_raised", _Q, "The pace was raised a step after a quiet while.", PACE),
    EventKind("destination_suspended", _Q, "Nothing is sent there, by a rule or a person.", PACE_OR_ACTION),
    EventKind("destination_resumed", _Q, "Mail goes there again.", PACE_OR_ACTION),
    EventKind("queue_suspended", _Q, "A domain or campaign is sent nothing, by a person.", ACTION),
    EventKind("queue_resumed", _Q, "It is sent mail again.", ACTION),
    EventKind("queue_flushed", _Q, "What was deferred is tried at once.", ACTION),
    EventKind("queue_failed", _Q, "What waited was given up.", ACTION),
    EventKind(
        "warmup_started",
        _W,
        "A warm-up has begun, or began anew for a provider.",
        {**WARM_UP, "plan": "its plan, as it was frozen"},
    ),
    EventKind("warmup_advanced", _W, "More may be sent from now on.", WARM_UP),
    EventKind("warmup_held", _W, "The amount stays as it is.", WARM_UP),
    EventKind("warmup_stepped_back", _W, "Less may be sent from now on.", WARM_UP),
    EventKind("warmup_paused", _W, "Nothing may be sent until somebody resumes it.", WARM_UP),
    EventKind("warmup_resumed", _W, "It goes on.", WARM_UP),
    EventKind("warmup_alarm", _W, "Something of a warm-up needs a person. An alarm.", WARM_UP),
    EventKind(
        "warmup_overridden",
        _W,
        "A person decided against the rules.",
        {**WARM_UP, "providers": "of which providers", "ignored": "the preconditions that did not hold"},
    ),
    EventKind("warmup_ended", _W, "A warm-up is over: what waited for its budget goes out.", WARM_UP),
    EventKind(
        "warmup_jump",
        _W,
        "Far more was sent on a day than is usual.",
        {
            **WARM_UP,
            "sent": "how many messages",
            "usual": "how many are usual",
            "allowed": "how many would not have been a jump",
        },
    ),
    EventKind(
        "confirmed", _A, "Somebody confirmed that they had signed up by a form.", {"form": "the name of the form"}
    ),
    EventKind("person_erased", _A, "Somebody was forgotten at their wish."),
    EventKind(
        "hygiene_plan_ready",
        _A,
        "A plan to prune is ready to be looked at.",
        {
            **HYGIENE_PLAN,
            "moves": "how many contacts each move is for",
            "doubt": "why not to believe it",
            "unknown": "how many contacts cannot be judged, since tracking is off for them",
        },
    ),
    EventKind("hygiene_plan_applied", _A, "A plan to prune was applied.", {**HYGIENE_PLAN, "by": "who did it"}),
    EventKind("hygiene_plan_undone", _A, "A plan to prune was taken back.", {**HYGIENE_PLAN, "by": "who did it"}),
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
    EventKind("report_stored", _A, "A DMARC or TLS report came in.", REPORT),
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
    EventKind("webhook_disabled", _A, "An endpoint of webhooks gets nothing any more. An alarm.", ENDPOINT),
    EventKind("webhook_enabled", _A, "An endpoint of webhooks was enabled again.", ENDPOINT),
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
                    say("'%(name)s' is no kind of event.", name=name[:60]),
                    field_name,
                    next_step=say("docs/events.md lists them all."),
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
What happens is written down once, in the event log, and not changed while it is kept (`retention.events`);
`GET /v1/events`, webhooks and statistics all speak of it in these words. Every event has an id, `kind`,
`schema_version`, `occurred_at` (when it happened), `recorded_at` (when it was written down) and, where it is about one,
the run, the message and the address. What else it says is in `data`, by kind, as below. A field may be missing where it
does not apply. Fields are added without notice; a field that changes its meaning, or goes, raises the version of its
kind.

The one exception to "not changed": when somebody withdraws consent, their opens and clicks lose message and address,
and say from then on that somebody did so.

Events are read in the order of `recorded_at` and id. One appears two seconds after it was recorded, so that none is
missed by whoever reads on from where they were."""
