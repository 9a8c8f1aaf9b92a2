"""Sender Policy Framework, RFC 7208: ``check_host`` with macros, explanations, limits and a trace; and a linter."""

from dns_checks.spf.check import check_host, check_mail_from
from dns_checks.spf.errors import SpfSyntaxError
from dns_checks.spf.limits import SpfLimits
from dns_checks.spf.lint import SpfLint, lint_spf
from dns_checks.spf.lint_record import lint_record
from dns_checks.spf.parse import is_spf_record, parse_record, read_record
from dns_checks.spf.result import SpfResult, SpfSpent, SpfTraceStep, SpfVerdict, TermOutcome
from dns_checks.spf.session import SpfReceiver
from dns_checks.spf.tree import Lookup, NodeState, SpfNode, spf_tree

__all__ = [
    "Lookup",
    "NodeState",
    "SpfLimits",
    "SpfLint",
    "SpfNode",
    "SpfReceiver",
    "SpfResult",
    "SpfSpent",
    "SpfSyntaxError",
    "SpfTraceStep",
    "SpfVerdict",
    "TermOutcome",
    "check_host",
    "check_mail_from",
    "is_spf_record",
    "lint_record",
    "lint_spf",
    "parse_record",
    "read_record",
    "spf_tree",
]
