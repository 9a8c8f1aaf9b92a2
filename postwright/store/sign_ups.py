"""Sign-up forms, and those who filled them in and have not confirmed yet."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, fetch_one, insert_row, page, select_as, table

_form, _sign_up = table("sign_up_form"), table("sign_up")


@dataclass(frozen=True, slots=True)
class NewForm:
    """A form to store; fields as in ``tables.consents.SignUpForm``."""

    name: str
    title: str
    wording: str
    language: str
    list_ids: tuple[int, ...]
    fields: tuple[str, ...]
    from_address: str
    from_name: str
    template_id: int | None
    return_url: str


@dataclass(frozen=True, slots=True)
class Form:
    """A stored form; ``list_ids`` and ``fields`` are JSON lists."""

    id: int
    workspace_id: int
    name: str
    title: str
    wording: str
    language: str
    list_ids: str
    fields: str
    from_address: str
    from_name: str
    template_id: int | None
    return_url: str
    created_at: int
    closed_at: int | None

    @property
    def lists(self) -> tuple[int, ...]:
        """The ids of its lists."""
        return tuple(json.loads(self.list_ids))

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the fields that it asks for."""
        return tuple(json.loads(self.fields))


@dataclass(frozen=True, slots=True)
class NewSignUp:
    """Somebody who filled in a form; ``network`` is what is counted."""

    address: str
    address_key: str
    domain: str
    fields: str
    language: str
    client_ip: str
    network: str


@dataclass(frozen=True, slots=True)
class SignUp:
    """A stored one; fields as in ``tables.consents.SignUp``."""

    id: int
    workspace_id: int
    form_id: int
    address: str
    address_key: str
    domain: str
    fields: str
    language: str
    list_ids: str
    wording: str
    client_ip: str
    state: str
    cause: str
    delivery_id: int | None
    created_at: int
    asked_at: int | None
    confirmed_at: int | None
    confirmed_ip: str | None

    @property
    def lists(self) -> tuple[int, ...]:
        """The ids of the lists that it is for."""
        return tuple(json.loads(self.list_ids))


def add_form(connection: Connection, workspace_id: int, new: NewForm, now: Microseconds) -> int:
    """Store a form; returns its id."""
    return insert_row(connection, _form, workspace_id=workspace_id, created_at=now, **_form_row(new))


def change_form(connection: Connection, form: Form, new: NewForm) -> None:
    """Let a form be another one; who signed up before keeps what they agreed to."""
    connection.execute(update(_form).where(_form.c.id == form.id).values(**_form_row(new)))


def _form_row(new: NewForm) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(new, name) for name in NewForm.__slots__}
    return row | {"list_ids": json.dumps(new.list_ids), "fields": json.dumps(new.fields, ensure_ascii=False)}


def close_form(connection: Connection, form_id: int, now: Microseconds) -> None:
    """Take nobody any more; who was asked may still confirm."""
    connection.execute(update(_form).where(_form.c.id == form_id, _form.c.closed_at.is_(None)).values(closed_at=now))


def get_form(connection: Connection, form_id: int) -> Form | None:
    """The form with that id, of whatever workspace."""
    return fetch_one(connection, Form, _form, _form.c.id == form_id)


def find_form(connection: Connection, workspace_id: int, name: str) -> Form | None:
    """The form of that name."""
    return fetch_one(connection, Form, _form, _form.c.workspace_id == workspace_id, _form.c.name == name)


def list_forms(connection: Connection, workspace_id: int, *, after: int = 0, limit: int = 100) -> list[Form]:
    """Forms in the order of their ids."""
    return page(connection, Form, _form, [_form.c.workspace_id == workspace_id], after=after, limit=limit)


def count_since(connection: Connection, form: Form, new: NewSignUp, since: Microseconds) -> tuple[int, int]:
    """How many sign-ups there were since, from this network and for this address, by any form of the workspace."""
    recent = (_sign_up.c.workspace_id == form.workspace_id, _sign_up.c.created_at > since)
    counted = select(func.count()).select_from(_sign_up).where(*recent)
    of_network = connection.execute(counted.where(_sign_up.c.network == new.network)).scalar_one()
    of_address = connection.execute(counted.where(_sign_up.c.address_key == new.address_key)).scalar_one()
    return int(of_network), int(of_address)


def count_of_form(connection: Connection, form_id: int, since: Microseconds) -> int:
    """How many sign-ups a form had since."""
    mine = (_sign_up.c.form_id == form_id, _sign_up.c.created_at > since)
    return int(connection.execute(select(func.count()).select_from(_sign_up).where(*mine)).scalar_one())


def add_sign_up(connection: Connection, form: Form, new: NewSignUp, state: str, now: Microseconds) -> int:
    """Store somebody who filled in a form, with what they agreed to."""
    row = {name: getattr(new, name) for name in NewSignUp.__slots__}
    terms = {"list_ids": form.list_ids, "wording": form.wording, "state": state, "created_at": now}
    return insert_row(connection, _sign_up, workspace_id=form.workspace_id, form_id=form.id, **row, **terms)


def get_sign_up(connection: Connection, sign_up_id: int) -> SignUp | None:
    """The sign-up with that id."""
    return fetch_one(connection, SignUp, _sign_up, _sign_up.c.id == sign_up_id)


def waiting(connection: Connection, limit: int) -> list[SignUp]:
    """Who waits for the mail that asks them to confirm, the oldest first."""
    mine = select_as(SignUp, _sign_up).where(_sign_up.c.state == "waiting").order_by(_sign_up.c.created_at)
    return fetch_all(connection, SignUp, mine.limit(limit))


def list_sign_ups(connection: Connection, form_id: int, *, after: int = 0, limit: int = 100) -> list[SignUp]:
    """The sign-ups by a form in the order of their ids."""
    return page(connection, SignUp, _sign_up, [_sign_up.c.form_id == form_id], after=after, limit=limit)


def move(connection: Connection, sign_up_id: int, before: Sequence[str], after: str, **values: object) -> bool:
    """Bring a sign-up from one of these states to another; ``False`` where it was in none of them."""
    mine = (_sign_up.c.id == sign_up_id, _sign_up.c.state.in_(before))
    return connection.execute(update(_sign_up).where(*mine).values(state=after, **values)).rowcount == 1


def end_before(connection: Connection, moment: Microseconds, limit: int) -> int:
    """Forget who has not confirmed by now: of whoever never answered nothing is kept; returns how many."""
    old = select(_sign_up.c.id).where(
        _sign_up.c.state.in_(("waiting", "asked", "refused")), _sign_up.c.created_at <= moment
    )
    ids = [int(row[0]) for row in connection.execute(old.limit(limit))]
    if ids:
        connection.execute(delete(_sign_up).where(_sign_up.c.id.in_(ids)))
    return len(ids)


def has_before(connection: Connection, moment: Microseconds) -> bool:
    """Whether there is somebody whom ``end_before`` would forget."""
    old = select(_sign_up.c.id).where(
        _sign_up.c.state.in_(("waiting", "asked", "refused")), _sign_up.c.created_at <= moment
    )
    return connection.execute(old.limit(1)).first() is not None


def forget(connection: Connection, sign_up_id: int) -> None:
    """Delete one sign-up."""
    connection.execute(delete(_sign_up).where(_sign_up.c.id == sign_up_id))
