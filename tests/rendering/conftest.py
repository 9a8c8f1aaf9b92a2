import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rendering import Layouts, MessageUrls, Template, TemplateSource, parse_template

MakeTemplate = Callable[..., Template]


@pytest.fixture
def urls() -> MessageUrls:
    return MessageUrls(
        link_url=lambda number: f"https://t.acme.test/c/{number}?a=1&b=2",
        unsubscribe_url="https://t.acme.test/u/token",
        pixel_url="https://t.acme.test/o/token.gif",
    )


@pytest.fixture
def bare_urls() -> MessageUrls:
    """Addresses without tracking marks, for comparing with messages made the plain way."""
    return MessageUrls(lambda number: f"https://link.test/{number}", "https://unsubscribe.test/")


@pytest.fixture
def html_template() -> MakeTemplate:
    def make(body: str, subject: str = "Subject", **more: str) -> Template:
        return parse_template(TemplateSource(body, "html", subject, **more))

    return make


@pytest.fixture
def mjml_template() -> MakeTemplate:
    def make(content: str, subject: str = "Subject", **more: str) -> Template:
        body = f"<mjml><mj-body><mj-section><mj-column>{content}</mj-column></mj-section></mj-body></mjml>"
        return parse_template(TemplateSource(body, "mjml", subject, **more))

    return make


@pytest.fixture
def html_of(urls: MessageUrls) -> Callable[[Template, dict[str, object]], str]:
    def render(template: Template, data: dict[str, object]) -> str:
        key, values = template.fill(data)
        return Layouts(template)[key].html(values, urls)

    return render


@pytest.fixture(scope="session")
def shared() -> Path:
    root = Path(os.environ.get("POSTWRIGHT_SHARED", Path(__file__).parents[3] / "shared"))
    if not root.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"conformance data is missing: {root}")
        pytest.skip(f"no conformance data at {root}; set POSTWRIGHT_SHARED")
    return root
