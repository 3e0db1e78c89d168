"""The tags that every run gets, under the name by which loggers of other libraries ask for them."""

from __future__ import annotations

import sys
from typing import Any

from runlore.fluent.source import source_tags


def resolve_tags(tags: dict[str, Any] | None = None, ignore: list[Any] | None = None) -> dict[str, Any]:
    """User, script and commit as tags, and the given tags, which win. `ignore` names providers of MLflow's: there are none."""
    return {**source_tags(), **(tags or {})}


registry = sys.modules[__name__]
"""MLflow keeps `resolve_tags` in `mlflow.tracking.context.registry`."""
