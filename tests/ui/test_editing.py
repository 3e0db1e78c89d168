"""Changing what was logged: names, notes, tags, the trash and its way back, other experiments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.ui.seed import Rest, Seeded


@pytest.fixture
def few(served: Seeded) -> Iterator[tuple[Rest, str, list[str]]]:
    """An experiment of its own with three runs; the server, its id, theirs."""
    rest = Rest(served.url)
    taken = rest.call("GET", "/api/v1/experiments")["experiments"]
    experiment = str(rest.post("experiments/create", name=f"to change {len(taken)}")["experiment_id"])
    runs = []
    for index in range(3):
        made = rest.post("runs/create", experiment_id=experiment, run_name=f"made-{index}", start_time=1_000 + index)
        runs.append(str(made["run"]["info"]["run_id"]))
        rest.post("runs/update", run_id=runs[-1], status="FINISHED", end_time=2_000)
    yield rest, experiment, runs
    rest.post("experiments/delete", experiment_id=experiment)


def test_a_run_is_renamed_where_its_name_stands(page: Any, few: tuple[Rest, str, list[str]]) -> None:
    rest, experiment, runs = few
    page.goto(f"/e/{experiment}/r/{runs[0]}/overview")
    page.get_by_role("heading", name="made-0").wait_for()
    page.keyboard.press("e")
    page.get_by_role("textbox", name="run name").fill("better name")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Change run name").click()
    page.get_by_role("textbox", name="run name").fill("the best yet")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="the best yet").wait_for()
    assert rest.call("GET", f"/api/2.0/mlflow/runs/get?run_id={runs[0]}")["run"]["info"]["run_name"] == "the best yet"


def test_an_experiment_is_renamed_and_given_a_note(page: Any, few: tuple[Rest, str, list[str]]) -> None:
    _, experiment, _ = few
    page.goto(f"/e/{experiment}/runs")
    page.get_by_role("button", name="Change experiment name").click()
    page.get_by_role("textbox", name="experiment name").fill(f"renamed {experiment}")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=f"renamed {experiment}").wait_for()
    page.get_by_role("button", name="Add a note").click()
    page.get_by_role("button", name="Edit note").click()
    page.get_by_role("textbox", name="Note").fill("Trying *everything*")
    page.keyboard.press("Control+Enter")
    page.locator("em", has_text="everything").wait_for()
    page.reload()
    page.get_by_role("button", name="Trying *everything*").wait_for()


def test_a_note_is_markdown_without_scripts_or_outside_pictures(page: Any, few: tuple[Rest, str, list[str]]) -> None:
    _, experiment, runs = few
    page.goto(f"/e/{experiment}/r/{runs[0]}/overview")
    page.get_by_role("button", name="Edit note").click()
    words = (
        "# Result\n\n- [x] done\n\n<img src=x onerror=alert(1)> [bad](javascript:alert(1)) "
        "![logo](https://example.org/a.png)\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    )
    page.get_by_role("textbox", name="Note").fill(words)
    page.get_by_role("region", name="Preview").get_by_role("cell", name="2").wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Edit note").wait_for()
    page.get_by_role("cell", name="2").wait_for()
    main = page.get_by_role("main")
    assert main.locator("img").count() == 0
    assert main.get_by_text("<img src=x onerror=alert(1)>").is_visible()
    assert page.get_by_role("link", name="logo").get_attribute("href") == "https://example.org/a.png"
    assert page.get_by_text("bad", exact=True).get_attribute("href") is None


def test_tags_are_added_changed_removed_and_brought_back(page: Any, few: tuple[Rest, str, list[str]]) -> None:
    _, experiment, runs = few
    page.goto(f"/e/{experiment}/r/{runs[0]}/overview")
    page.get_by_role("button", name="Add tag").click()
    page.get_by_role("textbox", name="Key of the tag").fill("stage")
    page.get_by_role("textbox", name="Value of the tag").fill("draft")
    page.keyboard.press("Enter")
    page.get_by_role("cell", name="draft").wait_for()
    page.get_by_role("button", name="Change stage").click()
    page.get_by_role("textbox", name="Value of the tag").fill("final")
    page.keyboard.press("Enter")
    page.get_by_role("cell", name="final").wait_for()
    page.get_by_role("button", name="Remove stage").click()
    page.get_by_role("cell", name="final").wait_for(state="detached")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("cell", name="final").wait_for()


def test_selected_runs_are_deleted_with_a_way_back(page: Any, few: tuple[Rest, str, list[str]]) -> None:
    _, experiment, runs = few
    page.goto(f"/e/{experiment}/runs?sel={runs[0]},{runs[1]}")
    page.get_by_role("link", name="made-0").wait_for()
    page.get_by_role("button", name="Delete 2 runs").click()
    page.get_by_text("2 runs moved to the trash.").wait_for()
    page.get_by_role("link", name="made-0").wait_for(state="detached")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("link", name="made-0").wait_for()
    assert page.get_by_role("link", name=re.compile("^.*made-")).count() == 3


def test_all_that_match_are_tagged_at_once(page: Any, few: tuple[Rest, str, list[str]]) -> None:
    rest, experiment, runs = few
    page.goto(f"/e/{experiment}/runs")
    page.get_by_role("link", name="made-0").wait_for()
    page.get_by_role("checkbox", name="Select all loaded rows").check()
    page.get_by_role("status").filter(has_text="3 selected").wait_for()
    page.goto(f"/e/{experiment}/runs?every=true&sel={runs[2]}")
    page.get_by_role("status").filter(has_text="2 selected").wait_for()
    page.get_by_role("button", name="Tag 2 runs").click()
    page.get_by_role("textbox", name="Key").fill("kept")
    page.get_by_role("textbox", name="Value").fill("yes")
    page.get_by_role("button", name="Set tag").click()
    page.get_by_text("Tag kept set on 2 runs.").wait_for()
    found = rest.post("runs/search", experiment_ids=[experiment], filter="tags.kept = 'yes'")["runs"]
    assert {run["info"]["run_id"] for run in found} == set(runs[:2])


def test_runs_are_moved_to_another_experiment_and_back(page: Any, served: Seeded, few: tuple[Rest, str, list[str]]) -> None:
    _, experiment, runs = few
    page.goto(f"/e/{experiment}/runs?sel={runs[0]}")
    page.get_by_role("link", name="made-0").wait_for()
    page.get_by_role("button", name="Move 1 run to another experiment").click()
    page.get_by_role("combobox", name="To experiment").select_option(value=served.empty_experiment)
    page.get_by_role("button", name="Move", exact=True).click()
    page.get_by_role("link", name="made-0").wait_for(state="detached")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("link", name="made-0").wait_for()


def test_the_trash_restores_and_deletes_for_good(page: Any, few: tuple[Rest, str, list[str]]) -> None:
    rest, experiment, runs = few
    target = f"{experiment}/{runs[1]}/artifacts/notes.txt"
    rest.call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{target}", raw=b"x" * 5_000)
    for run in runs[:2]:
        rest.post("runs/delete", run_id=run)
    page.goto("/trash")
    page.get_by_role("checkbox", name="Select made-0").check()
    page.get_by_role("button", name="Restore").click()
    page.get_by_text("1 run restored.").wait_for()
    page.get_by_role("checkbox", name="Select made-1").check()
    page.get_by_role("button", name="Delete 1 for good").click()
    dialog = page.get_by_role("alertdialog")
    dialog.get_by_text("5.0 kB in 1 file").wait_for()
    dialog.get_by_role("button", name="Delete for good").click()
    page.get_by_text("Deleted for good: 1, 5.0 kB of files freed.").wait_for()
    left = rest.post("runs/search", experiment_ids=[experiment], run_view_type="ALL")["runs"]
    assert {run["info"]["run_id"] for run in left} == {runs[0], runs[2]}
