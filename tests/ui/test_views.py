"""What the runs table shows: groups, the spread of columns, views that are kept and shared, undo, files, hints."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from tests.ui.seed import Seeded
from tests.ui.test_runs_table import open_table


def test_groups_of_runs_show_mean_and_spread_and_open(page: Any, served: Seeded) -> None:
    open_table(page, served)
    page.get_by_role("combobox", name="Group by").select_option("params.optimizer")
    page.get_by_role("status").filter(has_text="5 groups of 43 runs").wait_for()
    page.get_by_role("gridcell", name=re.compile(r"^0\.\d+ ± 0\.\d+$")).first.wait_for()
    page.reload()
    group = page.get_by_role("button", name="adam", exact=True)
    group.click()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=re.compile("calm-otter")))
    row.first.wait_for()
    assert group.get_attribute("aria-expanded") == "true"
    assert page.locator("[role=row][data-kind=member]").count() == 10
    page.get_by_role("button", name="Do not group by optimizer").click()
    page.get_by_role("status").filter(has_text="43 runs").wait_for()


def test_a_bar_in_a_header_narrows_the_filter_and_undo_widens_it(page: Any, served: Seeded) -> None:
    open_table(page, served)
    header = page.get_by_role("columnheader", name="optimizer")
    header.get_by_role("button", name="Only adam", exact=True).click()
    page.get_by_role("status").filter(has_text="10 of 43 runs").wait_for()
    page.locator("body").press("Control+z")
    page.get_by_role("status").filter(has_text=re.compile("^43 runs")).wait_for()
    page.locator("body").press("Control+Shift+z")
    page.get_by_role("status").filter(has_text="10 of 43 runs").wait_for()
    depth = page.get_by_role("columnheader", name="depth")
    depth.get_by_role("button", name=re.compile("^Only 18 to")).click()
    page.get_by_role("combobox", name="Filter runs").wait_for()
    page.wait_for_url(re.compile(r"params\.depth"))
    page.get_by_role("status").filter(has_text=re.compile(r"^\d of 43 runs")).wait_for()


def test_views_are_kept_shown_and_deleted(page: Any, served: Seeded) -> None:
    open_table(page, served, "?f=params.optimizer+%3D+'sgd'&sort=-metrics.val/acc")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("textbox", name="Name of the view").fill("best sgd")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="best sgd", exact=True).wait_for()
    open_table(page, served)
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="best sgd", exact=True).click()
    page.get_by_role("status").filter(has_text="10 of 43 runs").wait_for()
    assert "sort=-metrics.val/acc" in page.url
    page.get_by_role("button", name="Delete view best sgd").click()
    page.get_by_text("View best sgd deleted.").wait_for()


def test_a_long_address_is_shared_as_a_short_one(page: Any, served: Seeded) -> None:
    columns = ",".join(f"params.a_rather_long_name_{index}" for index in range(80))
    open_table(page, served, f"?f=params.optimizer+%3D+'sgd'&cols={columns}")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Link copied.").wait_for()
    address = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"/runs\?v=\w{10}$", address)
    page.goto(address)
    page.get_by_role("status").filter(has_text="10 of 43 runs").wait_for()
    page.wait_for_url(re.compile("a_rather_long_name_79"))


def test_the_runs_that_match_are_a_file(page: Any, served: Seeded, tmp_path: Path) -> None:
    open_table(page, served, "?f=params.optimizer+%3D+'sgd'&cols=params.optimizer,metrics.val/acc@max")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV, the columns shown").click()
    waiting.value.save_as(tmp_path / "runs.csv")
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert len(rows) == 10
    assert {row["params.optimizer"] for row in rows} == {"sgd"}
    assert all(float(row["metrics.val/acc@max"]) > 0.5 for row in rows)


def test_a_key_that_no_run_has_is_hinted_at(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/runs?f=params.optimiser+%3D+'adam'")
    page.get_by_text("The filter hides all 43 runs.").wait_for()
    page.get_by_role("paragraph").filter(has_text="optimizer").wait_for()
