"""Models and trainings of TensorFlow: where it is installed, which is too large to ask for everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

tensorflow = pytest.importorskip("tensorflow", reason="TensorFlow is not installed here: it is tested by hand")

import keras  # noqa: E402
import numpy as np  # noqa: E402

import runlore  # noqa: E402
import runlore.pyfunc  # noqa: E402
import runlore.tensorflow  # noqa: E402
from runlore.exceptions import Untrusted  # noqa: E402
from runlore.models import get_model_info  # noqa: E402

X = np.arange(32, dtype="float32").reshape(8, 4) / 32


class Doubling(tensorflow.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.factor = tensorflow.Variable(2.0)

    @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 4], tensorflow.float32)])
    def __call__(self, data: Any) -> Any:
        return data * self.factor


@pytest.fixture
def model() -> Any:
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    made.compile(optimizer="adam", loss=keras.losses.MeanSquaredError())
    return made


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_a_keras_model(model: Any, form: str, tmp_path: Path) -> None:
    options = {"save_format": "h5"} if form == "h5" else None
    with runlore.start_run():
        info = runlore.tensorflow.log_model(model, name="net", input_example=X[:2], keras_model_kwargs=options)
    assert np.allclose(runlore.pyfunc.load_model(info.model_uri).predict(X), model.predict(X, verbose=0))
    flavor = get_model_info(info.model_uri).flavors["tensorflow"]
    assert (flavor["model_type"], flavor["save_format"]) == ("keras", "h5" if form == "h5" else "tf")
    runlore.tensorflow.save_model(model, tmp_path / "m", keras_model_kwargs=options)
    (tmp_path / "m" / "runlore-manifest.json").unlink()
    if form == "h5":
        with pytest.raises(Untrusted, match="allow_pickle=True"):
            runlore.tensorflow.load_model(tmp_path / "m")
    else:
        assert np.allclose(runlore.tensorflow.load_model(tmp_path / "m").predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_module(tmp_path: Path) -> None:
    runlore.tensorflow.save_model(Doubling(), tmp_path / "m", input_example=X)
    loaded = runlore.pyfunc.load_model(tmp_path / "m")
    assert np.allclose(loaded.predict(X), X * 2)
    assert str(loaded.metadata.signature.outputs) == "[Tensor('float32', (-1, 4))]"
    (tmp_path / "m" / "runlore-manifest.json").unlink()
    with pytest.raises(Untrusted, match="a program"):
        runlore.tensorflow.load_model(tmp_path / "m")
    assert np.allclose(runlore.tensorflow.load_model(tmp_path / "m", allow_pickle=True)(X).numpy(), X * 2)


def test_a_fit_becomes_a_run(model: Any) -> None:
    runlore.tensorflow.autolog()
    model.fit(X, X.sum(1), epochs=3, validation_data=(X, X.sum(1)), verbose=0)
    [run] = runlore.search_runs(output_format="list")
    assert (run.info.status, run.data.tags["mlflow.autologging"]) == ("FINISHED", "tensorflow")
    assert run.data.params["opt_name"].startswith("adam")
    assert {"loss", "val_loss"} <= run.data.metrics.keys()
    best = runlore.tensorflow.load_checkpoint(run_id=run.info.run_id)
    assert np.allclose(best.predict(X, verbose=0), model.predict(X, verbose=0))  # the last epoch was the best
    assert np.allclose(runlore.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(X), model.predict(X, verbose=0))


def test_weights_alone_by_epoch(model: Any) -> None:
    runlore.tensorflow.autolog(disable=True)
    callback = runlore.tensorflow.MlflowModelCheckpointCallback(save_best_only=False, save_weights_only=True)
    with runlore.start_run() as run:
        model.fit(X, X.sum(1), epochs=2, verbose=0, callbacks=[callback, runlore.tensorflow.MlflowCallback()])
    other = keras.models.clone_model(model)
    assert runlore.tensorflow.load_checkpoint(other, run.info.run_id, epoch=1) is other
    assert np.allclose(other.predict(X, verbose=0), model.predict(X, verbose=0))
    assert runlore.get_run(run.info.run_id).data.params["opt_name"].startswith("adam")
