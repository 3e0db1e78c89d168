"""Every environment variable Runlore reads, in one place, read once.

MLflow's variables are honoured as fall-backs: `RUNLORE_TRACKING_URI` wins over `MLFLOW_TRACKING_URI`.
"""

from __future__ import annotations

import os
from functools import cache

import msgspec

SYSTEM_METRICS = {
    "enabled": ("RUNLORE_SYSTEM_METRICS", "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"),
    "interval": ("RUNLORE_SYSTEM_METRICS_SAMPLING_INTERVAL", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"),
    "samples": ("RUNLORE_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING", "MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING"),
    "node_id": ("RUNLORE_SYSTEM_METRICS_NODE_ID", "MLFLOW_SYSTEM_METRICS_NODE_ID"),
}
"""The variables of each setting of system metrics: functions set the first, either is read."""


class Settings(msgspec.Struct, frozen=True):
    """Values of the environment; `None` where a variable is unset or empty."""

    tracking_uri: str | None = None
    registry_uri: str | None = None
    resume: str | None = None
    """`RUNLORE_RESUME`: "replace" takes a run over that may live elsewhere, "append" keeps what is logged again beside what is
    there; nothing: a run that lives is joined, of others what is logged again is replaced."""
    experiment_name: str | None = None
    experiment_id: str | None = None
    run_id: str | None = None
    active_experiment: str | None = None
    """`RUNLORE_ACTIVE_EXPERIMENT`: what `set_experiment` leaves for child processes, an id and the store it belongs to."""
    username: str | None = None
    password: str | None = None
    token: str | None = None
    postgres_readers: str | None = None
    """`RUNLORE_POSTGRES_READERS`: connections of one process to PostgreSQL that read, at most (8); one more is for writing."""
    directory: str | None = None
    """`RUNLORE_DIR`: use this directory instead of the nearest `.runlore/`."""
    config_directory: str | None = None
    """`RUNLORE_CONFIG_DIR`, else `$XDG_CONFIG_HOME/runlore`: where this user's key is kept; `None`: `~/.config/runlore`."""
    spool_directory: str | None = None
    """`RUNLORE_SPOOL_DIR`: where journals for servers are kept; else below the state directory."""
    state_directory: str | None = None
    """`XDG_STATE_HOME`; `None`: `~/.local/state`."""
    cache_directory: str | None = None
    """`XDG_CACHE_HOME`; `None`: `~/.cache`."""
    environment_directory: str | None = None
    """`RUNLORE_ENV_ROOT`: where environments of models and projects are kept; else below the cache directory."""
    deployments_target: str | None = None
    """`RUNLORE_DEPLOYMENTS_TARGET`: where models are deployed when no target is named."""
    strict: bool = False
    """`RUNLORE_STRICT`: logging calls wait until the store has what was logged, and raise when it does not take it."""
    offline: bool = False
    """`RUNLORE_OFFLINE`: no server is asked; what is logged is kept until `runlore sync`."""
    traceback: bool = False
    """`RUNLORE_TRACEBACK`: commands show where an unforeseen error happened."""
    no_color: bool = False
    """`NO_COLOR`: commands write plain text on terminals too."""
    truncate_long_values: str | None = None
    """"true": params and tags of runs that MLflow finds too long are cut, with a warning; "false": they are refused; nothing:
    as "true", but for params, of which 100,000 characters are kept."""
    snapshot: str | None = None
    """`RUNLORE_SNAPSHOT`: "0" records nothing of what produced a run; "git,packages" these parts; "-changes" all but this."""
    snapshot_env: str | None = None
    """`RUNLORE_SNAPSHOT_ENV`: further environment variables to record, "MY_SETTING,APP_*"."""
    progress_bar: str | None = None
    """"false": no line on the terminal says how far a large transfer is."""
    console: str | None = None
    """`RUNLORE_CONSOLE`: "0" keeps nothing of what is printed; "all" also what child processes and C libraries print."""
    system_metrics: str | None = None
    """"true": system metrics are recorded of every run that does not say otherwise."""
    system_metrics_interval: str | None = None
    """Seconds between two looks at the machine."""
    system_metrics_samples: str | None = None
    """How many samples one point is the mean of."""
    system_metrics_node_id: str | None = None
    """A name of the machine, which its metrics carry."""


def read_settings(environ: dict[str, str] | None = None) -> Settings:
    """Settings from an environment: `RUNLORE_X`, then `MLFLOW_X`."""
    env = os.environ if environ is None else environ

    def value(name: str, mlflow: str | None = None) -> str | None:
        return env.get(f"RUNLORE_{name}") or env.get(f"MLFLOW_{mlflow or name}") or None

    def first(variables: tuple[str, ...]) -> str | None:
        return next((env[variable] for variable in variables if env.get(variable)), None)

    xdg = env.get("XDG_CONFIG_HOME")
    return Settings(
        tracking_uri=value("TRACKING_URI"),
        registry_uri=value("REGISTRY_URI"),
        experiment_name=value("EXPERIMENT_NAME"),
        experiment_id=value("EXPERIMENT_ID"),
        run_id=value("RUN_ID"),
        resume=env.get("RUNLORE_RESUME") or None,
        active_experiment=env.get("RUNLORE_ACTIVE_EXPERIMENT") or None,
        username=value("USERNAME", "TRACKING_USERNAME"),
        password=value("PASSWORD", "TRACKING_PASSWORD"),
        token=value("TOKEN", "TRACKING_TOKEN"),
        postgres_readers=env.get("RUNLORE_POSTGRES_READERS") or None,
        directory=env.get("RUNLORE_DIR") or None,
        spool_directory=env.get("RUNLORE_SPOOL_DIR") or None,
        state_directory=env.get("XDG_STATE_HOME") or None,
        cache_directory=env.get("XDG_CACHE_HOME") or None,
        environment_directory=value("ENV_ROOT"),
        deployments_target=value("DEPLOYMENTS_TARGET"),
        strict=_true(env.get("RUNLORE_STRICT")),
        offline=_true(env.get("RUNLORE_OFFLINE")),
        traceback=bool(env.get("RUNLORE_TRACEBACK")),
        no_color=bool(env.get("NO_COLOR")),
        config_directory=env.get("RUNLORE_CONFIG_DIR") or (f"{xdg}/runlore" if xdg else None),
        truncate_long_values=value("TRUNCATE_LONG_VALUES"),
        snapshot=env.get("RUNLORE_SNAPSHOT") or None,
        snapshot_env=env.get("RUNLORE_SNAPSHOT_ENV") or None,
        progress_bar=value("ENABLE_ARTIFACTS_PROGRESS_BAR"),
        console=env.get("RUNLORE_CONSOLE") or None,
        system_metrics=first(SYSTEM_METRICS["enabled"]),
        system_metrics_interval=first(SYSTEM_METRICS["interval"]),
        system_metrics_samples=first(SYSTEM_METRICS["samples"]),
        system_metrics_node_id=first(SYSTEM_METRICS["node_id"]),
    )


def _true(text: str | None) -> bool:
    return bool(text) and str(text).lower() not in ("0", "false", "no", "off")


@cache
def settings() -> Settings:
    """The settings of this process. Tests that change the environment call `settings.cache_clear()`."""
    return read_settings()
