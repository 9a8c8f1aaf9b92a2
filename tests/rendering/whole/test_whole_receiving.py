import base64
import contextlib
import email
import email.policy
import quopri
import random
import time
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.errors import InputSyntaxError
from rendering import MessageUrls
from rendering.whole import MessageSyntaxError, TrackingWish, fill, header_fields, receive_whole, without_header_fields

ALL = TrackingWish(opens=True, clicks=True)
CLICKS = TrackingWish(clicks=True)
NONE = TrackingWish()
URLS = MessageUrls(lambda number: f"https://t.test/c/{number}?a=1&b=2", "https://t.test/u", "https://t.test/p.gif")
PIXEL = (
    '<img src="https://t.test/p.gif" width="1" height="1" alt="" style="display:block;border:0;width:1px;height:1px">'
)

LINK = '<a href="https://x.test/a">a</a>'


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def parse(octets: bytes) -> EmailMessage:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(part) -> str:
    return part.get_content().replace("\r\n", "\n")


def filled(content) -> bytes:
    return fill(content.octets, URLS, lambda _: b"")


def built(**charsets: str) -> EmailMessage:
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = "שלום"
    message["X-Long"] = "a" * 60 + " " + "b" * 60
    message.set_content("https://x.test/a, and https://x.test/other ſ\n".replace("ſ", charsets.get("letter", "é")))
    message.add_alternative('<body><a href="https://x.test/a">א ג</a></body>\n', subtype="html")
    message.add_attachment(b"<a href=https://x.test/file>", "text", "html", filename="page.html")
    return message


