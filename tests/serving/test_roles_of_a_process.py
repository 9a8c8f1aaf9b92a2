"""What the roles of one process stand on: a process that only delivers holds little of the database in memory."""

from pathlib import Path

import pytest

from postwright.serving.roles import Role, open_roles
from postwright.settings import DatabaseSettings, Settings
from postwright.store.database import NARROW_CACHE_KIB, WIDE_CACHE_KIB
from postwright.wiring.application import Application


@pytest.mark.parametrize(
    ("roles", "cache_kib"),
    [
        ((Role.DELIVER,), NARROW_CACHE_KIB),
        ((Role.DELIVER, Role.DELIVER), NARROW_CACHE_KIB),
        ((Role.DELIVER, Role.SCHEDULE), WIDE_CACHE_KIB),
        ((Role.HTTP, Role.SMTP, Role.TRACK), WIDE_CACHE_KIB),
    ],
)
async def test_each_role_has_its_work_and_a_cache_that_fits(
    roles: tuple[Role, ...], cache_kib: int, tmp_path: Path
) -> None:
    settings = Settings.model_construct(database=DatabaseSettings(url=f"sqlite:///{tmp_path}/postwright.db"))
    foundation, works = open_roles(settings, roles)
    try:
        assert len(works) == len(roles)
        assert isinstance(foundation, Application) is (set(roles) != {Role.DELIVER})
        size = await foundation.database.write(lambda one: one.exec_driver_sql("PRAGMA cache_size").scalar_one())
        assert size == -cache_kib
    finally:
        await foundation.close()
