"""The character sets of text parts that are read: a closed list, since some of Python's codecs are slow or no text."""

from typing import Final

_CODECS: Final = {
    "utf-8": ("utf8", "unicode-1-1-utf-8"),
    "ascii": ("us-ascii", "ansi-x3.4-1968"),
    "iso-8859-1": ("latin1", "l1"),
    "iso-8859-8": ("iso-8859-8-i", "iso-8859-8-e", "hebrew"),
    **{f"iso-8859-{number}": () for number in (2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14, 15, 16)},
    **{f"cp{number}": (f"windows-{number}",) for number in range(1250, 1259)},
    "cp874": ("windows-874", "tis-620"),
    "koi8-r": (),
    "koi8-u": (),
    "mac-roman": ("macintosh",),
    "gb2312": (),
    "gbk": ("cp936",),
    "gb18030": (),
    "big5": (),
    "euc-kr": ("ks-c-5601-1987",),
    "euc-jp": (),
    "shift-jis": ("shift_jis", "x-sjis"),
    "iso-2022-jp": (),
}
_BY_NAME: Final = {name: codec for codec, names in _CODECS.items() for name in (codec, *names)}


def codec_of(charset: str) -> str | None:
    """Python's codec for the name of a character set (RFC 2045 section 5.2: ASCII where it is missing)."""
    return _BY_NAME.get(charset.strip().lower() or "us-ascii")
