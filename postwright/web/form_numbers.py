"""Whole numbers out of forms and addresses of pages: whatever is typed there, a number is one that a row can have."""

_MOST_DIGITS = 18  # fits 64 bits; more digits would fail in the database, and thousands of them in Python


def read_number(text: object) -> int | None:
    """The number that ``text`` writes in up to 18 ASCII digits, ``None`` for everything else."""
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        return None
    return int(text)
