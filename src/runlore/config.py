"""Settings of a process under the name that scripts written for MLflow import them from."""

from __future__ import annotations

import os

from runlore.client import get_registry_uri, get_tracking_uri, is_tracking_uri_set, set_registry_uri, set_tracking_uri
from runlore.system_metrics import (
    disable_system_metrics_logging,
    enable_system_metrics_logging,
    set_system_metrics_node_id,
    set_system_metrics_samples_before_logging,
    set_system_metrics_sampling_interval,
)

__all__ = [
    "disable_system_metrics_logging", "enable_async_logging", "enable_system_metrics_logging", "get_registry_uri",
    "get_tracking_uri", "is_tracking_uri_set", "set_registry_uri", "set_system_metrics_node_id",
    "set_system_metrics_samples_before_logging", "set_system_metrics_sampling_interval", "set_tracking_uri",
]  # fmt: skip

ASYNC_LOGGING = "MLFLOW_ENABLE_ASYNC_LOGGING"


def enable_async_logging(enable: bool = True) -> None:
    """Log without waiting for the store. Runlore always does: a logging call returns when its point is in the journal.

    So nothing changes here; child processes that log with MLflow itself are told by the environment.
    """
    os.environ[ASYNC_LOGGING] = "true" if enable else "false"
