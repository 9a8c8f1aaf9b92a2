"""The SVG files in ``svg/``, one for each forbidden thing and good ones (``index.json`` tells), and hostile ones."""

import json
import os
import re
import tracemalloc
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.bimi import check_svg
from dns_checks.bimi.profile import ELEMENTS
from dns_checks.bimi.svg import MAX_FINDINGS
from dns_checks.bimi.svg_document import MAX_DEPTH, MAX_ELEMENTS, MAX_OCTETS

FOLDER = Path(__file__).parent / "svg"
INDEX: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))["files"]
SHARED = Path(os.environ.get("POSTWRIGHT_SHARED", Path(__file__).parents[4] / "shared"))
HEAD = b'<svg xmlns="http://www.w3.org/2000/svg" version="1.2" baseProfile="tiny-ps" viewBox="0 0 9 9"><title>A</title>'


@pytest.mark.parametrize("case", INDEX, ids=lambda case: str(case["file"]))
def test_suite(case: dict[str, Any]) -> None:
    report = check_svg((FOLDER / case["file"]).read_bytes())
    found = [(one.code, one.severity.value, one.line, one.column) for one in report.findings]
    wanted = [(one["code"], one["severity"], one["line"], one["column"]) for one in case["findings"]]
    assert found == wanted
    assert report.valid is case["valid"]
    assert all(one.sentence.endswith(".") and one.next_step.endswith(".") for one in report.findings)


def test_every_file_is_in_the_index() -> None:
    assert {path.name for path in FOLDER.iterdir()} - {"index.json", "README.md"} == {case["file"] for case in INDEX}
    assert sum(case["valid"] and not case["findings"] for case in INDEX) >= 10


def test_the_profile_says_what_the_schema_says() -> None:
    path = SHARED / "facts" / "svg_tiny_ps.json"
    if not path.exists():
        if "CI" in os.environ:
            pytest.fail(f"{path} is missing")
        pytest.skip("the facts on SVG Tiny Portable/Secure are not here")
    facts = json.loads(path.read_text(encoding="utf-8"))
    ours = {
        element: {
            "attributes": {n: None if v is None else sorted(v) for n, v in rule.attributes.items()},
            "children": sorted(rule.children),
        }
        for element, rule in ELEMENTS.items()
    }
    assert ours == {
        element: {
            "attributes": {n: None if v is None else sorted(v) for n, v in fact["attributes"].items()},
            "children": sorted(fact["children"]),
        }
        for element, fact in facts.items()
    }


@pytest.mark.parametrize("element", sorted(ELEMENTS))
def test_every_attribute_of_every_element_is_judged_by_the_profile(element: str) -> None:
    for name, allowed in ELEMENTS[element].attributes.items():
        if element == "svg" or name in {"href", "xml:base"}:
            continue
        for value in allowed or ("anything",):
            octets = HEAD + f'<{element} {name}="{value}"/></svg>'.encode()
            assert not {"svg.attribute_not_allowed", "svg.attribute_value"} & codes(octets), (name, value)
        if allowed is not None:
            assert "svg.attribute_value" in codes(HEAD + f'<{element} {name}="nonsense"/></svg>'.encode())
    assert "svg.attribute_not_allowed" in codes(HEAD + f'<{element} nonsense=""/></svg>'.encode())


def codes(octets: bytes) -> set[str]:
    return {finding.code for finding in check_svg(octets).findings}


def test_title_and_size_are_told() -> None:
    report = check_svg((FOLDER / "good_cdata_title.svg").read_bytes())
    assert report.title == "Acme & Sons"
    assert report.octet_count == (FOLDER / "good_cdata_title.svg").stat().st_size


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (HEAD + b" " * MAX_OCTETS + b"</svg>", "svg.too_large_to_read"),
        (HEAD + b"<g/>" * MAX_ELEMENTS + b"</svg>", "svg.too_many_elements"),
        (HEAD + b"<g>" * MAX_DEPTH + b"</g>" * MAX_DEPTH + b"</svg>", "svg.too_deep"),
        (HEAD + b"<g " + b" ".join(b'a%d=""' % n for n in range(101)) + b"/></svg>", "svg.too_many_attributes"),
    ],
)
def test_limits(octets: bytes, code: str) -> None:
    assert codes(octets) == {code}


