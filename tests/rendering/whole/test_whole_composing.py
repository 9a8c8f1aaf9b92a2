import email
import email.policy
import re
from dataclasses import replace
from email.header import decode_header, make_header
from email.utils import getaddresses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.address import EmailAddress
from mailtypes.clock import Microseconds
from mailtypes.errors import InputSyntaxError
from rendering import MessageUrls
from rendering.whole import (
    AttachmentRef,
    ContentSyntaxError,
    HeaderSyntaxError,
    Mailbox,
    TrackingWish,
    WholeDraft,
    compose_whole,
    fill,
    list_headers,
)

ALL = TrackingWish(opens=True, clicks=True)
NONE = TrackingWish()
IMAGE = AttachmentRef(7, 264, "לוגו.png", "image/png", "logo@acme")
INVITATION = AttachmentRef(8, 32, "a.ics", 'text/calendar; method=REQUEST; charset="utf-8"')
FILE = AttachmentRef(10, 4, "annual report (1).pdf", "application/pdf")


def shown(part) -> str:
    return part.get_content().replace("\r\n", "\n")


def links_of(html: str) -> list[str]:
    return [href.replace("&amp;", "&") for href in re.findall(r'href="?([^" >]*)', html)]


def structure(part) -> object:
    if not part.is_multipart():
        return part.get_content_type()
    return [part.get_content_subtype(), *map(structure, part.iter_parts())]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"html": None, "text": "a"}, "text/plain"),
        ({}, ["alternative", "text/plain", "text/html"]),
        (
            {"attachments": (IMAGE,)},
            ["alternative", "text/plain", ["related", "text/html", "image/png"]],
        ),
        ({"html": None, "text": "a", "attachments": (FILE,)}, ["mixed", "text/plain", "application/pdf"]),
        (
            {"attachments": (FILE, INVITATION, IMAGE)},
            [
                "mixed",
                [
                    "alternative",
                    "text/plain",
                    ["related", "text/html", "image/png"],
                    "text/calendar",
                ],
                "application/pdf",
            ],
        ),
        # An image that no HTML shows is a file.
        ({"html": None, "text": "a", "attachments": (IMAGE,)}, ["mixed", "text/plain", "image/png"]),
    ],
)
def test_parts_nest_as_mail_programs_expect(changes, expected, draft, read, recipient_urls, blob) -> None:
    message = read(fill(compose_whole(draft(**changes), ALL).octets, recipient_urls, blob))
    assert structure(message) == expected


def test_files_arrive_with_name_type_and_octets(draft, read, recipient_urls, blob) -> None:
    empty = AttachmentRef(9, 0, "", "application/octet-stream")
    content = compose_whole(draft(attachments=(IMAGE, INVITATION, FILE, empty)), ALL)
    assert content.blob_ids == (7, 8, 10, 9)
    message = read(fill(content.octets, recipient_urls, blob))
    by_type = {part.get_content_type(): part for part in message.walk()}
    image = by_type["image/png"]
    assert (image.get_filename(), image["Content-ID"]) == ("לוגו.png", "<logo@acme>")
    assert image.get_content_disposition() == "inline"
    assert image.get_payload(decode=True) == blob(7)
    assert by_type["application/pdf"].get_filename() == "annual report (1).pdf"
    assert by_type["application/pdf"].get_content_disposition() == "attachment"
    assert by_type["application/pdf"].get_payload(decode=True) == b"%PDF"
    assert by_type["application/octet-stream"].get_payload(decode=True) == b""
    assert by_type["text/calendar"].get_payload(decode=True) == blob(8)
    assert by_type["text/calendar"]["Content-Type"].params == {"method": "REQUEST", "charset": "utf-8"}
    assert by_type["multipart/related"]["Content-Type"].params["type"] == "text/html"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=150))
