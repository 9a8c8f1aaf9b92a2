"""The schema comes, goes and comes again, and says of itself what the code says of it."""

from sqlalchemy import inspect

from postwright.store import schema
from postwright.store.database import open_engine, read_url
from postwright.store.tables import metadata


def _tables(url: str) -> set[str]:
    engine = open_engine(read_url(url))
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_an_empty_database_gets_exactly_the_tables_of_the_code(empty_url: str) -> None:
    assert not schema.is_current(empty_url)
    schema.upgrade(empty_url)
    assert schema.is_current(empty_url)
    assert schema.differences(empty_url) == []
    assert set(metadata.tables) <= _tables(empty_url)


def test_upgrading_twice_changes_nothing(empty_url: str) -> None:
    schema.upgrade(empty_url)
    before = _tables(empty_url)
    schema.upgrade(empty_url)
    assert _tables(empty_url) == before


def test_down_to_nothing_and_up_again(empty_url: str) -> None:
    schema.upgrade(empty_url)
    schema.downgrade(empty_url, "base")
    assert not schema.is_current(empty_url)
    assert _tables(empty_url) <= {"alembic_version"}
    schema.upgrade(empty_url)
    assert schema.differences(empty_url) == []


def test_a_missing_table_is_noticed(empty_url: str) -> None:
    schema.upgrade(empty_url)
    engine = open_engine(read_url(empty_url))
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE budget_use")
    engine.dispose()
    assert schema.differences(empty_url) != []
