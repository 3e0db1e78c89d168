"""The runs table: filter, order, columns, selection; each of them in the address."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.ui.seed import Rest, Seeded


def cells(page: Any, column: str) -> list[str]:
    """What a column shows, from top to bottom."""
    at = page.get_by_role("columnheader", name=column).get_attribute("aria-colindex")
    found = page.locator(f"[role=gridcell][aria-colindex='{at}']").all_inner_texts()
    return [text.strip() for text in found]


def open_table(page: Any, served: Seeded, query: str = "") -> None:
    """The table, with rows."""
    page.goto(f"/e/{served.experiment}/runs{query}")
    page.locator("[role=row][aria-rowindex='2'] a").wait_for()


def test_a_newcomer_sees_the_params_that_differ_and_then_metrics(page: Any, served: Seeded) -> None:
    open_table(page, served)
    page.get_by_role("columnheader", name="optimizer").wait_for()
    words = page.get_by_role("columnheader").evaluate_all("cells => cells.map(cell => cell.innerText.trim())")
    assert words[1:10] == ["Run", "Status", "Started", "Duration", "batch_size", "depth", "lr", "optimizer", "seed"]
    assert words[10].startswith(("lr", "train/loss", "val/"))


def test_a_click_on_a_header_sorts_all_runs_on_the_server(page: Any, served: Seeded) -> None:
    open_table(page, served)
    page.get_by_role("columnheader", name="val/acc").get_by_role("button", name="val/acc").click()
    page.wait_for_url(re.compile(r"sort=-metrics\.val/acc"))
    page.locator("[role=columnheader][aria-sort=descending]", has_text="val/acc").wait_for()
    page.locator("[role=row][aria-rowindex='2']", has_text=re.compile("0\\.9")).wait_for()
    values = [float(text) for text in cells(page, "val/acc") if text != "–"]
    assert len(values) > 15
    assert values == sorted(values, reverse=True)
    page.get_by_role("columnheader", name="val/acc").get_by_role("button", name="val/acc").click()
    page.wait_for_url(re.compile(r"sort=metrics\.val/acc"))


def test_filter_completes_names_and_says_how_many_are_left(page: Any, served: Seeded) -> None:
    open_table(page, served)
    page.keyboard.press("/")
    page.keyboard.type("optim")
    page.get_by_role("option", name="params.optimizer").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.type("= 'adam'")
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text="10 of 43 runs").wait_for()
    assert "f=params.optimizer" in page.url


def test_filter_that_is_not_understood_is_underlined_and_the_last_result_stays(page: Any, served: Seeded) -> None:
    open_table(page, served)
    field = page.get_by_role("combobox", name="Filter runs")
    field.fill("params.lr = '1' AND bogus > 1")
    field.press("Enter")
    page.get_by_role("alert").filter(has_text="bogus").wait_for()
    assert page.locator("mark").inner_text() == "bogus"
    assert page.get_by_role("link", name="one-bad-batch").is_visible()
    page.problems[:] = [problem for problem in page.problems if "400" not in problem]


def test_filter_that_hides_everything_can_be_cleared(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/runs?f=params.lr+%3D+'never'")
    page.get_by_text("The filter hides all 43 runs.").wait_for()
    page.get_by_text("Clear filter", exact=True).click()
    page.get_by_role("link", name="one-bad-batch").wait_for()


def test_columns_are_chosen_with_aggregates(page: Any, served: Seeded) -> None:
    open_table(page, served)
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("textbox", name="Search columns").fill("loss")
    page.get_by_role("button", name="min of val/loss").click()
    page.get_by_role("textbox", name="Search columns").fill("lr")
    page.get_by_role("checkbox", name="lr").first.uncheck()
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(r"cols=.*metrics\.val/loss@min"))
    scroll_to_the_right(page)
    page.get_by_role("columnheader", name="val/loss min").wait_for()
    lows = [float(text) for text in cells(page, "val/loss min") if text != "–"]
    assert lows
    assert max(lows) < 1.5


def scroll_to_the_right(page: Any) -> None:
    """Columns out of sight are not in the page."""
    page.get_by_role("grid").evaluate("grid => grid.scrollTo({left: 99999})")


def test_selection_by_checkbox_shift_and_key_leads_to_charts(page: Any, served: Seeded) -> None:
    open_table(page, served)
    boxes = page.locator("[role=gridcell] input[type=checkbox]")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    page.get_by_role("status").filter(has_text="4 selected").wait_for()
    page.locator("[role=row][aria-rowindex='8']").click()
    page.keyboard.press("x")
    page.get_by_role("status").filter(has_text="5 selected").wait_for()
    page.get_by_role("link", name="Chart 5 runs").click()
    page.get_by_text("Showing 5 selected runs").wait_for()


def test_reload_and_back_give_the_same_table(page: Any, served: Seeded) -> None:
    first, second = served.runs[0], served.runs[5]
    query = f"?f=metrics.`val/loss`@min+<+9&sort=metrics.val/loss&cols=params.lr,metrics.val/loss@max&sel={first},{second}"
    open_table(page, served, query)
    page.get_by_role("columnheader", name="val/loss max").wait_for()
    before = (page.url, cells(page, "Run"), page.get_by_role("status").inner_text())
    assert "40 of 43 runs · 2 selected" in before[2]
    page.reload()
    page.locator("[role=row][aria-rowindex='2'] a").wait_for()
    assert (page.url, cells(page, "Run"), page.get_by_role("status").inner_text()) == before
    page.locator("[role=row][aria-rowindex='2'] a").click()
    page.get_by_role("link", name="Artifacts").wait_for()
    page.go_back()
    page.locator("[role=row][aria-rowindex='2'] a").wait_for()
    assert (page.url, cells(page, "Run"), page.get_by_role("status").inner_text()) == before


def row_of(page: Any, name: str) -> int:
    """The row of a run, 2 for the first."""
    return int(page.get_by_role("row").filter(has=page.get_by_role("link", name=name)).get_attribute("aria-rowindex"))


def test_children_stand_under_their_parent_and_fold(page: Any, served: Seeded) -> None:
    open_table(page, served)
    assert row_of(page, "its-child") == row_of(page, "with-files") + 1
    page.get_by_role("button", name="Nested runs of with-files").click()
    page.get_by_role("link", name="its-child").wait_for(state="detached")
    page.get_by_role("status").filter(has_text="43 runs").wait_for()
    page.get_by_role("button", name="Nested runs of with-files").click()
    page.get_by_role("link", name="its-child").wait_for()


def test_other_orders_say_whose_child_a_run_is(page: Any, served: Seeded) -> None:
    open_table(page, served, "?sort=attributes.run_name&f=attributes.run_name+%3D+'its-child'")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="its-child"))
    row.get_by_title("Child of with-files").wait_for()
    assert page.get_by_role("button", name="Nested runs of").count() == 0


def hue_of(place: Any) -> str:
    """The colour of the run that is named there."""
    return str(place.locator("[data-hue]").first.get_attribute("data-hue"))


def test_a_run_has_one_colour_everywhere(page: Any, served: Seeded) -> None:
    open_table(page, served)
    names = ("one-bad-batch", "with-files", "its-child")
    hues = [hue_of(page.get_by_role("link", name=name)) for name in names]
    assert len(set(hues)) == 3
    page.get_by_role("link", name="Chart first 20").click()
    page.get_by_role("complementary", name="Runs in the charts").get_by_role("link", name="its-child").wait_for()
    assert [hue_of(page.get_by_role("link", name=name)) for name in names] == hues
    page.goto(f"/e/{served.experiment}/r/{served.files}/overview")
    page.get_by_role("link", name="its-child").locator("[data-hue]").wait_for()
    assert hue_of(page.get_by_role("heading", name="with-files")) == hues[1]
    assert hue_of(page.get_by_role("link", name="its-child")) == hues[2]
    page.get_by_role("link", name="its-child").click()
    page.get_by_role("link", name="with-files").locator("[data-hue]").wait_for()
    assert [hue_of(page.get_by_role("link", name="with-files")), hue_of(page.get_by_role("heading"))] == hues[1:]


def test_live_run_appears_and_its_metric_moves(page: Any, served: Seeded) -> None:
    rest = Rest(served.url)
    experiment = rest.post("experiments/create", name="live")["experiment_id"]
    run = rest.post("runs/create", experiment_id=experiment, run_name="still-going", start_time=1)["run"]["info"]["run_id"]
    rest.post("runs/log-metric", run_id=run, key="loss", value=0.75, timestamp=1, step=1)
    page.goto(f"/e/{experiment}/runs")
    page.get_by_role("gridcell", name="0.75").wait_for()
    rest.post("runs/log-metric", run_id=run, key="loss", value=0.125, timestamp=2, step=2)
    page.get_by_role("gridcell", name="0.125").wait_for()
    rest.post("runs/update", run_id=run, status="FINISHED", end_time=5)
    page.get_by_role("gridcell", name="Finished", exact=True).wait_for()


@pytest.mark.parametrize("columns", [500])
def test_a_table_of_many_columns_keeps_few_nodes(page: Any, served: Seeded, columns: int) -> None:
    names = ",".join(f"params.none_{index}" for index in range(columns - 10))
    open_table(page, served, f"?cols={names}")
    assert page.get_by_role("grid").evaluate("grid => grid.querySelectorAll('*').length") <= 1500
    scroll_to_the_right(page)
    page.get_by_role("columnheader", name=f"none_{columns - 11}").wait_for()
    assert page.get_by_role("grid").evaluate("grid => grid.querySelectorAll('*').length") <= 1500


def test_a_param_and_a_metric_of_one_name_are_told_apart(page: Any, served: Seeded) -> None:
    open_table(page, served, "?cols=params.lr,metrics.lr,metrics.val%2Facc")
    page.get_by_role("columnheader", name=re.compile("lr metric")).wait_for()
    assert page.get_by_role("columnheader", name=re.compile("metric")).count() == 1


def test_some_selected_are_not_all(page: Any, served: Seeded) -> None:
    open_table(page, served)
    page.get_by_role("row").nth(2).get_by_role("checkbox").check()
    box = page.get_by_role("checkbox", name="Clear selection")
    box.wait_for()
    assert box.evaluate("box => box.indeterminate")
    box.click()
    page.get_by_role("checkbox", name="Select all loaded rows").click()
    assert not page.get_by_role("checkbox", name="Clear selection").evaluate("box => box.indeterminate")


def test_values_are_counted_for_the_columns_in_sight_alone(page: Any, served: Seeded) -> None:
    asked: list[str] = []

    def note(sent: Any) -> None:
        if sent.url.endswith("/columns/histograms"):
            assert len(sent.post_data_json["columns"]) <= 12
            asked.extend(sent.post_data_json["columns"])

    page.on("request", note)
    far = [f"params.none_{index}" for index in range(60)]
    open_table(page, served, f"?cols={','.join(['params.depth', *far, 'params.optimizer'])}")
    page.get_by_role("columnheader", name="depth").get_by_role("button").first.wait_for()
    assert "params.optimizer" not in asked
    assert len(asked) <= 24
    scroll_to_the_right(page)
    page.get_by_role("columnheader", name="optimizer").get_by_role("button", name="Only adam", exact=True).wait_for()
    page.remove_listener("request", note)
    assert len(set(asked)) < 60, "those in between were passed by"