@settings(max_examples=200, deadline=None)
def test_every_file_name_reads_back(name: str) -> None:
    draft = _draft(attachments=(AttachmentRef(1, 3, name, "image/gif"),))
    octets = fill(compose_whole(draft, NONE).octets, MessageUrls(str, ""), lambda _: b"GIF")
    assert max(map(len, octets.split(b"\r\n"))) <= 78

    (attachment,) = (part for part in email.message_from_bytes(octets).walk() if part.get_content_type() == "image/gif")
    assert (attachment.get_filename() or "") == name.strip()
    assert attachment.get_payload(decode=True) == b"GIF"


def test_web_links_are_tracked_and_nothing_else(draft, read, recipient_urls, blob) -> None:
    html = (
        "<html><body><p>{{ name }} "
        "<a href=https://x.test/a/?b=1&amp;c=2>one</a> "
        "<a href='HTTP://x.test/\u05d0'>two</a> "
        '<a href=" https://x.test/three ">three</a> '
        '<a href="https://x.test/off" data-pw-track="off">off</a> '
        '<a href="mailto:a@b.test">mail</a> <a href="tel:+1">call</a> <a href="#x">up</a> '
        '<a href="https://x.test/?u={{ x }}">literal</a>'
        '<!--[if mso]><v:roundrect href="https://x.test/vml"></v:roundrect><![endif]-->'
        '<link href="https://x.test/style.css"><img src="https://x.test/i.png">'
        "</p></body></html>\n"
    )
    content = compose_whole(draft(html=html), TrackingWish(clicks=True))
    assert content.links == (
        (1, "https://x.test/a/?b=1&c=2"),
        (2, "HTTP://x.test/א"),
        (3, "https://x.test/three"),
        (4, "https://x.test/?u={{ x }}"),
        (5, "https://x.test/vml"),
    )
    message = read(fill(content.octets, recipient_urls, blob))
    body = shown(message.get_body(("html",)))
    urls = [recipient_urls.link_url(number) for number in range(6)]
    assert links_of(body) == [
        *urls[1:4],
        "https://x.test/off",
        *("mailto:a@b.test", "tel:+1", "#x"),
        urls[4],
        urls[5],
        "https://x.test/style.css",
    ]
    assert "data-pw-track" not in body
    assert "{{ name }}" in body
    text = shown(message.get_body(("plain",)))
    assert text == (
        f"{{{{ name }}}} one ({urls[1]}) two ({urls[2]}) three ({urls[3]}) off (https://x.test/off) "
        f"mail (a@b.test) call (+1) up literal ({urls[4]})\n"
    )


def test_text_of_the_author_has_the_same_numbers(draft, read, recipient_urls, blob) -> None:
    html = '<a href="https://x.test/a">a</a><a href="https://x.test/a">b</a><a data-pw-track=off href=https://x.test/o>'
    text = "https://x.test/a. (https://x.test/a) <https://x.test/a> https://x.test/a/b https://x.test/o\n"
    content = compose_whole(draft(html=html, text=text), ALL)
    message = read(fill(content.octets, recipient_urls, blob))
    url = recipient_urls.link_url(1)
    expected = f"{url}. ({url}) <{url}> https://x.test/a/b https://x.test/o\n"
    assert shown(message.get_body(("plain",))) == expected
    assert content.links == ((1, "https://x.test/a"), (2, "https://x.test/a"))


def test_an_address_that_opted_out_stays_in_the_text(draft, read, recipient_urls, blob) -> None:
    html = '<a href="https://x.test/a">a</a><a href="https://x.test/a" data-pw-track="OFF">b</a>'
    content = compose_whole(draft(html=html, text="https://x.test/a\n"), ALL)
    assert content.links == ((1, "https://x.test/a"),)
    message = read(fill(content.octets, recipient_urls, blob))
    assert shown(message.get_body(("plain",))) == "https://x.test/a\n"


def test_without_html_the_reader_sees_the_addresses(draft, read, recipient_urls, blob) -> None:
    content = compose_whole(draft(html=None, text="https://x.test/a"), ALL)
    assert content.links == ()
    assert content.octets.count(b"\x00") == 0
    assert shown(read(fill(content.octets, recipient_urls, blob))) == "https://x.test/a\n"


