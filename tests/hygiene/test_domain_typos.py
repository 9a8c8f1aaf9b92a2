import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from hygiene.domain_typos import Slip, find_typo, slip_between
from hygiene.known_domains import ASCII_ONLY_PROVIDERS, KNOWN_DOMAINS, TYPO_TARGETS, WRONG_DOMAINS, WRONG_ENDINGS

letters = st.sampled_from("abgmil.o1")
words = st.text("ab.", max_size=6)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gamil.com", "gmail.com"),
        ("gmal.com", "gmail.com"),
        ("gmaill.com", "gmail.com"),
        ("gnail.com", "gmail.com"),
        ("gmeil.com", "gmail.com"),
        ("gmailcom", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("gmail.co.il", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gmial.con", "gmail.com"),
        ("www.gmail.com", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("yaho.com", "yahoo.com"),
        ("iclould.com", "icloud.com"),
        ("wala.co.il", "walla.co.il"),
        ("walla.coil", "walla.co.il"),
        ("walla.co.li", "walla.co.il"),
        ("netvison.net.il", "netvision.net.il"),
        ("netvision.net.li", "netvision.net.il"),
        ("bezeqnit.net", "bezeqint.net"),
        ("bezekint.net", "bezeqint.net"),
        ("zahv.net.il", "zahav.net.il"),
        ("012.net.li", "012.net.il"),
        ("acme.co.li", "acme.co.il"),
        ("acme.cmo", "acme.com"),
        ("acme.ogr", "acme.org"),
    ],
)
def test_what_was_meant(typed: str, meant: str) -> None:
    found = find_typo(typed)
    assert found is not None
    assert (found.typed, found.meant) == (typed, meant)


@pytest.mark.parametrize(
    "domain",
    [
        *(
            "mail.com",
            "email.com",
            "ymail.com",
            "walla.com",
            "yahoo.co.uk",
            "outlook.co.il",
            "hotmail.de",
            "outlook.dk",
        ),
        *(
            "acme.com",
            "acme.co.il",
            "acme.li",
            "gail.io",
            "kmail.com",
            "yahoo.cz",
            "012.co",
            "aon.com",
            "com",
            "",
            "il",
        ),
    ],
)
def test_what_may_be_right_is_left_alone(domain: str) -> None:
    assert find_typo(domain) is None


def test_nothing_is_suggested_for_a_known_domain() -> None:
    assert [domain for domain in sorted(KNOWN_DOMAINS) if find_typo(domain) is not None] == []


@given(
    st.sampled_from(TYPO_TARGETS), st.integers(0, 8), st.sampled_from("qwertyuiopasdfghjklzxcvbnm"), st.integers(0, 2)
)
def test_one_slip_in_a_name_is_found(target: str, place: int, letter: str, kind: int) -> None:
    """But for another first letter, which is another company; a swap is kind 0, then left out, then too many."""
    name, dot, ending = target.partition(".")
    at = place % len(name)
    if kind == 0:
        name = name[:at] + name[at : at + 2][::-1] + name[at + 2 :]
    elif kind == 1:
        name = name[:at] + name[at + 1 :]
    else:
        name = name[:at] + letter + name[at:]
    typed = name + dot + ending
    found = find_typo(typed)
    if typed in KNOWN_DOMAINS:
        assert found is None
    else:
        assert found is not None
        assert found.meant in TYPO_TARGETS or found.meant == WRONG_DOMAINS.get(typed)


def distance(one: str, other: str) -> int:
    """Damerau-Levenshtein of the restricted kind, by the table of the textbooks."""
    rows = [[max(i, j) if 0 in (i, j) else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            cost = one[i - 1] != other[j - 1]
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + cost)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


@settings(max_examples=300)
@given(words, words)
def test_a_slip_is_a_distance_of_one(typed: str, meant: str) -> None:
    assert (slip_between(typed, meant) is not None) == (distance(typed, meant) == 1)


@settings(max_examples=200)
@given(st.sampled_from(TYPO_TARGETS), st.lists(st.tuples(st.integers(0, 20), letters), max_size=2))
def test_a_providers_domain_is_suggested_for_what_is_near_it(target: str, edits: list[tuple[int, str]]) -> None:
    typed = target
    for place, letter in edits:
        at = place % len(typed)
        typed = typed[:at] + letter + typed[at + 1 :]
    found = find_typo(typed)
    if found is not None and found.how.endswith(("swapped", "missing", "too many", "hit", "wrong")):
        assert distance(typed, found.meant) == 1
    if typed[0] == target[0] and typed.rpartition(".")[2] == target.rpartition(".")[2] and distance(typed, target) == 1:
        assert found is not None or typed in KNOWN_DOMAINS


@pytest.mark.parametrize(
    ("typed", "meant", "slip"),
    [
        ("ab", "ba", Slip.SWAPPED),
        ("a", "ab", Slip.LEFT_OUT),
        ("abb", "ab", Slip.ONE_TOO_MANY),
        ("gnail", "gmail", Slip.NEIGHBOUR_KEY),
        ("gpail", "gmail", Slip.OTHER_KEY),
        ("ab", "ab", None),
        ("", "", None),
    ],
)
def test_kinds_of_slips(typed: str, meant: str, slip: Slip | None) -> None:
    assert slip_between(typed, meant) is slip


def test_the_tables_contradict_nothing() -> None:
    assert not KNOWN_DOMAINS & set(WRONG_DOMAINS)
    assert set(WRONG_DOMAINS.values()) | ASCII_ONLY_PROVIDERS <= KNOWN_DOMAINS
    suffixes = PublicSuffixList()
    real = [end for end in WRONG_ENDINGS if "." not in end and suffixes.publicsuffix(f"x.{end}", accept_unknown=False)]
    assert real == []
    assert not any(domain.endswith(tuple(f".{end}" for end in WRONG_ENDINGS)) for domain in KNOWN_DOMAINS)
    assert not any(find_typo(f"acme.{end}") is None for end in WRONG_ENDINGS)


@given(st.text(max_size=300))
def test_any_text_is_answered(text: str) -> None:
    found = find_typo(text)
    assert found is None or (found.typed == text and found.meant != text)
