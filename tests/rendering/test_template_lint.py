import pytest

from rendering import MessageUrls
from rendering.lint import GMAIL_CLIP_OCTETS, Severity, lint_layout, lint_template

URLS = MessageUrls(lambda n: f"https://t.test/{n}", "https://t.test/u", "https://t.test/p")
OUT = '<a href="{{ unsubscribe_url }}">Out</a>'


def codes(template, *, marketing: bool = True) -> list[str]:
    key, values = template.fill({})
    return [finding.code for finding in lint_layout(template.compile(key), values, URLS, marketing=marketing)]


def test_a_good_mail_has_no_findings(html_template) -> None:
    template = html_template(f'<p>Hello</p><img src="https://a.test/x.png" alt="">{OUT}')
    assert codes(template) == []
    assert lint_template(template) == ()


def test_a_marketing_mail_needs_a_way_out(html_template) -> None:
    template = html_template("<p>Hello</p>")
    assert codes(template) == ["unsubscribe-link-missing"]
    assert codes(template, marketing=False) == []


def test_size_is_measured_as_sent(html_template) -> None:
    lines = "".join(f"{number:069}\n" for number in range(1_446))  # 71 octets a line as sent
    template = html_template(f"<html><body>{OUT}<p>{{{{ more }}}}</p>{lines}</body></html>")
    key, values = template.fill({})
    layout = template.compile(key)
    room = GMAIL_CLIP_OCTETS - layout.html_size(values, URLS)
    assert 73 < room < 2_000
    for more, expected in (("x" * (room % 70), []), ("x" * room, ["html-over-gmail-clip"])):
        _, filled = template.fill({"more": more})
        assert (layout.html_size(filled, URLS) > GMAIL_CLIP_OCTETS) == bool(expected)
        assert [f.code for f in lint_layout(layout, filled, URLS, marketing=True)] == expected


@pytest.mark.parametrize(("octets", "expected"), [(16_384, []), (16_385, ["style-block-over-gmail-limit"])])
def test_style_blocks(html_template, octets, expected) -> None:
    style = "p{color:red}"
    style += " " * (octets - len(style))
    assert codes(html_template(f"<html><head><style>{style}</style></head><body>{OUT}</body></html>")) == expected


def test_images_without_alt_have_a_place(mjml_template) -> None:
    template = mjml_template('<mj-image src="https://a.test/1.png" /><mj-image src="https://a.test/2.png" alt="two" />')
    (finding,) = lint_template(template)
    assert (finding.code, finding.severity) == ("image-without-alt", Severity.WARNING)
    assert template.source.body[finding.span.start : finding.span.end] == '<mj-image src="https://a.test/1.png" />'
    assert finding.why
    assert finding.next_step
