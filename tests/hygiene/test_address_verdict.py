import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dns_checks.testing import Zone, run
from hygiene.address_checks import check_address
from hygiene.address_verdict import (
    AddressCode,
    AddressJudge,
    AddressRules,
    AddressValue,
    is_disposable,
    with_domain_mail,
)
from hygiene.keyboard_layout import meant_in_latin, typed_in_latin
from hygiene.mail_domains import DomainMail, DomainMailVerdict, find_domain_mail
from mailtypes.domain import DomainName

V, C = AddressValue, AddressCode


@pytest.mark.parametrize(
    ("text", "value", "codes", "suggestion"),
    [
        ("dana@gmail.com", V.OK, (), None),
        ("dana@acme.co.il", V.OK, (), None),
        ("dana@דואר.co.il", V.OK, (), None),
        ("dana@walla.co.li", V.RISKY, (C.LIKELY_TYPO,), "dana@walla.co.il"),
        ("Dana+x@Bezeqnt.Net", V.RISKY, (C.LIKELY_TYPO,), "Dana+x@bezeqint.net"),
        ("dana@yopmail.com", V.RISKY, (C.DISPOSABLE_DOMAIN,), None),
        ("dana@in.yopmail.com", V.RISKY, (C.DISPOSABLE_DOMAIN,), None),
        ("Info+il@acme.org", V.RISKY, (C.ROLE_ADDRESS,), None),
        ("דנה@acme.org", V.RISKY, (C.NEEDS_SMTPUTF8,), None),
        ("גשמש@gmail.com", V.RISKY, (C.HEBREW_LAYOUT, C.NEEDS_SMTPUTF8), "dana@gmail.com"),
        ("גשמש@עצשןךץבםצ", V.REFUSED, (C.BAD_DOMAIN, C.HEBREW_LAYOUT), "dana@gmail.com"),
        ("גשמש@עצןשךץבםצ", V.REFUSED, (C.BAD_DOMAIN, C.HEBREW_LAYOUT), "dana@gmail.com"),  # and a typo: gmial
        ("dana@עצשןך.בםצ", V.RISKY, (C.HEBREW_LAYOUT,), "dana@gmail.com"),
        ("dana@gmail,com", V.REFUSED, (C.BAD_DOMAIN, C.LIKELY_TYPO), "dana@gmail.com"),
        ("dana@gmail", V.REFUSED, (C.BAD_DOMAIN, C.LIKELY_TYPO), "dana@gmail.com"),
        ("Dana <dana@acme.org>", V.REFUSED, (C.BAD_LOCAL_PART, C.LIKELY_TYPO), "dana@acme.org"),
        ("<dana@acme.org>", V.REFUSED, (C.BAD_LOCAL_PART, C.LIKELY_TYPO), "dana@acme.org"),
        ("da\u200bna@acme.org", V.REFUSED, (C.BAD_LOCAL_PART, C.LIKELY_TYPO), "dana@acme.org"),
        ("dana@acme", V.REFUSED, (C.BAD_DOMAIN,), None),
        ("dana", V.REFUSED, (C.NO_AT_SIGN,), None),
        ("", V.REFUSED, (C.EMPTY,), None),
        ("dana@shop.invalid", V.REFUSED, (C.UNREGISTRABLE,), None),
    ],
)
def test_verdicts(text: str, value: AddressValue, codes: tuple[AddressCode, ...], suggestion: str | None) -> None:
    verdict = AddressJudge().judge(text)
    assert (verdict.value, verdict.codes, verdict.suggestion) == (value, codes, suggestion)
    assert bool(verdict.sentences) == (value is not V.OK)


def test_a_code_can_be_made_a_refusal() -> None:
    strict = AddressJudge(AddressRules(also_refused=frozenset({C.DISPOSABLE_DOMAIN})))
    assert strict.judge("dana@yopmail.com").value is V.REFUSED
    assert strict.judge("info@acme.org").value is V.RISKY


def test_disposable_is_the_domain_and_what_is_below_it() -> None:
    assert is_disposable("yopmail.com")
    assert is_disposable("a.b.yopmail.com")
    assert not is_disposable("notyopmail.com")
    assert not is_disposable("com")


