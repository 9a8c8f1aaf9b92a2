"""Sign-up forms, sign-ups that wait for their confirmation, what contacts chose, and which lists they may see."""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, ROW_ID, moment, optional_moment, reference, row_id


class SignUpForm(SQLModel, table=True):
    """A form that people sign up by. ``list_ids`` and ``fields`` are JSON lists; ``wording`` is what they agree to.

    ``template_id`` makes the confirmation mail where the built-in one is not wanted; ``return_url`` is where somebody
    is led after the confirmation. A form that is closed takes nobody.
    """

    __tablename__ = "sign_up_form"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str
    title: str
    wording: str
    language: str
    list_ids: str
    fields: str
    from_address: str
    from_name: str
    template_id: int | None = Field(default=None, foreign_key="template.id", sa_type=BIG)
    return_url: str = ""
    created_at: int = moment()
    closed_at: int | None = optional_moment()


class SignUp(SQLModel, table=True):
    """Somebody who filled in a form; ``state``: waiting, asked, confirmed, refused.

    ``wording`` and ``list_ids`` are the form's at that moment. ``client_ip`` asked, ``confirmed_ip`` confirmed;
    ``network`` is what is counted (an IPv4 address, or a /64 of IPv6). Until it is confirmed nothing else in the
    database knows the address. ``delivery_id`` is the confirmation mail's.
    """

    __tablename__ = "sign_up"
    __table_args__ = (
        Index("ix_sign_up_address", "workspace_id", "address_key", "created_at"),
        Index("ix_sign_up_network", "workspace_id", "network", "created_at"),
        Index("ix_sign_up_form", "form_id", "created_at"),
        Index("ix_sign_up_state", "state", "created_at"),
    )
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    form_id: int = reference("sign_up_form.id")
    address: str
    address_key: str
    domain: str
    fields: str
    language: str
    list_ids: str
    wording: str
    client_ip: str
    network: str
    state: str
    cause: str = ""
    delivery_id: int | None = Field(default=None, sa_type=BIG)
    created_at: int = moment()
    asked_at: int | None = optional_moment()
    confirmed_at: int | None = optional_moment()
    confirmed_ip: str | None = None


class ContactPreference(SQLModel, table=True):
    """What a contact asked for: at most ``most_mails`` marketing mails in ``within_days`` days."""

    __tablename__ = "contact_preference"
    contact_id: int = Field(primary_key=True, foreign_key="contact.id", sa_type=ROW_ID)
    workspace_id: int = reference("workspace.id")
    most_mails: int
    within_days: int
    updated_at: int = moment()


class PublicList(SQLModel, table=True):
    """A list that contacts see on their preference page, under ``title``; other lists are shown to nobody."""

    __tablename__ = "public_list"
    list_id: int = Field(primary_key=True, foreign_key="contact_list.id", sa_type=ROW_ID)
    workspace_id: int = reference("workspace.id")
    title: str
    description: str = ""
