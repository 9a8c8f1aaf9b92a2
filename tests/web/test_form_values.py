"""Values that no form offers: whatever somebody posts, no page answers that something went wrong on our side."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from postwright.web.form_numbers import read_number

VALUES = {
    "thousands of digits": "9" * 4400,
    "more than 64 bits": str(1 << 64),
    "no zone": "No/Where",
    "not finite": "1e400",
    "a moment at the beginning": "0001-01-01T00:00",
}
CHANGES_ONESELF = {"/sign-out", "/settings/password", "/sign-in", "/welcome", "/settings/sessions/end"}
_MOST_NAMES = 25
_NAME = re.compile(r"""(?:get|_text|_number|_value)\((?:form, |given, )?"([a-z_]{2,30})"|given\["([a-z_]+)"\]""")


def posts(routes: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Path and handler of everything that takes a form."""
    for route in routes:
        if "POST" in (getattr(route, "methods", None) or ()):
            yield route.path, route.endpoint
        for inner in ("routes", "original_router"):
            found = getattr(route, inner, None)
            if found is not None:
                yield from posts(getattr(found, "routes", found))


def names_in(handler: Any) -> list[str]:
    """The fields that the module of a handler reads, by its text; forms of campaigns are read elsewhere."""
    module = sys.modules[inspect.unwrap(handler).__module__]
    texts = [inspect.getsource(module)]
    texts += [
        inspect.getsource(one) for one in vars(module).values() if inspect.ismodule(one) and "web" in one.__name__
    ]
    for found in vars(module).values():
        origin = getattr(found, "__module__", "")
        if inspect.isfunction(found) and origin.startswith("postwright.web.") and origin.endswith("_form"):
            texts.append(inspect.getsource(sys.modules[origin]))
    names = {name for text in texts for pair in _NAME.findall(text) for name in pair if name}
    fields = getattr(module, "FIELDS", ())
    return sorted(names | set(fields))


def filled(path: str, pages: Any) -> str:
    """The path about something that is there."""
    for place, name in (
        ("/campaigns/", "draft"),
        ("/templates/", "template"),
        ("/contacts/lists/", None),
        ("/contacts/", "contact"),
        ("/imports/", "import-columns"),
        ("/segments/", "segment"),
        ("/webhooks/", "webhook"),
        ("/messages/", "message"),
        ("/domains/", "domain"),
    ):
        if name and path.startswith(place + "{"):
            return re.sub(r"^/[a-z]+/\{[a-z_]+\}", pages[name].partition("?")[0], path)
    return re.sub(r"\{[a-z_]+\}", "1", path)


async def test_no_value_in_any_form_is_a_500(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in()
    token = await browser.token()
    failed = []
    for path, handler in sorted(set(posts(install.app().routes)), key=str):
        if path in CHANGES_ONESELF:
            continue
        names = names_in(handler)
        for kind, value in VALUES.items():
            for first in range(0, len(names) or 1, _MOST_NAMES):
                data = dict.fromkeys(names[first : first + _MOST_NAMES], value)
                answer = await browser.post(filled(path, pages), data=data | {"csrf_token": token})
                if answer.status_code >= 500:
                    failed.append((path, kind, answer.status_code))
    assert failed == []


@pytest.mark.parametrize("place", ["/contacts?find=a%00", "/domains/%00", "/events?kind=%00"])
async def test_a_nul_is_no_text(browser: Any, place: str) -> None:
    await browser.sign_in()
    assert (await browser.get(place)).status_code == 400
    assert (await browser.submit("/contacts/tags", name="a\x00b")).status_code == 400


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"zone": "No/Where", "starts_at": "2030-01-01T10:00"}, "is no moment"),
        ({"zone": "America", "starts_at": "2030-01-01T10:00"}, "is no moment"),
        ({"zone": "Asia/Jerusalem", "starts_at": "0001-01-01T00:00"}, ""),
        ({"list": str(1 << 64)}, ""),
        ({"list": "9" * 4400}, ""),
        ({"template": "9" * 4400}, ""),
    ],
)
async def test_a_campaign_is_refused_and_stays_on_the_page(browser: Any, changes: dict[str, str], told: str) -> None:
    await browser.sign_in()
    answer = await browser.submit("/campaigns", name="a", **changes)
    assert answer.status_code == 409
    assert told in answer.text


async def test_a_variant_of_thousands_of_digits_is_none(browser: Any, pages: Any) -> None:
    await browser.sign_in()
    assert (await browser.submit(f"{pages['finished']}/choose", variant="9" * 4400)).status_code == 303


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1_0", "²", "٣", "9" * 19, None, 1])
def test_what_is_no_number_of_a_row(text: object) -> None:
    assert read_number(text) is None
    assert read_number("9" * 18) == int("9" * 18)
