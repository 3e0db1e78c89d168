"""Every page opens in both themes without an error, asks no other host, and is accessible."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from tests.ui.seed import Seeded

PAGES = {
    "experiments": "/",
    "runs": "/e/{experiment}/runs",
    "charts": "/e/{experiment}/charts",
    "overview": "/e/{experiment}/r/{files}/overview",
    "run charts": "/e/{experiment}/r/{spiky}/charts",
    "metrics": "/e/{experiment}/r/{spiky}/metrics",
    "params": "/e/{experiment}/r/{files}/params",
    "artifacts": "/e/{experiment}/r/{files}/artifacts?path=table.csv",
    "models": "/models",
    "model": "/models/{model}",
    "groups": "/e/{experiment}/runs?by=params.optimizer",
    "grouped charts": "/e/{experiment}/charts?by=params.optimizer&n=50",
    "scatter": "/e/{experiment}/charts?view=scatter&n=50",
    "compare": "/compare?runs={spiky},{files}&all=true",
    "compared charts": "/compare?runs={spiky},{files}&tab=charts&all=true",
    "trash": "/trash",
    "no runs": "/e/{empty_experiment}/runs",
    "nothing matches": "/e/{experiment}/runs?f=params.lr+%3D+'never'",
}
WORDS = {
    "experiments": "resnet-sweep",
    "runs": "one-bad-batch",
    "charts": "Showing 20 of",
    "overview": "imagenet-1k",
    "run charts": "buckets",
    "metrics": "grad_norm",
    "params": "param_07",
    "artifacts": "a, 17",
    "models": "resnet classifier",
    "model": "@champion",
    "groups": "± 0.",
    "grouped charts": "Showing 43 of 43 runs",
    "scatter": "3 runs without a value",
    "compare": "param_07",
    "compared charts": "0 metrics that all 2 runs have",
    "trash": "No run in the trash",
    "no runs": "No runs in this experiment yet",
    "nothing matches": "The filter hides all",
}


def address(served: Seeded, name: str) -> str:
    """The address of one of `PAGES`."""
    return PAGES[name].format(**{**vars(served), "model": quote(served.model)})


BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 20, 24)"}
IS_BACKGROUND = "colour => getComputedStyle(document.documentElement).backgroundColor === colour"


@pytest.mark.parametrize("name", list(PAGES))
def test_page_opens_in_both_themes_and_is_accessible(page: Any, served: Seeded, axe: str, name: str) -> None:
    page.goto(address(served, name))
    page.get_by_text(WORDS[name]).first.wait_for()
    page.evaluate(axe)
    for theme, background in BACKGROUNDS.items():
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.wait_for_function(IS_BACKGROUND, arg=background)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page itself must not scroll sideways"
        assert serious_violations(page) == [], theme


def serious_violations(page: Any) -> list[str]:
    """What axe calls serious or critical."""
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{item['id']}: {item['nodes'][0]['html'][:200]} {item['nodes'][0]['failureSummary'][:200]}"
        for item in found["violations"]
        if item["impact"] in ("serious", "critical")
    ]


def test_notes_and_tags_of_an_experiment_are_read_in_the_list_and_on_its_pages(page: Any, served: Seeded) -> None:
    page.goto("/")
    page.get_by_role("row").filter(has_text="resnet-sweep").get_by_text("Baseline sweep over learning rates").wait_for()
    page.get_by_role("link", name="resnet-sweep").click()
    note = page.get_by_role("button", name="Baseline sweep over learning rates and depths")
    note.click()
    assert note.get_attribute("aria-expanded") == "true"
    page.get_by_text("team: vision").wait_for()


def test_wrong_addresses_say_so(page: Any, served: Seeded) -> None:
    page.goto("/nowhere/at/all")
    page.get_by_text("There is no such page").wait_for()
    page.goto(f"/e/{served.experiment}/r/{'0' * 32}/overview")
    page.get_by_role("alert").wait_for()
    for tab in ("runs", "charts"):
        page.goto(f"/e/987654321/{tab}")
        page.get_by_text("No Experiment with id=987654321 exists").wait_for()
        assert page.get_by_role("link", name="All experiments").is_visible()
    page.problems[:] = [problem for problem in page.problems if "404" not in problem]


def test_addresses_of_mlflow_clients_lead_to_the_run(page: Any, served: Seeded) -> None:
    page.goto(f"/#/experiments/{served.experiment}/runs/{served.files}")
    page.get_by_role("heading", name="with-files").wait_for()
    assert page.url.endswith(f"/e/{served.experiment}/r/{served.files}/overview")


def test_theme_is_chosen_and_remembered(page: Any) -> None:
    page.goto("/")
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    page.get_by_role("button", name="Theme: dark").wait_for()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_keys_lead_around_and_are_listed(page: Any, served: Seeded) -> None:
    page.goto("/")
    page.get_by_role("link", name="resnet-sweep").wait_for()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.get_by_role("grid", name="Runs").wait_for()
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.get_by_role("heading", name="Models").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog").get_by_text("Go to experiments").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("gm")
    assert page.get_by_role("textbox", name="Search models").input_value() == "gm"
