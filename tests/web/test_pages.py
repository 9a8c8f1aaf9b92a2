"""Every page over a real database: what it says, what it lets nobody else see, what it never lets through."""

import json
from itertools import pairwise
from typing import Any

import pytest

from mta.delivery import Happening
from postwright.services.accounts import Role
from postwright.web.headers import MAIL_FRAME_POLICY, PAGE_POLICY
from postwright.web.hrefs import campaign_href, domain_href

LARGEST_PAGE = 300 * 1024


async def test_every_page_carries_the_policy_and_stays_small(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in()
    for name, address in [*pages.items(), ("sign-in", "/sign-in"), ("progress", f"{pages['running']}/progress.json")]:
        answer = await browser.get(address)
        assert answer.status_code == (404 if name == "missing" else 200), name
        is_framing = name in {"mail", "hostile-mail", "template"}
        assert answer.headers["Content-Security-Policy"] == (MAIL_FRAME_POLICY if is_framing else PAGE_POLICY), name
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cache-Control"] == "no-store"
        assert len(answer.content) < LARGEST_PAGE, name


async def test_pages_have_nothing_inline_and_nothing_from_outside(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in()
    for name, address in pages.items():
        text = (await browser.get(address)).text
        assert "<script>" not in text, name
        assert install.hostile not in text, name
        assert "<style" not in text, name
        assert " style=" not in text, name
        assert " onerror=" not in text.replace("onerror=alert(2)&gt;", ""), name
        assert 'src="http' not in text, name


async def test_hostile_names_are_shown_as_they_are(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in()
    shown = "&lt;script&gt;alert(1)&lt;/script&gt;"
    for name in ("campaigns", "finished", "import", "mailboxes", "hostile-mail"):
        assert shown in (await browser.get(pages[name])).text, name


async def test_html_of_a_mail_comes_only_from_its_own_address(browser: Any, install: Any) -> None:
    await install.receive(install.mail("ruby@mailhub.test", "Hi", '<p class="theirs">Hello<script>1</script></p>'))
    await browser.sign_in()
    for view in ("html", "text", "headers", "source"):
        assert '<p class="theirs">' not in (await browser.get(f"/sandbox/1?view={view}")).text
    answer = await browser.get("/sandbox/1/html")
    assert '<p class="theirs">Hello<script>' in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none';")
    assert "script-src" not in policy
    assert "allow-" not in policy
    assert "form-action 'none'" in policy


async def test_source_of_a_mail_is_handed_out_as_a_file(browser: Any, install: Any) -> None:
    await install.receive(install.mail("ruby@mailhub.test", "Hi", "<p>Hello</p>"))
    await browser.sign_in()
    answer = await browser.get("/sandbox/1/source")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.content.startswith(b"From: Acme Garden")


async def test_mailboxes_filter_and_search(browser: Any, install: Any) -> None:
    await install.receive(
        install.mail("ruby@mailhub.test", "For Ruby", "<p>1</p>"), install.mail("noa@doar.test", "For Noa", "<p>2</p>")
    )
    await browser.sign_in()
    assert "For Noa" in (await browser.get("/sandbox?provider=doar")).text
    assert "For Ruby" not in (await browser.get("/sandbox?provider=doar")).text
    found = (await browser.get("/sandbox?address=RUBY@mailhub.test")).text
    assert "For Ruby" in found
    assert "For Noa" not in found
    assert "there is no @ in the address" in (await browser.get("/sandbox?address=ruby")).text


async def test_without_a_sandbox_there_are_no_mailboxes(install: Any, open_browser: Any) -> None:
    async with open_browser(install.app(mailboxes=False)) as client:
        await client.sign_in()
        assert (await client.get("/sandbox")).status_code == 404
        assert "/sandbox" not in (await client.get("/")).text


async def test_mailboxes_before_the_sandbox_has_begun(browser: Any) -> None:
    await browser.sign_in()
    assert "No mail yet" in (await browser.get("/sandbox")).text


async def test_nobody_sees_another_workspace(browser: Any, install: Any, pages: Any) -> None:
    await install.begin("other")
    await browser.sign_in(Role.ADMIN, "other")
    for name in ("finished", "running", "draft", "message", "template", "import", "domain", "failing-domain"):
        assert (await browser.get(pages[name])).status_code == 404, name
    for suffix in ("/progress.json", "/recent.part"):
        assert (await browser.get(pages["running"] + suffix)).status_code == 404, suffix
    assert (await browser.get(pages["template"] + "/source")).status_code == 404
    for address in ("/", "/campaigns", "/domains", "/templates", pages["found"]):
        text = (await browser.get(address)).text
        assert "Summer letter" not in text
        assert "acme.test" not in text
        assert "msg_" not in text
    for action in ("send", "pause", "resume", "cancel"):
        assert (await browser.submit(f"{pages['running']}/{action}")).status_code == 404
    assert (await browser.submit(f"{pages['domain']}/verify")).status_code == 404


async def test_an_id_of_another_kind_leads_nowhere(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in()
    wrong = pages["template"].rpartition("/")[2]
    assert (await browser.get(f"/campaigns/{wrong}")).status_code == 404
    assert (await browser.get("/campaigns/1")).status_code == 404
    assert (await browser.get("/domains/not a domain")).status_code == 404
    assert (await browser.get("/sandbox/99999999999999999999")).status_code == 404
    assert (await browser.get("/sandbox/x")).status_code == 404


async def test_progress_follows_the_database(browser: Any, install: Any) -> None:
    await install.domain()
    await install.contacts(10)
    campaign = await install.draft()
    await install.send(campaign)
    await browser.sign_in()
    address = f"{campaign_href(campaign)}/progress.json"
    before = (await browser.get(address)).json()
    assert (before["total"], before["settled"], before["active"]) == (10, 0, True)
    assert before["rows"]["under_way"]["count"] == 10
    assert await install.deliver(Happening.ACCEPTED, 4) == 4
    assert await install.deliver(Happening.PERMANENT, 1) == 1
    assert await install.deliver(Happening.TRANSIENT, 2) == 2
    after = (await browser.get(address)).json()
    assert (after["settled"], after["tried"], after["percent"]) == (5, 5, "50.0%")
    counts = {name: row["count"] for name, row in after["rows"].items() if row["count"]}
    assert counts == {"delivered": 4, "failed": 1, "deferred": 2, "under_way": 3}
    assert after["rows"]["deferred"]["ever"] == 2
    # the bar has neither gaps nor overlaps
    starts = [(row["start"], row["width"]) for row in after["rows"].values()]
    assert all(abs(a + b - c) < 0.01 for (a, b), (c, _) in pairwise(starts))


async def test_a_marketer_sends_pauses_resumes_and_cancels(browser: Any, install: Any) -> None:
    await install.domain()
    await install.contacts(10)
    campaign = await install.draft()
    await browser.sign_in(Role.MARKETER)
    draft = (await browser.get(campaign_href(campaign))).text
    assert "Nothing keeps it from being sent." in draft
    assert "Send to 10" in draft
    for action, state in (("send", "preparing"), ("pause", "paused"), ("resume", "preparing"), ("cancel", "cancelled")):
        answer = await browser.submit(f"{campaign_href(campaign)}/{action}")
        assert answer.status_code == 303, action
        assert (await browser.get(answer.headers["Location"])).status_code == 200
        status = await install.application.campaigns.status(install.workspace, campaign.id)
        assert status.run is not None
        assert status.run.state == state
    refused = await browser.submit(f"{campaign_href(campaign)}/resume")
    assert refused.status_code == 409
    assert "The campaign is cancelled" in refused.text


async def test_what_keeps_a_draft_from_being_sent_is_told(browser: Any, install: Any) -> None:
    await install.domain(state="pending")
    await install.contacts(3)
    campaign = await install.draft()
    await browser.sign_in()
    page = (await browser.get(campaign_href(campaign))).text
    assert "The sender domain news.acme.test is pending, not verified." in page
    assert "/send" not in page
    refused = await browser.submit(f"{campaign_href(campaign)}/send")
    assert refused.status_code == 409
    assert "not verified" in refused.text
    assert (await install.application.campaigns.get(install.workspace, campaign.id)).state == "draft"


async def test_recipients_are_paged_and_filtered(browser: Any, install: Any) -> None:
    await install.domain()
    await install.contacts(130)
    campaign = await install.draft()
    await install.send(campaign)
    await install.deliver(Happening.PERMANENT, 120)
    await browser.sign_in()
    seen: list[str] = []
    address = f"{campaign_href(campaign)}?state=failed"
    for _ in range(3):
        text = (await browser.get(address)).text
        rows = text.partition('aria-labelledby="recipients"')[2].partition('aria-labelledby="recent"')[0]
        assert "550 5.1.1 No such user here" in rows
        seen += [piece.partition("<")[0] for piece in rows.split("<bdi>person")[1:]]
        address = rows.rpartition("state=failed&amp;after=")[2].partition("#")[0]
        address = f"{campaign_href(campaign)}?state=failed&after={address}"
    assert len(seen) == len(set(seen)) == 120


async def test_the_story_of_a_message(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in()
    page = (await browser.get(pages["message"])).text
    assert "550 5.1.1 No such user here" in page
    assert "mx1.mailhub.test [127.0.0.3]" in page
    assert "TLSv1.3" in page
    assert "+00:00" in page
    assert "אביב 2026: מדריך הקציר" in page
    found = (await browser.get(pages["found"])).text
    assert pages["message"] in found


async def test_a_domain_shows_its_records_findings_and_evidence(browser: Any, install: Any) -> None:
    domain = await install.domain("letters.acme.test", "failing")
    (key,) = await install.application.sender_domains.keys(domain)
    await browser.sign_in()
    page = (await browser.get(domain_href(domain.name))).text
    assert "pw1._domainkey.letters.acme.test" in page
    assert key.public_record.split("p=")[1][:40] in page.replace("&#34;", "")
    assert "no such record (nxdomain)" in page
    assert "Nobody could say whether there is a DMARC policy." in page
    records = page.partition("Records to publish")[2].partition("What the last audit found")[0]
    states = [records.find(f"</svg>{label}</span>") for label in ("Present", "Absent", "Unknown")]
    assert -1 not in states
    assert states == sorted(states)


async def test_verify_asks_the_dns_now_and_silence_is_unknown(browser: Any, install: Any) -> None:
    domain = await install.application.sender_domains.add(install.workspace, "news.acme.test")
    assert domain.checked_at is None
    await browser.sign_in(Role.MARKETER)
    assert "Not audited yet" in (await browser.get(domain_href(domain.name))).text
    answer = await browser.submit(f"{domain_href(domain.name)}/verify")
    assert answer.status_code == 303
    checked = await install.application.sender_domains.get(install.workspace, domain.name)
    assert checked.checked_at is not None
    assert checked.state == "pending"
    assert json.loads(checked.audit or "{}")["verdict"] == "unknown"
    assert (await browser.get(answer.headers["Location"])).status_code == 200


async def test_an_admin_adds_a_domain_and_is_told_what_is_wrong_with_a_name(browser: Any, install: Any) -> None:
    await browser.sign_in()
    answer = await browser.submit("/domains", name="דואר.acme.test")
    assert answer.status_code == 303
    page = (await browser.get(answer.headers["Location"])).text
    assert "דואר.acme.test" in page
    assert "xn--" in page
    refused = await browser.submit("/domains", name="not a domain")
    assert refused.status_code == 409
    assert 'value="not a domain"' in refused.text


async def test_an_import_from_the_form_to_its_refused_rows(browser: Any, install: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    content = b"email,first_name\nruby@mailhub.test,Ruby\nno-at,X\n"
    answer = await browser.post(
        "/imports",
        data={"csrf_token": await browser.token(), "list": "Readers"},
        files={"file": ("readers.csv", content, "text/csv")},
    )
    assert answer.status_code == 303
    page = answer.headers["Location"]
    assert "Waiting" in (await browser.get(page)).text
    await install.application.imports.run_jobs()
    text = (await browser.get(page)).text
    assert "Finished" in text
    assert "no-at" in text
    assert "there is no @" in text.lower()
    numbers = (await browser.get(page.partition("?")[0] + "/progress.json")).json()
    assert numbers["rows"] == {"created": {"count": 1}, "updated": {"count": 0}, "refused": {"count": 1}}


@pytest.mark.parametrize("content", [b"", b"name\nRuby\n", b"email\n\xff\xfe"])
async def test_a_file_that_is_no_table_is_refused_on_the_spot(browser: Any, content: bytes) -> None:
    await browser.sign_in(Role.MARKETER)
    answer = await browser.post(
        "/imports",
        data={"csrf_token": await browser.token(), "list": "Readers"},
        files={"file": ("readers.csv", content, "text/csv")},
    )
    assert answer.status_code == 409
    assert 'value="Readers"' in answer.text


async def test_a_template_is_shown_with_its_source_as_text(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in()
    page = (await browser.get(pages["template"])).text
    assert "&lt;mj-button href=&#34;https://www.acme.test/guide&#34;&gt;" in page
    source = await browser.get(pages["template"] + "/source")
    assert source.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert source.headers["Content-Disposition"].startswith("attachment")


async def test_an_empty_workspace_teaches(browser: Any) -> None:
    await browser.sign_in()
    for address, words in (
        ("/", "No campaign yet"),
        ("/", "No sender domain yet"),
        ("/campaigns", "postwright campaign create"),
        ("/templates", "postwright template add"),
        ("/domains", "No sender domain yet"),
    ):
        assert words in (await browser.get(address)).text


async def test_a_fault_of_ours_is_a_page_without_its_cause(
    browser: Any, install: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the secret inner cause")

    await browser.sign_in()
    monkeypatch.setattr(install.application.templates, "list", broken)
    answer = await browser.get("/templates")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "secret inner cause" not in answer.text
    assert "the secret inner cause" in caplog.text
    assert answer.headers["Content-Security-Policy"] == PAGE_POLICY


async def test_static_files_are_kept_only_by_their_digest(browser: Any) -> None:
    page = (await browser.get("/sign-in")).text
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = await browser.get(address)
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" not in (await browser.get("/static/postwright.css?v=older")).headers["Cache-Control"]
    assert (await browser.get("/static/../pages.py")).status_code == 404


def test_the_style_sheet_knows_no_left_and_right() -> None:
    from postwright.web.static_files import STATIC  # noqa: PLC0415

    text = (STATIC / "postwright.css").read_text("utf-8")
    for word in ("left", "right", "margin-top", "padding-top", "text-align: start;\n  left"):
        assert f"-{word}" not in text
        assert f"{word}:" not in text
