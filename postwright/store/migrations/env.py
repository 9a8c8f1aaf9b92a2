"""Alembic's entry: runs the versions over the connection that ``postwright.store.schema`` hands in."""

from alembic import context

from postwright.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
