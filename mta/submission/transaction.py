"""One mail transaction: what MAIL and RCPT said, and how it becomes a submission with the content."""

import asyncio
from dataclasses import dataclass, field

from mta.submission.header import read_header
from mta.submission.limits import SubmissionLimits
from mta.submission.options import read_options
from mta.submission.parameters import MailCommand
from mta.submission.ports import Submission, SubmissionRecipient, Submitter
from mta.submission.reception import checked_content

_LONG_WORK_OCTETS = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose connection it is."""

    submitter: Submitter
    peer: str
    helo: str
    tls: str


@dataclass(slots=True)
class Transaction:
    """MAIL has been accepted; RCPT adds recipients."""

    mail: MailCommand
    recipients: list[SubmissionRecipient] = field(default_factory=list)

    async def submission(self, received: bytes, origin: Origin, limits: SubmissionLimits) -> Submission:
        """The whole; ``received`` still has its doubled dots. Raises ``ContentSyntaxError``."""
        if len(received) > _LONG_WORK_OCTETS:  # would hold up the other sessions
            return await asyncio.to_thread(self._read, received, origin, limits)
        return self._read(received, origin, limits)

    def _read(self, received: bytes, origin: Origin, limits: SubmissionLimits) -> Submission:
        mail = self.mail
        header = read_header(checked_content(received), limits, smtputf8=mail.smtputf8)
        return Submission(
            submitter=origin.submitter,
            mail_from=mail.mail_from,
            recipients=tuple(self.recipients),
            author=header.author,
            content=header.content,
            options=read_options(header.options),
            message_id=header.message_id,
            date=header.date,
            smtputf8=mail.smtputf8,
            ret=mail.ret,
            envid=mail.envid,
            peer=origin.peer,
            helo=origin.helo,
            tls=origin.tls,
        )