@pytest.mark.parametrize("placeholder", ["{{ unsubscribe_url }}", "{{unsubscribe_url}}", "{{- unsubscribe_url -}}"])
@pytest.mark.parametrize("wish", [ALL, NONE])
def test_the_unsubscribe_placeholder(placeholder: str, wish, draft, read, recipient_urls, blob) -> None:
    html = f"<a href='{placeholder}'>bye</a> <a href='https://x.test/?a=\"{placeholder}'>x</a> <b>{placeholder}</b>"
    content = compose_whole(draft(html=html, text=f"Bye: {placeholder}\n"), wish)
    assert content.has_unsubscribe
    assert content.links == ()
    message = read(fill(content.octets, recipient_urls, blob))
    url = recipient_urls.unsubscribe_url.replace("&", "&amp;")
    body = shown(message.get_body(("html",)))
    assert body.startswith(f'<a href="{url}">bye</a> <a href="https://x.test/?a=&quot;{url}">x</a> <b>{url}</b>')
    assert shown(message.get_body(("plain",))) == f"Bye: {recipient_urls.unsubscribe_url}\n"


def test_the_pixel_stands_before_the_end_of_the_body(draft, read, recipient_urls, blob) -> None:
    html = "<body><p>a</p><!-- </body> --></BODY ></html><!--[if mso]></body><![endif]-->"
    content = compose_whole(draft(html=html), TrackingWish(opens=True))
    body = shown(read(fill(content.octets, recipient_urls, blob)).get_body(("html",)))
    assert body.startswith('<body><p>a</p><!-- </body> --><img src="https://t.acme.test/o/token.gif" width="1"')
    without = MessageUrls(recipient_urls.link_url, recipient_urls.unsubscribe_url)
    assert shown(read(fill(content.octets, without, blob)).get_body(("html",))) == html + "\n"


def test_a_link_that_no_reader_sees_goes_with_tracked_links_alone(draft, read, recipient_urls, blob) -> None:
    urls = replace(recipient_urls, honeypot_url="https://t.acme.test/c/hidden?a=1&b=2")
    html = '<body><a href="https://acme.test/">Go</a></body>'

    def bodies(octets: bytes) -> tuple[str, str]:
        message = read(fill(octets, urls, blob))
        return shown(message.get_body(("html",))), shown(message.get_body(("plain",)))

    tracked = compose_whole(draft(html=html), TrackingWish(clicks=True))
    body, plain = bodies(tracked.octets)
    hidden = '<a href="https://t.acme.test/c/hidden?a=1&amp;b=2" tabindex="-1" aria-hidden="true" style="display:none;'
    assert (body.count(hidden), body.index(hidden) > body.index(">Go</a>"), "hidden" in plain) == (1, True, False)
    assert "hidden" not in shown(read(fill(tracked.octets, recipient_urls, blob)).get_body(("html",)))
    untracked = compose_whole(draft(html=html), TrackingWish(opens=True))
    without_links = compose_whole(draft(html="<body>x</body>"), TrackingWish(opens=True, clicks=True))
    assert all("hidden" not in bodies(content.octets)[0] for content in (untracked, without_links))


def test_many_recipients_and_names_in_any_script(draft, read, recipient_urls, blob) -> None:
    to = tuple(Mailbox(EmailAddress.parse(f"r{n}@example.test"), "דנה לוי " * 3) for n in range(50))
    cc = (Mailbox(EmailAddress.parse("c@example.test"), 'Comma, "C"'), Mailbox(EmailAddress.parse("d@example.test")))
    message = read(fill(compose_whole(draft(to=to, cc=cc, reply_to=cc), NONE).octets, recipient_urls, blob))
    assert [address.addr_spec for address in message["To"].addresses] == [box.address.text for box in to]
    assert [address.display_name for address in message["Cc"].addresses] == ['Comma, "C"', ""]
    assert message["Reply-To"] == message["Cc"]
    names = [str(make_header(decode_header(name))) for name, _ in getaddresses([_raw(message, "To")])]
    assert {name.strip() for name in names} == {"דנה לוי דנה לוי דנה לוי"}


