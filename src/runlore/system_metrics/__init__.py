"""System metrics: how busy the machine, its GPUs and this process's own processes are while a run is open.

Off unless asked for, as in MLflow: `start_run(log_system_metrics=True)`, `enable_system_metrics_logging()`, or
`RUNLORE_SYSTEM_METRICS=true` (`MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING`). The choices are kept in the environment of
the process, so that child processes make the same ones.
"""

from __future__ import annotations

import os

from runlore.exceptions import InvalidParameter
from runlore.settings import SYSTEM_METRICS, read_settings
from runlore.system_metrics.monitor import SystemMetricsMonitor

__all__ = [
    "SystemMetricsMonitor",
    "disable_system_metrics_logging",
    "enable_system_metrics_logging",
    "set_system_metrics_node_id",
    "set_system_metrics_samples_before_logging",
    "set_system_metrics_sampling_interval",
]


def enable_system_metrics_logging() -> None:
    """Record system metrics of every run that starts from now on, unless it says `log_system_metrics=False`."""
    _choose("enabled", "true")


def disable_system_metrics_logging() -> None:
    """Record no system metrics, unless a run says `log_system_metrics=True`."""
    _choose("enabled", "false")


def set_system_metrics_sampling_interval(interval: float | None) -> None:
    """Look every `interval` seconds (10 by default, 0.1 at least). None takes the choice back."""
    if interval is not None and not 0.1 <= float(interval) <= 86_400:
        raise InvalidParameter(f"Invalid sampling interval {interval!r}. Expected seconds from 0.1 to 86,400.")
    _choose("interval", None if interval is None else str(interval))


def set_system_metrics_samples_before_logging(samples: int | None) -> None:
    """Log the mean of this many samples (1 by default). None takes the choice back."""
    if samples is not None and int(samples) < 1:
        raise InvalidParameter(f"Invalid number of samples {samples!r}. Expected 1 or more.")
    _choose("samples", None if samples is None else str(samples))


def set_system_metrics_node_id(node_id: str | None) -> None:
    """Name the machine: its metrics are called `system/<node_id>/…`. None takes the choice back."""
    _choose("node_id", None if node_id is None else str(node_id))


def wanted(log_system_metrics: bool | None) -> bool:
    """True when a run that says so (or nothing) is to have system metrics."""
    if log_system_metrics is not None:
        return log_system_metrics
    return (read_settings().system_metrics or "").lower() in ("true", "1")


def _choose(what: str, value: str | None) -> None:
    for variable in SYSTEM_METRICS[what]:
        os.environ.pop(variable, None)
    if value is not None:
        os.environ[SYSTEM_METRICS[what][0]] = value
