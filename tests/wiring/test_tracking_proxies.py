"""The proxy in front of the tracking hosts, as the application is wired."""

from pathlib import Path

import pytest

from mailtypes.clock import ManualClock
from postwright.keyrings import write_new_key
from postwright.settings import DatabaseSettings, KeySettings, Settings, TrackSettings
from postwright.wiring.application import Application


@pytest.mark.parametrize(("peer", "believed"), [("127.0.0.1", True), ("172.16.0.9", True), ("203.0.113.9", False)])
async def test_a_proxy_on_this_machine_is_believed_beside_the_configured_ones(
    tmp_path: Path, peer: str, believed: bool
) -> None:
    write_new_key(tmp_path / "token.key")
    settings = Settings.model_construct(
        database=DatabaseSettings(url=f"sqlite:///{tmp_path}/postwright.db"),
        keys=KeySettings(token_file=tmp_path / "token.key"),
        track=TrackSettings(journal_dir=tmp_path / "track", trusted_proxies=("172.16.0.0/12",)),
    )
    application = Application(settings, ManualClock())
    scope = {"client": (peer, 1), "headers": [(b"x-forwarded-for", b"198.18.0.7")]}
    try:
        visitor = application.track_application._visitors.read(scope)
        assert visitor.address == ("198.18.0.7" if believed else peer)
    finally:
        await application.close()
