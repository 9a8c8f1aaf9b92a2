"""Exit codes; documented in docs/cli.md."""

from enum import IntEnum


class Exit(IntEnum):
    """What the command's exit status means."""

    OK = 0
    REFUSED = 1  # understood, and it cannot be done, or the check found errors
    UNKNOWN = 2  # could not find out
    USAGE = 64  # sysexits.h EX_USAGE: the command line is wrong
    DATA = 65  # EX_DATAERR: the input is wrong
    NOT_FOUND = 66  # EX_NOINPUT: no such thing, or no such file
    UNAVAILABLE = 69  # EX_UNAVAILABLE: database, disk or network do not work
    CONFIGURATION = 78  # EX_CONFIG: the settings are wrong
