import sqlite3
from pathlib import Path

from mailtypes.clock import ManualClock
from postwright.install.initialise import initialise
from postwright.store.schema import is_current


async def test_init_takes_changed_settings_into_the_database_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    config = tmp_path / "postwright.toml"
    first = await initialise(config, "ada@acme.test", "main", ManualClock())
    assert first.config_written
    assert first.link is not None
    assert first.link.startswith("http://127.0.0.1:8025/welcome?link=1-")
    assert is_current(f"sqlite:///{tmp_path}/data/postwright.db")
    config.write_text(config.read_text() + '\n[[deliver.egress]]\nip = "192.0.2.7"\nehlo = "mta.acme.test"\n')
    again = await initialise(config, "ben@acme.test", "main", ManualClock())
    assert (again.config_written, again.link, again.workspace_id) == (False, None, first.workspace_id)
    with sqlite3.connect(tmp_path / "data/postwright.db") as database:
        assert database.execute("SELECT ip, ehlo FROM egress_source").fetchall() == [("192.0.2.7", "mta.acme.test")]
        assert database.execute("SELECT count(*) FROM user_account").fetchall() == [(1,)]
