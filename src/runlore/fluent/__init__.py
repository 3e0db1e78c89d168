"""The fluent interface: module-level functions that act on the active run and experiment.

`context.py` holds the state behind them. What other rooms of the SDK use is named here.
"""

from __future__ import annotations

from runlore.fluent.context import current_experiment_id
from runlore.fluent.registry import register_model
from runlore.fluent.runs import active_run

__all__ = ["active_run", "current_experiment_id", "register_model"]
