"""What one's own last campaigns scored, worked out from the templates that were frozen with their runs."""

import asyncio
from collections.abc import Sequence
from functools import partial

from mailtypes.errors import InputSyntaxError
from postwright.services.audit_facts import AuditFacts
from postwright.services.mail_checks import score_mail
from postwright.services.preview_contacts import SAMPLE_DATA
from postwright.services.template_texts import source_of
from postwright.store import templates
from postwright.store.database import Database
from postwright.store.templates import TemplateVersion
from rendering.spam_risk import SpamRisk
from rendering.template import parse_template

MOST = 5
_KEPT = 200


class EarlierMails:
    """The scores of the last campaigns of workspaces; versions never change, so each is scored once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._scores: dict[tuple[int, str, AuditFacts], SpamRisk | None] = {}

    async def risks(self, workspace_id: int, audit: AuditFacts) -> tuple[SpamRisk, ...]:
        """At most five, the newest first, all with the sender's facts as they are now; fewer where none was sent."""
        sent = await self._database.read(partial(templates.sent_versions, workspace_id=workspace_id, limit=MOST))
        missing = [one for one in sent if (one[0].id, one[1], audit) not in self._scores]
        if missing:
            scored = await asyncio.to_thread(_score_all, missing, audit)
            if len(self._scores) + len(scored) > _KEPT:
                self._scores.clear()
            self._scores |= {
                (version.id, subject, audit): risk for (version, subject), risk in zip(missing, scored, strict=True)
            }
        found = (self._scores.get((version.id, subject, audit)) for version, subject in sent)
        return tuple(risk for risk in found if risk is not None)


def _score_all(sent: Sequence[tuple[TemplateVersion, str]], audit: AuditFacts) -> list[SpamRisk | None]:
    return [_score(version, subject, audit) for version, subject in sent]


def _score(version: TemplateVersion, subject: str, audit: AuditFacts) -> SpamRisk | None:
    try:
        return score_mail(parse_template(source_of(version.text, subject)), SAMPLE_DATA, audit)
    except InputSyntaxError:  # a template that needs what the sample contact does not have
        return None
