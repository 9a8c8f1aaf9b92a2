"""SPF records from text (RFC 7208 sections 4.5, 4.6.1 and 12)."""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network

from dns_checks.spf.errors import SpfSyntaxError
from dns_checks.spf.macros import Literal, MacroString, parse_macro_string
from dns_checks.spf.terms import (
    A,
    All,
    Directive,
    DualPrefix,
    Exists,
    Explanation,
    Include,
    Ip4,
    Ip6,
    Mechanism,
    Mx,
    Ptr,
    Qualifier,
    Redirect,
    SpfRecord,
    Term,
    UnknownModifier,
)
from mailtypes.errors import Span
from mailtypes.saying import say

_VERSION = re.compile(r"v=spf1(?= |\Z)", re.IGNORECASE)
_WORD = re.compile(r"[^ ]+")
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=")
_MECHANISM = re.compile(r"([+?~-]?)([A-Za-z][A-Za-z0-9_.-]*)(?=[:/]|\Z)")
_DUAL_PREFIX = re.compile(r"(?:/([0-9]+))?(?://([0-9]+))?\Z")
_PREFIX = re.compile(r"/([0-9]+)\Z")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,2}")
_IP4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?=.)|\Z)){4}\Z")
_TOP_LABEL = re.compile(r"(?![0-9]+\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\Z")


def is_spf_record(text: bytes) -> bool:
    """Whether a TXT record is meant as an SPF record: ``v=spf1`` and then a space or the end (section 4.5)."""
    return _VERSION.match(text.decode("latin-1")) is not None


def is_top_label(label: str) -> bool:
    """Section 7.1's ``toplabel``: letters, digits and inner hyphens, but not digits alone."""
    return _TOP_LABEL.match(label) is not None


def parse_record(text: str | bytes) -> SpfRecord:
    """Read a whole record; raise ``SpfSyntaxError`` for the first fault in it.

    Octets become characters one for one (ISO 8859-1), so a span counts octets.
    """
    record, faults = read_record(text)
    if faults:
        raise faults[0]
    return record


def read_record(text: str | bytes) -> tuple[SpfRecord, tuple[SpfSyntaxError, ...]]:
    """Read what can be read, with every fault in the order of the text; for those who explain records."""
    source = text.decode("latin-1") if isinstance(text, bytes) else text
    version = _VERSION.match(source)
    if version is None:
        fault = SpfSyntaxError(
            say("the record does not begin with v=spf1"),
            source=source,
            span=Span(0, min(6, len(source))),
            next_step=say("Begin it with 'v=spf1 '."),
        )
        return SpfRecord(source, ()), (fault,)
    terms: list[Term] = []
    faults: list[SpfSyntaxError] = []
    for word in _WORD.finditer(source, version.end()):
        try:
            term = _read_term(source, Span(word.start(), word.end()))
            _refuse_second(term, terms, source)
            terms.append(term)
        except SpfSyntaxError as fault:
            faults.append(fault)
    return SpfRecord(source, tuple(terms)), tuple(faults)


def _refuse_second(term: Term, earlier: list[Term], source: str) -> None:
    # RFC 7208 section 6: each of redirect= and exp= at most once.
    if isinstance(term, Redirect | Explanation) and any(type(term) is type(other) for other in earlier):
        name = "redirect" if isinstance(term, Redirect) else "exp"
        raise SpfSyntaxError(
            say("%(name)s= occurs twice", name=name), source=source, span=term.span, next_step=say("Keep one of them.")
        )


def _read_term(source: str, span: Span) -> Term:
    text = source[span.start : span.end]
    modifier = _MODIFIER.match(text)
    if modifier:
        return _read_modifier(source, span, modifier[1], Span(span.start + modifier.end(), span.end))
    mechanism = _MECHANISM.match(text)
    reader = _READERS.get(mechanism[2].lower()) if mechanism else None
    if mechanism is None or reader is None:
        raise _unknown_term(source, span, text, mechanism[2] if mechanism else "")
    argument = Span(span.start + mechanism.end(), span.end)
    return Directive(text, span, Qualifier(mechanism[1] or "+"), reader(source, span, argument))


def _read_modifier(source: str, span: Span, name: str, value: Span) -> Term:
    text = source[span.start : span.end]
    match name.lower():
        case "redirect":
            return Redirect(text, span, _read_domain_spec(source, span, value))
        case "exp":
            return Explanation(text, span, _read_domain_spec(source, span, value))
        case _:
            return UnknownModifier(text, span, name, parse_macro_string(source, value))


def _unknown_term(source: str, span: Span, text: str, name: str) -> SpfSyntaxError:
    if name.lower() in {"redirect", "exp"}:
        message, next_step = (
            say("'%(name)s' is a modifier", name=name),
            say("Write %(name)s= instead of %(name)s:.", name=name),
        )
    elif name:
        message, next_step = (
            say("there is no mechanism '%(name)s'", name=name),
            say("The mechanisms are: %(readers)s.", readers=", ".join(_READERS)),
        )
    else:
        message, next_step = (
            say("'%(shown)s' is not a term", shown=_shown(text)),
            say("Write a mechanism such as ip4:192.0.2.1 or -all."),
        )
    return SpfSyntaxError(message, source=source, span=span, next_step=next_step)


def _shown(text: str) -> str:
    return text[:80].encode("unicode_escape").decode()


def _read_all(source: str, span: Span, argument: Span) -> Mechanism:
    _refuse_argument(source, span, argument)
    return All()


def _read_include(source: str, span: Span, argument: Span) -> Mechanism:
    return Include(_read_domain_spec(source, span, _after_colon(source, span, argument)))


