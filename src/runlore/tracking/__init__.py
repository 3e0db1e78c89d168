"""The client and the URI functions under the name that scripts written for MLflow import them from."""

from __future__ import annotations

from runlore.client import (
    MlflowClient,
    RunloreClient,
    get_registry_uri,
    get_tracking_uri,
    is_tracking_uri_set,
    set_registry_uri,
    set_tracking_uri,
)

__all__ = [
    "MlflowClient",
    "RunloreClient",
    "get_registry_uri",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "set_registry_uri",
    "set_tracking_uri",
]
