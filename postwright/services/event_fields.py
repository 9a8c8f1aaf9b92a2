"""What the data of events say, where several kinds say the same; ``event_vocabulary`` puts them together."""

import json
from typing import Any, Final

from postwright.store.events import Event
from postwright.store.webhooks import origin_of

INTERNAL_FIELDS: Final = frozenset({"blob"})
"""Fields that mean something only inside, and are shown to nobody."""
_OF_ENDPOINTS: Final = frozenset({"webhook_disabled", "webhook_enabled"})

REFUSAL: Final = {
    "reason": "why, as in `BounceReason` (`user_unknown`, `mailbox_full`, ...)",
    "blames": "whose affair that is: `recipient`, `sender` or `neither`",
    "permanent": "whether trying again would help nobody",
    "evidence": "by what the reason was recognised",
    "kind": "what it counts as against the contact: `hard_bounce`, `soft_bounce`, `none`, or empty while undecided",
}
ATTEMPT: Final = {
    "attempt": "the number of the attempt, from 1",
    "reply_code": "the SMTP reply code, or null where no reply was heard",
    "reply": "the reply's text, or why there was none",
    "remote": "the host that answered",
    "tls": "the TLS version of the connection, or empty",
    "enhanced_status": "the enhanced status code of RFC 3463, where there was one",
    "stage": "at which command of the conversation it ended",
}
ENDED: Final = {"cause": "why, in words", "by": "who did it, where a person did", **REFUSAL}
BOUNCED: Final = {
    "status": "the status of the notice (RFC 3464)",
    "code": "the SMTP reply code in it",
    "diagnostic": "what the receiving host had said",
    **REFUSAL,
}
VERDICT: Final = {
    "verdict": "`human`, `probable` or `machine`",
    "rule": "the rule that decided (docs/tracking.md)",
}
REVISED: Final = {"event": "the number of the event that is corrected", **VERDICT, "was": "the verdict before"}
UNSUBSCRIBED: Final = {
    "way": "`one_click`, `page` or `preferences`",
    "scope": "`list`, `stream` or `all`, where it is said",
}
LINK: Final = {"link": "the number of the link in the message"}
DOMAIN: Final = {"domain": "the sender domain"}
KEY: Final = {"selector": "the DKIM selector"}
SIGHTED: Final = {**DOMAIN, **KEY, "sentence": "what the name servers showed"}
SCOPE: Final = {"scope": "`destination:<number>`, `provider:<name>` or `domain:<name>`"}
PACE: Final = {
    **SCOPE,
    "egress": "the address that the mail leaves from; empty: all",
    "before": "the limits before",
    "after": "the limits now",
    "rule": "the rule that acted",
    "evidence": "the reply that it acted on",
    "until": "until when, in microseconds since 1970, or null",
    "site": "the mail hosts, where the destination is one site",
    "provider": "the provider",
}
ACTION: Final = {
    "target": "what it is about, in words",
    **SCOPE,
    "by": "who did it: an API key, a person, or `time`",
    "note": "the reason that was given",
    "destination_id": "the number of the destination, or null",
    "domain": "the recipient domain, or null",
    "deliveries": "how many deliveries were moved",
    "until": "until when, in microseconds since 1970, or null",
}
PACE_OR_ACTION: Final = {**ACTION, **PACE}
CAMPAIGN: Final = {"campaign": "its name", "kind": "`bulk` where it is one of an API client"}
REPORT: Final = {
    "report": "the number of the report",
    "kind": "`aggregate`, `failure` or `tls`",
    "organisation": "who reports",
    "report_id": "its id at that organisation",
    "domain": "the domain that it is about",
    "remarks": "how many remarks reading it left",
}
HYGIENE_PLAN: Final = {
    "plan": "the number of the plan",
    "sentence": "whom it is about",
    "terms": "what it was made by: a `preset` or the `tree` of a segment, `removal`, `ask_first`, `mails`, ...",
}
WARM_UP: Final = {
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
ENDPOINT: Final = {
    "endpoint": "the endpoint's id",
    "url": "scheme and host of its URL; the rest may be a secret, which only admins see",
    "reason": "why, in a sentence",
}


def told_data(event: Event) -> dict[str, Any]:
    """What an event may be told with: nothing internal, and of an endpoint's URL no more than scheme and host.

    Older logs have whole URLs, which are for admins alone.
    """
    data = {name: value for name, value in json.loads(event.data).items() if name not in INTERNAL_FIELDS}
    if event.kind in _OF_ENDPOINTS and isinstance(data.get("url"), str):
        data["url"] = origin_of(data["url"])
    return data
