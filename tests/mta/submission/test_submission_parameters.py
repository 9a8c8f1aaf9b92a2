import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.submission.faults import CommandError
from mta.submission.parameters import read_mail, read_rcpt
from mta.submission.ports import Notify, Return


def test_mail():
    assert read_mail("FROM:<>").mail_from is None
    mail = read_mail("from: <ann@sender.test> size=7 body=8bitmime ret=full envid=a+3Db")
    assert (mail.mail_from.text, mail.size, mail.ret, mail.envid) == ("ann@sender.test", 7, Return.FULL, "a=b")
    assert read_mail("FROM:<ann@sender.test> SMTPUTF8").smtputf8


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("", 501),
        ("TO:<ann@sender.test>", 501),
        ("FROM:ann@sender.test", 501),
        ("FROM:<ann@sender.test", 501),
        ("FROM:<ann@sender.test>SIZE=1", 501),
        ("FROM:<ann@sender.test> <eve@x.test>", 501),
        ("FROM:<ann>", 553),
        ("FROM:<@a.test:ann@sender.test>", 553),
        ('FROM:<"ann"@sender.test>', 553),
        ("FROM:<ann@[192.0.2.1]>", 553),
        ("FROM:<ann@sender.test> SIZE", 501),
        ("FROM:<ann@sender.test> SIZE=-1", 501),
        ("FROM:<ann@sender.test> SIZE=1 SIZE=2", 501),
        ("FROM:<ann@sender.test> SIZE=٣", 501),
        ("FROM:<ann@sender.test> SIZE=" + "9" * 21, 501),
        ("FROM:<ann@sender.test> BODY=BINARYMIME", 501),
        ("FROM:<ann@sender.test> SMTPUTF8=1", 501),
        ("FROM:<ann@sender.test> RET=ALL", 501),
        ("FROM:<ann@sender.test> ENVID=", 501),
        ("FROM:<ann@sender.test> ENVID=a+0d", 501),
        ("FROM:<ann@sender.test> ENVID=a+0D+0Ab", 501),
        ("FROM:<ann@sender.test> ENVID=" + "a" * 101, 501),
        ("FROM:<ann@sender.test> AUTH", 501),
        ("FROM:<ann@sender.test> NOTIFY=NEVER", 555),
        ("FROM:<ann@sender.test> HOLDFOR=10", 555),
    ],
)
def test_mail_refused(argument, code):
    with pytest.raises(CommandError) as caught:
        read_mail(argument)
    assert caught.value.code == code
    assert str(caught.value.reply).isascii()


@pytest.mark.parametrize(
    ("argument", "smtputf8", "expected"),
    [
        ("ORCPT=rfc822;bob@example.com", False, ("rfc822", "bob@example.com")),
        ("ORCPT=RFC822;bob+2Bx@example.com", False, ("rfc822", "bob+x@example.com")),
        ("ORCPT=utf-8;b\\x{E4}r@example.com", False, ("utf-8", "bär@example.com")),
        ("ORCPT=utf-8;bär@example.com", True, ("utf-8", "bär@example.com")),
    ],
)
def test_original_recipients(argument, smtputf8, expected):
    original = read_rcpt(f"TO:<bob@example.com> {argument}", smtputf8=smtputf8).original_recipient
    assert (original.address_type, original.address) == expected


def test_notify():
    recipient = read_rcpt("TO:<bob@example.com> NOTIFY=success,Delay", smtputf8=False)
    assert recipient.notify == {Notify.SUCCESS, Notify.DELAY}


@pytest.mark.parametrize(
    "argument",
    [
        "TO:<>",
        "TO:<postmaster>",
        "TO:<bob@example.com> NOTIFY",
        "TO:<bob@example.com> NOTIFY=",
        "TO:<bob@example.com> NOTIFY=NEVER,NEVER",
        "TO:<bob@example.com> NOTIFY=NEVER,SUCCESS",
        "TO:<bob@example.com> NOTIFY=ALWAYS",
        "TO:<bob@example.com> ORCPT=bob@example.com",
        "TO:<bob@example.com> ORCPT=x400;bob",
        "TO:<bob@example.com> ORCPT=rfc822;",
        "TO:<bob@example.com> ORCPT=rfc822;a+0D+0Ab",
        "TO:<bob@example.com> ORCPT=rfc822;a+E4",
        "TO:<bob@example.com> ORCPT=rfc822;bär@x.test",
        "TO:<bob@example.com> ORCPT=utf-8;bär@x.test",
        "TO:<bob@example.com> ORCPT=utf-8;a\\x{D}",
        "TO:<bob@example.com> ORCPT=utf-8;a\\x{D800}",
        "TO:<bob@example.com> ORCPT=utf-8;a\\x{2028}",
        "TO:<bob@example.com> ORCPT=utf-8;a\\x{110000}",
        "TO:<bob@example.com> ORCPT=rfc822;" + "a" * 494,
        "TO:<bob@example.com> SIZE=1",
    ],
)
def test_rcpt_refused(argument):
    with pytest.raises(CommandError):
        read_rcpt(argument, smtputf8=False)


@given(st.text(), st.booleans())
def test_any_argument_is_read_or_refused(text, smtputf8):
    for read in (read_mail, lambda argument: read_rcpt(argument, smtputf8=smtputf8)):
        for argument in (text, f"FROM:<{text}>", f"TO:<a@b.test> ORCPT=utf-8;{text}", f"FROM:<a@b.test> ENVID={text}"):
            with contextlib.suppress(CommandError):
                command = read(argument)
                assert not any(bad in repr(command) for bad in ("\\r", "\\n", "\\x00"))