@pytest.mark.parametrize("cte", ["7bit", "8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("charset", ["utf-8", "windows-1255", "iso-8859-8-i"])
def test_texts_are_rewritten_and_the_rest_stays(cte: str, charset: str) -> None:
    html = '<body>שלום <a href="https://x.test/a?b=1&amp;c=2">ג</a>\nend.\n.dot </body>\n'
    text = "see (https://x.test/a?b=1&c=2).\n-- \nשלום\n"
    if cte == "7bit":
        html, text, charset = html.replace("שלום", "a").replace("ג", "b"), text.replace("שלום", "a"), "us-ascii"

    def part(subtype: str, body: str) -> bytes:
        octets = body.replace("\n", "\r\n").encode("ascii" if charset == "us-ascii" else charset.removesuffix("-i"))
        if cte == "base64":
            octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        elif cte == "quoted-printable":
            octets = quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        head = (
            f'Content-type: text/{subtype};\n\tcharset="{charset}"; format=flowed\nX-Kept: {subtype}\n'
            f"CONTENT-TRANSFER-ENCODING: {cte.upper()}\nContent-Disposition: inline\n\n"
        )
        return crlf(head) + octets

    other = crlf("Content-Type: application/x-any; name=a b c\n\n") + b"https://x.test/a?b=1&c=2 \xff\r\n"
    content = b"\r\n".join(
        [
            crlf('Subject: a\nContent-Type: multipart/mixed; boundary=" a b"').rstrip(),
            b"",
            b"preamble",
            b"-- a b  ",
            part("plain", text),
            b"-- a b",
            part("html", html),
            b"-- a b",
            other,
            b"-- a b--",
            b"epilogue",
            b"",
        ]
    )
    received = receive_whole(content, ALL)
    assert received.remarks == ()
    assert received.links == ((1, "https://x.test/a?b=1&c=2"),)
    message = parse(filled(received))
    plain, page, _ = message.iter_parts()
    url = URLS.link_url(1)
    assert text_of(plain).rstrip("\n") == text.replace("https://x.test/a?b=1&c=2", url).rstrip("\n")
    expected = html.replace("https://x.test/a?b=1&amp;c=2", url.replace("&", "&amp;")).replace("</b", PIXEL + "</b")
    assert text_of(page).rstrip("\n") == expected.rstrip("\n")
    assert page["Content-Type"].params == {"charset": "utf-8", "format": "flowed"}
    assert page["X-Kept"] == "html"
    assert len(page.keys()) == 4
    octets = filled(received)
    assert octets.startswith(content[: content.index(b"-- a b  \r\n")])
    assert octets.endswith(content[content.index(b"-- a b\r\n" + other) :])
    assert not [defect for part in (plain, page) for defect in part.defects]


def test_a_message_of_pythons_library() -> None:
    octets = built().as_bytes()
    received = receive_whole(octets, ALL)
    assert received.links == ((1, "https://x.test/a"),)
    before, after = parse(octets), parse(filled(received))
    assert before.items() == after.items()
    url = URLS.link_url(1)
    assert text_of(after.get_body(("plain",))) == text_of(before.get_body(("plain",))).replace("https://x.test/a", url)
    (page,), (kept,) = before.iter_attachments(), after.iter_attachments()
    assert page.as_bytes() == kept.as_bytes()


@pytest.mark.parametrize(("wish", "pixel"), [(ALL, PIXEL), (CLICKS, "")])
def test_a_bare_html_message(wish: TrackingWish, pixel: str) -> None:
    content = crlf("Subject: a\nContent-Type: text/html\n\n<a href=https://x.test/1>a</a>")
    received = receive_whole(content, wish)
    octets = filled(received)
    assert octets.endswith(b"\r\n")
    message = parse(octets)
    url = URLS.link_url(1).replace("&", "&amp;")
    assert message.get_content() == f'<a href="{url}">a</a>{pixel}'
    assert message["Subject"] == "a"
    assert received.size < len(octets)


def test_several_and_empty_html_parts_have_one_pixel() -> None:
    part = "--m\nContent-Type: text/html\n\n"
    content = crlf(f"Content-Type: multipart/mixed; boundary=m\n\n{part}{part}<b>a</b>\n--m--\n")
    octets = filled(receive_whole(content, ALL))
    assert [part.get_content() for part in parse(octets).iter_parts()] == [PIXEL, "<b>a</b>"]
    assert octets.endswith(crlf("=\n\n--m\nContent-Type: text/html\n\n<b>a</b>\n--m--\n"))


def test_messages_in_a_digest_stay_as_they_are() -> None:
    digest = "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: a\n\nhttps://x.test/a\n--d--\n"
    html = f"Content-Type: text/html\n\n{LINK}\n"
    content = crlf(f"Content-Type: multipart/mixed; boundary=m\n\n--m\n{html}--m\n{digest}--m--\n")
    received = receive_whole(content, ALL)
    assert received.links
    assert received.octets.endswith(crlf(f"--m\n{digest}--m--\n"))


def test_the_placeholder_has_no_meaning_in_other_programs_mail() -> None:
    content = crlf("Subject: a\nContent-Type: text/html\n\n<b>{{ unsubscribe_url }}</b>\n")
    received = receive_whole(content, ALL)
    assert not received.has_unsubscribe
    assert "{{ unsubscribe_url }}" in parse(filled(received)).get_content()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            "Content-Type: multipart/signed; boundary=s\n\n--s\nContent-Type: text/html\n\n{}\n--s\n"
            "Content-Type: application/pgp-signature\n\nabc\n--s--\n",
            "signed or encrypted",
        ),
        ("Content-Type: multipart/encrypted; boundary=s\n\n--s\nContent-Type: text/html\n\n{}\n--s--\n", "signed"),
        ("Content-Type: application/pkcs7-mime; smime-type=signed-data\n\n{}\n", "signed or encrypted"),
        ("Content-Type: text/html\n\n-----BEGIN PGP SIGNED MESSAGE-----\n{}\n", "signed or encrypted"),
        ("Content-Type: text/html\n\n" + "a b c d e \n" * 50_001 + "{}\n", "characters"),
        ("Content-Type: text/html\n\n" + "a b c d e \n" * 400_000 + "{}\n", "octets"),
        ("Content-Type: text/html; charset=unicode_escape\n\n{}\n", "character set"),
        ("Content-Type: text/html; charset*=utf-8''utf-8\n\n{}\n", None),
        ("Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: x-uue\n\n{}\n", "transfer encoding"),
        ("Content-Type: text/html\n\n{} é\n", "does not fit"),
        ("Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nabc\n", "does not fit"),
        ("Content-Type: text/html\nContent-Type: text/html\n\n{}\n", "twice"),
        ("Content-Type: text/html; charset=a; charset=b\n\n{}\n", None),
        ("Content-Type: multipart/mixed\n\n--a\n\n{}\n", "boundary"),
        ("Content-Type: multipart/mixed; boundary=a (b)\n\n--a\n\n{}\n", "cannot be read"),
        ("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/html\n--a\n\n{}\n", "no field"),
        ('Content-Type: multipart/x; boundary="a:"\n\n--a:\nContent-Type: text/html\n--a:\n\n{}\n', "no field"),
        ("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/x; boundary=a\n\n--a\n\n", "same"),
        ("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/x; boundary=a--\n\n", "same"),
        ("Content-Type: text/html; name=a.html\n\n{}\n", None),
        ("Content-Type: text/html\nContent-Disposition: attachment\n\n{}\n", None),
        ("Content-Type: text/html\nContent-Disposition: inline; filename=a.html\n\n{}\n", None),
        ("Content-Type: message/rfc822\n\nContent-Type: text/html\n\n{}\n", None),
        ("Content-Type: multipart/digest; boundary=a\n\n--a\n\nContent-Type: text/html\n\n{}\n--a--\n", None),
        ("Content-Type: text/plain\n\nhttps://x.test/a\n", None),
        ("Content-Type: text/html\n\n" + LINK * 2001 + "\n", "more than"),
    ],
)
def test_what_is_not_sure_is_left_alone(content: str, reason: str | None) -> None:
    octets = crlf(content.replace("{}", LINK).replace(LINK, "\n" + LINK))
    received = receive_whole(octets, ALL)
    assert received.octets == octets
    assert received.links == ()
    assert received.size == len(octets)
    if reason is None:
        assert received.remarks == ()
    else:
        assert reason in " ".join(received.remarks)