def test_the_limits_are_not_off_by_one() -> None:
    assert check_svg(HEAD + b"<g>" * (MAX_DEPTH - 1) + b"</g>" * (MAX_DEPTH - 1) + b"</svg>").valid
    assert check_svg(HEAD + b"<g/>" * (MAX_ELEMENTS - 2) + b"</svg>").valid


def test_a_flood_of_findings_is_cut_and_hides_no_error() -> None:
    report = check_svg(HEAD + b"<g>x</g>" * 500 + b"<script/></svg>")
    assert not report.valid
    assert len(report.findings) == MAX_FINDINGS + 1
    assert "svg.script" in {finding.code for finding in report.findings}
    assert report.findings[-1].code == "svg.more_findings"
    assert "401 more" in report.findings[-1].sentence


@pytest.mark.parametrize("name", ["entity_bomb.svg", "use_bomb.svg"])
def test_bombs_cost_nothing(name: str) -> None:
    octets = (FOLDER / name).read_bytes()
    tracemalloc.start()
    begin = process_time()
    check_svg(octets)
    elapsed, (_, peak) = process_time() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert elapsed < 1
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "octets",
    [
        HEAD + b"<g" + b' fill="url(' + b" " * 200_000 + b'"/></svg>',
        HEAD + b"<g id='" + b"\\" * 200_000 + b"' fill='" + b"\\" * 200_000 + b"'/></svg>",
        HEAD.replace(b"0 0 9 9", b"1" * 200_000) + b"</svg>",
        HEAD + b"<g style=''/>" * 9_000 + b"</svg>",
        HEAD + b"<g>" + b"".join(b"<use href='#i%d' id='i%d'/>" % (n + 1, n) for n in range(9_000)) + b"</g></svg>",
        b"<a" + b" xmlns:a='b'" * 50_000,
    ],
    ids=["blanks", "backslashes", "digits", "findings", "chain", "namespaces"],
)
def test_hostile_files_are_read_in_linear_time(octets: bytes) -> None:
    begin = process_time()
    check_svg(octets)
    assert process_time() - begin < 20


@given(st.binary(max_size=400))
def test_any_octets(octets: bytes) -> None:
    for given_octets in (octets, HEAD + octets, HEAD + octets + b"</svg>"):
        report = check_svg(given_octets)
        assert report.octet_count == len(given_octets)


@given(st.data())
def test_mutated_files(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(INDEX))
    octets = bytearray((FOLDER / case["file"]).read_bytes()[:3_000])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(octets)))
        end = at + data.draw(st.integers(0, 12))
        octets[at:end] = data.draw(st.one_of(st.binary(max_size=6), st.sampled_from([b"<", b">", b"&", b'"', b"\0"])))
    report = check_svg(bytes(octets))
    for finding in report.findings:
        assert finding.line is None or finding.line >= 1
        assert finding.column is None or finding.column >= 1


NAME = st.sampled_from([*ELEMENTS, "script", "image", "x:y", "tspan"])
VALUE = st.one_of(st.sampled_from(["#a", "url(#a)", "url(b)", "0 0 1 1"]), st.text("ab1#:/ \\(", max_size=8))
ATTRIBUTES = st.dictionaries(st.sampled_from(["id", "fill", "xlink:href", "x", "onclick", "d"]), VALUE, max_size=4)
TREE = st.recursive(
    st.tuples(NAME, ATTRIBUTES, st.just(())),
    lambda children: st.tuples(NAME, ATTRIBUTES, st.lists(children, max_size=4).map(tuple)),
    max_leaves=15,
)


def written(tree: Any) -> str:
    name, attributes, children = tree
    shown = "".join(f" {key}='{value}'" for key, value in attributes.items())
    return f"<{name}{shown}>" + "".join(written(child) for child in children) + f"</{name}>"


@given(TREE)
def test_random_trees_are_valid_only_if_nothing_in_them_leads_out(tree: Any) -> None:
    head = HEAD.decode().replace("<svg", "<svg xmlns:xlink='http://www.w3.org/1999/xlink' xmlns:x='urn:x'")
    text = f"{head}{written(tree)}</svg>"
    report = check_svg(text.encode())
    assert "svg.malformed" not in {finding.code for finding in report.findings}
    if re.search(r"<(script|image|tspan|x:y)| onclick=| (fill|x|d|xlink:href)='url\(b\)'", text):
        assert not report.valid
