"""The judgement of an address: ok, risky, refused or unknown, with codes and, where there is one, what was meant.

Syntax, typos, disposable domains, role addresses and keyboard layout need nobody. Whether the domain takes mail is
found by ``mail_domains`` and laid over it with ``with_domain_mail``; duplicates need the list (``AddressJudge``).
"""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache

from hygiene.address_checks import AddressCheck, AddressRefusal, AddressWarning, check_address
from hygiene.domain_typos import DomainTypo, find_typo
from hygiene.duplicate_addresses import DuplicateFinder
from hygiene.keyboard_layout import meant_in_latin
from hygiene.mail_domains import DomainMail, DomainMailVerdict
from mailtypes.address import EmailAddress
from mailtypes.saying import say

_MAX_MENDED = 320  # characters; longer texts are no slip of the finger
_MAX_DOMAINS = 100_000  # domains whose judgement is kept
_QUOTING = re.compile(r"[\s<>\"'“”‘’\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")


class AddressValue(StrEnum):
    """What to do: send, think twice, do not send, find out."""

    OK = "ok"
    RISKY = "risky"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class AddressCode(StrEnum):
    """Why; the first six are those of ``AddressRefusal``."""

    EMPTY = "empty"
    NO_AT_SIGN = "no_at_sign"
    TOO_LONG = "too_long"
    BAD_LOCAL_PART = "bad_local_part"
    BAD_DOMAIN = "bad_domain"
    UNREGISTRABLE = "unregistrable"
    NULL_MX = "null_mx"
    NO_MAIL_HOST = "no_mail_host"
    NO_SUCH_DOMAIN = "no_such_domain"
    DUPLICATE = "duplicate"
    LIKELY_DUPLICATE = "likely_duplicate"
    LIKELY_TYPO = "likely_typo"
    HEBREW_LAYOUT = "hebrew_layout"
    DISPOSABLE_DOMAIN = "disposable_domain"
    ROLE_ADDRESS = "role_address"
    NEEDS_SMTPUTF8 = "needs_smtputf8"
    DOMAIN_UNKNOWN = "domain_unknown"


