"""The pages of one sender domain: verdict, records, requirements, drafts, keys, logo, reports, history."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mailtypes.clock import DAY, HOUR
from mailtypes.questions import HttpAnswer, HttpFetched
from postwright.services.accounts import Role
from postwright.services.sender_domains import MAX_LOGO_OCTETS
from postwright.store import domains, events
from postwright.store.events import NewEvent
from postwright.web.domain_draft_pages import MAX_DRAFT
from postwright.web.headers import UNTRUSTED_LOGO_POLICY

NAME = "news.acme.test"
HERE = f"/domains/{NAME}"
LOGOS = Path(__file__).parents[1] / "dns_checks" / "bimi" / "svg"
LOGO = (LOGOS / "good_circle.svg").read_bytes()
URL = "https://acme.test/logo.svg"
BIMI = f'default._bimi.{NAME}. 300 IN TXT "v=BIMI1; l={URL};"\n'


@pytest.fixture
def install(install: Any) -> Any:
    """An install whose DNS answers; what it says is changed by ``install.live``."""
    return install.live("")


def page_of(svg: bytes) -> Mapping[str, HttpAnswer]:
    return {URL: HttpFetched(200, "image/svg+xml", svg)}


async def verified(install: Any, extra: str = "", pages: Mapping[str, HttpAnswer] | None = None) -> Any:
    """The sender domain with all its records published and verified."""
    domain = await install.application.sender_domains.add(install.workspace, NAME)
    zone = await install.zone_of(domain)
    install.live(zone + extra, pages)
    checked, _ = await install.application.sender_domains.verify(install.workspace, NAME)
    return checked


async def test_the_verdict_and_the_next_step_come_first(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    page = (await browser.get(HERE)).text
    assert "Mail from news.acme.test can be sent: SPF, DKIM, DMARC and the return path are in place." in page
    verdict = page.partition("Records to publish")[0]
    assert "What to do next" in verdict
    # the MX of the domain itself is missing: an error, but no reason not to send
    assert "Publish an MX record that names the mail host" in verdict
    assert verdict.index("can be sent") < verdict.index("Publish an MX record")


async def test_what_is_missing_is_named_with_its_step(browser: Any, install: Any) -> None:
    domain = await install.application.sender_domains.add(install.workspace, NAME)
    zone = await install.zone_of(domain)
    install.live("\n".join(line for line in zone.splitlines() if "_domainkey" not in line))
    await install.application.sender_domains.verify(install.workspace, NAME)
    await browser.sign_in()
    page = (await browser.get(HERE)).text
    assert (
        "news.acme.test is not ready: DKIM is missing or wrong. Until that is mended, no mail is sent from it." in page
    )
    listed = (await browser.get("/domains")).text
    assert "DKIM is missing or wrong" in listed
    assert "Next: " in listed


async def test_a_record_that_is_there_is_present_whatever_could_be_better(browser: Any, install: Any) -> None:
    """p=none is found wanting, and the record is there all the same."""
    await verified(install)
    await browser.sign_in()
    page = (await browser.get(HERE)).text
    records = page.partition("Records to publish")[2].partition('id="requirements"')[0]
    required = records.partition("Links, pixel")[0]
    assert required.count("</svg>Present</span>") == 4
    assert "</svg>Absent</span>" not in records
    assert "What the DNS said" in records


async def test_the_requirement_table_has_providers_states_and_codes(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    table = (await browser.get(HERE)).text.partition('id="requirements"')[2].partition("</table>")[0]
    for provider in ("Gmail", "Yahoo", "Microsoft", "Apple"):
        assert f"{provider}<span" in table
    assert "5.7.26" in table
    assert "5.7.515" in table
    for word in ("Pass", "Unknown", "Not asked", "Bulk senders", "Advice"):
        assert word in table
    assert "mta.acme.test, which leads back to it" in table


async def test_a_draft_shows_what_breaks_and_changes_nothing(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in(Role.MARKETER)
    before = await install.application.sender_domains.get(install.workspace, NAME)
    draft = f'bounce.{NAME}. 300 IN TXT "v=spf1 -all"\n'
    answer = await browser.submit(f"{HERE}/what-if", draft=draft)
    assert answer.status_code == 200
    assert "Would break" in answer.text
    assert "not verified" in answer.text
    assert "v=spf1 -all&#34;\n</textarea>" in answer.text
    assert await install.application.sender_domains.get(install.workspace, NAME) == before


async def test_a_draft_shows_what_heals(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    answer = await browser.submit(
        f"{HERE}/what-if", draft=f"{NAME}. 300 IN MX 10 mail.acme.test.\nmail.acme.test. IN A 93.184.215.9\n"
    )
    assert "Would heal" in answer.text
    assert "neither MX nor address records" in answer.text
    # Microsoft's wish that replies find a mail host changes from fail to pass
    assert "Replies to From find a mail host" in answer.text


async def test_a_fault_in_a_draft_is_shown_with_its_place_and_the_text_stays(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    draft = f'{NAME}. 300 IN TXT "fine"\n{NAME}. 300 IN MX ten mail.acme.test. <b>\n'
    answer = await browser.submit(f"{HERE}/what-if", draft=draft)
    assert answer.status_code == 409
    assert "line 2, column" in answer.text
    assert "MX ten mail.acme.test. &lt;b&gt;\n</textarea>" in answer.text
    assert "^" in answer.text.partition('class="card plain excerpt"')[2].partition("</pre>")[0]


@pytest.mark.parametrize("draft", ["", "  \n", "x" * (MAX_DRAFT + 1), "$INCLUDE /etc/passwd\n"])
async def test_what_is_no_draft_is_refused(browser: Any, install: Any, draft: str) -> None:
    await verified(install)
    await browser.sign_in()
    answer = await browser.submit(f"{HERE}/what-if", draft=draft)
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    assert "root:" not in answer.text


async def test_the_longest_draft_in_any_script_passes_the_gate(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    draft = "; " + "א" * (MAX_DRAFT - 10) + "\n"
    files = {"draft": (None, draft.encode()), "csrf_token": (None, (await browser.token()).encode())}
    answer = await browser.post(f"{HERE}/what-if", files=files)
    assert answer.status_code == 200
    assert "Nothing would change" in answer.text


async def test_the_records_can_be_opened_as_a_draft(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    page = (await browser.get(f"{HERE}/what-if?from=records")).text
    draft = page.partition("<textarea")[2].partition("</textarea>")[0]
    assert f"pw1._domainkey.{NAME}." in draft
    assert len(draft) < MAX_DRAFT


async def test_an_admin_starts_one_rotation_and_no_second(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    assert "It signs until you rotate" in (await browser.get(f"{HERE}/keys")).text
    answer = await browser.submit(f"{HERE}/keys/rotate", ed25519="yes")
    assert answer.status_code == 303
    page = (await browser.get(answer.headers["Location"])).text
    assert "The next key is made." in page
    assert "It signs until pw2 takes over." in page
    assert "pw2-ed25519" in page
    keys = await install.application.sender_domains.keys(await install.application.sender_domains.get(1, NAME))
    assert [key.state for key in keys] == ["active", "made", "made"]
    assert keys[1].public_record in page.replace("&#34;", '"')
    assert 'name="ed25519"' not in page  # no second button while one is under way
    refused = await browser.submit(f"{HERE}/keys/rotate")
    assert refused.status_code == 409
    assert "There is a new key that is not in use yet: pw2 and pw2-ed25519." in refused.text
    assert (
        len(await install.application.sender_domains.keys(await install.application.sender_domains.get(1, NAME))) == 3
    )
    # the new key among the records is not taken for published because the old one is
    overview = (await browser.get(HERE)).text
    record = overview.partition(f"pw2._domainkey.{NAME}")[0].rpartition("<li")[2]
    assert "</svg>Unknown</span>" in record


async def test_only_admins_rotate_keys_and_add_reports(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in(Role.MARKETER)
    assert (await browser.submit(f"{HERE}/keys/rotate")).status_code == 403
    assert (await browser.submit(f"{HERE}/reports")).status_code == 403
    assert "Start a rotation" not in (await browser.get(f"{HERE}/keys")).text
    assert 'type="file"' not in (await browser.get(f"{HERE}/reports")).text
    assert (await browser.post(f"{HERE}/keys/rotate", data={"csrf_token": "x"})).status_code == 403


async def test_a_rotation_needs_a_key_in_use(browser: Any, install: Any) -> None:
    await install.application.sender_domains.add(install.workspace, NAME)
    await browser.sign_in()
    assert "there is none to replace" in (await browser.get(f"{HERE}/keys")).text
    refused = await browser.submit(f"{HERE}/keys/rotate")
    assert refused.status_code == 409
    assert "pw1" in refused.text.partition('role="alert"')[2].partition("</div>")[0]


async def test_a_signing_key_that_is_gone_is_an_alarm(browser: Any, install: Any) -> None:
    domain = await verified(install)
    (key,) = await install.application.sender_domains.keys(domain)
    await install.write(lambda c: domains.note_missing(c, key.id, install.application.clock.now() - HOUR))
    await browser.sign_in()
    for address in (HERE, "/domains"):
        assert "The key pw1 signs your mail and is gone from the DNS" in (await browser.get(address)).text
    assert "Publish its record again: nobody can check what it signs." in (await browser.get(f"{HERE}/keys")).text


async def test_a_retiring_key_says_from_when_its_record_may_go(browser: Any, install: Any) -> None:
    domain = await verified(install)
    (key,) = await install.application.sender_domains.keys(domain)
    now = install.application.clock.now()
    await install.write(lambda c: domains.move_key(c, key.id, "active", "retiring", now))
    await browser.sign_in()
    page = (await browser.get(f"{HERE}/keys")).text
    assert "It may be removed from" in page
    assert "in 7 d" in page or "in 6 d 23 h" in page


async def test_the_logo_is_kept_shown_and_shut_in(browser: Any, install: Any) -> None:
    await verified(install, BIMI, page_of(LOGO))
    await browser.sign_in()
    page = (await browser.get(f"{HERE}/logo")).text
    for size in (24, 32, 40, 72):
        assert page.count(f'width="{size}" height="{size}"') == 4  # two shapes on two grounds
    assert LOGO.decode() not in page
    answer = await browser.get(f"{HERE}/logo.svg")
    assert answer.content == LOGO
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Content-Security-Policy"] == UNTRUSTED_LOGO_POLICY
    assert UNTRUSTED_LOGO_POLICY == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["script_element.svg", "script_onload_on_root.svg", "external_use.svg"])
async def test_a_logo_that_is_not_valid_is_never_served(browser: Any, install: Any, name: str) -> None:
    checked = await verified(install, BIMI, page_of((LOGOS / name).read_bytes()))
    assert json.loads(checked.audit)["logo"] is None
    await browser.sign_in()
    assert (await browser.get(f"{HERE}/logo.svg")).status_code == 404
    page = (await browser.get(f"{HERE}/logo")).text
    assert "No logo to show" in page
    assert 'logo.svg"' not in page


async def test_the_stored_logo_is_bounded(install: Any) -> None:
    padded = LOGO.replace(b"</svg>", b" " * MAX_LOGO_OCTETS + b"</svg>")
    checked = await verified(install, BIMI, page_of(padded))
    assert json.loads(checked.audit)["logo"] is None
    checked = await verified(install, BIMI, page_of(LOGO))
    assert base64.b64decode(json.loads(checked.audit)["logo"]) == LOGO


async def test_without_a_logo_the_page_says_what_is_missing(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    page = (await browser.get(f"{HERE}/logo")).text
    assert f"There is no BIMI record at default._bimi.{NAME}." in page
    assert "What a logo needs" in page


async def test_the_dmarc_plan_marks_where_the_domain_stands(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    plan = (await browser.get(f"{HERE}/reports")).text.partition('class="plan"')[2].partition("</ol>")[0]
    steps = plan.split("<li")
    here = [step for step in steps if 'aria-current="step"' in step]
    assert len(here) == 1
    assert "p=none" in here[0]
    assert "You are here" in here[0]
    assert "v=DMARC1; p=reject" in plan


def aggregate(*rows: str, begin: int, report_id: str = "r-1", domain: str = NAME) -> bytes:
    return f"""<feedback><report_metadata><org_name>Mailhub</org_name><report_id>{report_id}</report_id><date_range>