def test_a_signed_part_beside_others() -> None:
    signed = "Content-Type: multipart/signed; boundary=s\n\n--s\nContent-Type: text/html\n\n{0}\n--s--\n--m\n"
    content = crlf(
        (
            "Content-Type: multipart/mixed; boundary=m\n\n--m\n" + signed + "Content-Type: text/html\n\n{0}\n--m--\n"
        ).format(LINK)
    )
    received = receive_whole(content, CLICKS)
    assert received.links == ((1, "https://x.test/a"),)
    assert len(received.remarks) == 1
    assert crlf(signed.format(LINK)) in received.octets


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        (b"Subject: a\r\n\r\na\rb\r\n", 3, 2),
        (b"Subject: a\n\r\nb\r\n", 1, 11),
        (b"Subject: a\r\n\r\nb\n", 3, 2),
        (b"Subject: a\r\n\r\n\n.\r\n", 3, 1),
        (b"Subject: a\r\n\r\nb\x00c\r\n", 3, 2),
        (b"Subject: a\r\n\r\nb\r\n" + b"c" * 999 + b"\r\n", 4, 1),
        (b"Subject: a\r\n\r\nb\r\n" + b"c" * 999, 4, 1),
        (b"Subject: " + b"a" * 990 + b"\r\n\r\n", 1, 1),
        (b"", 1, 1),
        (b"\r\nbody\r\n", 1, 1),
        (b"no field\r\n\r\nbody\r\n", 1, 1),
        (b" folded: a\r\n\r\nbody\r\n", 1, 1),
        (b"Subject: a\r\nno field\r\n\r\nbody\r\n", 2, 1),
        (b"Subject: a\r\n: b\r\n\r\nbody\r\n", 2, 1),
        (b"S\xc3\xa9: a\r\n\r\nbody\r\n", 1, 1),
    ],
)
@pytest.mark.parametrize("tracking", [ALL, NONE])
def test_what_is_no_message_is_refused_with_its_place(content: bytes, line: int, column: int, tracking) -> None:
    with pytest.raises(MessageSyntaxError) as caught:
        receive_whole(content, tracking)
    assert caught.value.line == line
    assert f"line {line}:" in caught.value.explain()
    assert caught.value.line_and_column == (1, column)
    assert caught.value.next_step


