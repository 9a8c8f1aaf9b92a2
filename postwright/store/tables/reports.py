"""Reports that others send about our mail: DMARC aggregate and failure reports, TLS reports."""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import SQLModel

from postwright.store.tables.columns import big, moment, reference, row_id


class ReceivedReport(SQLModel, table=True):
    """A report, taken once however often it is sent. ``kind`` is aggregate, failure or tls.

    ``organisation``, ``report_id`` and ``domain`` are the key, cut where they are overlong; ``document`` is JSON of
    what the report says, without the rows and the reported message, which stand in their table and in the blob.
    """

    __tablename__ = "received_report"
    __table_args__ = (
        UniqueConstraint("workspace_id", "kind", "organisation", "report_id", "domain"),
        Index("ix_received_report_domain", "workspace_id", "domain", "ends_at"),
        Index("ix_received_report_blob", "blob_id"),
    )
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    kind: str
    organisation: str
    report_id: str
    domain: str
    begins_at: int = moment()
    ends_at: int = moment()
    received_at: int = moment()
    blob_id: int = reference("blob.id")
    document: str


class AggregateRow(SQLModel, table=True):
    """A row of an aggregate report: ``messages`` that fared alike.

    ``dkim`` and ``spf`` are the aligned results; ``dkim_results`` (domain, selector, result) and ``spf_results``
    (domain, scope, result) are JSON; ``overrides`` are the kinds of the receiver's reasons, with blanks between.
    """

    __tablename__ = "aggregate_row"
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    received_report_id: int = reference("received_report.id", index=True)
    source_ip: str
    messages: int = big()
    disposition: str
    dkim: str
    spf: str
    header_from: str
    envelope_from: str
    envelope_to: str
    overrides: str
    dkim_results: str
    spf_results: str
