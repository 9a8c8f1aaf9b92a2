"""What is refused, and what a person wrote conditions for, on Hebrew pages: said in Hebrew, whatever went wrong."""

import ast
import html
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene.dormancy import PRESETS
from hygiene.pruning import Move
from hygiene.reengagement import ReengagementPolicy
from hygiene.segments.describe import describe
from hygiene.segments.parse import parse
from mailtypes.saying import Saying
from postwright.services.accounts import Role
from postwright.services.hygiene_terms import PlanTerms, plan_sentence, told_again, told_without_terms
from postwright.store.events import Event
from postwright.web.event_pages import event_line
from postwright.web.language import Speech, speak
from postwright.web.sayings import told
from rendering.liquid_words import said

ROOT = Path(__file__).parents[2]
ROOTS = ("InputSyntaxError", "RefusedError", "ForbiddenError")
# What these refuse is read by machines (SMTP, the API), by whoever has a terminal, or by whoever keeps our own files.
ELSEWHERE = (
    "mta/",
    "postwright/api/",
    "postwright/cli/",
    "postwright/sandbox/",
    "rendering/whole/",
    "dns_checks/message/",
)
ELSEWHERE += ("dns_checks/dkim/sign.py", "mailtypes/smtp.py", "rendering/lint/client_data.py", "rendering/spam_risk/")
ELSEWHERE += ("experiments/request.py", "experiments/best_hours.py", "experiments/click_curve.py")
ELSEWHERE += ("experiments/comparison.py", "warmup/feedback.py", "warmup/documents.py")
TEXTS = ("sentence", "message", "next_step", "place")
WORDS = re.compile(r"[A-Za-z]{2,} [a-z]{2,}")
ENGLISH = re.compile(r"\b[A-Za-z][a-z']+,? [a-z']{2,},? [a-z']{2,}\b")
# Of others, or for machines: code, addresses, names, what the other side replied.
NOT_OURS = re.compile(
    r"<(script|style|textarea|code|pre|svg|bdi|title)\b[^>]*>.*?</\1>|"
    r"<(\w+)[^>]* class=\"[^\"]*\b(?:reply-text|mono|evidence|preheader)\b[^\"]*\".*?</\2>",
    re.DOTALL,
)
ISOLATED = re.compile("\u2068[^\u2068\u2069]*\u2069")


@pytest.fixture
def hebrew() -> Iterator[None]:
    speak(Speech("he"))
    yield
    speak(Speech())


def english_in(page: str) -> list[str]:
    """Three English words in a row and more, with what labels say; commands are typed as they are."""
    labels = re.findall(r"(?:aria-label|alt|data-label)=\"([^\"]*)\"", page)
    text = html.unescape(re.sub("<[^>]+>", "\n", NOT_OURS.sub("\n", page)) + "\n".join(["", *labels]))
    text = re.sub(r"postwright [a-z]+ [a-z]+", "", text)
    while ISOLATED.search(text):
        text = ISOLATED.sub("", text)
    return [line.strip() for line in text.splitlines() if ENGLISH.search(line)]


# --- where it is raised -----------------------------------------------------------------------------------------------


def _kinds(sources: Iterable[str]) -> set[str]:
    """``Problem`` and all errors whose texts pages show."""
    classes = [one for source in sources for one in re.findall(r"^class (\w+)\(([^)]+)\)", source, re.MULTILINE)]
    bases = {name: {base.strip().rpartition(".")[2] for base in parents.split(",")} for name, parents in classes}
    found = set(ROOTS)
    while more := {name for name, parents in bases.items() if parents & found} - found:
        found |= more
    return found | {"Problem"}


def _plain(node: ast.AST, known: dict[str, ast.AST]) -> bool:
    """Whether an argument is an English text that no catalogue knows."""
    match node:
        case ast.Constant(value=str(text)):
            return bool(WORDS.search(text))
        case ast.JoinedStr(values=parts):
            return any(isinstance(one, ast.Constant) and WORDS.search(str(one.value)) for one in parts)
        case ast.IfExp(body=first, orelse=second) | ast.BinOp(left=first, right=second):
            return _plain(first, known) or _plain(second, known)
        case ast.Name(id=name) if name in known:
            return _plain(known[name], {})
    return False


