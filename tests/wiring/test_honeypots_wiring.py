"""``track.honeypots`` reaches whoever makes mail, measures it and judges clicks; without it nobody knows of any."""

from pathlib import Path

import pytest

from mailtypes.clock import ManualClock
from postwright.keyrings import write_new_key
from postwright.services.mail_checks import sample_urls
from postwright.settings import DatabaseSettings, DeliverSettings, EgressSettings, KeySettings, Settings, TrackSettings
from postwright.wiring.application import Application
from postwright.wiring.delivery import DeliveryWorker, egress_units


@pytest.mark.parametrize("is_on", [None, False, True])
async def test_honeypots_are_off_unless_turned_on(tmp_path: Path, is_on: bool | None) -> None:
    keys = {name: tmp_path / name for name in ("master_file", "token_file", "return_path_file", "erasure_file")}
    for file in keys.values():
        write_new_key(file)
    settings = Settings.model_construct(
        database=DatabaseSettings(url=f"sqlite:///{tmp_path}/postwright.db"),
        keys=KeySettings(**keys),
        deliver=DeliverSettings(egress=(EgressSettings(ip="192.0.2.1", ehlo="a.test", pool="default"),)),
        track=TrackSettings() if is_on is None else TrackSettings(honeypots=is_on),
    )
    application = Application(settings, ManualClock())
    try:
        assert application.tracking_criteria.honeypots is bool(is_on)
        assert application._preflight_policy.honeypots is bool(is_on)
        assert application.templates.checks._honeypots is bool(is_on)
        worker = DeliveryWorker(application, egress_units(settings)[0])
        assert worker.composer._honeypots is bool(is_on)
    finally:
        await application.close()


def test_the_size_is_measured_with_it() -> None:
    assert sample_urls("https://links.acme.test").honeypot_url is None
    with_it = sample_urls("https://links.acme.test", honeypots=True)
    assert with_it.honeypot_url == with_it.link_url(1)