_ALWAYS_REFUSED = frozenset(
    {
        *(AddressCode(refusal.value) for refusal in AddressRefusal),
        AddressCode.NULL_MX,
        AddressCode.NO_MAIL_HOST,
        AddressCode.NO_SUCH_DOMAIN,
    }
)
_OF_WARNING = {
    AddressWarning.ROLE_ADDRESS: AddressCode.ROLE_ADDRESS,
    AddressWarning.NEEDS_SMTPUTF8: AddressCode.NEEDS_SMTPUTF8,
}
_OF_DOMAIN = {
    DomainMail.NULL_MX: AddressCode.NULL_MX,
    DomainMail.NO_MAIL_HOST: AddressCode.NO_MAIL_HOST,
    DomainMail.NO_SUCH_DOMAIN: AddressCode.NO_SUCH_DOMAIN,
    DomainMail.UNKNOWN: AddressCode.DOMAIN_UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class AddressRules:
    """``also_refused``: codes that are a warning otherwise, such as disposable domains. ``test_environment`` lets
    ``.test`` domains pass: for the sandbox alone."""

    also_refused: frozenset[AddressCode] = frozenset()
    test_environment: bool = False

    def value_of(self, codes: tuple[AddressCode, ...]) -> AddressValue:
        """The gravest that follows from ``codes``."""
        if not codes:
            return AddressValue.OK
        if any(code in _ALWAYS_REFUSED or code in self.also_refused for code in codes):
            return AddressValue.REFUSED
        return AddressValue.UNKNOWN if codes == (AddressCode.DOMAIN_UNKNOWN,) else AddressValue.RISKY


@dataclass(frozen=True, slots=True)
class AddressVerdict:
    """``address`` is ``None`` where the text is none; ``suggestion`` is the address that was most likely meant.

    ``sentences`` say the codes for people, in their order. ``duplicate_of`` is the row that came before.
    """

    value: AddressValue
    address: EmailAddress | None = None
    codes: tuple[AddressCode, ...] = ()
    suggestion: str | None = None
    sentences: tuple[str, ...] = ()
    duplicate_of: int | None = None


@dataclass(frozen=True, slots=True)
class _DomainFacts:
    """What holds for every address of a domain."""

    typo: DomainTypo | None
    is_disposable: bool


@dataclass(slots=True)
class AddressJudge:
    """Judges the addresses of one list, row by row; keeps what it learns of domains and which addresses came."""

    rules: AddressRules = field(default_factory=AddressRules)
    _domains: dict[str, _DomainFacts] = field(default_factory=dict)
    _duplicates: DuplicateFinder = field(default_factory=DuplicateFinder)

    def judge(self, text: str, number: int | None = None) -> AddressVerdict:
        """The verdict on ``text``, the address of row ``number``; without a number duplicates are not looked for."""
        check = check_address(text, test_environment=self.rules.test_environment)
        if check.address is None:
            return self._refused(text, check)
        facts = self._facts(check.address.domain.ascii)
        meant = meant_in_latin(text) if check.warnings or not text.isascii() else None
        plain = not check.warnings and facts.typo is None and not facts.is_disposable and meant is None
        verdict = AddressVerdict(AddressValue.OK, check.address) if plain else self._risky(check, facts, meant)
        return verdict if number is None else self._with_duplicate(verdict, number, facts)

    def _refused(self, text: str, check: AddressCheck) -> AddressVerdict:
        assert check.refusal is not None  # an address that is none was refused
        codes, sentences = [AddressCode(check.refusal.value)], [check.sentence]
        suggestion = None
        if len(text) <= _MAX_MENDED:
            meant = meant_in_latin(text)
            if meant is not None:
                codes.append(AddressCode.HEBREW_LAYOUT)
                sentences.append(say("It looks as if the keyboard was set to Hebrew."))
            suggestion = self._accepted(meant or _mended(text))
            if suggestion is not None and meant is None:
                codes.append(AddressCode.LIKELY_TYPO)
        return AddressVerdict(AddressValue.REFUSED, None, tuple(codes), suggestion, tuple(sentences))

    def _risky(self, check: AddressCheck, facts: _DomainFacts, meant: str | None) -> AddressVerdict:
        codes: list[AddressCode] = []
        sentences: list[str] = []
        suggestion = None
        address = check.address
        assert address is not None
        if meant is not None:
            suggestion = self._accepted(meant)
            codes.append(AddressCode.HEBREW_LAYOUT)
            sentences.append(say("It looks as if the keyboard was set to Hebrew."))
        elif facts.typo is not None:
            suggestion = f"{address.local_part}@{facts.typo.meant}"
            codes.append(AddressCode.LIKELY_TYPO)
            sentences.append(
                say(
                    "%(typed)s is probably %(meant)s: %(how)s.",
                    typed=facts.typo.typed,
                    meant=facts.typo.meant,
                    how=facts.typo.how,
                )
            )
        if facts.is_disposable:
            codes.append(AddressCode.DISPOSABLE_DOMAIN)
            sentences.append(say("%(domain)s gives out addresses that are thrown away.", domain=address.domain))
        for warning in check.warnings:
            codes.append(_OF_WARNING[warning])
            sentences.append(_SENTENCES[warning])
        found = tuple(codes)
        return AddressVerdict(self.rules.value_of(found), address, found, suggestion, tuple(sentences))

    def _with_duplicate(self, verdict: AddressVerdict, number: int, facts: _DomainFacts) -> AddressVerdict:
        assert verdict.address is not None
        found = self._duplicates.look(number, verdict.address, facts.typo.meant if facts.typo else "")
        if found is None:
            return verdict
        if found.is_exact:
            code, sentence = AddressCode.DUPLICATE, say("The same address came in row %(first)s.", first=found.first)
        else:
            code, sentence = (
                AddressCode.LIKELY_DUPLICATE,
                say("It is most likely the mailbox of row %(first)s.", first=found.first),
            )
        codes, sentences = (*verdict.codes, code), (*verdict.sentences, sentence)
        value = self.rules.value_of(codes)
        return replace(verdict, value=value, codes=codes, sentences=sentences, duplicate_of=found.first)

    def _facts(self, domain: str) -> _DomainFacts:
        facts = self._domains.get(domain)
        if facts is None:
            if len(self._domains) >= _MAX_DOMAINS:
                self._domains.clear()
            facts = self._domains[domain] = _DomainFacts(find_typo(domain), is_disposable(domain))
        return facts

    def _accepted(self, text: str) -> str | None:
        """``text`` with its domain mended, where that is an address."""
        local_part, at, domain = text.rpartition("@")
        typo = find_typo(domain.lower()) if at else None
        mended = text if typo is None else f"{local_part}@{typo.meant}"
        check = check_address(mended, test_environment=self.rules.test_environment)
        return mended if check.is_accepted else None


_SENTENCES = {
    AddressWarning.ROLE_ADDRESS: say("Several people read a role address, and nobody of them asked for your mail."),
    AddressWarning.NEEDS_SMTPUTF8: say("Hosts without SMTPUTF8 (RFC 6531) cannot take an address with such letters."),
}


def with_domain_mail(verdict: AddressVerdict, found: DomainMailVerdict, rules: AddressRules) -> AddressVerdict:
    """``verdict`` together with what the DNS says about the domain."""
    code = _OF_DOMAIN.get(found.mail)
    if code is None or verdict.address is None:
        return verdict
    if code is AddressCode.DOMAIN_UNKNOWN:
        sentence = say(
            "Could not find out whether %(domain)s takes mail: %(cause)s.", domain=found.domain, cause=found.cause
        )
    else:
        sentence = say("%(domain)s takes no mail: %(cause)s.", domain=found.domain, cause=found.cause)
    codes, sentences = (*verdict.codes, code), (*verdict.sentences, sentence)
    return replace(verdict, value=rules.value_of(codes), codes=codes, sentences=sentences)


@cache
def _disposable_domains() -> frozenset[str]:
    # Ten thousand names: loaded when the first address is judged, not with the command line.
    from disposable_email_domains import blocklist  # noqa: PLC0415

    return frozenset(blocklist)


def is_disposable(domain: str) -> bool:
    """Whether ``domain`` (A-labels), or one above it, is on the list of the package disposable-email-domains."""
    listed = _disposable_domains()
    labels = domain.split(".")
    return any(".".join(labels[at:]) in listed for at in range(len(labels) - 1))


def _mended(text: str) -> str:
    """``text`` without what slips in when addresses are copied or typed; not yet known to be an address."""
    stripped = text.strip().removeprefix("mailto:")
    if stripped.endswith(">"):
        stripped = stripped[stripped.rfind("<") + 1 :]  # a name with the address behind it (RFC 5322 section 3.4)
    local_part, at, domain = _QUOTING.sub("", stripped).rpartition("@")
    if not at:
        return ""
    domain = re.sub(r"[.,;:·]+", ".", domain).strip(".-")
    return f"{re.sub(r'[.]{2,}', '.', local_part).strip('.,;:').rstrip('@')}@{domain}"