def _named(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _loose(tree: ast.Module, kinds: set[str]) -> Iterator[int]:
    inner = [body for node in tree.body for body in (node.body if isinstance(node, ast.ClassDef) else [node])]
    for part in inner:
        nodes = list(ast.walk(part))
        known = {_named(node.targets[0]): node.value for node in nodes if isinstance(node, ast.Assign) and node.targets}
        for node in nodes:
            if isinstance(node, ast.Call) and _named(node.func) in kinds:
                told_of = [keyword.value for keyword in node.keywords if keyword.arg in TEXTS]
                if any(_plain(one, known) for one in (*node.args, *told_of)):
                    yield node.lineno


def test_what_pages_may_refuse_is_said_by_templates() -> None:
    rooms = ("mailtypes", "dns_checks", "rendering", "warmup", "hygiene", "experiments", "postwright")
    paths = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    sources = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths}
    kinds = _kinds(sources.values())
    assert {"RefusedError", "Problem", "SegmentSyntaxError", "ReportSyntaxError", "PlanSyntaxError"} <= kinds
    raised = re.compile(rf"\b(?:{'|'.join(kinds)})\(")
    wanted = {place: text for place, text in sources.items() if not place.startswith(ELSEWHERE) and raised.search(text)}
    assert len(wanted) > 100
    assert [f"{place}:{line}" for place, text in wanted.items() for line in _loose(ast.parse(text), kinds)] == []


def test_the_look_for_plain_texts_finds_them() -> None:
    source = """
def f(x):
    raise RefusedError("a", "It cannot be done.")
def g(x):
    sentence = f"It is {x} and no more." if x else say("Fine this way.")
    raise RefusedError("a", sentence)
def h(x):
    return Problem("a", say("It is said."), next_step="Say it otherwise.")
def fine(x):
    raise RefusedError("bad_thing", say("%(x)s is said well.", x=x), field="text body")
"""
    assert sorted(_loose(ast.parse(source), {"RefusedError", "Problem"})) == [3, 6, 8]


# --- sentences put together -------------------------------------------------------------------------------------------

_LEAVES = st.sampled_from(
    [
        {"list": "news"},
        {"tag": "vip"},
        {"activity": "opened", "op": "none", "within_days": 60},
        {"activity": "clicked", "op": "at_least", "value": 2},
        {"activity_last": "acted", "before_days": 30},
        {"received_since": "opened", "op": "at_most", "value": 7},
        {"opened_in_a_row": 3},
        {"joined": {"before_days": 1}},
        {"field": "city", "op": "one_of", "value": ["Leeds", "חיפה"]},
        {"field": "born", "op": "in_next_days", "value": 7},
        {"field": "size", "op": "is_set"},
        {"consent": "withdrawn", "scope": {"stream": "marketing"}},
        {"consent": "none", "scope": "all"},
        {"domain": ["a.test", "b.test"]},
        {"provider": "google"},
        {"segment": "Busy"},
    ]
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(_TREES)
def test_a_segment_is_told_in_hebrew_to_its_last_word(document: Any) -> None:
    speak(Speech("he"))
    try:
        sentence = told(describe(parse(document)))
    finally:
        speak(Speech())
    while ISOLATED.search(sentence):
        sentence = ISOLATED.sub("", sentence)
    assert not re.search("[A-Za-z]", sentence), sentence
    assert "%" not in sentence


@pytest.mark.usefixtures("hebrew")
def test_stored_plans_of_hygiene_are_told_by_their_terms() -> None:
    tree = parse({"all": [{"tag": "vip"}, {"activity": "opened", "op": "none", "within_days": 60}]})
    asked = (PlanTerms(), PlanTerms("daily", removal=Move.SUPPRESS, ask_first=False), PlanTerms(tree=tree))
    for terms in (*asked, *(PlanTerms(name, reengagement=ReengagementPolicy(2)) for name in PRESETS)):
        for list_name in (None, "News"):
            stored = str(plan_sentence(list_name, terms))
            again = told_again(stored, terms.written())
            assert isinstance(again, Saying)
            assert again == stored
            assert not english_in(told(again))
            if terms.tree is None:
                assert told(told_without_terms(stored)) == told(again)
    assert told_again("Everybody: as it was put before", PlanTerms().written()) == "Everybody: as it was put before"


@pytest.mark.usefixtures("hebrew")
def test_the_log_tells_a_plan_by_a_segment_with_its_name() -> None:
    terms = PlanTerms(tree=parse({"segment": "Sleepers"}))
    told_by = {"plan": 7, "sentence": str(plan_sentence(None, terms)), "terms": json.loads(terms.written())}
    event = Event(1, 1, 1, "hygiene_plan_applied", 0, 0, None, None, None, json.dumps({**told_by, "by": "dana"}))
    line, _ = event_line(event).lines
    assert "Sleepers" in told(line)
    assert not english_in(told(line).replace("Sleepers", ""))
    older = Event(1, 1, 1, "hygiene_plan_applied", 0, 0, None, None, None, json.dumps({"plan": 7, "sentence": "Who"}))
    assert event_line(older).lines == ()


@pytest.mark.usefixtures("hebrew")
@pytest.mark.parametrize("reason", ["archived", "frequency_cap", "win_back", "unsubscribed", "erased"])
def test_the_log_says_why_a_mail_was_stopped(reason: str) -> None:
    event = Event(1, 1, 1, "suppressed", 0, 0, 1, 2, 3, json.dumps({"reason": reason}))
    (line,) = event_line(event).lines
    assert line
    assert not re.search("[A-Za-z]", line)
    other = Event(1, 1, 1, "suppressed", 0, 0, 1, 2, 3, json.dumps({"reason": "asked by phone"}))
    assert event_line(other).lines == ("asked by phone",)


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("expected '}}', found end of file", "סוף הקובץ"),
        ("unexpected 'x'", "לא צפוי"),
        ("divided_by: can't divide by 0", "לחלק"),
        ("missing expression", "חסר"),
    ],
)
@pytest.mark.usefixtures("hebrew")
def test_the_words_of_the_liquid_library_are_told(message: str, word: str) -> None:
    assert said(message) == message
    assert word in told(said(message))
    assert said(f"something else than {message}") == f"something else than {message}"


