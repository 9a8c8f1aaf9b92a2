"""The database: SQLModel tables, repositories, migrations and the group-committing writer."""
