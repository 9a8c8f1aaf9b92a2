"""What is looked at over the network before a mail is sent, as the configuration asks for it."""

from pathlib import Path

import pytest

from mailtypes.clock import ManualClock
from postwright.settings import DatabaseSettings, PreflightSettings, SandboxSettings, Settings
from postwright.wiring.application import Application


@pytest.mark.parametrize(
    ("asked_for", "is_sandbox", "looks"),
    [
        ({}, False, (True, False)),
        ({"fetch_links": True}, False, (True, True)),
        ({"fetch_links": True}, True, (False, False)),
    ],
)
async def test_links_are_asked_for_where_that_is_wished_and_never_in_the_sandbox(
    tmp_path: Path, asked_for: dict[str, bool], is_sandbox: bool, looks: tuple[bool, bool]
) -> None:
    settings = Settings.model_construct(
        database=DatabaseSettings(url=f"sqlite:///{tmp_path}/postwright.db"),
        preflight=PreflightSettings(**asked_for),
        sandbox=SandboxSettings(dir=tmp_path if is_sandbox else None),
    )
    application = Application(settings, ManualClock())
    try:
        assert (application._image_looks is not None, application._link_looks is not None) == looks
        assert application._link_looks is application._link_looks  # one memory for pre-flight and the template's page
    finally:
        await application.close()