def _raw(message, name: str) -> str:

    return email.message_from_bytes(message.as_bytes())[name]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=80), max_size=5))
@settings(max_examples=200, deadline=None)
def test_no_list_of_mailboxes_has_a_long_line(names: list[str]) -> None:
    to = tuple(Mailbox(EmailAddress.parse(f"{'a' * 9 * n}z@example.test"), name) for n, name in enumerate(names))
    octets = compose_whole(_draft(to=to, html=None, text="a"), NONE).octets
    assert max(map(len, octets.split(b"\r\n"))) <= 78

    header = email.message_from_bytes(octets)["To"]
    if to:
        assert [address for _, address in getaddresses([header])] == [box.address.text for box in to]
    else:
        assert header == "undisclosed-recipients:;"


def test_extra_header_comes_first(draft, read, recipient_urls, blob) -> None:
    content = compose_whole(draft(message_id=""), ALL)
    lines = list_headers("https://t.acme.test/u/a", True, "news.acme.test", "News", "1:2:3:a")
    octets = fill(content.octets, recipient_urls, blob, lines + b"Message-ID: <9@acme.test>\r\n")
    assert octets.startswith(b"List-Unsubscribe: <https://t.acme.test/u/a>\r\nList-Unsubscribe-Post:")
    message = read(octets)
    assert message["Message-ID"] == "<9@acme.test>"
    assert message["List-Id"] == "News <news.acme.test>"
    assert list_headers("", False, "", "", "") == b""
    with pytest.raises(ValueError):
        fill(content.octets, recipient_urls, blob, b"X: a")


def test_the_same_draft_gives_the_same_octets(draft) -> None:
    first, second = (compose_whole(draft(attachments=(IMAGE, FILE)), ALL) for _ in range(2))
    assert first == second


def test_the_size_is_what_a_recipient_gets_at_least(draft, blob) -> None:
    content = compose_whole(draft(attachments=(IMAGE, FILE, INVITATION)), NONE)
    assert content.size == len(fill(content.octets, MessageUrls(str, ""), blob))


def _draft(**changes: object) -> WholeDraft:
    given: dict[str, object] = {
        "from_address": EmailAddress.parse("news@acme.test"),
        "from_name": "",
        "to": (),
        "cc": (),
        "reply_to": (),
        "subject": "",
        "date": Microseconds(0),
        "message_id": "",
        "html": "<p>a</p>",
        "text": None,
    }
    return WholeDraft(**{**given, **changes})  # type: ignore[arg-type]


BREAKS = ["\r", "\n", "\x00", "\r\n", "\r\nBcc: x@y.test", "\x0b"]


@pytest.mark.parametrize("place", ["from_name", "subject", "message_id", "to", "cc", "reply_to", "extra", "name"])
@pytest.mark.parametrize("breaking", BREAKS)
def test_nothing_breaks_out_of_a_header(place: str, breaking: str, draft) -> None:
    box = (Mailbox(EmailAddress.parse("a@b.test"), f"a{breaking}b"),)
    value = {
        "message_id": f"<a{breaking}b@c.test>",
        **dict.fromkeys(("to", "cc", "reply_to"), box),
        "extra": (("X-A", f"a{breaking}b"),),
        "name": ((f"X-A{breaking}", "a"),),
    }.get(place, f"a{breaking}b")
    with pytest.raises(HeaderSyntaxError):
        compose_whole(draft(**{"extra" if place == "name" else place: value}), ALL)


