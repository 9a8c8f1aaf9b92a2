"""What is wrong, weak or useless in the text of one DMARC policy record (RFC 9989 sections 4.7 and 4.8)."""

from collections.abc import Iterator
from difflib import get_close_matches

from dns_checks.dkim.parse import Tag
from dns_checks.dmarc.record import OBSOLETE_TAGS, DmarcRecord, Policy, PublicSuffix
from dns_checks.findings import CheckFinding, Evidence, Mark, Severity
from mailtypes.auth import Finding
from mailtypes.errors import Span
from mailtypes.saying import begun, say

_TAGS = ("v", "p", "sp", "np", "adkim", "aspf", "psd", "t", "rua", "ruf", "fo")
_STRICTNESS = {Policy.NONE: 0, Policy.QUARANTINE: 1, Policy.REJECT: 2}
_MANY_ADDRESSES = 2  # RFC 7489 section 6.2 let receivers stop after two
_SILENT = frozenset({"dmarc.obsolete_size", "dmarc.obsolete_tag"})


def lint_record(record: DmarcRecord, evidence: tuple[Evidence, ...]) -> tuple[CheckFinding, ...]:
    """All findings on the record itself, each with its place; the faults first."""
    linter = _Linter(record, evidence)
    checks = (linter.faults, linter.unknown_tags, linter.order, linter.policies, linter.suffix, linter.testing)
    return tuple(finding for check in (*checks, linter.reports) for finding in check())


