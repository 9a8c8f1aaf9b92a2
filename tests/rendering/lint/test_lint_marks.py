"""Marks lead from what was compiled back to the tag in the source, and change nothing else."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.errors import Span
from rendering import MessageUrls, TemplateSource, parse_template
from rendering.lint import LintFacts, SenderFacts, compose_for_lint, lint, mark_components
from rendering.mjml_engine import mjml_to_html

URLS = MessageUrls(lambda n: f"https://t.test/{n}", "https://t.test/u", "https://t.test/p")
MJML = """<mjml lang="en">
  <mj-head><mj-attributes><mj-text color="#333333" /></mj-attributes></mj-head>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text css-class="own">{% if contact.name %}Dear {{ contact.name }}, {% endif %}
          read <b style="color:#999999">this pale line of ours</b></mj-text>
        <mj-image src="https://acme.test/a.png" />
        <mj-button href="http://bit.ly/x">Go on to the walks</mj-button>
        <mj-text font-size="9px">A line of text that is far too small to be read by anybody</mj-text>
        <mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""
_MARKS = re.compile(r'\s*data-pw-at="\d+"| css-class="pw-at-\d+"|pw-at-\d+ ')


def places_of(source: str, body_format: str, data: dict[str, object]) -> dict[str, str]:
    """The source's text at the first finding of each code."""
    template = parse_template(TemplateSource(source, body_format, "Twelve autumn walks with our guides"))
    findings = lint(compose_for_lint(template, data, URLS, LintFacts(sender=SenderFacts())))
    found: dict[str, str] = {}
    for finding in findings:
        if finding.span is not None and finding.part == "body":
            line = source.split("\n")[finding.line - 1]
            assert line[finding.column - 1 :].startswith(
                source[finding.span.start : finding.span.end].partition("\n")[0]
            )
            found.setdefault(finding.code, source[finding.span.start : finding.span.end])
    return found


def test_findings_on_compiled_mjml_point_at_its_source() -> None:
    found = places_of(MJML, "mjml", {"contact": {"name": "Dana"}})
    assert found["image.alt_missing"] == '<mj-image src="https://acme.test/a.png" />'
    assert found["link.shortener"] == found["link.not_https"] == '<mj-button href="http://bit.ly/x">'
    assert found["reading.text_small"] == '<mj-text font-size="9px">'
    assert found["reading.low_contrast"] == '<b style="color:#999999">'


def test_findings_on_merged_html_point_at_the_template() -> None:
    source = (
        "<html><body>\n{% for n in many %}<p>{{ n }}</p>{% endfor %}\n"
        '<p><a href="https://192.0.2.1/{{ x }}">Go</a></p></body></html>'
    )
    found = places_of(source, "html", {"many": ["a", "b"], "x": "1"})
    assert found["link.ip_address"] == '<a href="https://192.0.2.1/{{ x }}">'


def test_sizes_are_those_of_the_mail_as_sent_without_marks() -> None:
    template = parse_template(TemplateSource(MJML, "mjml", "S"))
    key, values = template.fill({})
    layout = template.compile(key)
    subject = compose_for_lint(template, {}, URLS, LintFacts(header_octets=500))
    assert subject.html_octets == layout.html_size(values, URLS)
    assert subject.message_octets == len(layout.render(values, URLS)) + 500
    assert "https://t.test/1" not in subject.html  # the author's own address is what is looked at
    assert "http://bit.ly/x" in subject.html


def test_preheader_and_subject_are_merged() -> None:
    source = TemplateSource("<p>x</p>", "html", "For {{ n }}", preheader="Dear {{ n }}, come {% if n %}soon{% endif %}")
    subject = compose_for_lint(parse_template(source), {"n": "Dana"}, URLS)
    assert (subject.subject, subject.preheader) == ("For Dana", "Dear Dana, come soon")


def test_marked_mjml_compiles_to_the_same_page() -> None:
    marked, places = mark_components(MJML, "mjml")
    assert [MJML[p.start : p.end].partition(" ")[0].strip("<>") for p in places][:4] == [
        "mj-body",
        "mj-section",
        "mj-column",
        "mj-text",
    ]
    html, plain = mjml_to_html(marked), mjml_to_html(MJML)
    unmarked = re.sub(r'\s*data-pw-at="\d+"|\s*pw-at-\d+(?:-outlook)?', "", html)
    assert re.sub(r'\s+class=""|\s+', "", unmarked) == re.sub(r'\s+class=""|\s+', "", plain)


def test_classes_given_to_all_keep_their_effect() -> None:
    source = (
        '<mjml><mj-head><mj-attributes><mj-text css-class="all" /></mj-attributes></mj-head><mj-body><mj-section>'
        "<mj-column><mj-text>Hello <b>you</b></mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    marked, places = mark_components(source, "mjml")
    assert [source[p.start : p.end] for p in places] == ["<b>"]
    assert 'class="all"' in mjml_to_html(marked)


FRAGMENTS = [
    "<p>",
    "</p>",
    '<a href="x">',
    "<mj-text>",
    '<mj-text css-class="x">',
    "<mj-head>",
    "</mj-head>",
    "{{ v }}",
]
FRAGMENTS += ["{% if v %}", "<", ">", '"', "<!--", "-->", "<style>", "text", "{{", "<img {{ v }}>", "<{{ v }}>", "\n"]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join), st.sampled_from(["html", "mjml"]))
@settings(max_examples=200, deadline=None)
def test_marks_can_be_taken_out_again(source: str, body_format) -> None:
    marked, places = mark_components(source, body_format)
    assert _MARKS.sub("", marked) == source
    assert len(_MARKS.findall(marked)) == len(places)
    assert all(isinstance(place, Span) and source[place.start] == "<" for place in places)
