"""The report of an import: each row that was not taken as it stood, with the reason."""

from collections.abc import Sequence
from dataclasses import replace

from mailtypes.saying import say
from postwright.services.csv_text import csv_text
from postwright.services.import_rows import duplicate
from postwright.store.erased import REASON as ERASED
from postwright.store.imported_contacts import ImportedContact, PutRows
from postwright.store.imports import Refusal

REPORT_HEADER = csv_text([("line", "outcome", "value", "code", "reason", "suggestion")])


def report_lines(rows: Sequence[Refusal]) -> str:
    """Lines of a report file, under ``REPORT_HEADER``."""
    return csv_text((one.row_number, one.outcome, one.value, one.code, one.reason, one.suggestion) for one in rows)


def with_findings(report: Sequence[Refusal], put: PutRows) -> list[Refusal]:
    """The report of a chunk together with what the database knew; a row stands in it once."""
    by_row = {one.row_number: one for one in report}
    for contact, first in put.duplicates:
        by_row[contact.line] = duplicate(contact, first)
    for contact in put.erased:
        by_row[contact.line] = Refusal(contact.line, "", ERASED, say("Somebody who asked to be erased."))
    for contact in put.archived:
        _add_finding(by_row, contact, "archived", say("The contact is archived and stays so."))
    for contact in put.withdrawn:
        _add_finding(
            by_row, contact, "consent_withdrawn", say("The contact took consent back; it was not given again.")
        )
    return [by_row[number] for number in sorted(by_row)]


def _add_finding(by_row: dict[int, Refusal], contact: ImportedContact, code: str, sentence: str) -> None:
    old = by_row.get(contact.line)
    if old is None:
        by_row[contact.line] = Refusal(contact.line, contact.address[:200], code, sentence, "flagged")
    else:
        by_row[contact.line] = replace(old, reason=f"{old.reason} {sentence}")
