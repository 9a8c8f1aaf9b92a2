import contextlib
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.submission.faults import ContentSyntaxError
from mta.submission.header import read_header
from mta.submission.limits import SubmissionLimits
from mta.submission.options import read_options
from mta.submission.ports import SubmissionOptions, Tracking


def test_nothing_given():
    assert read_options(()) == SubmissionOptions()


def test_everything_given():
    options = read_options(
        (
            ("tag", "welcome"),
            ("tag", "שלום"),
            ("tag", "welcome"),
            ("metadata", '{"order": "A17", "total": 12.5, "vip": true, "note": null}'),
            ("stream", "receipts"),
            ("campaign", "Spring sale"),
            ("send-at", "2030-01-31T08:00:00+02:00"),
            ("idempotency-key", "order-17/mail"),
            ("track", "Opens, clicks"),
        )
    )
    assert options == SubmissionOptions(
        ("welcome", "שלום"),
        {"order": "A17", "total": 12.5, "vip": True, "note": None},
        "receipts",
        "Spring sale",
        1_896_069_600_000_000,
        "order-17/mail",
        Tracking(opens=True, clicks=True),
    )


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.5z", 500_000),
        ("1970-01-01 00:00:01.123456789Z", 1_123_456),
        ("1970-01-01T02:00:00+02:00", 0),
        ("Thu, 01 Jan 1970 00:00:01 +0000", 1_000_000),
        ("1 Jan 1970 02:00 +0200", 0),
        ("Thu, 1 Jan 1970 00:00:00 -0000", 0),
        ("Thu, 1 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_moments(value, moment):
    assert read_options((("send-at", value),)).send_at == moment


@pytest.mark.parametrize(
    ("value", "tracking"),
    [("opens", (True, False)), ("clicks", (False, True)), ("none", (False, False)), ("clicks,opens", (True, True))],
)
def test_tracking(value, tracking):
    assert read_options((("track", value),)).track == Tracking(*tracking)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tag", ""),
        ("tag", "x" * 65),
        ("tag", "a\tb"),
        ("tag", "=?utf-8?q?a=0D=0ABcc:_x?="),
        ("tag", "=?nonsense?q?a?="),
        ("metadata", ""),
        ("metadata", "[]"),
        ("metadata", "{"),
        ("metadata", '{"a": 1, "a": 2}'),
        ("metadata", '{"a": NaN}'),
        ("metadata", '{"a": 1e999}'),
        ("metadata", '{"a": [1]}'),
        ("metadata", '{"": 1}'),
        ("metadata", '{"a": "\\ud800"}'),
        ("metadata", '{"a": "\\u0000"}'),
        ("metadata", '{"a": 9223372036854775808}'),
        ("metadata", '{"a": ' + "9" * 5000 + "}"),
        ("metadata", '{"a": "' + "x" * 9000 + '"}'),
        ("metadata", "{" + '"a":{' * 1500),
        ("metadata", "{" + ",".join(f'"{n}": 1' for n in range(51)) + "}"),
        ("stream", ""),
        ("campaign", "x" * 256),
        ("send-at", "2030-01-31T08:00:00"),
        ("send-at", "2030-01-31"),
        ("send-at", "2030-02-31T08:00:00Z"),
        ("send-at", "Thu, 31 Jan 2030 08:00:00"),
        ("send-at", "Thu, 31 Jan 2030 08:00:00 EST"),
        ("send-at", "Thu, 41 Jan 2030 08:00:00 +0000"),
        ("send-at", "tomorrow"),
        ("send-at", "0001-01-01T00:00:00+23:59x"),
        ("idempotency-key", ""),
        ("idempotency-key", "a b"),
        ("idempotency-key", "ä"),
        ("track", ""),
        ("track", "opens,opens"),
        ("track", "none,opens"),
        ("track", "yes"),
    ],
)
def test_wrong_values_name_the_field_and_what_is_right(name, value):
    with pytest.raises(ContentSyntaxError) as caught:
        read_options(((name, value),))
    reply = str(caught.value.reply)
    assert reply.lower().startswith(f"550 5.6.0 x-postwright-{name} cannot be read. it is ")


def test_unknown_and_doubled_fields_are_refused():
    with pytest.raises(ContentSyntaxError, match="no field X-Postwright-Tags"):
        read_options((("tags", "a"),))
    with pytest.raises(ContentSyntaxError, match="Stream is given twice"):
        read_options((("stream", "a"), ("stream", "a")))
    with pytest.raises(ContentSyntaxError, match="more than 20"):
        read_options(tuple(("tag", str(number)) for number in range(21)))


def test_what_python_folds_and_encodes_is_read():
    message = EmailMessage()
    message["From"] = "Ann <ann@sender.test>"
    message["X-Postwright-Tag"] = "שלום עולם"
    message["X-Postwright-Metadata"] = '{"order": "' + "A17 " * 40 + '", "long": "' + "x" * 120 + '"}'
    message.set_content("body")
    content = message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    options = read_options(read_header(content, SubmissionLimits(), smtputf8=False).options)
    assert options.tags == ("שלום עולם",)
    assert options.metadata == {"order": "A17 " * 40, "long": "x" * 120}


@given(st.sampled_from(["tag", "metadata", "stream", "send-at", "idempotency-key", "track"]), st.text())
def test_any_value_is_read_or_refused(name, value):
    with contextlib.suppress(ContentSyntaxError):
        options = read_options(((name, value),))
        assert "\0" not in repr(options)
        assert not any(character in "".join(options.tags) for character in "\r\n")
