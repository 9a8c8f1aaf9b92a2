"""Which destination and provider a domain's hosts are; every rule of the data is held to its examples."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.destinations import ProviderRule, provider_by_name, provider_of, provider_rules, site_of

_EXAMPLES = [(rule, host) for rule in provider_rules() for host in rule.examples]


@pytest.mark.parametrize(("rule", "host"), _EXAMPLES, ids=[host for _, host in _EXAMPLES])
def test_examples_come_out_as_their_rule_says(rule: ProviderRule, host: str) -> None:
    assert provider_of(host) == rule.provider
    found = site_of(((host,),))
    assert found.site == (rule.site or host)


def test_every_rule_has_examples_for_each_suffix_and_none_hides_behind_another() -> None:
    for rule in provider_rules():
        for suffix in rule.suffixes:
            assert provider_of(f"x.{suffix}") == rule.provider, suffix
            assert suffix == suffix.lower().strip(".")
        assert rule.examples
        assert rule.source


def test_googles_many_names_are_one_destination_whatever_the_selection() -> None:
    gmail = site_of((("gmail-smtp-in.l.google.com",), ("alt1.gmail-smtp-in.l.google.com",)))
    workspace = site_of((("ASPMX.L.GOOGLE.COM.",), ("alt2.aspmx.l.google.com", "aspmx2.googlemail.com")))
    assert gmail == workspace == site_of((("smtp.google.com",),))


def test_nobody_can_write_hosts_into_a_shared_destination() -> None:
    hostile = site_of((("no-such-host.l.google.com",),))
    assert hostile.site == "google"
    assert hostile.hosts == site_of((("aspmx.l.google.com",),)).hosts
    assert hostile.hosts[0] == ("aspmx.l.google.com",)


def test_shared_sites_say_how_they_are_reached_and_other_rules_do_not() -> None:
    for rule in provider_rules():
        assert bool(rule.site) == bool(rule.hosts)
        assert all(rule.fits(host) for group in rule.hosts for host in group)


def test_tenants_of_microsoft_keep_their_hosts_but_share_the_provider() -> None:
    one = site_of((("acme-com.mail.protection.outlook.com",),))
    other = site_of((("globex-com.mail.protection.outlook.com",),))
    consumer = site_of((("outlook-com.olc.protection.outlook.com",),))
    assert one.site != other.site
    assert one.provider == other.provider == "microsoft365"
    assert consumer.provider == "outlook.com"


def test_a_backup_of_ones_own_keeps_a_domain_out_of_the_shared_site() -> None:
    mixed = site_of((("aspmx.l.google.com",), ("backup.acme.example",)))
    assert mixed.provider == "google"
    assert mixed.site == "aspmx.l.google.com+backup.acme.example"


def test_a_best_group_of_two_providers_belongs_to_neither() -> None:
    assert site_of((("aspmx.l.google.com", "mx.acme.example"),)).provider == "l.google.com"


@pytest.mark.parametrize("host", ["notgoogle.com", "l.google.com.evil.example", "xyahoodns.net", "google.com"])
def test_names_that_only_look_alike_are_nobodys(host: str) -> None:
    assert provider_of(host) not in {rule.provider for rule in provider_rules()}


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("mx1.postbox.test", "postbox.test"),
        ("mx1.eu.postbox.test", "eu.postbox.test"),
        ("postbox.test", "postbox.test"),
        ("mail.acme.co.il", "acme.co.il"),
        ("acme.co.il", "acme.co.il"),
        ("acme.com.au", "acme.com.au"),
        ("mx.acme.io", "acme.io"),
        ("localhost", "localhost"),
    ],
)
def test_who_is_not_known_goes_by_the_name_that_the_hosts_share(host: str, provider: str) -> None:
    assert provider_by_name(host) == provider


def test_hosts_of_one_preference_have_no_order_but_preferences_count() -> None:
    assert site_of((("b.x.test", "a.x.test"),)).site == site_of((("a.x.test", "b.x.test"),)).site
    assert site_of((("a.x.test",), ("b.x.test",))).site != site_of((("b.x.test",), ("a.x.test",))).site


def test_no_hosts_are_no_destination() -> None:
    with pytest.raises(ValueError, match="at least one"):
        site_of(((),))


_LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=63)
_HOST = st.lists(_LABEL, min_size=1, max_size=4).map(".".join)


@settings(deadline=None)
@given(st.lists(st.lists(_HOST, min_size=1, max_size=10), min_size=1, max_size=5))
def test_any_set_of_hosts_has_a_bounded_site_and_a_provider_and_says_so_twice(groups: list[list[str]]) -> None:
    found = site_of(groups)
    assert 0 < len(found.site) <= 400
    assert found.provider
    again = site_of([list(reversed(group)) for group in groups])
    assert (again.site, again.provider) == (found.site, found.provider)


def test_long_sets_that_differ_at_the_end_are_two_sites() -> None:
    hosts = [f"mx{number}.{'long' * 12}.example" for number in range(50)]
    assert site_of((hosts,)).site != site_of(((*hosts[:-1], "mx99.example"),)).site
