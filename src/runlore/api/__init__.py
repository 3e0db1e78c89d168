"""The contract. Importing this package defines every operation."""

from runlore.api import artifacts, dashboard, delivery, experiments, logged_models, metrics, registry, runs, series, trash

__all__ = [
    "artifacts",
    "dashboard",
    "delivery",
    "experiments",
    "logged_models",
    "metrics",
    "registry",
    "runs",
    "series",
    "trash",
]
