"""BIMI: assertion records, logos in SVG Tiny Portable/Secure, and mark certificates."""

from dns_checks.bimi.certificate import (
    CertificateReport,
    CertificateSyntaxError,
    accepted_names,
    check_certificate,
    read_certificates,
)
from dns_checks.bimi.enforcement import DmarcFacts, enforcement_findings
from dns_checks.bimi.evaluate import BimiEvaluation, BimiResult, evaluate
from dns_checks.bimi.record import AssertionRecord, AvatarPreference, BimiSyntaxError, parse_record, record_name
from dns_checks.bimi.svg import SvgFinding, SvgReport, check_svg

__all__ = [
    "AssertionRecord",
    "AvatarPreference",
    "BimiEvaluation",
    "BimiResult",
    "BimiSyntaxError",
    "CertificateReport",
    "CertificateSyntaxError",
    "DmarcFacts",
    "SvgFinding",
    "SvgReport",
    "accepted_names",
    "check_certificate",
    "check_svg",
    "enforcement_findings",
    "evaluate",
    "parse_record",
    "read_certificates",
    "record_name",
]
