"""Modules of PyTorch that are saved and loaded, and trainings of Lightning that become runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch.utils.data import DataLoader, TensorDataset

import runlore
import runlore.pyfunc
import runlore.pytorch
from runlore.exceptions import InvalidParameter, NotFound, Untrusted
from runlore.models import get_model_info

X = np.arange(12, dtype="float32").reshape(3, 4)


@pytest.fixture
def module() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5), torch.nn.Linear(3, 1))


def outputs(module: Any, data: Any = X) -> Any:
    module.eval() if hasattr(module, "dropout") else None
    with torch.no_grad():
        return module(torch.as_tensor(data)).numpy()


def from_elsewhere(path: Path) -> Path:
    """The same model without the seal of this installation."""
    (path / "runlore-manifest.json").unlink()
    return path


@pytest.mark.parametrize("kind", ["pt2", "pickle", "script"])
def test_every_form_predicts_what_the_module_does(module: Any, kind: str, tmp_path: Path) -> None:
    module.eval()
    saved = torch.jit.script(module) if kind == "script" else module
    place = tmp_path / "model"
    runlore.pytorch.save_model(saved, place, input_example=X, serialization_format="pt2" if kind == "pt2" else "pickle")
    assert {path.name for path in (place / "data").glob("model.*")} == {"model.pt2" if kind == "pt2" else "model.pth"}
    loaded = runlore.pytorch.load_model(place)
    more = np.concatenate([X, X + 1])  # another number of rows than the example had
    assert np.allclose(outputs(loaded, more), outputs(module, more))
    function = runlore.pyfunc.load_model(place)
    assert np.allclose(function.predict(more), outputs(module, more))
    assert function.metadata.signature is not None
    assert str(function.metadata.signature.inputs) == "[Tensor('float32', (-1, 4))]"


def test_tables_come_back_as_tables(module: Any, tmp_path: Path) -> None:
    runlore.pytorch.save_model(module, tmp_path / "m", serialization_format="pickle")
    table = pd.DataFrame(X, index=[5, 6, 7])
    found = runlore.pyfunc.load_model(tmp_path / "m").predict(table)
    assert list(found.index) == [5, 6, 7]
    assert np.allclose(found.to_numpy(), outputs(module.eval()))


def test_saving_leaves_a_module_in_its_mode(module: Any, tmp_path: Path) -> None:
    module.train()
    runlore.pytorch.save_model(module, tmp_path / "m", input_example=X)
    assert module.training
    assert (tmp_path / "m" / "data" / "model.pt2").is_file()


class Branching(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return x * 2 if x.sum().item() > 0 else x


def test_what_can_not_be_exported_is_pickled_unless_the_graph_was_asked_for(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="The model is pickled"):
        runlore.pytorch.save_model(Branching(), tmp_path / "m", input_example=X)
    assert np.allclose(runlore.pyfunc.load_model(tmp_path / "m").predict(X), X * 2)
    with pytest.raises(InvalidParameter, match="can not keep this Branching"):
        runlore.pytorch.save_model(Branching(), tmp_path / "n", input_example=X, serialization_format="pt2")
    with pytest.raises(InvalidParameter, match="input_example"):
        runlore.pytorch.save_model(Branching(), tmp_path / "o", serialization_format="pt2")


@pytest.mark.parametrize("form", ["pt2", "pickle"])
def test_models_of_others_need_consent(module: Any, form: str, tmp_path: Path) -> None:
    runlore.pytorch.save_model(module.eval(), tmp_path / "m", input_example=X, serialization_format=form)
    place = from_elsewhere(tmp_path / "m")
    with pytest.raises(Untrusted, match="allow_pickle=True"):
        runlore.pytorch.load_model(place)
    with pytest.raises(Untrusted, match="allow_pickle=True"):
        runlore.pyfunc.load_model(place)
    assert np.allclose(outputs(runlore.pytorch.load_model(place, allow_pickle=True)), outputs(module))


def test_a_logged_module_is_loaded_by_its_uri_and_registered(module: Any) -> None:
    with runlore.start_run() as run:
        info = runlore.pytorch.log_model(module.eval(), name="net", input_example=X, registered_model_name="nets")
    for uri in (info.model_uri, f"runs:/{run.info.run_id}/net", "models:/nets/1"):
        assert np.allclose(outputs(runlore.pytorch.load_model(uri)), outputs(module))
    flavors = get_model_info(info.model_uri).flavors
    assert flavors["pytorch"] == {"model_data": "data", "pytorch_version": str(torch.__version__), "code": None}
    assert flavors["python_function"]["loader_module"] == "mlflow.pytorch"


def test_state_dictionaries_are_weights_alone(module: Any, tmp_path: Path) -> None:
    with runlore.start_run() as run:
        runlore.pytorch.log_state_dict(module.state_dict(), "weights")
    found = runlore.pytorch.load_state_dict(f"runs:/{run.info.run_id}/weights")
    assert all(torch.equal(found[name], tensor) for name, tensor in module.state_dict().items())
    runlore.pytorch.save_state_dict({"hidden": Path}, tmp_path)
    with pytest.raises(Exception, match="Weights only load failed"):
        runlore.pytorch.load_state_dict(tmp_path)


class Line(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, x: Any) -> Any:
        return self.layer(x)

    def training_step(self, batch: Any) -> Any:
        loss = torch.nn.functional.mse_loss(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any) -> None:
        self.log("val_loss", torch.nn.functional.mse_loss(self(batch[0]), batch[1]))

    def test_step(self, batch: Any) -> None:
        self.log("test_loss", torch.nn.functional.mse_loss(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.05)


@pytest.fixture
def loader() -> Any:
    torch.manual_seed(0)
    features = torch.randn(32, 4)
    return DataLoader(TensorDataset(features, features.sum(1, keepdim=True)), batch_size=8)


def trainer(**options: Any) -> Any:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return L.Trainer(**{"max_epochs": 3, "accelerator": "cpu", **quiet, **options})


def steps(run: Any, key: str) -> list[int]:
    return [point.step for point in runlore.MlflowClient().get_metric_history(run.info.run_id, key)]


def test_a_training_becomes_a_run(loader: Any) -> None:
    runlore.autolog(extra_tags={"team": "a"})
    fitted, line = trainer(callbacks=[EarlyStopping("val_loss", patience=2)]), Line()
    fitted.fit(line, loader, loader)
    assert runlore.active_run() is None
    [run] = runlore.search_runs(output_format="list")
    assert run.info.status == "FINISHED"
    assert {
        "epochs": "3",
        "optimizer_name": "SGD",
        "lr": "0.05",
        "monitor": "val_loss",
        "patience": "2",
    }.items() <= run.data.params.items()
    assert (run.data.tags["mlflow.autologging"], run.data.tags["Mode"], run.data.tags["team"]) == ("pytorch", "training", "a")
    assert steps(run, "val_loss") == steps(run, "train_loss") == [0, 1, 2]
    assert "layer" in runlore.artifacts.load_text(f"runs:/{run.info.run_id}/model_summary.txt")
    fitted.test(line, loader, verbose=False)
    again = runlore.get_run(run.info.run_id)
    assert (again.data.tags["Mode"], again.data.metrics["test_loss"]) == (
        "testing",
        pytest.approx(again.data.metrics["val_loss"]),
    )
    model = runlore.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert str(model.metadata.signature.inputs) == "[Tensor('float32', (-1, 4))]"
    assert np.allclose(model.predict(X), outputs(line))
    best = runlore.pytorch.load_checkpoint(Line, run.info.run_id)
    assert np.allclose(outputs(best), outputs(line))  # the last epoch was the best


def test_metrics_of_batches_and_every_checkpoint(loader: Any) -> None:
    runlore.pytorch.autolog(
        log_every_n_step=2, log_models=False, checkpoint_save_best_only=False, checkpoint_save_weights_only=True
    )
    with runlore.start_run() as run:
        trainer(max_epochs=2).fit(Line(), loader, loader)
    assert steps(run, "train_loss_step") == [1, 3, 5, 7]
    assert steps(run, "val_loss") == [0, 1]
    for epoch in (0, 1):
        assert isinstance(runlore.pytorch.load_checkpoint(Line, run.info.run_id, epoch=epoch), Line)
    files = {item.path for item in runlore.MlflowClient().list_artifacts(run.info.run_id, "checkpoints/epoch_1")}
    assert {Path(name).name for name in files} == {"checkpoint.weights.pth", "checkpoint_metrics.json"}
    with pytest.raises(NotFound):
        runlore.pytorch.load_checkpoint(Line, run.info.run_id, epoch=7)


def test_a_failed_training_fails_its_run_and_says_what_it_said(loader: Any) -> None:
    class Broken(Line):
        def training_step(self, batch: Any) -> Any:
            raise ZeroDivisionError("boom")

    runlore.pytorch.autolog()
    with pytest.raises(ZeroDivisionError, match="boom"):
        trainer().fit(Broken(), loader)
    [run] = runlore.search_runs(output_format="list")
    assert run.info.status == "FAILED"


def test_switched_off_and_exclusive(loader: Any) -> None:
    runlore.pytorch.autolog(exclusive=True)
    with runlore.start_run() as run:
        trainer(max_epochs=1).fit(Line(), loader)
    runlore.pytorch.autolog(disable=True)
    trainer(max_epochs=1).fit(Line(), loader)
    [only] = runlore.search_runs(output_format="list")
    assert (only.info.run_id, only.data.params) == (run.info.run_id, {})


def test_a_checkpoint_callback_of_the_users_own(loader: Any) -> None:
    runlore.pytorch.autolog(disable=True)
    callback = runlore.pytorch.MlflowModelCheckpointCallback(monitor="train_loss", mode="max", save_freq=3)
    with runlore.start_run() as run:
        trainer(max_epochs=2, callbacks=[callback]).fit(Line(), loader)
    facts = runlore.artifacts.load_dict(f"runs:/{run.info.run_id}/checkpoints/latest_checkpoint_metrics.json")
    assert facts["global_step"] in (3, 6)
    with pytest.raises(InvalidParameter, match="'min' or 'max'"):
        runlore.pytorch.MlflowModelCheckpointCallback(mode="best")
