"""The run page: charts that lose nothing, files that are seen and never executed; and the registry's pages."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from tests.ui.seed import SPIKE_STEP, Rest, Seeded

INK = """
    (card) => {
        const canvas = card.querySelector('canvas');
        const { width, height } = canvas;
        const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
        const [rows, columns] = [Array(height).fill(0), Array(width).fill(0)];
        for (let y = 0; y < height; y++) {
            for (let x = Math.round(width * 0.1); x < width; x++) {
                const at = (y * width + x) * 4;
                const [r, g, b] = [pixels[at], pixels[at + 1], pixels[at + 2]];
                if (pixels[at + 3] <= 90 || Math.max(r, g, b) - Math.min(r, g, b) <= 40) continue;
                rows[y] += 1;
                columns[x] += 1;
            }
        }
        const plot = card.querySelector('.u-over');
        const [left, across] = [plot.offsetLeft, plot.offsetWidth].map((size) => Math.round(size * devicePixelRatio));
        return { height, rows, columns: columns.slice(left, left + across) };
    }
"""


def chart(page: Any, metric: str) -> Any:
    """The card of a metric, drawn."""
    card = page.locator(f"[data-metric='{metric}']")
    card.locator("canvas").wait_for()
    page.wait_for_function(
        f"() => ({INK})(document.querySelector(\"[data-metric='{metric}']\")).rows.some((count) => count > 0)"
    )
    return card


def test_one_point_among_20000_is_seen(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.spiky}/charts")
    card = chart(page, "train/loss")
    assert re.search(r"buckets · 20,000 points", card.inner_text())
    ink = card.evaluate(INK)
    upper = ink["rows"][int(ink["height"] * 0.1) : int(ink["height"] * 0.6)]
    drawn = sum(count > 0 for count in upper)
    assert drawn > 0.9 * len(upper), "a line from the curve up to the spike"
    assert max(upper) <= 8, "and nothing else up there"


def test_a_pause_is_a_gap_and_a_single_point_in_it_is_seen(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.spiky}/charts")
    columns = chart(page, "paused").evaluate(INK)["columns"]

    def drawn(first: float, last: float) -> float:
        """The share of columns with ink, between two places from 0 to 1."""
        part = columns[int(first * len(columns)) : int(last * len(columns))]
        return sum(count > 0 for count in part) / len(part)

    assert drawn(0.1, 0.38) == 1
    assert drawn(0.62, 0.98) == 1
    assert drawn(0.42, 0.48) == drawn(0.52, 0.58) == 0
    assert 0 < drawn(0.48, 0.52) < 1


def test_metrics_of_one_point_come_last(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.spiky}/charts")
    chart(page, "train/loss")
    page.get_by_role("button", name="Single values 1 chart").wait_for()
    metrics = page.locator("[data-metric]").evaluate_all("cards => cards.map(card => card.dataset.metric)")
    assert metrics == ["grad_norm", "paused", "train/loss", "best"]


def test_more_metrics_than_are_looked_at_are_said_and_found_by_name(page: Any, served: Seeded) -> None:
    rest = Rest(served.url)
    experiment = rest.post("experiments/create", name="deep")["experiment_id"]
    run = rest.post("runs/create", experiment_id=experiment, start_time=1)["run"]["info"]["run_id"]
    metrics = [{"key": f"layer{i:03}", "value": i, "timestamp": 1, "step": step} for i in range(520) for step in (0, 1)]
    for first in (0, 520):
        rest.post("runs/log-batch", run_id=run, metrics=metrics[first : first + 520])
    page.goto(f"/e/{experiment}/charts")
    page.get_by_role("note").filter(has_text="Looked at the 500 metrics that most runs have, of 520.").wait_for()
    page.get_by_role("textbox", name="Find metrics").fill("layer519")
    chart(page, "layer519")


def test_zoom_fetches_single_points_and_double_click_resets(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.spiky}/charts")
    card = chart(page, "train/loss")
    box = card.locator(".u-over").bounding_box()
    at = box["x"] + box["width"] * SPIKE_STEP / 20_000
    page.mouse.move(at - 12, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(at + 12, box["y"] + 40, steps=4)
    page.mouse.up()
    card.get_by_text(re.compile(r"^[\d,]+ of 20,000 points$")).wait_for()
    card.get_by_role("figure", name=re.compile("highest 40 ")).wait_for()
    page.mouse.dblclick(at, box["y"] + 60)
    card.get_by_text(re.compile(r"buckets · 20,000 points")).wait_for()


def test_charts_of_chosen_runs_leave_out_metrics_that_none_of_them_has(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/charts?sel={served.runs[0]},{served.runs[1]}")
    chart(page, "val/acc")
    page.get_by_text("Showing 2 selected runs").wait_for()
    assert page.locator("[data-metric]").evaluate_all("cards => cards.map(card => card.dataset.metric)") == [
        "lr",
        "train/loss",
        "val/acc",
        "val/loss",
    ]


def test_values_that_are_not_finite_are_marked_and_counted(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.spiky}/charts")
    card = chart(page, "grad_norm")
    card.get_by_text("10 of 10 points").wait_for()
    card.get_by_text("3 values not finite, marked at the rim").wait_for()


def test_chart_is_read_with_the_keyboard(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.runs[0]}/charts")
    card = chart(page, "val/acc")
    card.get_by_role("figure").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    card.get_by_text("step 5").wait_for()


def test_chart_settings_live_in_the_address(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.runs[0]}/charts")
    chart(page, "val/acc")
    page.get_by_role("button", name="Relative").click()
    page.get_by_role("checkbox", name="Log y").check()
    page.get_by_role("slider", name="Smoothing").fill("7")
    page.get_by_role("textbox", name="Find metrics").fill("loss")
    page.wait_for_url(re.compile("m=loss"))
    page.reload()
    chart(page, "train/loss")
    assert page.get_by_role("button", name="Relative").get_attribute("aria-pressed") == "true"
    assert page.get_by_role("checkbox", name="Log y").is_checked()
    assert page.get_by_role("slider", name="Smoothing").input_value() == "7"
    assert page.locator("[data-metric]").count() == 2


def test_metrics_tab_says_where_the_extremes_were(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.spiky}/metrics")
    row = page.get_by_role("row").filter(has_text="train/loss")
    row.wait_for()
    assert re.search(rf"\b40\b[\s\S]*{SPIKE_STEP:,}[\s\S]*20,000", row.inner_text())


def test_overview_shows_origin_data_family_and_models(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.files}/overview")
    page.get_by_text("<script>alert('never')</script>").wait_for()
    for words in ("a83bd19ca83b", "imagenet-1k", "its-child", "resnet classifier v2", "@champion", "param_07"):
        page.get_by_text(words).first.wait_for()
    page.get_by_role("link", name="its-child").click()
    page.get_by_role("link", name="with-files").wait_for()


def test_values_are_copied_in_full(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.files}/params")
    page.get_by_text("param_07").hover()
    page.get_by_role("button", name="Copy param_07").click()
    assert page.evaluate("navigator.clipboard.readText()") == "3.5"


def open_file(page: Any, served: Seeded, path: str) -> Any:
    """The preview of a file."""
    page.goto(f"/e/{served.experiment}/r/{served.files}/artifacts?path={path}")
    return page.get_by_role("article", name=path)


def test_files_are_previewed_by_kind(page: Any, served: Seeded) -> None:
    open_file(page, served, "model/MLmodel").get_by_text("artifact_path: model").wait_for()
    words = {
        "config.json": "widths",
        "table.csv": "First 200 rows.",
        "notes.txt": "line 39",
        "empty.txt": "The file is empty.",
        "weights.bin": "There is no preview for this kind of file.",
    }
    for path, text in words.items():
        page.get_by_role("button", name=path).click()
        page.get_by_role("article", name=path).get_by_text(text).wait_for()
    page.get_by_role("button", name="loss.png").click()
    picture = page.get_by_role("article", name="loss.png").get_by_role("img", name="loss.png")
    picture.wait_for()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 240


def test_html_among_the_files_is_text(page: Any, served: Seeded) -> None:
    open_file(page, served, "page.html").get_by_text("<h1>Report</h1>").wait_for()
    assert page.title() != "stolen"


def test_folders_open_and_files_download(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.files}/artifacts")
    page.get_by_role("button", name="model", exact=True).click()
    page.get_by_role("button", name="MLmodel").click()
    page.get_by_text("pickled_model").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "MLmodel"


def test_the_first_file_that_can_be_shown_is_shown(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.files}/artifacts")
    page.get_by_role("article", name="config.json").get_by_text("widths").wait_for()
    page.goto(f"/e/{served.experiment}/r/{served.runs[0]}/artifacts")
    page.get_by_text("No artifacts").wait_for()


def test_a_logged_model_is_a_folder_among_the_files_of_its_run(page: Any, served: Seeded) -> None:
    page.goto(f"/e/{served.experiment}/r/{served.files}/overview")
    page.get_by_role("link", name="crop classifier").click()
    files = page.get_by_role("navigation", name="Files")
    page.get_by_role("article", name="MLmodel").get_by_text("pytorch").wait_for()
    files.get_by_role("button", name="data").click()
    files.get_by_title("data/weights.bin").click()
    page.get_by_role("article", name="data/weights.bin").wait_for()
    assert f"model={served.logged_model}" in page.url
    files.get_by_role("button", name="notes.txt").click()
    page.get_by_role("article", name="notes.txt").get_by_text("line 39").wait_for()
    assert "model=" not in page.url


def test_a_model_version_leads_to_its_files(page: Any, served: Seeded) -> None:
    page.goto(f"/models/{quote(served.model)}")
    page.get_by_role("link", name="Files of version 3").click()
    page.get_by_role("article", name="MLmodel").get_by_text("pytorch").wait_for()
    page.go_back()
    page.get_by_role("link", name="Files of version 2").click()
    page.get_by_role("article", name="model/MLmodel").get_by_text("pickled_model").wait_for()


def test_models_are_found_by_alias_and_lead_to_their_run(page: Any, served: Seeded) -> None:
    page.goto("/models")
    page.get_by_role("textbox", name="Search models").fill("@champ")
    page.get_by_role("link", name=served.model).click()
    page.get_by_text('load_model("models:/resnet classifier@champion")').wait_for()
    page.get_by_role("button", name="MLflow").click()
    page.get_by_text("mlflow.pyfunc.load_model").wait_for()
    page.get_by_text("Production").wait_for()
    page.get_by_role("link", name="with-files").first.click()
    page.get_by_role("heading", name="with-files").wait_for()
