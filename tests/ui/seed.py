"""Runs as a small team would have logged them, sent to a server over MLflow's REST API."""

from __future__ import annotations

import json
import math
import random
import struct
import time
import urllib.request
import zlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

SPIKE_STEP, SPIKE_VALUE, POINTS = 13_337, 40.0, 20_000
NAMES = ("calm-otter", "bright-finch", "slow-heron", "keen-lynx", "wise-mole", "shy-newt", "bold-crab", "warm-fox")
OPTIMIZERS = ("adam", "sgd", "adamw", "lion")


@dataclass
class Seeded:
    """What was logged, by the names that tests use."""

    url: str
    experiment: str = ""
    empty_experiment: str = ""
    runs: list[str] = field(default_factory=list)
    """Of `experiment`, oldest first."""
    spiky: str = ""
    """A run with 20,000 points of `train/loss`, one of them far above all others."""
    files: str = ""
    """A run with artifacts, params, tags, a dataset, a child."""
    logged_model: str = ""
    """What `files` logged as a model of its own."""
    model: str = "resnet classifier"
    database: str = ""
    """The file that the server keeps all this in."""


class Rest:
    """MLflow's REST API, spoken by hand."""

    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> Any:
        """The decoded answer."""
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        kind = "application/octet-stream" if raw is not None else "application/json"
        request = urllib.request.Request(self._url + path, data, {"Content-Type": kind}, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read() or b"{}")

    def post(self, path: str, **body: Any) -> Any:
        """POST to MLflow's API."""
        return self.call("POST", f"/api/2.0/mlflow/{path}", body)


def seed(url: str, runs: int = 40) -> Seeded:
    """Log everything. Takes about a second for 40 runs."""
    rest, seeded = Rest(url), Seeded(url)
    seeded.experiment = rest.post("experiments/create", name="resnet-sweep")["experiment_id"]
    seeded.empty_experiment = rest.post("experiments/create", name="nothing yet")["experiment_id"]
    note = {"key": "mlflow.note.content", "value": "Baseline sweep over learning rates and depths"}
    rest.post("experiments/set-experiment-tag", experiment_id=seeded.experiment, **note)
    rest.post("experiments/set-experiment-tag", experiment_id=seeded.experiment, key="team", value="vision")
    now = int(time.time() * 1000)
    for number in range(runs):
        seeded.runs.append(_log_run(rest, seeded.experiment, number, now - (runs - number) * 421_000))
    seeded.spiky = _log_spiky_run(rest, seeded.experiment, now)
    seeded.files = _log_files(rest, seeded.experiment, now)
    seeded.logged_model = _log_model(rest, seeded.experiment, seeded.files)
    seeded.runs += [seeded.spiky, seeded.files]
    _register(rest, seeded)
    return seeded


def _create(rest: Rest, experiment: str, name: str, start: int, tags: dict[str, str]) -> str:
    rows = [{"key": key, "value": value} for key, value in {"mlflow.user": "ada", **tags}.items()]
    created = rest.post("runs/create", experiment_id=experiment, run_name=name, start_time=start, user_id="ada", tags=rows)
    return str(created["run"]["info"]["run_id"])


def _log_run(rest: Rest, experiment: str, number: int, start: int) -> str:
    """One of the sweep: six params, four metrics of 60 points."""
    chance = random.Random(number)
    name = f"{NAMES[number % 8]}-{chance.randint(100, 999)}"
    run = _create(rest, experiment, name, start, {"team": "vision", "mlflow.source.name": "train.py"})
    rate, depth = 10 ** chance.uniform(-4.5, -1.5), chance.choice((18, 34, 50, 101))
    params = {
        "lr": f"{rate:.3g}", "optimizer": OPTIMIZERS[number % 4], "batch_size": str(chance.choice((32, 64, 128))),
        "depth": str(depth), "seed": str(number), "data": "imagenet-1k",
    }  # fmt: skip
    speed, floor = 6 + 20 * chance.random(), 0.1 + 0.4 * chance.random()
    metrics = []
    for step in range(60):
        curve = floor + 2.2 * math.exp(-step / speed)
        values = {
            "train/loss": curve + chance.gauss(0, 0.03),
            "val/loss": curve * 1.08 + 0.05 + chance.gauss(0, 0.05),
            "val/acc": max(0.0, 0.96 - curve / 2.6 + chance.gauss(0, 0.01)),
            "lr": rate * 0.5 * (1 + math.cos(math.pi * step / 60)),
        }
        at = start + step * 31_000
        metrics += [{"key": key, "value": value, "timestamp": at, "step": step} for key, value in values.items()]
    rest.post("runs/log-batch", run_id=run, metrics=metrics, params=[{"key": key, "value": v} for key, v in params.items()])
    status = {3: "FAILED", 11: "KILLED"}.get(number % 20, "FINISHED")
    rest.post("runs/update", run_id=run, status=status, end_time=start + 60 * 31_000)
    return run


