"""Families of User-Agent headers, classes of networks, and neighbourhoods."""

import tomllib
from datetime import date
from importlib.resources import files
from ipaddress import ip_address, ip_network
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.verdicts import (
    AgentFamily,
    Features,
    FetchKind,
    NetworkClass,
    Networks,
    Verdict,
    family_of,
    shipped_judge,
    shipped_networks,
)
from tracking.verdicts.networks import NetworksSyntaxError, neighbourhood

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)


@pytest.mark.parametrize(
    ("header", "family"),
    [
        ("Mozilla/5.0", "apple_mail_privacy"),
        ("Mozilla/5.0 ", "apple_mail_privacy"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "browser"),
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "gmail_proxy"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135"
            " Safari/537.36 Edge/12.246 Mozilla/5.0",
            "gmail_prefetch",
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "yahoo_proxy"),
        (CHROME, "browser"),
        ("Microsoft Outlook 16.0.17328; ms-office; MSOffice 16", "desktop_client"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.0", "desktop_client"),
        ("python-requests/2.32", "tool"),
        ("Slackbot-LinkExpanding 1.0", "tool"),
        ("Mozilla/5.0 (compatible; BarracudaCentral)", "scanner"),
        ("", "none"),
        ("   ", "none"),
        ("Mozilla/4.0", "other"),
        ("x" * 600 + "bot", "other"),
    ],
)
def test_families(header: str, family: str) -> None:
    assert family_of(header) == AgentFamily(family)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("17.58.0.1", "apple"), ("66.249.84.7", "google"), ("98.137.0.1", "yahoo"), ("20.66.1.1", "datacenter"),
        ("40.107.1.1", "microsoft"), ("::ffff:40.107.1.1", "microsoft"), ("67.231.159.255", "scanner"),
        ("67.231.160.0", "other"), ("148.163.130.1", "likely_scanner"),
        ("85.158.137.1", "likely_scanner"), ("192.0.2.1", "other"), ("2a01:111:f400::9", "microsoft"),
        ("2001:db8::1", "other"),
        ("0.0.0.0", "other"), ("255.255.255.255", "other"), ("", "other"), ("localhost", "other"),
    ],
)  # fmt: skip
def test_classes(address: str, kind: str) -> None:
    assert shipped_networks().class_of(address) == NetworkClass(kind)


def test_each_range_says_where_it_is_known_from() -> None:
    text = files("tracking.verdicts").joinpath("networks.toml").read_text("utf-8")
    for entry in tomllib.loads(text)["network"]:
        assert entry.keys() == {"class", "confidence", "ranges", "source", "read"}
        assert isinstance(entry["read"], date)
        assert len(entry["source"]) > 20


def test_only_what_a_vendor_publishes_makes_a_machine_by_itself() -> None:
    """Whoever reads from a network and does nothing else remarkable is a machine in no other one."""
    for kind in NetworkClass:
        for what, family in product(("open", "click"), (AgentFamily.BROWSER, AgentFamily.OTHER)):
            features = Features(FetchKind(what), family, kind, since_sent=3_600.0, links_near=int(what == "click"))
            verdict = shipped_judge().judge(features).verdict
            assert (verdict is Verdict.MACHINE) == (kind is NetworkClass.SCANNER)


def test_a_scanner_that_is_only_reported_is_a_likely_one() -> None:
    entry = '[[network]]\nclass = "scanner"\nranges = ["192.0.2.0/24"]\nsource = "x"\n'
    assert Networks.parse(entry).class_of("192.0.2.1") is NetworkClass.SCANNER
    assert Networks.parse(f'{entry}confidence = "reported"\n').class_of("192.0.2.1") is NetworkClass.LIKELY_SCANNER
    with pytest.raises(NetworksSyntaxError):
        Networks.parse(f'{entry}confidence = "guessed"\n')


some_networks = st.lists(
    st.tuples(
        st.builds(
            lambda bits, length: ip_network((bits >> (32 - length) << (32 - length), length)),
            st.integers(0, 2**12 - 1).map(lambda small: small << 20),
            st.integers(1, 12),
        ),
        st.sampled_from([kind for kind in NetworkClass if kind is not NetworkClass.OTHER]),
    ),
    max_size=8,
    unique_by=lambda entry: entry[0],
)


@given(some_networks, st.integers(0, 2**32 - 1))
def test_the_narrowest_range_counts(ranges: list, number: int) -> None:
    address = ip_address(number)
    holding = [entry for entry in ranges if address in entry[0]]
    expected = max(holding, key=lambda entry: entry[0].prefixlen)[1] if holding else NetworkClass.OTHER
    assert Networks(ranges).class_of(str(address)) == expected


def test_an_install_adds_its_own() -> None:
    own = '[[network]]\nclass = "scanner"\nranges = ["192.0.2.0/24", "17.0.0.0/8"]\nsource = "ours"\n'
    networks = Networks.parse(own, before_shipped=True)
    assert networks.class_of("192.0.2.9") is NetworkClass.SCANNER
    assert networks.class_of("17.0.0.1") is NetworkClass.SCANNER
    assert networks.class_of("66.249.84.7") is NetworkClass.GOOGLE
    assert Networks.parse(own).class_of("66.249.84.7") is NetworkClass.OTHER


@pytest.mark.parametrize(
    "text",
    ["", "x", '[[network]]\nclass="moon"\nranges=[]', '[[network]]\nclass="apple"\nranges=["1.2.3.4/8"]'],
)
def test_lists_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(NetworksSyntaxError):
        Networks.parse(text)


def test_neighbourhoods() -> None:
    assert neighbourhood("192.0.2.9") == neighbourhood("::ffff:192.0.2.200") == "192.0.2.0/24"
    assert neighbourhood("2001:db8:1:2::3") == "2001:db8:1::/48"
    for inside in ("nowhere", "127.0.0.1", "10.1.2.3", "172.18.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::1"):
        assert neighbourhood(inside) == ""
