"""What an evaluation found: metrics, files and tables, kept in a run and, if wanted, in a directory."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from runlore.blobs.base import ArtifactPath
from runlore.evaluation.artifacts import KINDS, EvaluationArtifact, PickleEvaluationArtifact
from runlore.exceptions import InvalidParameter, NotFound

TABLE = "eval_results_table"
_METRICS, _ARTIFACTS, _FILES = "metrics.json", "artifacts_metadata.json", "artifacts"
_PLACE = "mlflow.models.evaluation.artifacts"


class EvaluationResult:
    """Metrics by name, artifacts by name, and the run that keeps both."""

    def __init__(self, metrics: dict[str, Any], artifacts: dict[str, EvaluationArtifact], run_id: str | None = None) -> None:
        self._metrics = metrics
        self._artifacts = artifacts
        self._run_id = run_id

    @property
    def metrics(self) -> dict[str, Any]:
        """The value of each metric."""
        return self._metrics

    @property
    def artifacts(self) -> dict[str, EvaluationArtifact]:
        """The files, by name."""
        return self._artifacts

    @property
    def run_id(self) -> str | None:
        """The run that metrics and files were logged to."""
        return self._run_id

    @property
    def tables(self) -> dict[str, Any]:
        """Tables by name: "eval_results_table" has inputs, predictions and the scores of each row, where a metric gave some."""
        import pandas as pd

        artifact = self._artifacts.get(TABLE)
        return {} if artifact is None else {TABLE: pd.DataFrame(artifact.content["data"], columns=artifact.content["columns"])}

    def save(self, path: str | Path) -> None:
        """Write everything into a directory, which is made if it is not there."""
        directory = Path(path)
        (directory / _FILES).mkdir(parents=True, exist_ok=True)
        (directory / _METRICS).write_text(json.dumps({name: _plain(value) for name, value in self._metrics.items()}))
        kinds = {
            name: {"uri": artifact.uri, "class_name": f"{_PLACE}.{type(artifact).__name__}"}
            for name, artifact in self._artifacts.items()
        }
        (directory / _ARTIFACTS).write_text(json.dumps(kinds))
        for name, artifact in self._artifacts.items():
            artifact.save(directory / _FILES / _file(name, artifact.uri, type(artifact)))

    @classmethod
    def load(cls, path: str | Path, *, allow_pickle: bool = False) -> EvaluationResult:
        """What `save` wrote, here or in MLflow. Pickles among the artifacts are read only with `allow_pickle=True`."""
        directory = Path(path)
        if not (directory / _METRICS).is_file():
            raise NotFound(f"There is no evaluation result at {str(directory)!r}.")
        metrics = json.loads((directory / _METRICS).read_text())
        artifacts = {}
        for name, facts in json.loads((directory / _ARTIFACTS).read_text()).items():
            kind = KINDS.get(str(facts["class_name"]).rpartition(".")[2])
            if kind is None:
                raise InvalidParameter(f"The artifact {name!r} is of an unknown kind: {facts['class_name']!r}.")
            artifact = kind(facts["uri"])
            if isinstance(artifact, PickleEvaluationArtifact):
                artifact.allow_pickle = allow_pickle
            file = directory / _FILES / ArtifactPath(_file(name, facts["uri"], kind))
            if allow_pickle or not isinstance(artifact, PickleEvaluationArtifact):
                artifact._content = artifact.read(file)
            artifacts[name] = artifact
        return cls(metrics, artifacts)


def _file(name: str, uri: str | None, kind: type[EvaluationArtifact]) -> str:
    """The artifact's file under its name, with the extension that it has in the run."""
    extension = Path(str(uri)).suffix if uri else ""
    return f"{name}{extension or kind.EXTENSION}"


def _plain(value: Any) -> Any:
    """numpy's numbers as Python's; JSON keeps NaN as Python writes it."""
    number = value.item() if hasattr(value, "item") else value
    return number if isinstance(number, int) or not math.isinf(number) else float(number)