<begin>{begin}</begin><end>{begin + 86_399}</end></date_range></report_metadata><policy_published>
<domain>{domain}</domain><p>none</p></policy_published>{"".join(rows)}</feedback>""".encode()


def row(ip: str, count: int, dkim: str, spf: str, disposition: str = "none") -> str:
    return f"""<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated>
<disposition>{disposition}</disposition><dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row>
<identifiers><header_from>{NAME}</header_from></identifiers><auth_results><spf><domain>x.test</domain>
<result>fail</result></spf></auth_results></record>"""


async def upload(browser: Any, content: bytes, name: str = "report.xml") -> Any:
    data = {"csrf_token": await browser.token()}
    return await browser.post(f"{HERE}/reports", data=data, files={"file": (name, content, "text/xml")})


async def test_a_report_is_uploaded_and_summed_up_by_source(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    begin = (install.application.clock.now() // DAY - 3) * 86_400
    report = aggregate(
        row("127.0.0.2", 1200, "pass", "pass"), row("192.0.2.99", 7, "fail", "fail", "reject"), begin=begin
    )
    answer = await upload(browser, report)
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith("?done=report")
    page = (await browser.get(answer.headers["Location"])).text
    table = page.partition('id="sources"')[2].partition("</table>")[0]
    ours, others = table.partition("192.0.2.99")[::2]
    for text in ("127.0.0.2", "Yours", "Passing", "SPF or DKIM passes", "1,200"):
        assert text in ours
    for text in ("Not yours", "Failing", "with nothing that passes", "0 / 0 / 7"):
        assert text in others
    assert "100% of the mail of your own sources passed in 28 days" in page
    again = await upload(browser, report)
    assert again.headers["Location"].endswith("?done=report_known")
    other = aggregate(row("127.0.0.2", 1, "pass", "pass"), begin=begin, report_id="r-2", domain="other.test")
    assert (await upload(browser, other)).headers["Location"].endswith("?done=report_elsewhere")


async def test_old_reports_count_only_in_longer_periods(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    begin = (install.application.clock.now() // DAY - 40) * 86_400
    await upload(browser, aggregate(row("127.0.0.2", 5, "pass", "pass"), begin=begin))
    assert "No aggregate report in these 28 days" in (await browser.get(f"{HERE}/reports")).text
    page = (await browser.get(f"{HERE}/reports?days=91")).text
    assert "127.0.0.2" in page
    # one span holds them, the others none
    trend = page.partition('aria-label="Messages in each span: ')[2].partition('"')[0]
    assert sorted(trend.split(", "), key=int) == ["0"] * 12 + ["5"]
    assert (await browser.get(f"{HERE}/reports?days=12345")).status_code == 200


async def test_tls_reports_are_summed_up_by_type(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    day = install.application.clock.now() // DAY * 86_400 - 86_400
    moment = datetime.fromtimestamp(day, UTC)
    report = {
        "organization-name": "Mailhub",
        "report-id": "t-1",
        "date-range": {"start-datetime": moment.isoformat(), "end-datetime": moment.isoformat()},
        "policies": [
            {
                "policy": {"policy-type": "sts", "policy-domain": NAME},
                "summary": {"total-successful-session-count": 97, "total-failure-session-count": 3},
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "receiving-mx-hostname": "mx1.acme.test",
                        "failed-session-count": 3,
                    }
                ],
            }
        ],
    }
    answer = await upload(browser, json.dumps(report).encode(), "tls.json")
    assert answer.headers["Location"].endswith("?done=report")
    page = (await browser.get(f"{HERE}/reports")).text
    section = page.partition('id="tls"')[2].partition('id="files"')[0]
    for text in ("certificate-expired", "The certificate has expired.", "mx1.acme.test", "Mailhub", "97", "3.0%"):
        assert text in section


async def test_what_cannot_be_read_is_said_and_kept(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    answer = await upload(browser, b"<feedback><report_metadata>", f"{install.hostile}.xml")
    assert answer.status_code == 409
    assert "could not be read" in answer.text
    assert "The file is kept." in answer.text
    assert install.hostile not in answer.text
    page = (await browser.get(f"{HERE}/reports")).text
    assert "Could not be read" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.xml" in page


async def test_an_upload_needs_a_file_and_has_a_bound(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in()
    answer = await browser.submit(f"{HERE}/reports")
    assert answer.status_code == 409
    assert "There is no file." in answer.text
    large = await browser.post(f"{HERE}/reports", headers={"Content-Length": str(40 * 1024 * 1024)}, content=b"x")
    assert large.status_code == 413
    elsewhere = await browser.post(f"{HERE}/keys/rotate", headers={"Content-Length": str(1024 * 1024)}, content=b"x")
    assert elsewhere.status_code == 413


async def test_history_tells_what_changed_of_this_domain_alone(browser: Any, install: Any) -> None:
    await verified(install)
    now = install.application.clock.now()
    change = {"changes": [{"code": "dmarc.published", "before": "present", "after": None}]}
    told = [
        NewEvent(install.workspace, "domain_drift", now - HOUR, data={"domain": NAME, **change}),
        NewEvent(
            install.workspace,
            "dkim_key_missing",
            now,
            data={"domain": "other.test", "selector": "zz9", "sentence": "Gone."},
        ),
    ]
    await install.write(lambda c: events.append(c, told, now))
    await browser.sign_in()
    page = (await browser.get(f"{HERE}/history")).text
    assert "DMARC, published: present → not found" in page
    assert "zz9" not in page
    assert "Not verified yet → Verified" in page


async def test_every_tab_is_of_one_workspace(browser: Any, install: Any) -> None:
    await verified(install, BIMI, page_of(LOGO))
    await install.begin("other")
    await browser.sign_in(Role.ADMIN, "other")
    for tab in ("", "/what-if", "/keys", "/reports", "/logo", "/logo.svg", "/history"):
        assert (await browser.get(HERE + tab)).status_code == 404, tab
    for action in ("/what-if", "/keys/rotate", "/reports"):
        assert (await browser.submit(HERE + action)).status_code == 404, action


async def test_viewers_see_all_tabs_and_change_nothing(browser: Any, install: Any) -> None:
    await verified(install)
    await browser.sign_in(Role.VIEWER)
    for tab in ("", "/what-if", "/keys", "/reports", "/logo", "/history"):
        page = await browser.get(HERE + tab)
        assert page.status_code == 200, tab
        assert page.text.count("<form") == 2, tab  # to sign out, and for light and dark
    assert (await browser.submit(f"{HERE}/what-if", draft="x")).status_code == 403
