"""MLflow's words for states: of runs, of lifecycles, of what a search looks at."""

from __future__ import annotations


class RunStatus:
    """MLflow's run states. On the wire and in Runlore a status is its word; MLflow's Python client also uses numbers."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    ALL = (RUNNING, SCHEDULED, FINISHED, FAILED, KILLED)

    @staticmethod
    def to_string(status: str | int) -> str:
        """The word for a word or for MLflow's number (1 RUNNING … 5 KILLED)."""
        return status if isinstance(status, str) else RunStatus.ALL[status - 1]

    @staticmethod
    def from_string(status: str) -> str:
        """The status itself; MLflow's clients call this to get a number."""
        return status

    @staticmethod
    def is_terminated(status: str) -> bool:
        """True when no more data is expected: FINISHED, FAILED or KILLED."""
        return status in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)


class LifecycleStage:
    """Where an experiment or run is in its life."""

    ACTIVE = "active"
    DELETED = "deleted"


class ViewType:
    """Which lifecycle stages a search looks at."""

    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"

    @staticmethod
    def to_string(view_type: str | int) -> str:
        """MLflow's word for a view type or for its number: `active_only`, `deleted_only` or `all`."""
        words = (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL)
        return (view_type if isinstance(view_type, str) else words[view_type - 1]).lower()

    @staticmethod
    def from_string(view_str: str) -> str:
        """The view type of MLflow's word for it."""
        return view_str.upper()


class SourceType:
    """What started a run: MLflow's words for the tag `mlflow.source.type`."""

    NOTEBOOK = "NOTEBOOK"
    JOB = "JOB"
    PROJECT = "PROJECT"
    LOCAL = "LOCAL"
    UNKNOWN = "UNKNOWN"

    @staticmethod
    def to_string(status: str | int) -> str:
        """The word for a word or for MLflow's number (1 NOTEBOOK … 4 LOCAL, 1000 UNKNOWN)."""
        if isinstance(status, str):
            return status
        words = (SourceType.NOTEBOOK, SourceType.JOB, SourceType.PROJECT, SourceType.LOCAL)
        return words[status - 1] if 1 <= status <= len(words) else SourceType.UNKNOWN

    @staticmethod
    def from_string(status_str: str) -> str:
        """The word itself; MLflow's clients call this to get a number."""
        return status_str
