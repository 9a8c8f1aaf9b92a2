"""The phrases of ``forms.toml``: how mail systems write bounces without RFC 3464."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from mailtypes.bounce import BounceReason, Stage

_COMMAND: Final = re.compile(
    r"(?<![\w.@-])(?:rcpt[ _-]?to|rcpt(?![ _-]?to)|mail[ _]from)(?![\w.@-]|: {0,9}<?[^\s@]{1,64}@)"
)
_COMMANDS: Final = {"r": Stage.RCPT, "m": Stage.MAIL}
_TABLES: Final = {"stages", "categories", "system", "complaint"}


@dataclass(frozen=True, slots=True)
class SystemForm:
    """What is known of one system's bounces: where all that is given fits, ``stage`` or ``reason`` hold."""

    name: str
    source: str
    sender: str = ""
    mailer: str = ""
    recipient: str = ""
    text: str = ""
    without_reply: bool = False
    stage: Stage | None = None
    reason: BounceReason | None = None

    def fits(self, bounce: "Seen") -> bool:
        """Whether a bounce is of this form."""
        return (
            bounce.sender.lower().endswith(self.sender)
            and bounce.mailer.lower().startswith(self.mailer)
            and bounce.recipient.lower().endswith(self.recipient)
            and self.text in bounce.text
            and not (self.without_reply and bounce.has_reply)
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What a bounce shows of who wrote it."""

    sender: str
    mailer: str
    recipient: str
    text: str
    has_reply: bool


@dataclass(frozen=True, slots=True)
class ComplaintForm:
    """A complaint that is no feedback report (RFC 5965)."""

    name: str
    source: str
    sender: str
    subject: str
    recipient_field: str


@dataclass(frozen=True, slots=True)
class Forms:
    """The whole file; its comments tell what each list means."""

    returned_message: tuple[str, ...]
    delayed: tuple[str, ...]
    failed_recipient_fields: tuple[str, ...]
    lead_in: tuple[str, ...]
    not_a_recipient: tuple[str, ...]
    daemons: tuple[str, ...]
    bounce_subject: tuple[str, ...]
    auto_reply_subject: tuple[str, ...]
    auto_reply_fields: tuple[str, ...]
    auto_reply_words: tuple[str, ...]
    addressed_fields: tuple[str, ...]
    challenge_words: tuple[str, ...]
    hedges: tuple[str, ...]
    stages: Mapping[Stage, tuple[str, ...]]
    categories: Mapping[str, BounceReason]
    systems: tuple[SystemForm, ...]
    complaints: tuple[ComplaintForm, ...]

    def system_of(self, bounce: Seen) -> SystemForm | None:
        """The first form that a bounce is of."""
        return next((form for form in self.systems if form.fits(bounce)), None)

    def stage_of(self, text: str) -> Stage:
        """The stage that ``text`` names last in a phrase of ``stages``; else the command that it names last."""
        folded = " ".join(text.lower().split())
        latest, found = -1, Stage.UNKNOWN
        for stage, phrases in self.stages.items():
            place = max(folded.rfind(phrase) for phrase in phrases)
            if place > latest:
                latest, found = place, stage
        if found is Stage.UNKNOWN:
            commands = [match[0] for match in _COMMAND.finditer(folded)]
            return _COMMANDS[commands[-1][0]] if commands else found
        return found


def load_forms(text: str) -> Forms:
    """Read forms; ``TypeError``, ``ValueError`` or ``KeyError`` where the text is not what ``forms.toml`` describes."""
    document = tomllib.loads(text)
    lists = {name: tuple(value) for name, value in document.items() if name not in _TABLES}
    return Forms(
        **lists,
        stages={Stage(name): tuple(phrases) for name, phrases in document["stages"].items()},
        categories={name: BounceReason(reason) for name, reason in document["categories"].items()},
        systems=tuple(map(_system, document["system"])),
        complaints=tuple(
            ComplaintForm(row["name"], row["source"], row["from"], row["subject"], row["recipient_field"])
            for row in document["complaint"]
        ),
    )


def _system(row: Mapping[str, Any]) -> SystemForm:
    return SystemForm(
        row["name"],
        row["source"],
        sender=row.get("from", ""),
        mailer=row.get("mailer", ""),
        without_reply=row.get("without_reply", False),
        recipient=row.get("recipient", ""),
        text=row.get("text", ""),
        stage=Stage(row["stage"]) if "stage" in row else None,
        reason=BounceReason(row["reason"]) if "reason" in row else None,
    )


FORMS: Final = load_forms(files("mta.bounce").joinpath("forms.toml").read_text("utf-8"))
"""The forms that come with the package."""
