import pytest

from rendering import Layouts, MergeValueError, MessageUrls, TemplateSource, parse_template
from rendering.whole import TrackingWish, compose_whole, fill, merged

BODY = """<html><head><style>a { color: red }</style></head><body>
<p>Hi {{ contact.name }}</p>
<a href="https://x.test/שלום?a=1&amp;b='2'">one</a>
<a href="https://x.test/off" data-pw-track="off">off</a>
<a href="https://x.test/{{ contact.name }}">dynamic</a>
<a href="mailto:a@b.test">mail</a>
<a href="{{ unsubscribe_url }}">bye</a>
</body></html>"""
URLS = MessageUrls(lambda number: f"https://t.test/{number}", "https://t.test/u")


@pytest.fixture
def template():
    return parse_template(TemplateSource(BODY, "html", "Hello {{ contact.name }}", preheader="For {{ contact.name }}"))


def test_a_template_goes_through_a_draft_as_a_campaign_would_send_it(template, draft, read) -> None:
    data = {"contact": {"name": "D & {{ x }}"}}
    subject, html, text = merged(template, data)
    assert subject == "Hello D & {{ x }}"
    assert "For D &amp; {{ x }}</div>" in html
    assert 'style="color: red;"' in html or "color:red" in html.replace(" ", "")
    assert "https://x.test/שלום?a=1&amp;b=&#x27;2&#x27;" in html
    assert "https://x.test/שלום?a=1&b='2'" in text
    assert "{{unsubscribe_url}}" in text
    content = compose_whole(draft(subject=subject, html=html, text=text), TrackingWish(clicks=True))
    assert content.links == ((1, "https://x.test/שלום?a=1&b='2'"),)
    assert content.has_unsubscribe
    message = read(fill(content.octets, URLS, lambda _: b""))
    key, values = template.fill(data)
    layout = Layouts(template)[key]
    html_sent = message.get_body(("html",)).get_content().replace("\r\n", "\n")
    assert html_sent.replace("<a  href", "<a href") == layout.html(values, URLS).replace("<a  href", "<a href")
    assert message.get_body(("plain",)).get_content().replace("\r\n", "\n") == layout.text(values, URLS)


def test_layouts_are_kept(template) -> None:
    layouts = Layouts(template)
    assert merged(layouts, {"contact": {"name": "a"}}) == merged(template, {"contact": {"name": "a"}})
    assert len(layouts) == 1


def test_a_value_that_cannot_be_merged_is_named() -> None:
    template = parse_template(TemplateSource('<a href="{{ contact.url }}">a</a>', "html", "a"))
    with pytest.raises(MergeValueError) as caught:
        merged(template, {"contact": {"url": "javascript:x"}})
    assert caught.value.field == "contact.url"
