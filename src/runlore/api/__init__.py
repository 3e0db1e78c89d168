"""The contract. Importing this package defines every operation."""

from runlore.api import (
    artifacts,
    compare,
    dashboard,
    delivery,
    events,
    experiments,
    groups,
    histograms,
    logged_models,
    metrics,
    notes,
    registry,
    runs,
    series,
    trash,
    views,
)

__all__ = [
    "artifacts",
    "compare",
    "dashboard",
    "delivery",
    "events",
    "experiments",
    "groups",
    "histograms",
    "logged_models",
    "metrics",
    "notes",
    "registry",
    "runs",
    "series",
    "trash",
    "views",
]
