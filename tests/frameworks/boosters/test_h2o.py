"""Models of H2O, beside MLflow's own. H2O is 270 MB and needs Java: this runs where both are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.frameworks.boosters.zoo import IRIS, KIND, plain

import runlore
from runlore.exceptions import Untrusted

h2o = pytest.importorskip("h2o", reason="pip install h2o, beside .venvs/boosters, to run it")


@pytest.fixture(scope="module")
def model() -> Iterator[Any]:
    if shutil.which("java") is None:
        pytest.skip("no Java here")
    from h2o.estimators import H2OGradientBoostingEstimator

    h2o.init(max_mem_size="600M", nthreads=1, verbose=False)
    h2o.no_progress()
    fitted = H2OGradientBoostingEstimator(ntrees=3)
    fitted.train(x=list(IRIS.columns), y="target", training_frame=h2o.H2OFrame(IRIS.assign(target=KIND.astype(float))))
    yield fitted
    h2o.cluster().shutdown()


def test_mlflow_and_runlore_load_each_others_models(
    model: Any, tmp_path: Path, stranger: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="left out of .venvs/boosters")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    runlore.h2o.save_model(model, tmp_path / "saved", input_example=IRIS.head(3))
    (tmp_path / "saved").rename(tmp_path / "ours")
    mlflow.h2o.save_model(
        model, str(tmp_path / "theirs"), signature=mlflow.models.infer_signature(IRIS), pip_requirements=["numpy"]
    )
    expected = plain(model.predict(h2o.H2OFrame(IRIS.head(3))).as_data_frame())
    assert plain(mlflow.pyfunc.load_model(str(tmp_path / "ours")).predict(IRIS.head(3))) == expected
    assert plain(runlore.pyfunc.load_model(tmp_path / "ours").predict(IRIS.head(3))) == expected
    stranger()
    for place in ("ours", "theirs"):
        with pytest.raises(Untrusted, match="allow_pickle=True"):
            runlore.h2o.load_model(tmp_path / place)
        assert plain(runlore.pyfunc.load_model(tmp_path / place, allow_pickle=True).predict(IRIS.head(3))) == expected
        assert type(runlore.h2o.load_model(tmp_path / place, allow_pickle=True)) is type(model)


def test_it_is_logged_with_its_signature(model: Any) -> None:
    with runlore.start_run():
        info = runlore.h2o.log_model(model, name="model", input_example=IRIS.head(3))
    assert info.signature is not None
    assert info.signature.outputs.input_names() == ["predict"]
    assert len(runlore.pyfunc.load_model(info.model_uri).predict(IRIS.head(5))) == 5
