"""Campaign parameters (utm_source and its kin) on link targets: added where they are missing, never overwritten."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote_plus, unquote_plus

from mailtypes.errors import InputSyntaxError

MAX_VALUE: Final = 200
_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")


class UtmSyntaxError(InputSyntaxError):
    """A parameter that cannot be put on links."""


def tag(url: str, params: Mapping[str, str]) -> str:
    """``url`` with the parameters that it does not have yet, in their order, before the fragment.

    Whatever is not an absolute http(s) URL (``tel:``, ``mailto:``, ``#place``) stays as it is, and nothing that stands
    in the URL is spelt anew. A parameter with an empty value is left out. Raises ``UtmSyntaxError`` for a name with
    characters beyond letters, digits, ``_-.``, and for a value of more than 200 characters.
    """
    wanted = {name: value for name, value in params.items() if value}
    for name, value in wanted.items():
        if not name or not _NAME_CHARACTERS.issuperset(name):
            raise UtmSyntaxError(
                f"{name!r} is no name of a parameter", source=name, next_step="Write utm_campaign, for instance."
            )
        if len(value) > MAX_VALUE:
            raise UtmSyntaxError(f"the value of {name} is longer than {MAX_VALUE} characters", source=value)
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in ("http", "https") or not rest:
        return url
    address, hash_sign, fragment = url.partition("#")
    before, _, query = address.partition("?")
    present = _names_in(query)
    added = "&".join(
        f"{name}={quote_plus(value.encode('utf-8', 'replace'))}"
        for name, value in wanted.items()
        if name.lower() not in present
    )
    if not added:
        return url
    joint = "" if not query or query.endswith("&") else "&"
    return f"{before}?{query}{joint}{added}{hash_sign}{fragment}"


def _names_in(query: str) -> frozenset[str]:
    """The names in a query, in lower case: analytics take utm_source and UTM_Source for one."""
    return frozenset(unquote_plus(part.partition("=")[0]).lower() for part in query.split("&"))
