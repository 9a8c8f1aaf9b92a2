"""What keeps a record from being proposed."""

from mailtypes.errors import InputSyntaxError


class PublishError(InputSyntaxError):
    """An existing record that cannot be built upon; it has to be mended first."""
