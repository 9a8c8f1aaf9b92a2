"""BIMI for publishing."""

from dataclasses import dataclass

from dns_checks.bimi import BimiSyntaxError, parse_record
from dns_checks.publish.error import PublishError
from mailtypes.saying import say


@dataclass(frozen=True, slots=True)
class LogoPublication:
    """The addresses (``https:``) of the SVG file and of the mark certificate; ``PublishError`` where they are none."""

    logo_url: str
    certificate_url: str = ""
    selector: str = "default"

    def __post_init__(self) -> None:
        try:
            record = parse_record(self.record)
        except BimiSyntaxError as error:
            raise PublishError(
                say("no BIMI record can be made of it: %(message)s", message=error.message),
                source=self.record,
                span=error.span,
                next_step=error.next_step,
            ) from error
        if (record.location, record.authority or "") != (self.logo_url, self.certificate_url):
            raise PublishError(
                say("an address holds characters that end it within the record"),
                source=self.record,
                next_step=say("Write commas and semicolons in the address as %2C and %3B."),
            )

    @property
    def record(self) -> str:
        """The TXT record."""
        return f"v=BIMI1; l={self.logo_url}; a={self.certificate_url};"
