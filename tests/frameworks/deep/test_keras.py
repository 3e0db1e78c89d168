"""Models of Keras on PyTorch, and their trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

import runlore
import runlore.keras
import runlore.pyfunc
from runlore.exceptions import InvalidParameter, Untrusted
from runlore.models import get_model_info

X = np.arange(32, dtype="float32").reshape(8, 4) / 32
Y = X.sum(1)


@pytest.fixture
def model() -> Any:
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)])
    made.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", metrics=["mae"])
    return made


def from_elsewhere(path: Path) -> Path:
    """The same model without the seal of this installation."""
    (path / "runlore-manifest.json").unlink()
    return path


def test_a_logged_model_predicts_the_same(model: Any) -> None:
    with runlore.start_run() as run:
        info = runlore.keras.log_model(model, name="net", input_example=X[:2], registered_model_name="nets")
    expected = model.predict(X, verbose=0)
    for uri in (info.model_uri, f"runs:/{run.info.run_id}/net", "models:/nets/1"):
        assert np.allclose(runlore.keras.load_model(uri).predict(X, verbose=0), expected)
    function = runlore.pyfunc.load_model(info.model_uri)
    assert np.allclose(function.predict(X), expected)
    assert str(function.metadata.signature.outputs) == "[Tensor('float32', (-1, 1))]"
    flavors = get_model_info(info.model_uri).flavors
    assert flavors["keras"] == {
        "data": "data", "keras_version": keras.__version__, "keras_backend": "torch", "save_exported_model": False,
    }  # fmt: skip


def test_tables_come_back_as_tables(model: Any, tmp_path: Path) -> None:
    runlore.keras.save_model(model, tmp_path / "m")
    table = pd.DataFrame(X, index=range(10, 18))
    found = runlore.pyfunc.load_model(tmp_path / "m").predict(table)
    assert list(found.index) == list(table.index)


def test_code_of_others_stays_outside(model: Any, tmp_path: Path) -> None:
    runlore.keras.save_model(model, tmp_path / "plain")
    assert runlore.keras.load_model(from_elsewhere(tmp_path / "plain")).predict(X, verbose=0).shape == (8, 1)
    doubled = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda values: values * 2)])
    runlore.keras.save_model(doubled, tmp_path / "code")
    assert np.allclose(runlore.keras.load_model(tmp_path / "code").predict(X, verbose=0), X * 2)  # our own
    place = from_elsewhere(tmp_path / "code")
    with pytest.raises(Untrusted, match="allow_pickle=True"):
        runlore.keras.load_model(place, load_model_kwargs={"safe_mode": False})
    assert np.allclose(runlore.keras.load_model(place, allow_pickle=True).predict(X, verbose=0), X * 2)


def test_what_is_no_model_is_refused(model: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="models of Keras 3"):
        runlore.keras.save_model(keras.layers.Dense(1), tmp_path / "m")
    with pytest.raises(InvalidParameter, match="save_exported_model"):
        runlore.keras.save_model(model, tmp_path / "n", save_exported_model=True)


def test_a_fit_becomes_a_run(model: Any) -> None:
    runlore.autolog(extra_tags={"team": "a"})
    model.fit(X, Y, epochs=2, batch_size=4, validation_data=(X[:4], Y[:4]), verbose=0)
    assert runlore.active_run() is None
    [run] = runlore.search_runs(output_format="list")
    assert (run.info.status, run.data.tags["mlflow.autologging"], run.data.tags["team"]) == ("FINISHED", "keras", "a")
    assert {"epochs": "2", "batch_size": "4", "optimizer_name": model.optimizer.name}.items() <= run.data.params.items()
    history = runlore.MlflowClient().get_metric_history(run.info.run_id, "val_mae")
    assert [point.step for point in history] == [0, 1]
    contexts = [entry.tags[0].value for entry in run.inputs.dataset_inputs]
    assert sorted(contexts) == ["eval", "train"]
    found = runlore.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert np.allclose(found.predict(X), model.predict(X, verbose=0))
    assert str(found.metadata.signature.inputs) == "[Tensor('float32', (-1, 4))]"


def test_metrics_of_batches_in_a_run_of_ones_own(model: Any) -> None:
    runlore.keras.autolog(log_every_epoch=False, log_every_n_steps=2, log_models=False, log_datasets=False)
    with runlore.start_run() as run:
        callbacks: list[Any] = []
        model.fit(X, Y, 2, 2, 0, callbacks)
    assert callbacks == []
    assert runlore.get_run(run.info.run_id).info.status == "FINISHED"
    history = runlore.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in history] == [2, 4, 6, 8]
    with pytest.raises(InvalidParameter, match="log_every_epoch"):
        runlore.keras.autolog(log_every_n_steps=2)


def test_a_fit_with_its_own_callback_is_left_to_it(model: Any) -> None:
    runlore.keras.autolog()
    with runlore.start_run() as run:
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[runlore.keras.MlflowCallback()])
    run = runlore.get_run(run.info.run_id)
    assert "mlflow.autologging" not in run.data.tags
    assert {"loss", "mae"} == run.data.metrics.keys()


def test_a_failed_fit_fails_its_run(model: Any) -> None:
    runlore.keras.autolog()
    with pytest.raises(ValueError, match="axis"):
        model.fit(X[:, :2], Y, verbose=0)
    [run] = runlore.search_runs(output_format="list")
    assert run.info.status == "FAILED"
    runlore.keras.autolog(disable=True)
    model.fit(X, Y, epochs=1, verbose=0)
    assert len(runlore.search_runs(output_format="list")) == 1
