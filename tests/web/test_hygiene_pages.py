"""The suppression list and hygiene in the browser's terms: what the pages do, and what they refuse."""

from typing import Any

from sqlalchemy import Connection

from mailtypes.clock import DAY
from postwright.services.accounts import Role
from postwright.store.records import table


async def _quiet_contacts(install: Any, number: int) -> None:
    """Contacts of a list who were sent plenty and have read nothing for years."""
    rows = "".join(f"reader{one}@example.com\n" for one in range(number))
    imports = install.application.imports
    await imports.start(install.workspace, "News", "readers.csv", f"email\n{rows}".encode())
    await imports.run_jobs()
    now = install.application.clock.now()

    def write(connection: Connection) -> None:
        contact = table("contact")
        connection.execute(contact.update().values(created_at=now - 900 * DAY))
        for row in connection.execute(contact.select()).all():
            values = {"received": 20, "opened": 0, "clicked": 0, "acted": 0, "opened_in_a_row": 0, "soft_bounces": 0}
            values |= {"received_since_opened": 20, "received_since_clicked": 20, "workspace_id": row.workspace_id}
            connection.execute(table("contact_activity").insert().values(contact_id=row.id, **values))

    await install.write(write)


async def test_an_address_is_suppressed_found_removed_and_put_back(browser: Any, install: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    answer = await browser.submit("/suppressions", address="Ada@example.com", scope="stream", note="by phone")
    assert answer.headers["Location"] == "/suppressions?done=suppression_added"
    page = (await browser.get("/suppressions?find=ADA")).text
    assert "Ada@example.com" in page
    assert "by phone" in page
    assert "Ada@example.com" not in (await browser.get("/suppressions?find=grace")).text
    removed = (await browser.submit("/suppressions/1/remove", note="a mistake")).text
    assert "Ada@example.com may be written to again." in removed
    assert await install.application.suppression_list.list(install.workspace) == []
    fields = {"address": "Ada@example.com", "scope": "stream", "reason": "manual", "note": "by phone"}
    await browser.submit("/suppressions", **fields, scope_id="1", expires_at="")
    (back,) = await install.application.suppression_list.list(install.workspace)
    assert (back.address, back.scope, back.reason, back.note) == tuple(fields.values())


async def test_what_cannot_be_suppressed_is_told_beside_what_was_given(browser: Any, install: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    for wrong in ({"address": "nobody"}, {"address": "ada@example.com", "scope": "list", "list": "Nowhere"}):
        answer = await browser.submit("/suppressions", **wrong)
        assert answer.status_code == 409
        assert f'value="{wrong["address"]}"' in answer.text
    assert (await browser.submit("/suppressions/99/remove")).status_code == 404


async def test_a_plan_is_shown_applied_and_undone(browser: Any, install: Any) -> None:
    await _quiet_contacts(install, 12)
    await browser.sign_in(Role.MARKETER)
    made = await browser.submit("/hygiene/plans", list="News", preset="weekly", removal="archive", at_once="on")
    page = await browser.get(made.headers["Location"])
    assert "12 of 12 contacts are dormant" in page.text
    assert "reader3@example.com" in page.text
    count = install.application.segments.count
    everybody = (await install.application.segments.create(install.workspace, "all", {"all": []})).node
    assert await count(install.workspace, everybody) == 12
    applied = await browser.submit("/hygiene/1/apply")
    assert await count(install.workspace, everybody) == 0
    assert "data-undo" in (await browser.get(applied.headers["Location"])).text
    document = (await browser.get("/hygiene/1/progress.json")).json()
    assert (document["state"], document["active"], document["settled"]) == ("applied", False, 12)
    assert (await browser.submit("/hygiene/1/discard")).status_code == 409
    await browser.submit("/hygiene/1/undo")
    assert await count(install.workspace, everybody) == 12
    assert (await browser.submit("/hygiene/1/apply")).status_code == 409


async def test_settings_and_refusals(browser: Any, install: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    await browser.submit("/hygiene/settings", soft_bounces="fifteen_in_a_row", is_scheduled="on")
    settings = await install.application.hygiene_schedule.settings(install.workspace)
    assert (settings.soft_bounces, settings.is_scheduled, settings.sets_tags) == ("fifteen_in_a_row", True, False)
    assert (await browser.submit("/hygiene/settings", soft_bounces="never")).status_code == 409
    assert (await browser.submit("/hygiene/plans", list="Nowhere", preset="weekly")).status_code == 409
    assert (await browser.get("/hygiene/77")).status_code == 404
    assert (await browser.get("/hygiene/x")).status_code == 404
