"""The client: every operation as a method, with MLflow's names, signatures and defaults.

One file per noun; `RunloreClient` is their sum. A client has no state but its URIs.
"""

from __future__ import annotations

from runlore.client.base import PagedList, RunOperations
from runlore.client.compare import CompareClient
from runlore.client.connection import (
    get_registry_uri,
    get_tracking_uri,
    is_tracking_uri_set,
    set_registry_uri,
    set_tracking_uri,
)
from runlore.client.copies import CopiesClient
from runlore.client.experiments import ExperimentsClient
from runlore.client.images import Image, ImagesClient
from runlore.client.logged_models import LoggedModelsClient
from runlore.client.logging import LoggingClient
from runlore.client.model_versions import ModelVersionsClient
from runlore.client.notes import NotesClient
from runlore.client.runs import RunsClient
from runlore.client.series import SeriesClient
from runlore.client.tables import TablesClient
from runlore.client.trash import TrashClient
from runlore.client.watching import WatchingClient
from runlore.client.webhooks import WebhooksClient

__all__ = [
    "Image",
    "MlflowClient",
    "PagedList",
    "RunOperations",
    "RunloreClient",
    "get_registry_uri",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "set_registry_uri",
    "set_tracking_uri",
]


class RunloreClient(
    ExperimentsClient,
    RunsClient,
    LoggingClient,
    TablesClient,
    ImagesClient,
    SeriesClient,
    CompareClient,
    NotesClient,
    TrashClient,
    CopiesClient,
    LoggedModelsClient,
    ModelVersionsClient,
    WatchingClient,
    WebhooksClient,
):
    """Everything that can be asked of a store, in MLflow's words. Safe to use from many threads."""

    def __repr__(self) -> str:
        return f"RunloreClient({self._tracking_uri!r})"


MlflowClient = RunloreClient
"""The name that scripts written for MLflow look for."""
