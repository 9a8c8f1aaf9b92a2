"""What is wrong with the description of an experiment, and where in it."""

from mailtypes.errors import InputSyntaxError


class ExperimentSyntaxError(InputSyntaxError):
    """A value that no experiment can have. ``path`` is its place as a JSON path, for instance ``variants[1].name``."""

    def __init__(self, path: str, message: str, *, next_step: str) -> None:
        super().__init__(f"{path}: {message}" if path else message, next_step=next_step)
        self.path = path