# --- pages ------------------------------------------------------------------------------------------------------------

BROKEN_TREE = json.dumps({"all": [{"field": "plan", "op": "at_least", "value": 3}]})
WRONG: dict[str, dict[str, str]] = {
    "/contacts": {"address": "no at sign"},
    "/contacts/lists": {"name": ""},
    "/contacts/fields": {"name": 'a"b', "kind": "text"},
    "/segments": {"name": "Quiet", "by": "json", "step": "save", "tree": BROKEN_TREE},
    "/suppressions": {"address": "nobody"},
    "/hygiene/plans": {"preset": "nope"},
    "/domains": {"name": "a..b"},
    "/domains/news.acme.test/what-if": {"draft": "not a zone"},
    "/domains/letters.acme.test/warm-up/pause": {"note": ""},
    "/webhooks": {"url": "ftp://nowhere"},
    "/settings/keys": {"name": ""},
    "/settings/password": {"old": "wrong", "new": "short"},
    "/campaigns": {"name": "Summer letter", "subject": "x", "from_address": "a@nowhere.test"},
    "/templates/begin": {"starter": "nope"},
    "/queue/1/fail": {"note": ""},
}


async def test_nothing_english_is_left_where_something_is_refused(browser: Any, pages: dict[str, str]) -> None:
    await browser.sign_in(Role.ADMIN)
    browser.cookies.set("postwright-language", "he")
    token = await browser.token()
    wrong = {
        **WRONG,
        f"{pages['finished']}/send": {},
        f"{pages['template']}/check": {"body": "{{ x", "format": "html"},
    }
    for address, form in wrong.items():
        page = await browser.post(address, data={"csrf_token": token, **form})
        assert page.status_code in {200, 400, 409}, (address, page.status_code)
        assert 'class="note bad"' in page.text or "/check" in address, address
        assert "\n".join(english_in(page.text)) == "", address


async def test_nothing_english_is_left_on_the_pages_of_conditions_and_plans(
    browser: Any, install: Any, pages: dict[str, str]
) -> None:
    await browser.sign_in(Role.ADMIN)
    browser.cookies.set("postwright-language", "he")
    terms = PlanTerms(tree=parse({"not": {"activity": "opened", "op": "none", "within_days": 60}}), ask_first=False)
    plan = await install.application.hygiene_plans.make(install.workspace, terms, "Readers", by="admin@main.test")
    names = ("segments", "segment", "hygiene", "hygiene-plan", "warm-ups", "warm-up", "home", "queue", "events")
    for address in (*(pages[name] for name in names), f"/hygiene/{plan}"):
        page = await browser.get(address)
        assert page.status_code == 200
        assert "\n".join(english_in(page.text)) == "", address
    picture = (await browser.get("/domains/letters.acme.test/warm-up.svg")).text
    assert "הודעות ביום" in picture
    assert "messages" not in picture
