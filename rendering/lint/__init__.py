"""What is wrong with a mail before it is sent: findings with stable codes, places, reasons and next steps."""

from rendering.lint.case import READ_LIMIT, Rule
from rendering.lint.client_data import ClientPolicy, ClientTableError, default_policy, read_policy
from rendering.lint.composed import LintFacts, compose_for_lint
from rendering.lint.finding import Finding, Severity
from rendering.lint.image_files import read_image
from rendering.lint.liveness import link_addresses
from rendering.lint.marking import mark_components
from rendering.lint.measures import Measures, image_addresses, measure
from rendering.lint.run import lint
from rendering.lint.sizes import GMAIL_CLIP_OCTETS, GMAIL_STYLE_OCTETS
from rendering.lint.subject import ImageFact, LinkFact, LintSubject, Liveness, SenderFacts, StreamKind
from rendering.lint.table import RULES, rules_as_markdown

__all__ = [
    "GMAIL_CLIP_OCTETS",
    "GMAIL_STYLE_OCTETS",
    "READ_LIMIT",
    "RULES",
    "ClientPolicy",
    "ClientTableError",
    "Finding",
    "ImageFact",
    "LinkFact",
    "LintFacts",
    "LintSubject",
    "Liveness",
    "Measures",
    "Rule",
    "SenderFacts",
    "Severity",
    "StreamKind",
    "compose_for_lint",
    "default_policy",
    "image_addresses",
    "link_addresses",
    "lint",
    "mark_components",
    "measure",
    "read_image",
    "read_policy",
    "rules_as_markdown",
]