@pytest.mark.parametrize("breaking", BREAKS)
@pytest.mark.parametrize("place", ["file_name", "content_type", "parameter", "content_id"])
def test_nothing_breaks_out_of_a_part(place: str, breaking: str, draft) -> None:
    given = {"file_name": "a", "content_type": "image/png", "content_id": "a"}
    value = {"parameter": f'image/png; a="{breaking}"', "content_type": f"image/png{breaking}x"}
    field = "content_type" if place == "parameter" else place
    given[field] = value.get(place, f"a{breaking}b")
    with pytest.raises(ContentSyntaxError) as caught:
        compose_whole(draft(attachments=(FILE, AttachmentRef(7, 1, **given))), ALL)
    assert caught.value.field == f"attachments[1].{field}"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"html": "a\x00b"}, "html"),
        ({"text": "a\x00b"}, "text"),
        ({"html": "a\ud800b"}, "html"),
        ({"html": None}, "html"),
        ({"html": "a" * 500_001}, "html"),
        ({"html": "<a href=https://x.test>" * 2_001}, "html"),
        ({"attachments": (FILE,) * 201}, "attachments"),
        ({"attachments": (AttachmentRef(1, 1, "a", "message/rfc822"),)}, "attachments[0].content_type"),
        ({"attachments": (AttachmentRef(1, 1, "a", "multipart/mixed; boundary=a"),)}, "attachments[0].content_type"),
        ({"attachments": (AttachmentRef(1, 1, "a", "png"),)}, "attachments[0].content_type"),
        ({"attachments": (AttachmentRef(1, 1, "a", "a/b; c=d; c=e"),)}, "attachments[0].content_type"),
        ({"attachments": (AttachmentRef(1, 1, "a", "a/b c"),)}, "attachments[0].content_type"),
        ({"attachments": (AttachmentRef(1, 1, "a", "a/b", "<a@b>"),)}, "attachments[0].content_id"),
        ({"attachments": (AttachmentRef(1, 1, "a" * 501, "a/b"),)}, "attachments[0].file_name"),
    ],
)
def test_what_cannot_be_composed_is_named(changes, field: str, draft) -> None:
    with pytest.raises(ContentSyntaxError) as caught:
        compose_whole(draft(**changes), ALL)
    assert caught.value.field == field
    assert caught.value.explain()


HTML_BITS = st.sampled_from(
    [
        *("<a href=", '"', "'", "https://x.test/", ">", "</a>", "<b", " ", "=", "\n", "\r\n", "&amp;", "&#0;", "."),
        *("{{ unsubscribe_url }}", "{{", "<!--", "-->", "<!--[if mso]>", "<![endif]-->", "</body>", "<style>", "שלום"),
        *("data-pw-track=off ", "<script>", "text", "\ue000", "--=_pw_", "\t", "mailto:a@b.c"),
    ]
)


@given(
    st.lists(HTML_BITS, max_size=40).map("".join), st.one_of(st.none(), st.lists(HTML_BITS, max_size=20).map("".join))
)
@settings(max_examples=400, deadline=None)
def test_any_html_comes_out_whole(html: str, text: str | None) -> None:

    content = compose_whole(_draft(html=html, text=text), ALL)
    urls = MessageUrls(lambda number: dict(content.links)[number] and f"https://t.test/{number}", "https://t.test/u")
    octets = fill(content.octets, urls, lambda _: b"")
    assert octets.isascii()
    assert max(map(len, octets.split(b"\r\n"))) <= 78
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert structure(message) == ["alternative", "text/plain", "text/html"]
    untracked = compose_whole(_draft(html=html, text=text), NONE)
    plain_html = email.message_from_bytes(
        fill(untracked.octets, urls, lambda _: b""), policy=email.policy.default
    ).get_body(("html",))
    links = re.compile(r'(?:"https://t\.test/\d+"|[\'"]?\s*https://x[^\s"\'<>]*\s*[\'"]?)')
    tracked_html = shown(message.get_body(("html",)))
    assert tracked_html.count("<") == shown(plain_html).count("<")
    if not content.links:
        assert links.sub("", tracked_html) == links.sub("", shown(plain_html))


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_only_stored_content_is_filled(octets: bytes) -> None:
    try:
        filled = fill(octets, MessageUrls(lambda n: f"https://t.test/{n}", "https://t.test/u"), lambda _: b"")
    except ValueError:
        return
    assert b"\x00" not in filled


def test_errors_are_input_errors() -> None:
    assert issubclass(ContentSyntaxError, InputSyntaxError)
    assert issubclass(HeaderSyntaxError, InputSyntaxError)
