"""Two or three mails that ask a dormant contact to stay, before anything is taken from them."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from hygiene.dormancy import Engagement
from mailtypes.clock import Microseconds, microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say


class ReengagementError(InputSyntaxError):
    """A re-engagement campaign that gives nobody a chance."""


@dataclass(frozen=True, slots=True)
class ReengagementPolicy:
    """``mails`` (2 or 3), ``apart`` from each other; after the last one ``patience`` for an answer."""

    mails: int = 3
    apart: timedelta = timedelta(days=7)
    patience: timedelta = timedelta(days=14)

    def __post_init__(self) -> None:
        if self.mails not in (2, 3):
            raise ReengagementError(
                say("%(mails)s mails to win a contact back", mails=self.mails), next_step=say("Send two or three.")
            )
        if min(self.apart, self.patience) < timedelta(days=1):
            raise ReengagementError(say("too short a time to answer in"), next_step=say("Give at least a day."))


@dataclass(frozen=True, slots=True)
class Reengagement:
    """How far it is with one contact: when it began, and the mails sent since then."""

    began_at: Microseconds
    sent: int = 0
    last_sent_at: Microseconds | None = None

    def after_mail(self, at: Microseconds) -> "Reengagement":
        """With one more mail sent."""
        return Reengagement(self.began_at, self.sent + 1, at)


class ReengagementStage(StrEnum):
    """What comes next."""

    SEND = "send"
    WAIT = "wait"
    WON_BACK = "won_back"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class ReengagementStep:
    """``mail`` is the number (from 1) of the mail to send; ``until`` is when a wait ends."""

    stage: ReengagementStage
    mail: int = 0
    until: Microseconds | None = None


def next_step(
    progress: Reengagement, engagement: Engagement, policy: ReengagementPolicy, now: Microseconds
) -> ReengagementStep:
    """What comes next for a contact: a sign of life since it began ends it, at any stage."""
    signs = (engagement.last_opened_at, engagement.last_clicked_at, engagement.last_action_at)
    if any(sign is not None and sign >= progress.began_at for sign in signs):
        return ReengagementStep(ReengagementStage.WON_BACK)
    if progress.last_sent_at is None:
        return ReengagementStep(ReengagementStage.SEND, mail=1)
    is_last = progress.sent >= policy.mails
    until = Microseconds(progress.last_sent_at + microseconds(policy.patience if is_last else policy.apart))
    if now < until:
        return ReengagementStep(ReengagementStage.WAIT, until=until)
    if is_last:
        return ReengagementStep(ReengagementStage.GIVEN_UP)
    return ReengagementStep(ReengagementStage.SEND, mail=progress.sent + 1)
