"""The few words that the pages' script says, handed to it with each page."""

import json

from postwright.web.language import N_, gettext

_WORDS = {
    "d": N_("%(count)s d"),
    "h": N_("%(count)s h"),
    "min": N_("%(count)s min"),
    "s": N_("%(count)s s"),
    "copied": N_("Copied"),
    "by_hand": N_("Select it by hand"),
    "lately": N_("in the last seconds"),
    "on_average": N_("on average"),
}


def script_words() -> str:
    """As JSON for an attribute of the page."""
    return json.dumps({name: gettext(message) for name, message in _WORDS.items()}, ensure_ascii=False)
