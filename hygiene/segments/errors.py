"""What can be wrong with a segment."""

from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say


class SegmentSyntaxError(InputSyntaxError):
    """A tree that cannot be read or used; ``path`` is the JSON path of the fault, ``$`` being the whole tree."""

    def __init__(self, message: str, *, path: str, next_step: str) -> None:
        super().__init__(say("%(path)s: %(message)s", path=path, message=message), next_step=next_step)
        self.path = path


class SegmentCycleError(SegmentSyntaxError):
    """A segment that, by way of others, contains itself."""


class FieldValueError(InputSyntaxError):
    """A value that does not fit the kind of its field."""
