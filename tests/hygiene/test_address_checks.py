import pytest
from hypothesis import given
from hypothesis import strategies as st

from hygiene.address_checks import AddressRefusal, AddressWarning, check_address


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Dana.Levi@Mailhub.TEST", "dana.levi@mailhub.test"),
        ("  dana@mailhub.test ", "dana@mailhub.test"),
        ("dana@דואר.test", "dana@xn--4dbfg1f.test"),
        ("o+tag@bakery.test", "o+tag@bakery.test"),
    ],
)
def test_good_addresses(text: str, key: str) -> None:
    check = check_address(text, test_environment=True)
    assert check.is_accepted
    assert check.address is not None
    assert check.address.key == key
    assert (check.refusal, check.sentence, check.warnings) == (None, "", ())


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", AddressRefusal.EMPTY),
        (" \t ", AddressRefusal.EMPTY),
        ("dana.mailhub.test", AddressRefusal.NO_AT_SIGN),
        ("a@b@mailhub.test", AddressRefusal.BAD_LOCAL_PART),
        ("@mailhub.test", AddressRefusal.BAD_LOCAL_PART),
        ("a b@mailhub.test", AddressRefusal.BAD_LOCAL_PART),
        ("a..b@mailhub.test", AddressRefusal.BAD_LOCAL_PART),
        ("a\x07@mailhub.test", AddressRefusal.BAD_LOCAL_PART),
        ("a\u200b@mailhub.test", AddressRefusal.BAD_LOCAL_PART),
        ("a" * 65 + "@mailhub.test", AddressRefusal.BAD_LOCAL_PART),
        ("a@", AddressRefusal.BAD_DOMAIN),
        ("a@mailhub", AddressRefusal.BAD_DOMAIN),
        ("a@mailhub,test", AddressRefusal.BAD_DOMAIN),
        ("a@bakery.-x", AddressRefusal.BAD_DOMAIN),
        ("a@1דואר.test", AddressRefusal.BAD_DOMAIN),
        ("a@mail hub.test", AddressRefusal.BAD_DOMAIN),
        ("a@[192.0.2.1]", AddressRefusal.BAD_DOMAIN),
        ("a" * 20 + "@" + ".".join(["b" * 60] * 4) + ".test", AddressRefusal.TOO_LONG),
        ("a" * 600, AddressRefusal.TOO_LONG),
        ("a@xn--zz.test", AddressRefusal.UNREGISTRABLE),
        ("a@shop.invalid", AddressRefusal.UNREGISTRABLE),
        ("a@host.local", AddressRefusal.UNREGISTRABLE),
    ],
)
def test_bad_addresses_come_with_code_and_sentence(text: str, refusal: AddressRefusal) -> None:
    check = check_address(text, test_environment=True)
    assert check.refusal is refusal
    assert check.address is None
    assert check.sentence[0].isupper() or check.sentence[0] == "'"
    assert check.sentence.endswith(".")


def test_domains_under_test_pass_in_the_sandbox_alone() -> None:
    assert check_address("dana@mailhub.test").refusal is AddressRefusal.UNREGISTRABLE
    assert check_address("dana@mailhub.test", test_environment=True).is_accepted
    assert check_address("dana@example.org").is_accepted


@pytest.mark.parametrize("local_part", ["info", "Sales", "postmaster", "support+il"])
def test_role_addresses_are_flagged_and_accepted(local_part: str) -> None:
    check = check_address(f"{local_part}@acme.org")
    assert check.is_accepted
    assert check.warnings == (AddressWarning.ROLE_ADDRESS,)


def test_local_parts_beyond_ascii_are_flagged() -> None:
    assert check_address("דנה@acme.org").warnings == (AddressWarning.NEEDS_SMTPUTF8,)


@given(st.text() | st.from_regex(r"[a-z.]{1,5}@[a-zא-ת0-9.\-_]{1,20}", fullmatch=True))
def test_every_text_is_either_accepted_or_explained(text: str) -> None:
    check = check_address(text, test_environment=True)
    assert check.is_accepted == (check.refusal is None) == (check.sentence == "")
