"""Which link targets may be tracked and redirected to. Targets are stored; no URL ever says where to redirect to.

Whatever is not an absolute http(s) URL (``mailto:``, ``tel:``, ``#place``, a relative path) stays in the mail as it
is. What looks like one but could mislead a browser or a reader is an error that somebody has to mend.
"""

from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.errors import InputSyntaxError, Span

MAX_TARGET_LENGTH = 2048
"""Characters of a target in its ASCII form; longer ones fail in browsers and gateways on the way."""

# RFC 3986 section 2: reserved and unreserved characters and the percent sign stay, all others are encoded.
_URL_SAFE = "!#$%&'()*+,/:;=?@[]~-._"
_FORBIDDEN = frozenset('<>"\\^`{|} ')


class LinkTargetError(InputSyntaxError):
    """A link target that must not be redirected to."""


def is_trackable(url: str) -> bool:
    """Whether a link in a mail may be replaced by a tracked one: an absolute http or https URL without fault."""
    try:
        redirect_location(url)
    except LinkTargetError:
        return False
    return True


def redirect_location(url: str) -> str:
    """``url`` in the ASCII form of a Location header field (RFC 9110 section 10.2.2); raise ``LinkTargetError``.

    Letters beyond ASCII are percent-encoded as UTF-8 (RFC 3987 section 3.1), the host becomes A-labels.
    """
    for position, character in enumerate(url):
        if character in _FORBIDDEN or not character.isprintable():
            raise LinkTargetError(
                f"the link has a character that is not allowed in one: {character!r}",
                source=url,
                span=Span(position, position + 1),
                next_step="Write it percent-encoded, or remove it.",
            )
    scheme, colon_slashes, rest = url.partition("://")
    if scheme.lower() not in ("http", "https") or not colon_slashes:
        raise LinkTargetError(
            "only absolute http and https links can be tracked",
            source=url,
            next_step="Write the whole link, beginning with https://.",
        )
    authority = _ascii_authority(url)
    behind = rest[len(urlsplit(url).netloc) :]
    location = f"{scheme.lower()}://{authority}{quote(behind, safe=_URL_SAFE)}"
    if len(location) > MAX_TARGET_LENGTH:
        raise LinkTargetError(f"the link is longer than {MAX_TARGET_LENGTH} characters", source=url)
    return location


def _ascii_authority(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if "@" in parts.netloc:  # https://bank.example@evil.example
            raise ValueError("a user name before the host misleads readers")
        if parts.netloc.startswith("["):
            name = f"[{ip_address(host)}]"
        elif _looks_like_a_number(host.rpartition(".")[2]):
            name = str(ip_address(host))  # refuses 2130706433, 127.1 and 0x7f.1, which browsers take for addresses
        else:
            name = DomainName.parse(host).ascii
        if port == 0:
            raise ValueError("port 0 cannot be reached")
    except DomainSyntaxError as error:
        raise LinkTargetError(error.message, source=url, next_step=error.next_step) from error
    except ValueError as error:
        raise LinkTargetError(f"the link has no usable host: {error}", source=url) from error
    return name if port is None else f"{name}:{port}"


def _looks_like_a_number(last_label: str) -> bool:
    return last_label.isdigit() or last_label.startswith("0x")
