"""Several mails in one file (RFC 4155)."""

import re
from typing import Final

MAX_MAILS: Final = 10_000
_SEPARATOR: Final = re.compile(rb"(?:\A|\n\r?\n)From \S[^\r\n]{0,200}\r?\n(?=[\x21-\x39\x3b-\x7e]{1,100}:)")


def split_mailbox(octets: bytes) -> list[bytes]:
    """The mails of an mbox file, at most ``MAX_MAILS``; other octets are one mail.

    A line ``From ...`` separates where an empty line stands before it and a header field behind it.
    """
    if not octets.startswith(b"From "):
        return [octets]
    return [mail for mail in _SEPARATOR.split(octets, MAX_MAILS)[1:] if mail.strip()] or [octets]
