"""The compare page: what differs between runs, against a baseline, and their curves over each other."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from tests.ui.seed import Seeded


def open_compare(page: Any, served: Seeded, count: int = 3, query: str = "") -> None:
    """The page of the experiment's oldest runs, with values."""
    page.goto(f"/compare?runs={','.join(served.runs[:count])}{query}")
    page.get_by_role("gridcell", name="optimizer").or_(page.get_by_role("columnheader", name="optimizer")).wait_for()


def row(page: Any, key: str) -> list[str]:
    """What a row of the table shows, after its key."""
    found = page.get_by_role("row").filter(has=page.get_by_role("gridcell", name=re.compile(rf"^{key}( \(differs\))?$"))).first
    return [text.replace("\n", " ").strip() for text in found.get_by_role("gridcell").all_inner_texts()[1:]]


def test_selected_runs_are_compared_and_only_what_differs_is_shown(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/runs?sel={','.join(served.runs[:3])}")
    page.locator("[role=row][aria-rowindex='2'] a").wait_for()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("gridcell", name="optimizer").wait_for()
    assert page.get_by_role("heading", name="Compare 3 runs").is_visible()
    page.get_by_text("These 3 runs differ in 5 of 6 params and 4 of 4 metrics.").wait_for()
    assert page.get_by_role("gridcell", name="imagenet-1k", exact=True).count() == 0
    page.keyboard.press("d")
    page.get_by_role("gridcell", name="imagenet-1k", exact=True).first.wait_for()
    assert "all=true" in page.url
    page.reload()
    page.get_by_role("gridcell", name="imagenet-1k", exact=True).first.wait_for()


def test_values_are_measured_against_the_baseline_that_was_chosen(page: Any, served: Seeded) -> None:
    open_compare(page, served)
    names = [cell.get_attribute("title") for cell in page.get_by_role("columnheader").all()[1:]]
    assert row(page, "seed")[0].startswith("0")
    assert [text.split()[-1] for text in row(page, "seed")[1:]] == ["+1", "+2"]
    page.get_by_role("button", name=f"Measure others against {names[1]}").click()
    page.wait_for_url(re.compile(f"base={served.runs[1]}"))
    page.get_by_role("button", name=f"{names[1]} is the baseline").wait_for()
    assert ["−1 · −100%" in row(page, "seed")[0], "+1 · +100%" in row(page, "seed")[2]] == [True, True]
    page.get_by_role("button", name=f"Leave out {names[0]}").click()
    page.get_by_role("heading", name="Compare 2 runs").wait_for()


def test_keys_are_searched_folded_walked_and_transposed(page: Any, served: Seeded) -> None:
    open_compare(page, served)
    page.keyboard.press("n")
    page.locator("[role=row][data-active=true]", has_text="batch_size").or_(
        page.locator("[role=row][data-active=true]", has_text="depth")
    ).wait_for()
    page.get_by_role("button", name=re.compile("^Params")).click()
    page.get_by_role("gridcell", name="optimizer").wait_for(state="detached")
    assert "fold=params" in page.url
    page.get_by_role("textbox", name="Find keys and values").fill("adam")
    page.get_by_role("gridcell", name="optimizer").wait_for()
    page.get_by_role("status").filter(has_text="1 key").wait_for()
    page.get_by_role("button", name="Transpose").click()
    page.get_by_role("columnheader", name="optimizer").wait_for()
    assert page.get_by_role("grid").get_attribute("aria-rowcount") == "4"


def test_the_table_is_copied_in_full_digits(page: Any, served: Seeded) -> None:
    open_compare(page, served)
    page.get_by_role("button", name="Copy as").click()
    page.get_by_role("button", name="CSV").click()
    page.get_by_role("img", name="copied").or_(page.get_by_label("copied")).wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    table = {line[0]: line[1:] for line in csv.reader(io.StringIO(text))}
    assert len(table["key"]) == 3
    assert table["seed"] == ["0", "1", "2"]
    assert all(len(value) > 10 for value in table["val/loss"])
    page.get_by_role("button", name="Markdown").click()
    page.wait_for_function("navigator.clipboard.readText().then(text => text.startsWith('| key |'))")


def test_shared_metrics_are_drawn_over_each_other(page: Any, served: Seeded) -> None:
    page.goto(f"/compare?runs={served.runs[0]},{served.runs[1]},{served.spiky}&tab=charts")
    page.locator("[data-metric='train/loss'] canvas").wait_for()
    page.get_by_role("note").filter(has_text="1 metric that all 3 runs have").wait_for()
    assert page.locator("[data-metric='val/acc']").count() == 0
    page.get_by_role("checkbox", name="Shared metrics only").uncheck()
    page.locator("[data-metric='val/acc']").wait_for()


def test_a_run_page_offers_others_to_compare_with(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.runs[0]}/overview")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("textbox", name="Find runs by name").fill("one-bad")
    page.get_by_role("link", name="one-bad-batch").click()
    page.get_by_role("heading", name="Compare 2 runs").wait_for()
    assert served.spiky in page.url


def test_one_run_leads_to_choosing_others(page: Any, served: Seeded) -> None:
    page.goto(f"/compare?runs={served.runs[0]}")
    page.get_by_role("link", name=re.compile("Choose others beside")).click()
    page.get_by_role("status").filter(has_text="1 selected").wait_for()
