"""Explanations and explainers of SHAP, beside MLflow's own. SHAP brings 200 MB of compilers: this runs where it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from tests.frameworks.boosters.zoo import PATIENTS, PROGRESS, plain

import runlore
from runlore.exceptions import Untrusted

shap = pytest.importorskip("shap", reason="pip install shap, beside .venvs/boosters, to run it")


@pytest.fixture(scope="module")
def explainer() -> Any:
    from sklearn.linear_model import Ridge

    return shap.Explainer(Ridge().fit(PATIENTS, PROGRESS).predict, PATIENTS.head(20))


def test_mlflow_and_runlore_load_each_others_explainers(
    explainer: Any, tmp_path: Path, stranger: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="left out of .venvs/boosters")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    few = PATIENTS.head(2)
    expected = plain(explainer(few).values)
    runlore.shap.save_explainer(explainer, tmp_path / "ours")
    mlflow.shap.save_explainer(explainer, str(tmp_path / "theirs"), pip_requirements=["numpy"])
    assert plain(mlflow.shap.load_explainer(str(tmp_path / "ours"))(few).values) == expected
    assert plain(runlore.pyfunc.load_model(tmp_path / "ours").predict(few)) == expected
    stranger()
    for place in ("ours", "theirs"):
        with pytest.raises(Untrusted, match="allow_pickle=True"):
            runlore.shap.load_explainer(tmp_path / place)
        assert plain(runlore.shap.load_explainer(tmp_path / place, allow_pickle=True)(few).values) == expected


def test_an_explainer_is_logged_with_its_signature(explainer: Any) -> None:
    with runlore.start_run():
        info = runlore.shap.log_explainer(explainer, name="why", input_example=PATIENTS.head(2))
    assert info.signature is not None
    assert runlore.pyfunc.load_model(info.model_uri).predict(PATIENTS.head(3)).shape == (3, 10)


def test_an_explanation_is_files_of_the_run() -> None:
    with runlore.start_run() as run:
        uri = runlore.shap.log_explanation(lambda rows: numpy.asarray(rows)[:, :2].sum(axis=1), PATIENTS.iloc[:12, :4])
    assert uri.endswith("artifacts/model_explanations_shap")
    found = runlore.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="model_explanations_shap")
    assert [Path(item.path).name for item in found] == ["base_values.npy", "shap_values.npy", "summary_bar_plot.png"]
    values = numpy.load(runlore.artifacts.download_artifacts(f"runs:/{run.info.run_id}/{found[1].path}"))
    assert values.shape == (12, 4)
    assert abs(values[:, 2:]).max() < 1e-9  # what the function does not look at explains nothing
