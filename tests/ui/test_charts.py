"""Steering charts: what is x, groups, single cards, linked zoom and pointing, files, keys and the table of values."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from tests.ui.seed import Rest, Seeded


def card(page: Any, metric: str) -> Any:
    """The card of a metric, drawn."""
    found = page.locator(f"[data-metric='{metric}']")
    found.locator("canvas").first.wait_for()
    return found


def says(page: Any, pattern: str) -> None:
    """Waits for a chart whose sentence is like this."""
    find = "pattern => [...document.querySelectorAll('figure')].some(each => new RegExp(pattern).test(each.ariaLabel))"
    page.wait_for_function(find, arg=pattern)


def open_charts(page: Any, served: Seeded, query: str = "") -> None:
    """The charts of the first runs, drawn."""
    page.goto(f"/e/{served.experiment}/charts{query}")
    card(page, "val/acc")


def test_runs_are_taken_together_with_their_spread(page: Any, served: Seeded) -> None:
    open_charts(page, served, "?n=50&m=val")
    page.get_by_text("Showing 43 of 43 runs, newest first").wait_for()
    page.get_by_role("combobox", name="Group by").select_option("params.optimizer")
    groups = page.get_by_role("list", name="Groups")
    groups.get_by_text("adam (10)").wait_for()
    assert groups.get_by_role("listitem").count() == 5
    says(page, "^val/acc, 4 groups")
    page.get_by_role("combobox", name="Band of the groups").select_option("ci95")
    page.reload()
    says(page, "^val/acc, 4 groups")
    assert page.get_by_role("combobox", name="Band of the groups").input_value() == "ci95"
    assert "by=params.optimizer" in page.url
    page.get_by_role("button", name="Settings and export of val/acc").click()
    page.get_by_role("dialog").get_by_role("checkbox", name="Clip outliers").wait_for()
    assert page.get_by_role("checkbox", name="Range").count() == 0, "the groups' spread is the band"


def test_another_metric_or_a_logarithm_is_x(page: Any, served: Seeded) -> None:
    open_charts(page, served, "?m=val")
    page.get_by_role("combobox", name="Metric as horizontal axis").select_option("val/loss")
    says(page, "^val/acc, .* val/loss 0")
    page.get_by_role("button", name="Step", exact=True).click()
    page.get_by_role("checkbox", name="Log x").check()
    page.get_by_role("checkbox", name="Clip outliers").check()
    page.wait_for_url(re.compile("logx=true.*clip=true|clip=true.*logx=true"))
    page.reload()
    card(page, "val/acc")
    assert page.get_by_role("checkbox", name="Log x").is_checked()


def test_a_card_differs_from_its_page_and_goes_back(page: Any, served: Seeded) -> None:
    open_charts(page, served, "?m=val")
    page.get_by_role("button", name="Settings and export of val/acc").click()
    menu = page.get_by_role("dialog", name="val/acc")
    menu.get_by_role("button", name="Relative").click()
    says(page, r"^val/acc, .* 0 to \d+m")
    page.reload()
    says(page, r"^val/acc, .* 0 to \d+m")
    page.get_by_role("button", name="Settings and export of val/acc").click()
    menu.get_by_role("button", name="As the page draws them").click()
    says(page, "^val/acc, .* steps 0 to 59")
    assert "cards" not in page.url


def test_one_zoom_is_all_charts_zoom(page: Any, served: Seeded) -> None:
    open_charts(page, served, "?m=val")
    box = card(page, "val/acc").locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 60, steps=4)
    page.mouse.up()
    says(page, "^val/loss, .* steps (29|30) to 5")
    assert "zoom=" in page.url
    page.locator("figure[aria-label^='val/loss,']").focus()
    page.keyboard.press("z")
    says(page, "^val/acc, .* steps 0 to 59")


def test_pointing_at_a_run_points_at_its_line_in_all_charts(page: Any, served: Seeded) -> None:
    open_charts(page, served, "?m=val")
    card(page, "val/loss")
    page.get_by_role("complementary").get_by_role("listitem").nth(4).hover()
    page.wait_for_function("document.querySelectorAll('.u-over canvas').length === 2")
    page.mouse.move(5, 5)
    page.wait_for_function("document.querySelectorAll('.u-over canvas').length === 0")


def test_charts_are_files(page: Any, served: Seeded, tmp_path: Path) -> None:
    open_charts(page, served, f"?sel={served.runs[0]},{served.runs[1]}&smooth=0.5&m=val/acc")
    page.get_by_role("button", name="Settings and export of val/acc").click()

    def saved(name: str, exact: bool = True) -> bytes:
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name, exact=exact).click()
        path = tmp_path / name
        waiting.value.save_as(path)
        return path.read_bytes()

    assert saved("PNG").startswith(b"\x89PNG")
    svg = saved("SVG").decode()
    assert "val/acc" in svg
    assert svg.count('stroke-width="2.5"') == 2
    rows = list(csv.reader(saved("As shown").decode().splitlines()))
    assert len(rows) == 61
    assert rows[0][0] == "step"
    assert [name.endswith("(unsmoothed)") for name in rows[0][1:]] == [False, True, False, True]


def test_a_chart_is_read_as_a_table(page: Any, served: Seeded) -> None:
    open_charts(page, served, f"?sel={served.runs[0]},{served.runs[1]}&m=val/acc")
    page.locator("figure[aria-label^='val/acc,']").focus()
    page.keyboard.press("t")
    table = page.get_by_role("region", name="Values of val/acc")
    table.get_by_role("rowheader", name="step 59").wait_for()
    assert table.get_by_role("row").count() == 61
    page.locator("figure[aria-label^='val/acc,']").focus()
    page.keyboard.press("l")
    page.wait_for_url(re.compile("cards="))


def test_a_live_chart_follows_without_a_reload(page: Any, served: Seeded) -> None:
    rest = Rest(served.url)
    experiment = rest.post("experiments/create", name="live charts")["experiment_id"]
    run = rest.post("runs/create", experiment_id=experiment, run_name="growing", start_time=1)["run"]["info"]["run_id"]
    points = [{"key": "loss", "value": 1 / (step + 1), "timestamp": step, "step": step} for step in range(5)]
    rest.post("runs/log-batch", run_id=run, metrics=points)
    page.goto(f"/e/{experiment}/r/{run}/charts")
    card(page, "loss").get_by_text("5 of 5 points").wait_for()
    rest.post("runs/log-metric", run_id=run, key="loss", value=0.1, timestamp=9, step=9)
    card(page, "loss").get_by_text("6 of 6 points").wait_for()


def test_params_are_set_against_results(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/charts?n=50")
    page.get_by_role("button", name="Scatter").click()
    says(page, "^Scatter plot of val/acc against lr, 40 runs")
    page.get_by_text("3 runs without a value on one of the axes.").wait_for()
    page.get_by_role("combobox", name="y axis").select_option("metrics.val/loss")
    page.get_by_role("combobox", name="Colour").select_option("params.optimizer")
    says(page, "^Scatter plot of val/loss against lr")
    page.reload()
    says(page, "^Scatter plot of val/loss against lr")
    page.get_by_role("button", name="Parallel").click()
    says(page, "^Parallel coordinates of batch_size, depth, lr, optimizer, seed, val/acc, 43 runs")
    page.get_by_role("button", name="seed").click()
    says(page, "^Parallel coordinates of batch_size, depth, lr, optimizer, val/acc")


def test_a_marked_part_of_an_axis_chooses_runs(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/charts?n=50&view=parallel&axes=params.lr,params.seed,metrics.val/acc")
    says(page, "^Parallel coordinates")
    chart = page.locator("figure canvas")
    chart.wait_for()
    box = chart.bounding_box()
    middle = box["x"] + 60 + (box["width"] - 220) / 2
    page.mouse.move(middle, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + box["height"] * 0.6, steps=6)
    page.mouse.up()
    page.get_by_role("button", name=re.compile(r"Show these \d+ runs only")).click()
    page.get_by_text(re.compile(r"Showing \d+ selected runs")).wait_for()
