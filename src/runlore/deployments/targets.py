"""Finding the target that a URI names: built in, or of a plugin."""

from __future__ import annotations

import inspect
from importlib import import_module, metadata
from types import ModuleType
from typing import Any

from runlore.deployments.base import BaseDeploymentClient
from runlore.exceptions import InvalidParameter, NotFound, RunloreError
from runlore.settings import settings

GROUP = "mlflow.deployments"
"""Entry points of plugins: name of the target -> module with `run_local`, `target_help` and one client class."""
BUILT_IN = {"local": "runlore.deployments.local"}

_chosen: str | None = None


def get_deploy_client(target_uri: str | None = None) -> Any:
    """The client of a target: "local", or the name of a plugin, followed by `:` and what the plugin understands.

    Without a URI it is the target of `set_deployments_target`, or of `RUNLORE_DEPLOYMENTS_TARGET` (`MLFLOW_…`), else "local".
    """
    uri = target_uri or _target() or "local"
    return _client_class(uri, module_of(uri))(uri)


def run_local(target: str, name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None) -> None:
    """Try a deployment on this machine, as the target would run it. The built-in target serves until it is interrupted."""
    module_of(target).run_local(name, model_uri, flavor, config)


def set_deployments_target(target: str) -> None:
    """The target of clients that are asked for without one, in this process."""
    global _chosen
    module_of(target)
    _chosen = target


def get_deployments_target() -> str:
    """The target that was set, or the environment's. Raises `RunloreError` where there is none."""
    if found := _target():
        return found
    raise RunloreError("No deployments target is set. Call set_deployments_target(), or set RUNLORE_DEPLOYMENTS_TARGET.")


def target_help(target: str) -> str:
    """What a target says about its URI and its settings."""
    return str(module_of(target).target_help())


def known_targets() -> list[str]:
    """Names of targets, built in and of plugins."""
    return sorted({*BUILT_IN, *(entry.name for entry in metadata.entry_points(group=GROUP))})


def module_of(uri: str) -> Any:
    """The module behind a target's URI. Raises `NotFound`, or `InvalidParameter` for a plugin that lacks something."""
    name = uri.partition(":")[0]
    if name in BUILT_IN:
        return import_module(BUILT_IN[name])
    plugin = next((entry for entry in metadata.entry_points(group=GROUP) if entry.name == name), None)
    if plugin is None:
        raise NotFound(
            f"There is no deployment target {name!r}. Known: {', '.join(known_targets())}. Others come with plugins."
        )
    try:
        module = plugin.load()
    except (ImportError, AttributeError) as error:
        raise InvalidParameter(f"The plugin for {name!r} can not be imported: {error}.") from None
    if missing := [part for part in ("run_local", "target_help") if not callable(getattr(module, part, None))]:
        raise InvalidParameter(f"The plugin for {name!r} ({plugin.value}) lacks {' and '.join(missing)}.")
    _client_class(name, module)
    return module


def _target() -> str | None:
    return _chosen or settings().deployments_target


def _client_class(uri: str, module: ModuleType) -> Any:
    """The one client class of a module; plugins that were written for MLflow have MLflow's base class, by its name."""

    def is_client(value: Any) -> bool:
        names = [base.__name__ for base in value.__mro__[1:]] if inspect.isclass(value) else []
        return BaseDeploymentClient.__name__ in names

    found = {value for value in vars(module).values() if is_client(value)}
    if len(found) != 1:
        raise InvalidParameter(f"The plugin for {uri!r} has {len(found)} subclasses of BaseDeploymentClient; it must have one.")
    return found.pop()
