"""Checkpoints of a training in its run: which are kept, under which names (MLflow's), and how they are found again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from runlore.client import MlflowClient
from runlore.exceptions import InvalidParameter, NotFound
from runlore.fluent.runs import active_run

LATEST_TAG = "mlflow.latest_checkpoint_artifact"
_FOLDER = "checkpoints"


class CheckpointRule(msgspec.Struct, frozen=True):
    """Which checkpoints are kept: the best by a metric, or each of an epoch ("epoch") or of so many batches."""

    monitor: str = "val_loss"
    mode: str = "min"
    save_best_only: bool = True
    save_weights_only: bool = False
    save_freq: str | int = "epoch"

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise InvalidParameter(f"The mode of checkpoints is 'min' or 'max', got {self.mode!r}.")
        if self.save_freq != "epoch" and not (isinstance(self.save_freq, int) and self.save_freq > 0):
            raise InvalidParameter(f"save_freq is 'epoch' or a number of batches, got {self.save_freq!r}.")


class Checkpoints:
    """Keeps checkpoints of one training by a rule."""

    def __init__(self, rule: CheckpointRule, suffix: str) -> None:
        self._rule = rule
        self._suffix = f"{'.weights' if rule.save_weights_only else ''}{suffix}"
        self._best: float | None = None

    def due(self, epoch_ended: bool, batches: int = 0) -> bool:
        """True when the rule looks at this moment: the end of an epoch, or that of the `batches`th batch."""
        if self._rule.save_freq == "epoch":
            return epoch_ended
        return not epoch_ended and batches > 0 and batches % int(self._rule.save_freq) == 0

    def wanted(self, metrics: dict[str, float]) -> bool:
        """True when every checkpoint is kept, or this one is better than those before it."""
        if not self._rule.save_best_only:
            return True
        value = metrics.get(self._rule.monitor)
        if value is None or value != value:
            return False
        if self._best is not None and (value >= self._best if self._rule.mode == "min" else value <= self._best):
            return False
        self._best = value
        return True

    def keep(self, metrics: dict[str, float], epoch: int, step: int, write: Callable[[Path], Any]) -> None:
        """Write a checkpoint and store it in the active run, with its metrics."""
        if (active := active_run()) is None:
            return
        client, run_id = MlflowClient(), active.info.run_id
        folder, prefix = _FOLDER, "latest_"
        if not self._rule.save_best_only:
            folder, prefix = f"{_FOLDER}/{_place(epoch if self._rule.save_freq == 'epoch' else None, step)}", ""
        name = f"{prefix}checkpoint{self._suffix}"
        with TemporaryDirectory(prefix="runlore-checkpoint-") as directory:
            path = Path(directory, name)
            write(path)
            client.log_artifact(run_id, path, folder)
        facts = {**metrics, "epoch": epoch, "global_step": step}
        client.log_dict(run_id, facts, f"{folder}/{prefix}checkpoint_metrics.json")
        client.set_tag(run_id, LATEST_TAG, f"{folder}/{name}")


def _place(epoch: int | None, step: int | None) -> str:
    return f"epoch_{epoch}" if epoch is not None else f"global_step_{step}"


def fetch_checkpoint(run_id: str | None, epoch: int | None, global_step: int | None, directory: str) -> str:
    """The file of a checkpoint, downloaded: the last one of a run (the active one by default), or that of an epoch or step."""
    if epoch is not None and global_step is not None:
        raise InvalidParameter("A checkpoint is of an epoch or of a global_step; give one of them.")
    if run_id is None:
        active = active_run()
        if active is None:
            raise InvalidParameter("Which run's checkpoint? There is no active run. hint: run_id=…")
        run_id = active.info.run_id
    client = MlflowClient()
    latest = client.get_run(run_id).data.tags.get(LATEST_TAG)
    if latest is None:
        raise NotFound(f"The run {run_id} has no checkpoints. hint: autolog(checkpoint=True)")
    path = PurePosixPath(latest)
    if epoch is not None or global_step is not None:
        path = PurePosixPath(_FOLDER, _place(epoch, global_step), path.name)
    return str(client.download_artifacts(run_id, str(path), directory))