@settings(max_examples=150)
@given(st.from_regex(r"[a-z][a-z0-9._]{0,8}[a-z]@(gmail\.com|walla\.co\.il|acme\.co\.il|foo\.org)", fullmatch=True))
def test_an_address_in_hebrew_layout_is_found_again(meant: str) -> None:
    keys = dict(zip("qwertyuiopasdfghjklzxcvbnm.", "/'קראטוןםפשדגכעיחלךזסבהנמצץ", strict=True))
    typed = "".join(keys.get(letter, letter) for letter in meant)
    assert typed_in_latin(typed) == meant
    found = meant_in_latin(typed)
    assert found == meant
    if check_address(meant).is_accepted:
        assert AddressJudge().judge(typed).suggestion == meant


@pytest.mark.parametrize("text", ["dana@דואר.co.il", "דנה@acme.org", "dana@דואר.קום", "dana@gmail.com", "דנה", "@ץבםצ"])
def test_real_hebrew_is_no_wrong_layout(text: str) -> None:
    assert meant_in_latin(text) is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"[a-zא-ת.<> ]{0,6}@[a-zא-ת.,\-]{0,12}", fullmatch=True))
def test_every_suggestion_is_an_address_without_a_typo(text: str) -> None:
    judge = AddressJudge()
    verdict = judge.judge(text)
    assert (verdict.address is None) <= (verdict.value is V.REFUSED)
    assert (verdict.codes == ()) == (verdict.value is V.OK)
    if verdict.suggestion is not None:
        again = judge.judge(verdict.suggestion)
        assert again.address is not None
        assert C.LIKELY_TYPO not in again.codes
        assert verdict.suggestion != text


ROWS = [
    "d.ana@gmail.com",
    "DANA+news@googlemail.com",
    "dana@gmial.com",
    "D.ANA@Gmail.com",
    "dana@acme.org",
    "d.ana@acme.org",
]


def test_duplicates_are_flagged_and_stay() -> None:
    judge = AddressJudge()
    found = [judge.judge(text, number) for number, text in enumerate(ROWS, 1)]
    assert [one.duplicate_of for one in found] == [None, 1, 1, 1, None, None]
    assert C.LIKELY_DUPLICATE in found[1].codes
    assert C.DUPLICATE in found[3].codes
    assert all(one.address is not None for one in found)
    assert AddressJudge().judge(ROWS[0]).duplicate_of is None


ZONE = Zone.parse("""$ORIGIN test.
mail MX 10 mx
bare A 192.0.2.1
null MX 0 .
none TXT "x"
;; SERVFAIL silent.test
;; TIMEOUT half.test AAAA
half TXT "x"
""")


@pytest.mark.parametrize(
    ("name", "mail", "value"),
    [
        ("mail.test", DomainMail.TAKES_MAIL, V.OK),
        ("bare.test", DomainMail.TAKES_MAIL, V.OK),
        ("null.test", DomainMail.NULL_MX, V.REFUSED),
        ("none.test", DomainMail.NO_MAIL_HOST, V.REFUSED),
        ("gone.test", DomainMail.NO_SUCH_DOMAIN, V.REFUSED),
        ("silent.test", DomainMail.UNKNOWN, V.UNKNOWN),
        ("half.test", DomainMail.UNKNOWN, V.UNKNOWN),
    ],
)
def test_domains_without_mail(name: str, mail: DomainMail, value: AddressValue) -> None:
    found = run(find_domain_mail(DomainName.parse(name)), ZONE)
    assert found.mail is mail
    assert found.takes_mail is {V.OK: True, V.REFUSED: False, V.UNKNOWN: None}[value]
    rules = AddressRules(test_environment=True)
    verdict = with_domain_mail(AddressJudge(rules).judge(f"dana@{name}"), found, rules)
    assert verdict.value is value
    assert bool(verdict.sentences) == (value is not V.OK)


def test_not_to_know_a_domain_makes_nothing_better_or_worse() -> None:
    rules = AddressRules()
    silent = DomainMailVerdict(DomainName("acme.org"), DomainMail.UNKNOWN, "timeout")
    role = with_domain_mail(AddressJudge().judge("info@acme.org"), silent, rules)
    assert (role.value, role.codes) == (V.RISKY, (C.ROLE_ADDRESS, C.DOMAIN_UNKNOWN))
    refused = AddressJudge().judge("x@")
    assert with_domain_mail(refused, silent, rules) == refused
