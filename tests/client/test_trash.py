"""The client's methods for the trash, many runs, comparison and views, on a store of each kind."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from runlore import compare_runs
from runlore.client import RunloreClient
from runlore.exceptions import InvalidParameter, NotFound, RunloreError


@pytest.fixture
def client(tmp_path: Path) -> RunloreClient:
    return RunloreClient(str(tmp_path / "store"))


def test_from_the_trash_for_good(client: RunloreClient) -> None:
    ids = [client.create_run("0").info.run_id for _ in range(3)]
    model = client.create_logged_model("0").model_id
    for run_id in ids:
        client.delete_run(run_id)
    client.delete_logged_model(model)
    assert {item.id for item in client.get_trash()} == set(ids)
    assert [item.id for item in client.get_trash("logged_model")] == [model]
    assert list(client.get_trash(older_than_days=1)) == []
    client.restore_logged_model(model)
    assert client.purge_trash(dry_run=True).runs == 3
    assert client.purge_trash(run_ids=ids[:1]).runs == 1
    assert client.purge_trash().runs == 2
    with pytest.raises(NotFound):
        client.get_run(ids[0])
    assert client.get_logged_model(model).model_id == model


def test_many_runs_at_once(client: RunloreClient) -> None:
    other = client.create_experiment("other")
    ids = sorted(client.create_run("0").info.run_id for _ in range(3))
    assert client.tag_found_runs(["0"], tags={"a": 1}, except_run_ids=ids[:1]) == ids[1:]
    assert client.tag_found_runs("0", "tags.a = '1'", remove_tags=["a"]) == ids[1:]
    assert client.delete_found_runs(["0"]) == ids
    assert client.restore_found_runs(["0"], except_run_ids=ids[2:]) == ids[:2]
    assert client.move_runs(ids[:1], other) == ids[:1]
    assert client.move_found_runs(["0"], other) == ids[1:2]
    assert client.get_run(ids[1]).info.experiment_id == other


def test_copies_with_their_files(client: RunloreClient) -> None:
    other = client.create_experiment("other")
    run_id = client.create_run("0").info.run_id
    client.log_text(run_id, "one", "a/b/one.txt")
    client.log_text(run_id, "two", "two.txt")
    client.log_metric(run_id, "loss", 0.5)
    (copy,) = client.copy_runs([run_id], other)
    assert client.export_points(io.BytesIO(), run_ids=[copy]) == 1
    (bare,) = client.copy_runs([run_id], other, files=False)
    client.delete_run(run_id)
    client.purge_trash()
    assert client.get_run(copy).data.metrics == {"loss": 0.5}
    assert [item.path for item in client.list_artifacts(copy)] == ["a", "two.txt"]
    assert Path(client.download_artifacts(copy, "a/b/one.txt")).read_text() == "one"
    assert client.list_artifacts(bare) == []


def test_views_and_notes(client: RunloreClient) -> None:
    view = client.create_saved_view({"a": 1}, "mine", "0")
    assert [item.view_id for item in client.list_saved_views("0")] == [view.view_id]
    changed = client.update_saved_view(view, state={"a": 2})
    with pytest.raises(RunloreError, match="changed it meanwhile"):
        client.update_saved_view(view, state={"a": 3})
    assert client.get_saved_view(view.view_id) == changed
    client.delete_saved_view(view.view_id)
    assert client.list_saved_views("0") == []
    client.set_experiment_note("0", "text")
    assert client.get_experiment_note("0") == "text"
    run_id = client.create_run("0").info.run_id
    client.set_run_note(run_id, "text")
    assert client.get_run_note(run_id) == client.get_run(run_id).data.tags["mlflow.note.content"] == "text"


def test_runs_side_by_side(client: RunloreClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runlore.fluent.compare.RunloreClient", lambda: client)
    one, two = (client.create_run("0", run_name="same", start_time=1).info.run_id for _ in range(2))
    client.log_param(one, "lr", "0.1")
    client.log_param(two, "lr", "1e-2")
    for step, value in enumerate((3.0, 1.0)):
        client.log_metric(one, "loss", value, step=step)
    frame = compare_runs([one, two])
    assert list(frame.columns) == [one, two]
    assert list(frame.index) == ["params.lr", "metrics.loss", "metrics.loss@max"]
    assert frame.loc["params.lr"].tolist() == ["0.1", "1e-2"]
    assert frame.loc["metrics.loss@max"].tolist() == [3.0, None]
    rows = compare_runs([one, two], differences_only=False, output_format="list")
    assert {"key": "attributes.run_name", one: "same", two: "same"} in rows
    with pytest.raises(InvalidParameter, match="'csv'"):
        compare_runs([one, two], output_format="csv")
