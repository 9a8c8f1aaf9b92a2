"""Everything that is kept about one person, read out of all tables, for whoever asks what is known of them."""

import json
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from mailtypes.clock import DAY, as_datetime
from postwright.store.records import BY_DELIVERY, table

_MOST: Final = 100_000
_contact, _list, _membership = table("contact"), table("contact_list"), table("list_membership")
_tag, _tagged, _consent = table("tag"), table("contact_tag"), table("consent")
_delivery, _run, _event = table("delivery"), table("run"), table("event")
_engagement, _suppression, _message = table("engagement"), table("suppression"), table("message")
_sign_up, _form, _activity = table("sign_up"), table("sign_up_form"), table("contact_activity")
_preference = table("contact_preference")


def person_records(connection: Connection, workspace_id: int, address_key: str) -> dict[str, Any]:
    """What is kept about the person with this address key, as it would be written to JSON; moments are RFC 3339."""
    mine = (_contact.c.workspace_id == workspace_id, _contact.c.address_key == address_key)
    contact = connection.execute(select(_contact).where(*mine)).one_or_none()
    found: dict[str, Any] = {"address_key": address_key, "contact": None if contact is None else _shown(contact)}
    contact_id = None if contact is None else int(contact.id)
    if contact_id is not None:
        found |= _of_contact(connection, contact_id)
    found["suppressions"] = _rows(
        connection, select(_suppression).where(*_by_address(_suppression, workspace_id, address_key))
    )
    found["sign_ups"] = _sign_ups(connection, workspace_id, address_key)
    deliveries = _deliveries(connection, workspace_id, address_key)
    found["messages"] = deliveries
    ids = [one["id"] for one in deliveries]
    found["events"] = _of_deliveries(connection, workspace_id, _event, ids, contact_id)
    found["opens_and_clicks"] = _of_deliveries(connection, workspace_id, _engagement, ids, contact_id)
    return found


def _of_contact(connection: Connection, contact_id: int) -> dict[str, Any]:
    lists = select(_list.c.name, _membership.c.joined_at, _membership.c.source).join(
        _membership, _membership.c.list_id == _list.c.id
    )
    tags = select(_tag.c.name, _tagged.c.tagged_at).join(_tagged, _tagged.c.tag_id == _tag.c.id)
    consents = select(_consent).where(_consent.c.contact_id == contact_id).order_by(_consent.c.id)
    return {
        "lists": _rows(connection, lists.where(_membership.c.contact_id == contact_id).order_by(_list.c.name)),
        "tags": _rows(connection, tags.where(_tagged.c.contact_id == contact_id).order_by(_tag.c.name)),
        "consents": _rows(connection, consents),
        "activity": _rows(connection, select(_activity).where(_activity.c.contact_id == contact_id)),
        "preferences": _rows(connection, select(_preference).where(_preference.c.contact_id == contact_id)),
    }


def _by_address(source: Any, workspace_id: int, address_key: str) -> tuple[Any, ...]:
    return source.c.workspace_id == workspace_id, source.c.address_key == address_key


def _sign_ups(connection: Connection, workspace_id: int, address_key: str) -> list[dict[str, Any]]:
    columns = [column for column in _sign_up.columns if column.name != "form_id"]
    statement = select(*columns, _form.c.name.label("form")).join(_form, _form.c.id == _sign_up.c.form_id)
    return _rows(connection, statement.where(*_by_address(_sign_up, workspace_id, address_key)))


def _deliveries(connection: Connection, workspace_id: int, address_key: str) -> list[dict[str, Any]]:
    statement = (
        select(
            _delivery.c.id, _delivery.c.address, _delivery.c.state, _delivery.c.merge_data, _delivery.c.queued_at,
            _delivery.c.settled_at, _delivery.c.reply_code, _delivery.c.reply_text, _delivery.c.record_key,
            _run.c.from_address, _run.c.other_senders, _delivery.c.sender,
            _message.c.subject, _message.c.tags, _message.c.client_metadata,
        )
        .join(_run, _run.c.id == _delivery.c.run_id)
        .outerjoin(_message, _message.c.id == _delivery.c.message_id)
        .where(*_by_address(_delivery, workspace_id, address_key))
        .order_by(_delivery.c.queued_at)
        .limit(_MOST)
    )  # fmt: skip
    return [_from_whom(row) for row in _rows(connection, statement)]


def _from_whom(row: dict[str, Any]) -> dict[str, Any]:
    """The delivery with the address that it was from, of a run with several senders, too."""
    others, number = row.pop("other_senders"), row.pop("sender")
    if number:
        row["from_address"] = str(json.loads(others)[number - 1]["address"])
    return row


def _of_deliveries(
    connection: Connection, workspace_id: int, source: Any, delivery_ids: list[int], contact_id: int | None
) -> list[dict[str, Any]]:
    """Rows about these deliveries, or about the contact without one, in the order of time."""
    rows: dict[int, dict[str, Any]] = {}
    base = select(source).where(source.c.workspace_id == workspace_id)
    if source is _event:
        base = base.with_hint(_event, BY_DELIVERY, "sqlite")
    for at in range(0, len(delivery_ids), 500):
        for row in _rows(connection, base.where(source.c.delivery_id.in_(delivery_ids[at : at + 500]))):
            rows[row["id"]] = row
    if contact_id is not None and source is _event:
        for row in _rows(connection, base.where(source.c.contact_id == contact_id, source.c.delivery_id.is_(None))):
            rows[row["id"]] = row
    return sorted(rows.values(), key=lambda row: (row["occurred_at"], row["id"]))


def _rows(connection: Connection, statement: Any) -> list[dict[str, Any]]:
    return [_shown(row) for row in connection.execute(statement)]


_JSON: Final = frozenset({"fields", "data", "merge_data", "tags", "client_metadata", "features", "list_ids"})
_HIDDEN: Final = frozenset({"workspace_id", "month", "contact_id", "address_hash", "neighbourhood"})


def _shown(row: Row[Any]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in row._mapping.items() if name not in _HIDDEN}


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _JSON and isinstance(value, str):
        return json.loads(value) if value else None
    if name.endswith("_at") and isinstance(value, int):
        return as_datetime(value).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if name == "last_open_day":
        return as_datetime(int(value) * DAY).date().isoformat()
    return value
