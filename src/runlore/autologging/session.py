"""Into which run a watched training goes."""

from __future__ import annotations

from typing import Any

import msgspec

from runlore.entities import RunStatus
from runlore.fluent.logging import set_tags
from runlore.fluent.runs import active_run, end_run, start_run

AUTOLOGGING_TAG = "mlflow.autologging"


class Options(msgspec.Struct, frozen=True):
    """What can be chosen for every library, by the names of the arguments of `autolog`."""

    log_input_examples: bool = False
    log_model_signatures: bool = True
    log_models: bool = True
    log_datasets: bool = True
    exclusive: bool = False
    extra_tags: dict[str, str] | None = None
    disabled: bool = False


class Session:
    """The run of one training: the active one, or one of its own that ends with it."""

    def __init__(self, library: str, options: Options, tags: dict[str, Any]) -> None:
        active = active_run()
        self._own = active is None
        run = active or start_run()
        self.run_id = run.info.run_id
        set_tags({AUTOLOGGING_TAG: library, **tags, **(options.extra_tags or {})})

    @staticmethod
    def wanted(options: Options) -> bool:
        """False when autologging is off, or a run of the user's is active and such runs are to be left alone."""
        return not options.disabled and not (options.exclusive and active_run() is not None)

    def end(self, status: str = RunStatus.FINISHED) -> None:
        """End the run if it is the training's own."""
        if self._own:
            end_run(status)