def _log_spiky_run(rest: Rest, experiment: str, now: int) -> str:
    run = _create(rest, experiment, "one-bad-batch", now - 60_000, {})
    start = now - POINTS * 10
    for first in range(0, POINTS, 1000):
        metrics = []
        for step in range(first, first + 1000):
            value = SPIKE_VALUE if step == SPIKE_STEP else 0.3 + math.exp(-step / 4000) + 0.02 * math.sin(step)
            metrics.append({"key": "train/loss", "value": value, "timestamp": start + step * 10, "step": step})
        rest.post("runs/log-batch", run_id=run, metrics=metrics)
    steps = [*range(4000), 5000, *range(6000, 10_000)]
    for first in range(0, len(steps), 1000):
        metrics = [
            {"key": "paused", "value": 1.0, "timestamp": start + step, "step": step} for step in steps[first : first + 1000]
        ]
        rest.post("runs/log-batch", run_id=run, metrics=metrics)
    rest.post("runs/log-metric", run_id=run, key="best", value=0.5, timestamp=start, step=0)
    odd = [("NaN", 3), ("Infinity", 5), ("-Infinity", 7), *((1 / (step + 1), step) for step in (0, 1, 2, 4, 6, 8, 9))]
    metrics = [{"key": "grad_norm", "value": value, "timestamp": start + step, "step": step} for value, step in odd]
    rest.post("runs/log-batch", run_id=run, metrics=metrics)
    rest.post("runs/update", run_id=run, status="FINISHED", end_time=now)
    return run


def _log_files(rest: Rest, experiment: str, now: int) -> str:
    note = "Second try with the **larger crop**.\n<script>alert('never')</script>"
    run = _create(
        rest, experiment, "with-files", now - 30_000, {"mlflow.note.content": note, "mlflow.source.git.commit": "a83bd19c" * 5}
    )
    params = [{"key": f"param_{index:02}", "value": str(index * 0.5)} for index in range(15)]
    rest.post("runs/log-batch", run_id=run, params=params, tags=[{"key": "stage", "value": "final"}])
    dataset = {"name": "imagenet-1k", "digest": "a91bc3f0", "source_type": "local", "source": "{}"}
    used = [{"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "training"}]}]
    rest.post("runs/log-inputs", run_id=run, datasets=used)
    files = {
        "config.json": json.dumps({"model": {"depth": 50, "widths": [64, 128, 256]}, "lr": 0.001, "augment": True}).encode(),
        "table.csv": b"epoch,loss,note\n" + b"".join(b'%d,%.4f,"a, %d"\n' % (i, 1 / (i + 1), i) for i in range(300)),
        "notes.txt": "\n".join(f"line {index}" for index in range(40)).encode(),
        "page.html": b"<script>document.title = 'stolen'</script><h1>Report</h1>",
        "loss.png": _picture(),
        "weights.bin": bytes(range(256)) * 40,
        "empty.txt": b"",
        "model/MLmodel": b"artifact_path: model\nflavors:\n  sklearn:\n    pickled_model: model.pkl\n",
    }
    for path, content in files.items():
        target = quote(f"{experiment}/{run}/artifacts/{path}")
        rest.call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{target}", raw=content)
    rest.post("runs/update", run_id=run, status="FINISHED", end_time=now)
    _create(rest, experiment, "its-child", now - 20_000, {"mlflow.parentRunId": run})
    return run


def _log_model(rest: Rest, experiment: str, run: str) -> str:
    """As MLflow 3 and Runlore do: a model beside the run, with files of its own."""
    created = rest.post("logged-models", experiment_id=experiment, name="crop classifier", source_run_id=run)
    model = str(created["model"]["info"]["model_id"])
    rest.post("runs/outputs", run_id=run, models=[{"model_id": model, "step": 0}])
    for path, content in {"MLmodel": b"flavors:\n  pytorch: {}\n", "data/weights.bin": bytes(100)}.items():
        target = f"{experiment}/models/{model}/artifacts/{path}"
        rest.call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{target}", raw=content)
    rest.call("PATCH", f"/api/2.0/mlflow/logged-models/{model}", {"status": "LOGGED_MODEL_READY"})
    return model


def _picture(width: int = 240, height: int = 140) -> bytes:
    rows = b"".join(b"\0" + b"".join(bytes((x, y, 150)) for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _part(b"IHDR", header) + _part(b"IDAT", zlib.compress(rows)) + _part(b"IEND", b"")


def _part(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _register(rest: Rest, seeded: Seeded) -> None:
    name = seeded.model
    tags = [{"key": "task", "value": "vision"}]
    rest.post("registered-models/create", name=name, description="Image classifier for the catalogue.", tags=tags)
    for run in (seeded.runs[0], seeded.files):
        rest.post("model-versions/create", name=name, source=f"runs:/{run}/model", run_id=run, description="Trained on crops")
    model = {"source": f"models:/{seeded.logged_model}", "run_id": seeded.files, "model_id": seeded.logged_model}
    rest.post("model-versions/create", name=name, **model)
    rest.post("registered-models/alias", name=name, alias="champion", version="2")
    rest.post("registered-models/alias", name=name, alias="shadow", version="1")
    rest.post("model-versions/transition-stage", name=name, version="2", stage="Production")
