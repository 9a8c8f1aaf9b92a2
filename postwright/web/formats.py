"""Numbers, times and sizes as people read them."""

from mailtypes.clock import SECOND, as_datetime

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def number(value: float) -> str:
    """With thousands separators; small fractions with one digit."""
    if isinstance(value, int) or value >= 100 or value == int(value):
        return f"{round(value):,}"
    return f"{value:,.1f}"


def percent(part: float, whole: float) -> str:
    """A share with one digit; it says 100 only where nothing is missing, and 0 only where nothing is there."""
    if not whole:
        return "0%"
    share = 100 * part / whole
    if part in (0, whole):
        return f"{share:.0f}%"
    return f"{min(max(share, 0.1), 99.9):.1f}%"


def moment(microseconds: int | None) -> str:
    """A moment to the second; its zone stands beside it (see the macro ``time``)."""
    return "" if microseconds is None else as_datetime(microseconds).strftime("%-d %b %Y, %H:%M:%S")


def day(microseconds: int) -> str:
    """The day of a moment (UTC)."""
    return as_datetime(microseconds).strftime("%-d %b %Y")


def short_day(microseconds: int) -> str:
    """The day of a moment (UTC) without its year."""
    return as_datetime(microseconds).strftime("%-d %b")


def iso_moment(microseconds: int) -> str:
    """For machines: ISO 8601 with the zone."""
    return as_datetime(microseconds).isoformat(timespec="milliseconds")


def duration(seconds: float) -> str:
    """Two units are enough: ``3 min 20 s``; below ten seconds one digit behind the point."""
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count} {unit}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 ")) or "0 s"


def ago(then: int, now: int) -> str:
    """How long since; ``in 5 min`` for what is to come."""
    span = (now - then) / SECOND
    if abs(span) < 1:
        return "now"
    text = duration(round(abs(span)))
    return f"{text} ago" if span > 0 else f"in {text}"


def octets(count: int) -> str:
    """A size in octets, kibibytes or mebibytes."""
    if count < 1024:
        return f"{count:,} bytes"
    if count < 1024 * 1024:
        return f"{count / 1024:,.1f} KiB"
    return f"{count / 1024 / 1024:,.1f} MiB"