def test_lines_of_998_octets_pass() -> None:
    line = b"c" * 998 + b"\r\n"
    content = b"Subject: a\r\n\r\n" + line * 3 + b"d\r\n" + line
    assert receive_whole(content, NONE).octets == content


def test_all_texts_together_are_bounded() -> None:
    part = crlf("--m\nContent-Type: text/html\n\n" + LINK + "a b c d e \n" * 40_000)
    content = crlf("Content-Type: multipart/mixed; boundary=m\n\n") + part * 3 + b"--m--\r\n"
    received = receive_whole(content, ALL)
    assert len(received.links) == 2
    assert len(received.remarks) == 1
    assert received.octets.endswith(part + b"--m--\r\n")


BITS = st.sampled_from(
    [
        *(f'<a href="https://x.test/{n}?a=1">' for n in range(3)),
        *(
            "https://x.test/1?a=1",
            "</a>",
            "שלום",
            " ",
            "  ",
            "\n",
            ".",
            "=",
            "=3D",
            "\t",
            "\x7f",
            "\r",
            "&",
            "{{ unsubscribe_url }}",
        ),
        *("<b>", "</body>", "<!--", "-->", "From ", "--m", "x" * 80, "\u2028", "😀"),
    ]
)


@given(
    st.lists(BITS, max_size=30).map("".join),
    st.lists(BITS, max_size=30).map("".join),
    st.sampled_from(["base64", "quoted-printable"]),
)
@settings(max_examples=300, deadline=None)
def test_with_the_authors_addresses_the_texts_are_the_same(html: str, text: str, cte: str) -> None:
    message = EmailMessage(policy=email.policy.SMTP)
    message.set_content(text, cte=cte)
    message.add_alternative(html, subtype="html", cte=cte)
    octets = message.as_bytes()
    try:
        received = receive_whole(octets, CLICKS)
    except MessageSyntaxError:  # the library's generator lets some line ends through
        assert "\r" in text + html
        return
    links = dict(received.links)
    after = parse(fill(received.octets, MessageUrls(links.__getitem__, ""), lambda _: b""))
    for part, written in zip(parse(octets).iter_parts(), after.iter_parts(), strict=True):
        assert part.get_content() == written.get_content()
    assert len(links) == 0 or received.octets != octets


LINES = st.sampled_from(
    [
        *(b"Content-Type: multipart/mixed; boundary=a", b'Content-Type: multipart/alternative; boundary="b c"'),
        *(b"Content-Type: text/html; charset=utf-8", b"Content-Type: text/plain", b"Content-Type: text/html;", b""),
        *(b" charset=utf-8", b"Content-Transfer-Encoding: base64", b"--a", b"--a--", b"--b c", b"--b c--", b"", b""),
        *(b"PGEgaHJlZj1odHRwczovL3gudGVzdC9hPg==", b"<a href=https://x.test/a>", b"https://x.test/a", b".", b"=3D"),
        *(b"Content-Disposition: attachment", b"Content-Type: message/rfc822", b"Content-Type: multipart/signed"),
        *(b"Subject: a", b"Content-Type: multipart/x; boundary=a--", b"\xd7\x90", b"Content-Type", b"a" * 999),
    ]
)


@given(st.lists(LINES, max_size=40).map(b"\r\n".join), st.booleans())
@settings(max_examples=800, deadline=None)
def test_any_lines_are_refused_or_kept(content: bytes, end: bool) -> None:
    content += b"\r\n" * end
    try:
        assert receive_whole(content, NONE).octets == content
    except MessageSyntaxError:
        with pytest.raises(MessageSyntaxError):
            receive_whole(content, ALL)
        return
    received = receive_whole(content, ALL)
    octets = filled(received)
    assert b"\x00" not in octets
    if b"\x00" not in received.octets:
        assert received.octets == content
        return
    assert receive_whole(octets, NONE).octets == octets
    assert len(list(parse(octets).walk())) == len(list(parse(content).walk()))


