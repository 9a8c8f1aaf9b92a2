import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.submission.faults import ContentSyntaxError
from mta.submission.header import read_header
from mta.submission.limits import SubmissionLimits

LIMITS = SubmissionLimits(header_octets=4000, header_fields=20)
FROM = b"From: Ann <ann@sender.test>\r\n"


def read(content, *, smtputf8=False):
    return read_header(content, LIMITS, smtputf8=smtputf8)


def test_bcc_and_options_are_taken_out_and_nothing_else_is_touched():
    before = b"Received: from a\r\n\tby b;  x \r\n"
    after = b"to:\tBob\r\n <bob@example.com>\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\nMessage-ID: <1@x.test>\r\n"
    body = b"\r\nBcc: stays\r\nX-Postwright-Tag: stays\r\n"
    content = (
        before
        + b"bCC: eve@example.com,\r\n joe@example.com\r\n"
        + FROM
        + b"X-Postwright-Tag: a\r\n\tb\r\nx-postwright-tag: c\r\nResent-Bcc: x@y.test\r\n"
        + after
        + body
    )
    header = read(content)
    assert header.content == before + FROM + after + body
    assert header.options == (("tag", "a\tb"), ("tag", "c"))
    assert header.message_id == "<1@x.test>"
    assert header.date == "Mon, 1 Jan 2024 10:00:00 +0000"
    assert header.author.text == "ann@sender.test"


def test_without_them_the_content_stays_the_same_object():
    content = FROM + b"\r\nbody\r\n"
    assert read(content).content is content


def test_a_header_without_its_empty_line_gets_one():
    assert read(FROM).content == FROM + b"\r\n"
    assert read(FROM + b"Bcc: x@y.test\r\n").content == FROM + b"\r\n"


@pytest.mark.parametrize(
    ("value", "author"),
    [
        ("ann@sender.test", "ann@sender.test"),
        ("<ann@sender.test>", "ann@sender.test"),
        ("Ann <ann@sender.test>", "ann@sender.test"),
        ("Ann B. Smith <ann@sender.test>", "ann@sender.test"),
        ('"Smith, Ann (a@b.test)" <ann@sender.test>', "ann@sender.test"),
        ('"a\\"b <x@evil.test>" <ann@sender.test>', "ann@sender.test"),
        ("=?utf-8?q?=D7=93?= <ann@sender.test>", "ann@sender.test"),
        ("Ann\r\n <ann@sender.test>", "ann@sender.test"),
    ],
)
def test_authors(value, author):
    assert read(f"From: {value}\r\n\r\n".encode()).author.text == author


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Ann",
        "ann@sender.test, eve@evil.test",
        "Ann <ann@sender.test>, Eve <eve@evil.test>",
        "<ann@sender.test> <eve@evil.test>",
        "ceo@bank.test <ann@sender.test>",
        "Ann (x) <ann@sender.test>",
        "ann@sender.test (Ann)",
        "Group: ann@sender.test;",
        "Ann <ann@sender.test",
        "Ann ann@sender.test>",
        '"Ann <ann@sender.test>',
        "<@x.test:ann@sender.test>",
        '<"ann"@sender.test>',
        "<ann@sender.test> x",
        "ann@sender.test\r\n x@evil.test",
        "a" * 3000 + "@sender.test",
        "<>",
    ],
)
def test_from_is_one_address(value):
    with pytest.raises(ContentSyntaxError, match="From"):
        read(f"From: {value}\r\n\r\n".encode())


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Subject: x\r\n",
        FROM + FROM,
        FROM + b"FROM: eve@evil.test\r\n",
        FROM + b"Subject: a\r\nSUBJECT: b\r\n",
        FROM + b"Message-ID: <a@b>\r\nMessage-Id: <c@d>\r\n",
        b" From: ann@sender.test\r\n",
        FROM + b"From : eve@evil.test\r\n",
        FROM + b"no field\r\n",
        FROM + b": no name\r\n",
        FROM + b"Na\xc3\xafme: x\r\n",
        FROM + b"N" * 78 + b": x\r\n",
        FROM + b"Subject: a\r\n \r\nFrom: eve@evil.test\r\n",
        FROM + b"Subject: a\r\n\t \r\n",
        FROM + b"Subject: a\x00b\r\n",
        FROM + b"Subject: a\x0bb\r\n",
        FROM + b"Subject: a\x1bb\r\n",
        FROM + "Subject: ä\r\n".encode(),
        FROM + b"X: y\r\n" * 20,
        FROM + b"X: " + b"y" * 4000 + b"\r\n",
    ],
)
def test_headers_that_can_be_read_in_two_ways_are_refused(header):
    with pytest.raises(ContentSyntaxError) as caught:
        read(header + b"\r\nbody\r\n")
    reply = str(caught.value.reply)
    assert reply.startswith("550 5.6.0 ")
    assert caught.value.next_step


def test_utf8_headers_need_smtputf8_and_are_utf8():
    content = FROM + "Subject: ä\r\n\r\n".encode()
    assert read(content, smtputf8=True).content == content
    with pytest.raises(ContentSyntaxError, match="not UTF-8"):
        read(FROM + b"Subject: \xe4\r\n\r\n", smtputf8=True)


@pytest.mark.parametrize("value", ["a " * 900, '"' + "\\a" * 900, "<" * 1900, '""' * 900, " \t" * 900 + "!"])
def test_no_author_takes_long(value):
    start = time.process_time()
    with pytest.raises(ContentSyntaxError):
        read(f"From: x{value}\r\n\r\n".encode())
    assert time.process_time() - start < 1.5


@given(
    st.lists(
        st.sampled_from(
            [
                b"From: ann@sender.test",
                b"Bcc: x@y.test",
                b"bcc",
                b" folded",
                b"\t",
                b"",
                b"X-Postwright-Tag: a",
                b"From:",
                b":",
                b"To: x@y.test",
                b"\xff",
                b"a\0",
            ]
        )
    ),
    st.booleans(),
)
def test_what_is_accepted_is_sound(lines, smtputf8):
    content = b"".join(line + b"\r\n" for line in lines)
    try:
        header = read_header(content, SubmissionLimits(), smtputf8=smtputf8)
    except ContentSyntaxError:
        return
    head, empty, _ = header.content.partition(b"\r\n\r\n")
    assert empty
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    assert names.count(b"from") == 1
    assert b"bcc" not in names
    assert not any(name.startswith(b"x-postwright-") for name in names)
    assert read_header(header.content, SubmissionLimits(), smtputf8=smtputf8).content == header.content
