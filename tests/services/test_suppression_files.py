"""Suppressions in the forms of other providers: recognised, read with their reasons, and read again once written."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postwright.services.errors import RefusedError
from postwright.services.suppression_files import FileForm, read_file, write_csv
from postwright.store.suppressions import Suppression

FILES = [
    ("sendgrid", "status,reason,email,created\n5.1.1,550 user unknown,a@b.test,1443651125\n", "hard_bounce"),
    ("sendgrid", "email,created\na@b.test,1443651125\n", "unsubscribed"),
    ("sendgrid", "email,ip,created\na@b.test,192.0.2.1,1443651125\n", "complaint"),
    (
        "mailgun",
        'address,code,error,created_at\na@b.test,550,"No such user","Fri, 21 Oct 2011 11:02:55 UTC"\n',
        "hard_bounce",
    ),
    ("mailgun", "address,tags,created_at\na@b.test,*,\n", "unsubscribed"),
    ("mailgun", "address,created_at\na@b.test,\n", "complaint"),
    ("ses", "a@b.test,BOUNCE\n", "hard_bounce"),
    ("ses", "a@b.test,COMPLAINT\n", "complaint"),
    (
        "postmark",
        "EmailAddress,SuppressionReason,Origin,CreatedAt\na@b.test,HardBounce,Recipient,2020-01-01T00:00:00-05:00\n",
        "hard_bounce",
    ),
    ("postmark", "EmailAddress,SuppressionReason\na@b.test,ManualSuppression\n", "manual"),
    (
        "mailchimp",
        '"Email Address","First Name",UNSUB_TIME,UNSUB_REASON\na@b.test,Ada,2020-01-01 10:00:00,NORMAL\n',
        "unsubscribed",
    ),
    (
        "mailchimp",
        '"Email Address",CLEAN_TIME,CLEAN_CAMPAIGN_TITLE\na@b.test,2020-01-01 10:00:00,Spring\n',
        "hard_bounce",
    ),
    ("postwright", "email,reason\na@b.test,asked by phone\n", "asked by phone"),
    ("postwright", "Email\r\na@b.test\r\n", "imported"),
]
DOCUMENTS = [
    ("sendgrid", [{"created": 1443651125, "email": "a@b.test", "reason": "550", "status": "5.1.1"}], "hard_bounce"),
    ("mailgun", {"items": [{"address": "a@b.test", "code": "550", "error": "x", "created_at": ""}]}, "hard_bounce"),
    ("ses", {"SuppressedDestinationSummaries": [{"EmailAddress": "a@b.test", "Reason": "COMPLAINT"}]}, "complaint"),
    ("postmark", {"Suppressions": [{"EmailAddress": "a@b.test", "SuppressionReason": "SpamComplaint"}]}, "complaint"),
    ("mailchimp", {"members": [{"email_address": "a@b.test", "status": "cleaned"}]}, "hard_bounce"),
]


@pytest.mark.parametrize(("form", "text", "reason"), FILES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_of_providers(form: str, text: str, reason: str, encoding: str) -> None:
    found = read_file(text.encode(encoding))
    (row,) = found.rows
    assert (str(found.form), row.address, row.reason) == (form, "a@b.test", reason)


@pytest.mark.parametrize(("form", "document", "reason"), DOCUMENTS)
def test_json_of_providers(form: str, document: object, reason: str) -> None:
    found = read_file(json.dumps(document).encode())
    (row,) = found.rows
    assert (str(found.form), row.address, row.reason, row.place) == (form, "a@b.test", reason, 1)
    assert row.asks_all == (reason == "hard_bounce")


@pytest.mark.parametrize(
    "content", [b"", b"  ", b"\xff\xff\xff", b"name,age\nx,1\n", b"[1]", b"{", b"[" * 100_000, b'{"a": 1}\n2\n']
)
def test_what_is_no_such_file(content: bytes) -> None:
    with pytest.raises(RefusedError):
        read_file(content)


ADDRESSES = st.from_regex(r"[a-z=+'-][a-z0-9+'-]{0,8}@[a-z]{1,9}\.test", fullmatch=True)
NOTES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
KNOWN = st.sampled_from(["hard_bounce", "complaint", "unsubscribed", "manual", "soft_bounces", "dormant"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ADDRESSES, KNOWN, NOTES), max_size=5), st.sampled_from(list(FileForm)))
def test_what_is_written_is_read_again(rows: list[tuple[str, str, str]], form: FileForm) -> None:
    stored = [
        Suppression(n, address, address, "all", 0, reason, 1_700_000_000_000_000, None, None, note)
        for n, (address, reason, note) in enumerate(rows)
    ]
    text = "".join(write_csv(form, stored))
    if not text:
        return  # SES has no first line
    found = read_file(text.encode())
    assert found.form == form
    assert [row.address for row in found.rows] == [address for address, _, _ in rows]
    if form is FileForm.POSTWRIGHT:
        assert [row.reason for row in found.rows] == [reason for _, reason, _ in rows]
        assert all(row.created_at == 1_700_000_000_000_000 for row in found.rows)
