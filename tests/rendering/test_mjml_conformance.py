"""Every fragment that the official engine renders compiles here, and what compiling adds takes nothing away."""

import re
from html.parser import HTMLParser

import pytest

import rendering.compiler as compiler
from rendering import MessageUrls, TemplateSource, parse_template
from rendering.css import inline_css
from rendering.mjml_engine import mjml_to_html


class Events(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.events: list[object] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.events.append((tag, attrs))

    def handle_endtag(self, tag):
        self.events.append("/" + tag)

    def handle_data(self, data):
        self.events.append(data.strip())
        if data.strip():
            self.words.append(data.strip())


def body_text(html: str) -> str:
    return " ".join(" ".join(Events(html[html.index("<body") :]).words).split())


def test_all_fragments_render(shared) -> None:
    files = sorted((shared / "conformance" / "mjml").glob("*.mjml"))
    assert len(files) >= 70
    failures = []
    for path in files:
        source = path.read_text()
        template = parse_template(TemplateSource(source, "mjml", "Subject"))
        key, values = template.fill({})
        layout = template.compile(key)
        written = {link.number: link.url for link in template.links}
        ours = layout.html(values, MessageUrls(written.__getitem__, "https://u.test/"))
        if Events(ours).events != Events(inline_css(mjml_to_html(source)) + "\n").events:
            failures.append(path.name)
        official = path.with_suffix(".html")
        if official.exists() and body_text(ours) != body_text(official.read_text()):
            failures.append(f"{path.name}: text")
    assert failures == []


def test_plain_html_newsletters_compile(shared) -> None:
    files = sorted((shared / "corpora" / "newsletter_templates").rglob("content.html"))
    assert len(files) > 20
    urls = MessageUrls(lambda n: f"https://t.test/{n}", "https://u.test/")
    for path in files:
        # Their block tags are Handlebars'; the merge values are the same in Liquid.
        source = re.sub(r"\{\{[#/^][^}]*\}\}|&#123;", "", path.read_text())
        template = parse_template(TemplateSource(source, "html", "Subject"))
        data = {f.path: "https://value.test/x" for f in template.merge_fields if "." not in f.path}
        key, values = template.fill(data)
        layout = template.compile(key)
        html = layout.html(values, urls)
        assert html.lower().startswith("<!doctype")
        assert "{{" not in html
        assert layout.text(values, urls).strip()
        for link in layout.links:
            assert f'href="https://t.test/{link.number}"' in html


@pytest.mark.parametrize("word", ["<mj-text>", "<p>"])
def test_the_engine_is_asked_with_markers_only(monkeypatch, word) -> None:
    seen: list[str] = []
    monkeypatch.setattr(compiler, "mjml_to_html", lambda text: (seen.append(text), mjml_to_html(text))[1])
    body = "<mjml><mj-body><mj-section><mj-column><mj-text>{{ v }}</mj-text></mj-column></mj-section></mj-body></mjml>"
    template = parse_template(TemplateSource(body, "mjml", "S"))
    key, _ = template.fill({"v": f"secret{word}"})
    template.compile(key)
    assert seen
    assert not any("secret" in text for text in seen)


class Tree(HTMLParser):
    """Tags, attributes in order of their names, style declarations in order, texts; Outlook's frames left out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.items: list[object] = []
        self.feed(re.sub(r"[0-9a-f]{16}|mj-carousel-radio-\w+|carousel-[0-9a-f]{8,}", "id", text))
        self.close()

    def handle_starttag(self, tag, attrs):
        values = {name: " ".join((value or "").split()) for name, value in attrs}
        values["style"] = ";".join(
            sorted(re.sub(r"\s*([:,])\s*", r"\1", one.strip()) for one in values.get("style", "").split(";") if one)
        )
        values["class"] = " ".join(sorted(values.get("class", "").split()))
        if tag == "td":
            values.pop("vertical-align", None)  # written on the cell of a button, where nobody reads it
        self.items.append((tag, sorted((name, value) for name, value in values.items() if value or name == "alt")))

    def handle_endtag(self, tag):
        self.items.append("/" + tag)

    def handle_data(self, data):
        data = "".join(data.split())
        if data:
            # Rules of style sheets come in another order.
            self.items.append("".join(sorted(data)) if self.lasttag == "style" else data)


def test_the_engines_tree_is_the_official_one(shared) -> None:
    """What differs is told in docs/rendering.md."""
    known = {
        "mj-raw.mjml": "an image of the author's own gets an empty alt here",
        "mj-raw-head.mjml": "lang and dir on html",
        "mjml.mjml": "dir on html",
    }
    differing = set()
    for path in sorted((shared / "conformance" / "mjml").glob("*.mjml")):
        official = path.with_suffix(".html")
        if official.exists() and Tree(mjml_to_html(path.read_text())).items != Tree(official.read_text()).items:
            differing.add(path.name)
    assert differing == set(known)
