"""TLS reporting: the record that asks for reports (RFC 8460)."""

from dns_checks.tls_rpt.evaluate import TlsRptCheck, check_tls_rpt
from dns_checks.tls_rpt.record import TlsRptRecord, TlsRptSyntaxError, parse_record

__all__ = ["TlsRptCheck", "TlsRptRecord", "TlsRptSyntaxError", "check_tls_rpt", "parse_record"]