def _read_exists(source: str, span: Span, argument: Span) -> Mechanism:
    return Exists(_read_domain_spec(source, span, _after_colon(source, span, argument)))


def _read_ptr(source: str, span: Span, argument: Span) -> Mechanism:
    if argument.start == argument.end:
        return Ptr(None)
    return Ptr(_read_domain_spec(source, span, _after_colon(source, span, argument)))


def _read_a(source: str, span: Span, argument: Span) -> Mechanism:
    return A(*_read_domain_and_prefix(source, span, argument))


def _read_mx(source: str, span: Span, argument: Span) -> Mechanism:
    return Mx(*_read_domain_and_prefix(source, span, argument))


def _read_ip4(source: str, span: Span, argument: Span) -> Mechanism:
    address, length = _read_network(source, span, argument, 32)
    if not _IP4.match(address):
        raise _bad_address(source, argument, "IPv4", "192.0.2.0/24")
    return Ip4(IPv4Network((address, length), strict=False))


def _read_ip6(source: str, span: Span, argument: Span) -> Mechanism:
    address, length = _read_network(source, span, argument, 128)
    try:
        if "%" in address:  # a zone index, which ipaddress would take
            raise ValueError("zone index")
        return Ip6(IPv6Network((address, length), strict=False))
    except ValueError:
        raise _bad_address(source, argument, "IPv6", "2001:db8::/32") from None


_READERS: dict[str, Callable[[str, Span, Span], Mechanism]] = {
    "all": _read_all,
    "include": _read_include,
    "a": _read_a,
    "mx": _read_mx,
    "ptr": _read_ptr,
    "ip4": _read_ip4,
    "ip6": _read_ip6,
    "exists": _read_exists,
}


def _refuse_argument(source: str, span: Span, argument: Span) -> None:
    if argument.start < argument.end:
        raise SpfSyntaxError(
            say("'all' takes nothing behind it"),
            source=source,
            span=argument,
            next_step=say("Write %(source)s alone.", source=source[span.start : argument.start]),
        )


def _after_colon(source: str, span: Span, argument: Span) -> Span:
    if not source.startswith(":", argument.start, argument.end):
        name = source[span.start : argument.start]
        raise SpfSyntaxError(
            say("'%(name)s' needs a value after a colon", name=name),
            source=source,
            span=span,
            next_step=say("Write %(name)s: and then the value.", name=name),
        )
    return Span(argument.start + 1, argument.end)


def _read_network(source: str, span: Span, argument: Span, longest: int) -> tuple[str, int]:
    value = _after_colon(source, span, argument)
    text = source[value.start : value.end]
    prefix = _PREFIX.search(text)
    if prefix is None:
        return text, longest
    at = value.start + prefix.start(1)
    return text[: prefix.start()], _read_length(source, Span(at, value.end), longest)


def _read_domain_and_prefix(source: str, span: Span, argument: Span) -> tuple[MacroString | None, DualPrefix]:
    text = source[argument.start : argument.end]
    # A domain may hold slashes too, so the prefix is what the end of the text offers.
    match = _DUAL_PREFIX.match(text) if not text.startswith(":") else _DUAL_PREFIX.search(text)
    if match is None:
        raise SpfSyntaxError(
            say("'%(shown)s' is not a prefix length", shown=_shown(text)),
            source=source,
            span=argument,
            next_step=say("Write /24, //64 or /24//64."),
        )
    at = argument.start
    ip4 = _read_length(source, Span(at + match.start(1), at + match.end(1)), 32) if match[1] else 32
    ip6 = _read_length(source, Span(at + match.start(2), at + match.end(2)), 128) if match[2] else 128
    domain = None
    if text.startswith(":"):
        domain = _read_domain_spec(source, span, Span(at + 1, at + match.start()))
    return domain, DualPrefix(ip4, ip6)


def _read_length(source: str, span: Span, longest: int) -> int:
    text = source[span.start : span.end]
    if _NUMBER.fullmatch(text) is None or int(text) > longest:
        raise SpfSyntaxError(
            say("'%(text)s' is not a prefix length", text=text[:20]),
            source=source,
            span=span,
            next_step=say("Write a number from 0 to %(longest)s without leading zeros.", longest=longest),
        )
    return int(text)


def _read_domain_spec(source: str, term: Span, span: Span) -> MacroString:
    """Section 7.1: a macro string that ends in a macro or in ``.`` and a top label."""
    if span.start == span.end:
        raise SpfSyntaxError(
            say("the domain is missing"),
            source=source,
            span=term,
            next_step=say("Write the domain after the ':' or '='."),
        )
    spec = parse_macro_string(source, span)
    last = spec.parts[-1]
    if not isinstance(last, Literal) or last.is_escape:
        return spec
    _, dot, label = last.text.removesuffix(".").rpartition(".")
    if not dot or not is_top_label(label):
        raise _bad_domain(source, span, spec.text)
    return spec


def _bad_domain(source: str, span: Span, text: str) -> SpfSyntaxError:
    if _IP4.match(text):
        # RFC 7208 allows no address here; publishing one is the commonest mistake of all.
        next_step = say("Write an address as ip4:%(text)s.", text=text)
    else:
        next_step = say("Write a full domain such as mail.example.com; its last label may not be a number.")
    return SpfSyntaxError(
        say("'%(text)s' is not a domain", text=text[:80]), source=source, span=span, next_step=next_step
    )


def _bad_address(source: str, argument: Span, family: str, example: str) -> SpfSyntaxError:
    span = Span(min(argument.start + 1, argument.end), argument.end)
    return SpfSyntaxError(
        say("'%(shown)s' is not an %(family)s network", shown=_shown(source[span.start : span.end]), family=family),
        source=source,
        span=span,
        next_step=say("Write it as %(example)s.", example=example),
    )
