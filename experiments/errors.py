"""What is wrong with the description of an experiment, and where in it."""

from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say


class ExperimentSyntaxError(InputSyntaxError):
    """A value that no experiment can have. ``path`` is its place as a JSON path, for instance ``variants[1].name``."""

    def __init__(self, path: str, message: str, *, next_step: str) -> None:
        told = say("%(path)s: %(message)s", path=path, message=message) if path else message
        super().__init__(told, next_step=next_step)
        self.path = path
