"""The pages of webhooks: made, tried, disabled, told again, removed; for admins alone; secrets are shown once."""

import re
from typing import Any

import pytest

from postwright.outbound_http import HttpPosted
from postwright.services.accounts import Role

URL = "https://shop.example.com/hooks"


class Taking:
    """Stands for the host of every endpoint."""

    status = 200

    def target(self, url: str, max_answer: int = 0) -> "Taking":
        return self

    async def __aenter__(self) -> "Taking":
        return self

    async def __aexit__(self, *error: object) -> None:
        return None

    async def post(self, body: bytes, headers: dict[str, str]) -> HttpPosted:
        return HttpPosted(self.status, b"<b>thanks</b>")


@pytest.fixture
async def admin(browser: Any, install: Any) -> Any:
    install.application.webhooks._client = Taking()
    await browser.sign_in(Role.ADMIN)
    return browser


async def _made(admin: Any) -> tuple[str, str]:
    """Its path, and its secret."""
    made = await admin.submit("/webhooks", url=URL, description="orders", kinds="bounced, delivered")
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", made.text)
    path = re.search(r"/webhooks/whk_[0-9a-z]+", made.text)
    assert secret
    assert path
    return path[0], secret[0]


async def test_the_life_of_an_endpoint(admin: Any, install: Any) -> None:
    path, secret = await _made(admin)
    page = (await admin.get(path)).text
    assert secret not in page
    assert "delivered" in page
    assert "bounced" in page
    tried = await admin.submit(f"{path}/test")
    assert "HTTP <bdi>200</bdi>" in tried.text
    assert "&lt;b&gt;thanks" in tried.text
    Taking.status = 500
    try:
        refused = await admin.submit(f"{path}/test")
    finally:
        Taking.status = 200
    assert "HTTP <bdi>500</bdi>" in refused.text
    assert (await admin.submit(f"{path}/disable")).status_code == 303
    disabled = (await admin.get(path)).text
    assert f"Disabled by {Role.ADMIN}@main.test." in disabled
    await admin.submit(f"{path}/enable", skip_missed="yes")
    assert "Disabled by" not in (await admin.get(path)).text
    rotated = await admin.submit(f"{path}/secret")
    again = re.search(r"whsec_[A-Za-z0-9+/=]+", rotated.text)
    assert again
    assert again[0] != secret
    answer = await admin.submit(f"{path}/replay", since="2026-01-01T00:00", until="")
    assert answer.status_code == 303
    assert "Being told again" in (await admin.get(path)).text
    await admin.submit(f"{path}/change", url=URL, description="all of it", kinds="")
    listed = (await admin.get("/webhooks")).text
    assert "all of it" in listed
    assert "Everything" in listed
    assert (await admin.submit(f"{path}/remove")).headers["location"] == "/webhooks?done=webhook_gone"
    assert (await admin.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "http://shop.example.com/"}, "only https"),
        ({"url": "https://127.0.0.1/"}, "host"),
        ({"url": URL, "kinds": "delievered"}, "delievered"),
    ],
)
async def test_what_cannot_be_is_refused_and_the_input_kept(admin: Any, fields: dict[str, str], said: str) -> None:
    answer = await admin.submit("/webhooks", **fields)
    assert answer.status_code == 409
    assert said in answer.text
    assert f'value="{fields["url"]}"' in answer.text


async def test_a_replay_wants_a_range(admin: Any) -> None:
    path, _ = await _made(admin)
    for since, until in (("", ""), ("x", ""), ("2026-01-02T00:00", "2026-01-01T00:00"), ("9999-99-99", "")):
        assert (await admin.submit(f"{path}/replay", since=since, until=until)).status_code == 409
    assert (await admin.submit(f"{path}/again", delivery="7")).status_code == 404
    assert (await admin.submit(f"{path}/again", delivery="x")).status_code == 404


async def test_they_are_for_admins(browser: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    assert (await browser.get("/webhooks")).status_code == 403
    assert (await browser.submit("/webhooks", url=URL)).status_code == 403
    assert 'href="/webhooks"' not in (await browser.get("/events")).text