@given(st.binary(max_size=60), st.integers(0, 2**32))
@settings(max_examples=600, deadline=None)
def test_mutated_messages_raise_input_errors_only(octets: bytes, seed: int) -> None:
    chance = random.Random(seed)
    whole = bytearray(built().as_bytes())
    for _ in range(chance.randrange(1, 5)):
        start = chance.randrange(len(whole))
        whole[start : start + chance.randrange(3)] = octets[: chance.randrange(1 + len(octets))]
    for content in (octets, bytes(whole), b"Subject: a\r\n\r\n" + octets):
        with contextlib.suppress(InputSyntaxError):
            filled(receive_whole(content, ALL))


def test_deep_and_wide_structures_are_bounded() -> None:
    started = time.process_time()
    deep = b"Subject: a\r\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(20_000)
    )
    wide = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\na\r\n" * 100_000
    headless = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\nX: a\r\n" * 100_000
    unlike = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + b"--c\r\n" * 400_000
    long_header = b"X: a\r\n" * 100_000 + b"\r\nbody\r\n"
    parameters = b"Content-Type: text/html" + b';\r\n a="' * 10_000 + b"\r\n\r\nbody\r\n"
    remarks = [receive_whole(octets, ALL).remarks for octets in (deep, wide, headless, long_header)]
    assert ["levels deep" in remarks[0][0], "parts" in remarks[1][0]] == [True, True]
    assert all(remarks)
    assert receive_whole(unlike, ALL).octets == unlike
    assert receive_whole(parameters, ALL).octets == parameters
    assert time.process_time() - started < 20


def test_large_messages_are_checked_in_linear_time() -> None:
    content = b"Subject: a\r\n\r\n" + (b"a" * 76 + b"\r\n") * 320_000
    started = time.process_time()
    assert receive_whole(content, NONE).octets is content
    assert receive_whole(content, ALL).octets == content
    assert time.process_time() - started < 10


def test_header_fields_are_read_unfolded() -> None:
    octets = crlf("Subject: a\n b\nX-Tag: 1\nx-tag :2\nFrom: שלום\nX-Tagged: 3\n\nX-Tag: body\n")
    assert header_fields(octets, ("X-TAG", "subject", "From", "Missing")) == {
        "X-TAG": ["1", "2"],
        "subject": ["a b"],
        "From": ["שלום"],
        "Missing": [],
    }
    assert header_fields(b"\r\nSubject: a\r\n", ("Subject",)) == {"Subject": []}
    assert header_fields(b"Subject: \xff\r\n", ("Subject",)) == {"Subject": ["\ufffd"]}
    assert header_fields(octets, ()) == {}


def test_header_fields_are_removed() -> None:
    octets = crlf("X-Postwright-Tag: a\n b\nSubject: a\nx-postwright-stream: b\nBcc: x\n\nBcc: body\n")
    assert without_header_fields(octets, ("X-Postwright-*", "bcc")) == crlf("Subject: a\n\nBcc: body\n")
    assert without_header_fields(octets, ("X-Post",)) is octets
    assert without_header_fields(octets, ()) is octets
    assert without_header_fields(b"Bcc: a\r\n", ("Bcc",)) == b""


@given(st.lists(st.sampled_from([b"A: 1", b" x", b"\tA: 2", b"a:", b"B: A: 3", b"A:\xff", b""]), max_size=12))
@settings(max_examples=300, deadline=None)
def test_header_fields_as_the_standard_library_has_them(lines: list[bytes]) -> None:
    octets = b"A: 0\r\n" + b"".join(line + b"\r\n" for line in lines)
    header = octets.partition(b"\r\n\r\n")[0]
    message = email.message_from_bytes(header + b"\r\n\r\n")
    expected = [
        str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\r\n", "").strip()
        for value in message.get_all("A", [])
    ]
    assert header_fields(octets, ("A",))["A"] == expected
