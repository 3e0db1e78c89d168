"""The thread that looks at the machine every few seconds while a run is open."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

from runlore.entities import Metric
from runlore.exceptions import InvalidParameter, RunloreError
from runlore.settings import read_settings
from runlore.system_metrics.amd import AmdGpus
from runlore.system_metrics.machine import Machine
from runlore.system_metrics.nvidia import NvidiaGpus, driver_library

PREFIX = "system/"
INTERVAL_S, SAMPLES = 10.0, 1
LEAST_INTERVAL_S, MOST = 0.1, 86_400
PATIENCE_S = 5.0

logger = logging.getLogger("runlore")


class Client(Protocol):
    """What a monitor needs of a client."""

    def log_batch(self, run_id: str, metrics: Sequence[Metric] = ()) -> Any:
        """Store metrics."""
        ...


class SystemMetricsMonitor:
    """Logs system metrics of one run from when it is made until `finish`, which logs one last sample: short runs have one too.

    Steps count the points; a run that goes on after a pause goes on at the step that it would have reached by then.
    """

    def __init__(self, client: Client, run_id: str, started_ms: int | None = None, node_id: str | None = None) -> None:
        """`started_ms` is when the run began, for one that goes on. `node_id` is used unless a setting names the node.

        Raises `InvalidParameter` for an interval or a number of samples that is none.
        """
        settings = read_settings()
        self._client, self._run_id = client, run_id
        self._interval = _number("SAMPLING_INTERVAL", settings.system_metrics_interval, INTERVAL_S, LEAST_INTERVAL_S)
        self._samples = int(_number("SAMPLES_BEFORE_LOGGING", settings.system_metrics_samples, SAMPLES, 1))
        node = settings.system_metrics_node_id or node_id
        self._prefix = f"{PREFIX}{node}/" if node else PREFIX
        ago = 0.0 if started_ms is None else max(0.0, time.time() - started_ms / 1000)
        self._step = int(ago / (self._interval * self._samples))
        self._pending: list[dict[str, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="runlore-system-metrics", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Take a last sample and stop."""
        self._stop.set()
        self._thread.join(PATIENCE_S)

    def _watch(self) -> None:
        try:
            machine = Machine()
        except ModuleNotFoundError:
            logger.warning("System metrics need psutil, which is not installed. hint: pip install psutil")
            return
        nvidia, amd = visible_gpus()
        while not self._stop.wait(self._interval):
            self._take(machine, nvidia, amd)
            if len(self._pending) >= self._samples:
                self._log()
        self._take(machine, nvidia, amd)
        self._log()

    def _take(self, machine: Machine, nvidia: NvidiaGpus | None, amd: AmdGpus) -> None:
        sample = machine.sample()
        if nvidia is not None:
            sample |= nvidia.sample()
        self._pending.append(sample | amd.sample(first=len(nvidia) if nvidia is not None else 0))

    def _log(self) -> None:
        """Log the mean of the samples since the last time."""
        now, names = int(time.time() * 1000), dict.fromkeys(name for sample in self._pending for name in sample)
        values = {name: [sample[name] for sample in self._pending if name in sample] for name in names}
        self._pending.clear()
        points = [
            Metric(key=self._prefix + name, value=sum(found) / len(found), timestamp=now, step=self._step)
            for name, found in values.items()
        ]
        self._step += 1
        try:
            self._client.log_batch(self._run_id, metrics=points)
        except RunloreError as error:  # the training matters more; the next sample says as much
            logger.debug("System metrics of run %s are lost: %s", self._run_id, error)


def visible_gpus() -> tuple[NvidiaGpus | None, AmdGpus]:
    """The GPUs that this process may use, NVIDIA's and AMD's."""
    library = driver_library()
    nvidia = None if library is None else NvidiaGpus(library, os.environ.get("CUDA_VISIBLE_DEVICES"))
    amd = os.environ.get("HIP_VISIBLE_DEVICES", os.environ.get("ROCR_VISIBLE_DEVICES"))
    return nvidia, AmdGpus(amd)


def _number(name: str, text: str | None, default: float, least: float) -> float:
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= MOST:
        raise InvalidParameter(
            f"RUNLORE_SYSTEM_METRICS_{name} (or MLFLOW_…) is {text!r}. Expected a number from {least:g} to {MOST:,}."
        )
    return value
