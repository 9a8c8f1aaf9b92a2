"""Which delivery workers the configuration asks for."""

from pathlib import Path

import pytest

from mailtypes.errors import ConfigurationError
from mailtypes.smtp import SmtpReply
from mta.shaping.rules import Stage
from postwright.settings import DeliverSettings, EgressSettings, Settings
from postwright.wiring.delivery import egress_units, shaping_rules


def settings(*egress: tuple[str, str, str], pools: dict[str, str] | None = None) -> Settings:
    addresses = tuple(EgressSettings(ip=ip, ehlo=ehlo, pool=pool) for ip, ehlo, pool in egress)
    return Settings.model_construct(deliver=DeliverSettings(egress=addresses, pools=pools or {}))


def test_the_addresses_of_one_name_are_one_place_with_one_address_a_family() -> None:
    units = egress_units(settings(("192.0.2.1", "a.test", "default"), ("2001:db8::1", "a.test", "default")))
    assert [(unit.pool, unit.source.ehlo_name, unit.source.addresses) for unit in units] == [
        ("default", "a.test", ("192.0.2.1", "2001:db8::1"))
    ]
    assert units[0].name == "192.0.2.1,2001:db8::1"


def test_every_further_address_is_a_place_of_its_own() -> None:
    units = egress_units(
        settings(
            ("192.0.2.1", "a.test", "default"),
            ("192.0.2.2", "b.test", "default"),
            ("192.0.2.3", "b.test", "default"),
            ("192.0.2.4", "tx.test", "receipts"),
            pools={"transactional": "receipts"},
        )
    )
    assert [(unit.pool, unit.source.ehlo_name, unit.name) for unit in units] == [
        ("default", "a.test", "192.0.2.1"),
        ("default", "b.test", "192.0.2.2"),
        ("default", "b.test", "192.0.2.3"),
        ("receipts", "tx.test", "192.0.2.4"),
    ]


@pytest.mark.parametrize(
    ("egress", "pools", "named"),
    [
        ([], {}, "names no address"),
        ([("192.0.2.1", "a.test", "default")], {"marketing": "bulk"}, "'bulk' \\(marketing\\)"),
        ([("192.0.2.1", "a.test", "bulk")], {"marketing": "bulk"}, "'default'"),
    ],
)
def test_mail_that_could_not_leave_is_a_fault_of_the_configuration(
    egress: list[tuple[str, str, str]], pools: dict[str, str], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        egress_units(settings(*egress, pools=pools))


RULE = """
[[rule]]
name = "ours"
source = "what we have seen"
providers = ["google"]
codes = [421]
status = ["4.7.28"]
suspend = { first = 60, longest = 600 }
"""


def test_rules_of_the_operator_are_asked_first(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULE)
    reply = SmtpReply.of(421, "4.7.28 unusual rate of mail")
    ours = shaping_rules(DeliverSettings(shaping_rules_file=file)).match("google", Stage.MESSAGE, reply)
    built_in = shaping_rules(DeliverSettings()).match("google", Stage.MESSAGE, reply)
    assert ours is not None
    assert built_in is not None
    assert (ours.name, built_in.name) == ("ours", "google-rate-limit")


@pytest.mark.parametrize("text", [None, "[[rule]]\nname = 5\n", "not toml", "[other]\n"])
def test_rules_that_cannot_be_used_are_a_fault_of_the_configuration(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "rules.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match="shaping_rules_file"):
        shaping_rules(DeliverSettings(shaping_rules_file=file))
