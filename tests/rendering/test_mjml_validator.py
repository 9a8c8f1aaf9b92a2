"""The validator finds what the engine lets pass, each at its place, and nothing in right MJML."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rendering.lint.finding import Severity
from rendering.mjml import validate_mjml
from rendering.mjml.components import CHILDREN, COMPONENT_ATTRIBUTES
from rendering.mjml.values import Colour, FreeText, Length, OneOf, WholeNumber


def document(content: str, head: str = "") -> str:
    return f"<mjml>{head}<mj-body>\n<mj-section><mj-column>\n{content}\n</mj-column></mj-section></mj-body></mjml>"


def found(source: str) -> list[tuple[str, str, str]]:
    """Code, marked text and next step of each finding."""
    return [
        (finding.code, source[finding.span.start : finding.span.end], finding.next_step)
        for finding in validate_mjml(source)
        if finding.span is not None
    ]


@pytest.mark.parametrize(
    ("content", "code", "place", "suggestion"),
    [
        ("<mj-txt>x</mj-txt>", "mjml-unknown-tag", "<mj-txt", "mj-text"),
        ("<mj-btton>x</mj-btton>", "mjml-unknown-tag", "<mj-btton", "mj-button"),
        ('<mj-text colour="red">x</mj-text>', "mjml-unknown-attribute", "colour", "color"),
        ('<mj-text class="a">x</mj-text>', "mjml-unknown-attribute", "class", "css-class"),
        ('<mj-text text-align="left">x</mj-text>', "mjml-unknown-attribute", "text-align", "align"),
        ('<mj-button bgcolor="red">x</mj-button>', "mjml-unknown-attribute", "bgcolor", "background-color"),
        ('<mj-button link="https://a.test">x</mj-button>', "mjml-unknown-attribute", "link", "href"),
        ('<mj-text gap="1px">x</mj-text>', "mjml-unknown-attribute", "gap", "mj-wrapper"),
        ('<mj-text color="gren">x</mj-text>', "mjml-value", "gren", "green"),
        ('<mj-text color="ff0000">x</mj-text>', "mjml-value", "ff0000", "#ff0000"),
        ('<mj-text font-size="16">x</mj-text>', "mjml-value", "16", "16px"),
        ('<mj-text font-size="1em">x</mj-text>', "mjml-value", "1em", "px"),
        ('<mj-text padding="1px 2px 3px 4px 5px">x</mj-text>', "mjml-value", "1px 2px 3px 4px 5px", "one to 4"),
        ('<mj-text padding="10 20">x</mj-text>', "mjml-value", "10 20", "10px 20px"),
        ('<mj-text padding="-3px">x</mj-text>', "mjml-value", "-3px", "px"),
        ('<mj-text align="centre">x</mj-text>', "mjml-value", "centre", "center"),
        ('<mj-table cellpadding="3px">x</mj-table>', "mjml-value", "3px", "Did you mean 3?"),
        ('<mj-image alt="" src="x" width="50%" />', "mjml-value", "50%", "px"),
        ('<mj-image alt="" />', "mjml-attribute-missing", "<mj-image", "src"),
        ('<mj-image src="https://a.test/x.png" />', "image-without-alt", None, "alt"),
        ("hello", "mjml-text-outside", "hello", "mj-text"),
        ("<img />", "mjml-html-outside", "<img", "mj-text"),
        ("<mj-section></mj-section>", "mjml-nesting", "<mj-section", "<mj-body>"),
        ("<mj-text><mj-button>x</mj-button></mj-text>", "mjml-nesting", "<mj-button", "</mj-text>"),
        ("<mj-divider><mj-text>x</mj-text></mj-divider>", "mjml-nesting", "<mj-text", "Close <mj-divider />"),
        ('<mj-text color="red" color="blue">x</mj-text>', "mjml-attribute-twice", "color", "Remove"),
        ("<mj-text><![CDATA[x]]></mj-text>", "mjml-cdata", "<![CDATA[", "&lt;"),
        ('<mj-raw position="file-start"></mj-raw>', "mjml-unsupported", '<mj-raw position="file-start">', "remove"),
        ('<mj-text mj-class="bleu">x</mj-text>', "mjml-unknown-class", "bleu", "Define it"),
        ('<mj-button title="x">x</mj-button>', "mjml-differs", 'title="x"', "text"),
        ('<mj-social><mj-social-element name="facebok" /></mj-social>', "mjml-unknown-network", None, "facebook"),
    ],
)
def test_a_fault_is_found_at_its_place(content: str, code: str, place: str | None, suggestion: str) -> None:
    source = document(content)
    (finding,) = found(source)
    assert finding[0] == code
    if place is not None:
        assert finding[1] == place
    assert suggestion in finding[2]
    assert validate_mjml(source)[0].message
    assert validate_mjml(source)[0].why
    assert validate_mjml(source)[0].line == 3
    column = validate_mjml(source)[0].column
    assert column is not None
    assert source.split("\n")[2][column - 1 :].startswith(finding[1])


def test_the_head_is_judged_too() -> None:
    head = (
        '<mj-head><mj-html-attributes><mj-selector path=".a"></mj-selector></mj-html-attributes>'
        '<mj-font name="Rubik" /><mj-attributes><mj-all font-famly="Arial" /><mj-class color="red" />'
        '<mj-class name="blue" color="#0000ff" colr="x" /><mj-text font-size="big" /></mj-attributes>'
        '<mj-styl>a</mj-styl><mj-text>x</mj-text><mj-breakpoint width="480" /></mj-head>'
    )
    codes = [finding[:2] for finding in found(document('<mj-text mj-class="blue">x</mj-text>', head))]
    assert codes == [
        ("mjml-unsupported", "<mj-html-attributes"),
        ("mjml-unsupported", "<mj-selector"),
        ("mjml-attribute-missing", "<mj-font"),
        ("mjml-unknown-attribute", "font-famly"),
        ("mjml-attribute-missing", "<mj-class"),
        ("mjml-unknown-attribute", "colr"),
        ("mjml-value", "big"),
        ("mjml-unknown-tag", "<mj-styl"),
        ("mjml-nesting", "<mj-text"),
        ("mjml-value", "480"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        '<mj-text color="{{ brand.color }}" font-size="{{ size }}px">{{ a }}</mj-text>',
        "{% if a < b %}<mj-text>x</mj-text>{% else %}<mj-spacer />{% endif %}{% comment %}<mj-foo>{% endcomment %}",
        '<mj-text {% if a %}color="red"{% endif %}>x</mj-text>',
        '<mj-image {% if a %}src="https://a.test/a.png" alt="a"{% endif %} />',
        '<mj-raw><!--[if mso]><table><tr><td><![endif]--></mj-raw><mj-raw><p class="x">a</p></mj-raw>',
        '<mj-table><tr style="x"><td width="5">x</td></tr></mj-table>',
        '<mj-text padding="0" padding-top="0px" line-height="1.5" letter-spacing="-1px">1 &lt; 2</mj-text>',
        '<mj-text color="rgba(0, 0, 0, .5)" container-background-color="#fffa">x</mj-text>',
        '<mj-button data-pw-track="off" href="https://a.test" css-class="a b">x</mj-button>',
        '<mj-include path="footer" />',
        "<!-- <mj-foo> --><mj-text>x</mj-text>",
    ],
)
def test_what_is_right_is_left_alone(content: str) -> None:
    assert found(document(content)) == []


def test_classes_of_an_included_part_may_be_defined_there() -> None:
    assert found(document('<mj-text mj-class="blue">x</mj-text>', '<mj-head><mj-include path="x" /></mj-head>')) == []


def test_a_warning_is_no_error() -> None:
    levels = {
        finding.code: finding.severity for finding in validate_mjml(document('<mj-button title="x">x</mj-button>'))
    }
    assert levels == {"mjml-differs": Severity.WARNING}


def test_conformance_files_have_no_false_alarms(shared) -> None:
    files = sorted((shared / "conformance" / "mjml").glob("*.mjml"))
    assert len(files) >= 70
    # These three really hold attributes and places that MJML does not know.
    odd = {"mj-divider-in-mj-text.mjml", "mj-hero-width.mjml", "mj-spacer.mjml"}
    errors = {
        path.name for path in files for finding in validate_mjml(path.read_text()) if finding.severity is Severity.ERROR
    }
    assert errors <= odd


def right_value(kind: object) -> str:
    if isinstance(kind, OneOf):
        return kind.words[0]
    if isinstance(kind, Length):
        return f"7{kind.units[0]}"
    return {Colour: "#123", WholeNumber: "7", FreeText: "text"}[type(kind)]


@pytest.mark.parametrize("component", sorted(set().union(*CHILDREN.values())))
def test_every_attribute_is_known_to_its_component_and_its_value_judged(component: str) -> None:
    for name, kind in COMPONENT_ATTRIBUTES[component].items():
        for value, right in ((right_value(kind), True), ("~", isinstance(kind, FreeText))):
            source = f'<{component} {name}="{value}"></{component}>'
            codes = [finding.code for finding in validate_mjml(source) if finding.span and source[finding.span.start]]
            assert ("mjml-value" not in codes) == right, (name, value)
            assert "mjml-unknown-attribute" not in codes


@given(st.text(alphabet=st.sampled_from("<>/=\"'{}% amj-textbodyclr!-[]\n&;"), max_size=200))
@settings(max_examples=300, deadline=None)
def test_it_never_raises_and_its_places_are_in_the_text(source: str) -> None:
    for text in (source, f"<mjml><mj-body>{source}</mj-body></mjml>", document(f"<mj-text {source}>")):
        for finding in validate_mjml(text):
            assert finding.span is not None
            assert 0 <= finding.span.start <= finding.span.end <= len(text)


@pytest.mark.parametrize(
    "unit",
    ["{% raw %}", "{% if ", "<mj-text>", "<mj-foo a>", '<mj-text a="', "</mj-text>", "<!--", "<p ", "{{ x ", "text <"],
)
def test_hostile_input_takes_linear_time(unit: str) -> None:
    begun = time.process_time()
    validate_mjml("<mjml><mj-body>" + unit * (200_000 // len(unit)))
    assert time.process_time() - begun < 10