class _Linter:
    """The checks on one record; each yields its findings."""

    def __init__(self, record: DmarcRecord, evidence: tuple[Evidence, ...]) -> None:
        self._record = record
        self._evidence = evidence

    def _found(self, code: str, severity: Severity, span: Span, sentence: str, next_step: str) -> CheckFinding:
        mark = Mark(self._record.text, span)
        return CheckFinding(f"dmarc.{code}", severity, Finding.ABSENT, self._evidence, sentence, next_step, mark)

    def _warning(self, code: str, tag: Tag, sentence: str, next_step: str) -> CheckFinding:
        return self._found(code, Severity.WARNING, _span(tag), sentence, next_step)

    def _info(self, code: str, tag: Tag, sentence: str, next_step: str = "") -> CheckFinding:
        return self._found(code, Severity.INFO, _span(tag), sentence, next_step)

    def faults(self) -> Iterator[CheckFinding]:
        """What receivers pass over: an error where the owner's policy is lost by it, else a warning."""
        for remark in self._record.remarks:
            loses_policy = remark.code in {"dmarc.missing_policy", "dmarc.invalid_policy"}
            severity = Severity.ERROR if loses_policy else Severity.WARNING
            fault = _begun(remark.message)
            if loses_policy and self._record.is_applicable:
                sentence = say("%(fault)s, so the record counts as p=none.", fault=fault)
            elif loses_policy:
                sentence = say("%(fault)s, so the record is ignored as a whole.", fault=fault)
            elif remark.code not in _SILENT:
                sentence = say("%(fault)s; receivers pass over it.", fault=fault)
            else:
                sentence = say("%(fault)s.", fault=fault)
            yield self._found(remark.code.removeprefix("dmarc."), severity, remark.span, sentence, remark.next_step)

    def unknown_tags(self) -> Iterator[CheckFinding]:
        """Section 4.7: unknown tags are ignored, so a slip of the pen does nothing at all."""
        for tag in self._record.tags:
            name = tag.name.lower()
            if name in _TAGS or name in OBSOLETE_TAGS:
                continue
            meant = get_close_matches(
                name, [one for one in _TAGS if one not in {tag.name for tag in self._record.tags}]
            )
            next_step = (
                say("Write %(meant)s= if that is meant.", meant=meant[0])
                if meant
                else say("Remove %(tag)s=.", tag=tag.name)
            )
            sentence = say("%(tag)s= is no tag of DMARC, so receivers ignore it.", tag=tag.name)
            yield self._found("unknown_tag", Severity.WARNING, tag.name_span, sentence, next_step)

    def order(self) -> Iterator[CheckFinding]:
        """RFC 7489 section 6.4 wanted p= right behind the version; RFC 9989 does not care."""
        p = self._record.tag("p")
        if p is not None and self._record.p is not None and self._record.tags[1:2] != (p,):
            sentence = say("p= does not follow right behind v=, which receivers on RFC 7489 may insist on.")
            yield self._info("policy_not_second", p, sentence, say("Move p= to the second place."))

    def policies(self) -> Iterator[CheckFinding]:
        """How strict the record is, for whom."""
        record = self._record
        p, sp, np = record.tag("p"), record.tag("sp"), record.tag("np")
        if p is not None and record.p is Policy.NONE:
            sentence = say("p=none asks receivers to do nothing with mail that fails.")
            yield self._info(
                "policy_none", p, sentence, say("Go on to quarantine and reject once the reports are clean.")
            )
        if record.p is None:
            return
        if sp is not None and record.sp is not None:
            if _STRICTNESS[record.sp] < _STRICTNESS[record.p]:
                sentence = say(
                    "sp=%(sp)s is weaker than p=%(p)s: anyone may use a made-up subdomain.", sp=record.sp, p=record.p
                )
                if record.np is not None and _STRICTNESS[record.np] >= _STRICTNESS[record.p]:
                    sentence = say(
                        "sp=%(sp)s is weaker than p=%(p)s for subdomains that exist.", sp=record.sp, p=record.p
                    )
                yield self._warning("subdomains_weaker", sp, sentence, say("Remove sp= or write sp=%(p)s.", p=record.p))
            elif record.sp is record.p:
                yield self._info(
                    "subdomains_same", sp, say("sp=%(sp)s says what p= says already.", sp=record.sp), say("Remove sp=.")
                )
        if np is not None and record.np is not None:
            below = record.sp or record.p
            if _STRICTNESS[record.np] < _STRICTNESS[below]:
                sentence = say(
                    "np=%(np)s asks less of names that do not exist than the %(below)s of those that do.",
                    np=record.np,
                    below=below,
                )
                yield self._warning(
                    "nonexistent_weaker", np, sentence, say("Remove np= or write np=%(below)s.", below=below)
                )
            elif record.sp is None and record.np is not record.p:
                sentence = say(
                    "np=%(np)s holds for names that do not exist alone; subdomains that exist get p=%(p)s.",
                    np=record.np,
                    p=record.p,
                )
                yield self._info(
                    "np_without_sp", np, sentence, say("Add sp= if subdomains that exist should be covered.")
                )

    def suffix(self) -> Iterator[CheckFinding]:
        """``psd`` as far as the text alone tells."""
        tag = self._record.tag("psd")
        if tag is None:
            return
        if self._record.psd is PublicSuffix.YES and self._record.tag("ruf") is not None:
            sentence = say("A public suffix shared by many may not ask for failure reports (RFC 9989 section 10.2).")
            yield self._warning("suffix_with_ruf", self._record.tag("ruf") or tag, sentence, say("Remove ruf=."))
        if tag.value.lower() == PublicSuffix.UNKNOWN:
            yield self._info("psd_default", tag, say("psd=u is the default."), say("Remove psd=."))

    def testing(self) -> Iterator[CheckFinding]:
        """``t=y``."""
        tag, record = self._record.tag("t"), self._record
        if tag is None or not record.is_testing:
            return
        policies = {one for one in (record.p, record.sp, record.np) if one is not None}
        if policies <= {Policy.NONE}:
            yield self._info(
                "testing_without_effect", tag, say("t=y changes nothing where the policy is none."), say("Remove t=.")
            )
            return
        sentence = say(
            "t=y asks for one level less than the policy says; receivers on RFC 7489 apply the policy in full."
        )
        yield self._warning("testing", tag, sentence, say("Remove t=y once the reports are clean."))

    def reports(self) -> Iterator[CheckFinding]:
        """``rua``, ``ruf``, ``fo``."""
        record = self._record
        rua, ruf, fo = record.tag("rua"), record.tag("ruf"), record.tag("fo")
        if not record.rua:
            sentence = say("The record asks for no aggregate reports, so nobody learns what fails.")
            span = _span(rua) if rua else Span(0, len(record.text))
            yield self._found(
                "no_reports", Severity.WARNING, span, sentence, say("Add rua=mailto: with an address of yours.")
            )
        if fo is not None and ruf is None:
            yield self._info(
                "fo_without_ruf", fo, say("fo= means nothing without ruf=."), say("Remove fo=, or add ruf=.")
            )
        for tag, uris in ((rua, record.rua), (ruf, record.ruf)):
            if tag is not None:
                yield from self._addresses(tag, uris)

    def _addresses(self, tag: Tag, uris: tuple[str, ...]) -> Iterator[CheckFinding]:
        if len(uris) > _MANY_ADDRESSES:
            sentence = say(
                "%(tag)s= names %(count)s addresses; some receivers stop after %(many_addresses)s.",
                tag=tag.name,
                count=len(uris),
                many_addresses=_MANY_ADDRESSES,
            )
            yield self._info("many_report_addresses", tag, sentence, say("Name one and pass reports on from there."))
        for uri in uris:
            at = self._record.text.find(uri, tag.value_span.start)
            span = Span(at, at + len(uri)) if at >= 0 else _span(tag)
            if not uri.lower().startswith("mailto:"):
                scheme = uri.partition(":")[0]
                sentence = say(
                    "Receivers need to know mailto: only, so reports by %(scheme)s: may never come.", scheme=scheme
                )
                yield self._found("report_scheme", Severity.WARNING, span, sentence, say("Add a mailto: address."))
            if "!" in uri:
                sentence = say("The address '%(uri)s' holds a bare exclamation point.", uri=uri)
                yield self._found("bare_exclamation", Severity.WARNING, span, sentence, say("Write it as %21."))


def _span(tag: Tag) -> Span:
    return Span(tag.name_span.start, max(tag.value_span.end, tag.name_span.end))


def _begun(message: str) -> str:
    # A tag's name stays as it is written.
    is_tag = "=" in message.partition(" ")[0]
    return message if is_tag else begun(message)
