"""Pages of contacts, lists, fields, segments and imports, by forms alone."""

import re
from typing import Any

import pytest

from postwright.services.accounts import Role
from postwright.web.segment_form import ConditionRow, as_form, read_form


async def _uploaded(browser: Any, content: bytes, **fields: str) -> Any:
    return await browser.post(
        "/imports",
        data={"csrf_token": await browser.token(), "list": "Readers", **fields},
        files={"file": ("readers.csv", content, "text/csv")},
    )


async def test_columns_are_said_before_anything_is_imported(browser: Any, install: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    content = "כתובת;עיר;תג\nruth@mailhub.test;חיפה;vip\nno-at;x;\n".encode("cp1255")
    answer = await _uploaded(browser, content, step="columns")
    assert answer.status_code == 303
    page = answer.headers["Location"]
    text = (await browser.get(page)).text
    assert "this is a guess" in text
    assert "חיפה" in text
    assert "<option selected>windows-1255" in text
    looked = await browser.submit(f"{page}/mapping", encoding="utf-8", step="look")
    assert looked.status_code == 409
    columns = {"column_0": "כתובת", "use_0": "address", "column_1": "עיר", "use_1": "field", "field_1": "city"}
    columns |= {"column_2": "תג", "use_2": "tag"}
    begun = await browser.submit(
        f"{page}/mapping",
        encoding="windows-1255",
        step="begin",
        consent_source="Fair",
        consent_day="2026-05-03",
        **columns,
    )
    assert begun.status_code == 303, begun.text
    await install.application.imports.run_jobs()
    done = await browser.get(begun.headers["Location"])
    assert "Finished" in done.text
    assert "no-at" in done.text
    report = await browser.get(f"{page}/report.csv")
    assert "no_at_sign" in report.text
    contacts = await browser.get("/contacts?find=ruth")
    href = re.search(r'/contacts/con_[^"]+', contacts.text)
    assert href is not None
    one = (await browser.get(href.group())).text
    for words in ("ruth@mailhub.test", "חיפה", "vip", "Gave consent", "Came on a list", "import:readers.csv"):
        assert words in one


async def test_a_contact_is_added_changed_tagged_and_archived(browser: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    refused = await browser.submit("/contacts", address="nobody")
    assert refused.status_code == 409
    made = await browser.submit("/contacts", address="ruth@mailhub.test", list="Readers")
    href = made.headers["Location"].partition("?")[0]
    changed = await browser.submit(href, new_name="city", new_value="Leeds", locale="he", tracking="off")
    assert changed.status_code == 303
    assert 'name="field:city" value="Leeds"' in (await browser.get(href)).text
    wrong = await browser.submit(href, **{"field:city": "", "time_zone": "Mars/Olympus"})
    assert wrong.status_code == 409
    assert 'name="field:city"' in (await browser.get(href)).text
    assert (await browser.submit(f"{href}/tags", add="vip")).status_code == 303
    assert "vip" in (await browser.get(href)).text
    await browser.submit(f"{href}/archive")
    assert "ruth@" not in (await browser.get("/contacts")).text
    assert "ruth@" in (await browser.get("/contacts?archived=yes")).text
    await browser.submit(f"{href}/archive", restore="yes")
    exported = await browser.get("/contacts/export?list=Readers")
    assert exported.text.splitlines()[1].startswith("ruth@mailhub.test,Leeds,Readers,vip,he")


async def test_lists_fields_and_tags(browser: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    assert (await browser.submit("/contacts/lists", name="Friends")).status_code == 303
    href = re.search(r'/contacts/lists/lst_[^"/]+', (await browser.get("/contacts/lists")).text)
    assert href is not None
    await browser.submit(href.group(), name="Old friends", tracking="last_open")
    assert "Old friends" in (await browser.get("/contacts/lists")).text
    assert (await browser.submit(f"{href.group()}/delete")).status_code == 303
    assert "Old friends" not in (await browser.get("/contacts/lists")).text
    wrong = await browser.submit("/contacts/fields", name="plan", kind="choice", choices="")
    assert wrong.status_code == 409
    assert 'value="plan"' in wrong.text
    assert (await browser.submit("/contacts/fields", name="plan", kind="choice", choices="a\nb")).status_code == 303
    assert "a, b" in (await browser.get("/contacts/fields")).text
    assert (await browser.submit("/contacts/tags", tag="vip")).status_code == 303
    assert (await browser.submit("/contacts/tags/delete", tag="vip")).status_code == 303
    assert (await browser.submit("/contacts/fields/delete", name="plan")).status_code == 303


async def test_a_segment_is_built_from_conditions(browser: Any, install: Any) -> None:
    await install.contacts(12)
    await browser.sign_in(Role.MARKETER)
    rows = {"match": "all", "kind_0": "list", "name_0": "Readers", "kind_1": "opened", "op_1": "none", "days_1": "60"}
    counted = await browser.submit("/segments/count.json", **rows)
    assert counted.json()["count"] == "12 contacts"
    shown = await browser.submit("/segments", step="count", **rows)
    assert (shown.status_code, "12 contacts" in shown.text) == (200, True)
    wrong = await browser.submit("/segments/count.json", kind_0="list", name_0="nowhere")
    assert "nowhere" in wrong.json()["problem"]
    saved = await browser.submit("/segments", step="save", name="Quiet", **rows)
    assert saved.status_code == 303
    href = saved.headers["Location"].partition("?")[0]
    page = (await browser.get(href)).text
    assert 'value="Readers"' in page
    assert "12 contacts" in page
    taken = await browser.submit("/segments", step="save", name="Quiet", **rows)
    assert taken.status_code == 409
    tree = '{"any": [{"all": [{"list": "Readers"}, {"not": {"tag": "x"}}]}, {"opened_in_a_row": 3}]}'
    await browser.submit("/contacts/tags", tag="x")
    nested = await browser.submit(href, step="save", name="Quiet", by="json", tree=tree)
    assert nested.status_code == 303
    assert 'name="tree"' in (await browser.get(href)).text
    assert (await browser.submit(f"{href}/delete")).status_code == 303


async def test_a_viewer_looks_and_changes_nothing(browser: Any, install: Any) -> None:
    await install.contacts(3)
    await browser.sign_in(Role.VIEWER)
    for path in ("/contacts", "/contacts/lists", "/contacts/fields", "/segments", "/segments/new", "/imports"):
        assert (await browser.get(path)).status_code == 200
    assert (await browser.submit("/contacts", address="a@b.example")).status_code == 403


@pytest.mark.parametrize(
    "tree",
    [
        {"all": []},
        {"any": [{"list": "a"}, {"not": {"tag": "b"}}]},
        {"all": [{"field": "points", "op": "at_least", "value": 5}, {"joined": {"within_days": 30}}]},
        {
            "all": [
                {"activity": "received", "op": "at_least", "value": 5},
                {"activity_last": "opened", "before_days": 60},
            ]
        },
        {"list": "a"},
        {"all": [{"consent": "given", "scope": {"list": "a"}}, {"consent": "none", "scope": "all"}]},
        {"all": [{"field": "city", "op": "one_of", "value": ["Leeds", "York"]}, {"opened_in_a_row": 3}]},
    ],
)
def test_a_tree_comes_back_from_its_rows(tree: Any) -> None:
    form = as_form(tree)
    assert form is not None
    sent = {"match": form.match}
    for place, row in enumerate(form.rows):
        sent |= {f"{name}_{place}": getattr(row, name) for name in ("kind", "name", "op", "value", "days")}
        sent[f"not_{place}"] = "yes" if row.is_not else ""
    again = read_form(sent).tree
    assert again == (tree if "all" in tree or "any" in tree else {"all": [tree]})


def test_a_tree_of_another_form_is_left_to_json() -> None:
    assert as_form({"all": [{"any": [{"list": "a"}]}]}) is None
    assert as_form({"all": [{"received_since": "opened", "op": "at_least", "value": 3}]}) is None
    assert as_form({"all": [{"not": {"not": {"list": "a"}}}]}) is None
    assert read_form({"kind_0": "list", "name_0": "a"}).rows == (ConditionRow("list", "a"),)
