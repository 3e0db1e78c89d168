"""`run`: a project with parameters becomes a run."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from runlore import environments
from runlore.client import RunloreClient, get_registry_uri
from runlore.client.runs import PARENT_TAG
from runlore.entities import RunStatus, SourceType
from runlore.environments import Environment, checked_manager, prepare, read_specification
from runlore.exceptions import ExecutionException, InvalidParameter
from runlore.fluent import context
from runlore.fluent.runs import active_run
from runlore.fluent.source import user_name
from runlore.projects.project import EntryPoint, Fetch, Project, read_project
from runlore.projects.sources import Source, opened
from runlore.projects.submitted import LocalSubmittedRun, SubmittedRun

LOCAL = "local"

logger = logging.getLogger("runlore")


def run(
    uri: str,
    entry_point: str = "main",
    version: str | None = None,
    parameters: dict[str, Any] | None = None,
    docker_args: dict[str, Any] | None = None,
    experiment_name: str | None = None,
    experiment_id: str | None = None,
    backend: str = "local",
    backend_config: dict[str, Any] | str | None = None,
    storage_dir: str | None = None,
    synchronous: bool = True,
    run_id: str | None = None,
    run_name: str | None = None,
    env_manager: str | None = None,
    build_image: bool = False,
    docker_auth: dict[str, Any] | None = None,
) -> SubmittedRun:
    """Run a project and return its run; wait until it has ended unless `synchronous` is False.

    * `uri` is a directory or a git repository, each with `#subdirectory` if wanted; `version` a branch, tag or commit.
    * `entry_point` is one of the `MLproject` file, or a script. `parameters` that it does not know become `--name value`.
    * `env_manager` is "local" (this environment), "virtualenv" or "uv"; None makes an environment where the project says what
      it needs, and uses this one where it does not.
    * Files named by parameters of type `path` that are elsewhere are downloaded below `storage_dir`.
    * The run goes into the given experiment, else the active one, and below the active run if there is one.

    Raises `ExecutionException` when it can not be started and, where it is waited for, when it fails. Projects run on this
    machine: other backends, and Docker, are refused.
    """
    _refuse_what_is_elsewhere(backend, backend_config, {"docker_args": docker_args, "docker_auth": docker_auth}, build_image)
    if experiment_name and experiment_id:
        raise InvalidParameter("Specify only one of 'experiment_name' or 'experiment_id'.")
    with ExitStack() as stack:
        source = stack.enter_context(opened(str(uri), version))
        project = read_project(source.directory)
        point = project.entry_point(entry_point)
        manager = _manager(project, env_manager)
        storage = _storage(storage_dir, stack)
        values = point.values(parameters or {}, source.directory, Fetch(storage))
        command = point.arguments(values)
        environment = _environment(project, manager)
        client = RunloreClient()
        experiment = _experiment(client, experiment_name, experiment_id)
        made = run_id or client.create_run(experiment, tags=_tags(source, point, manager), run_name=run_name).info.run_id
        stack.push(partial(_fail, client, made))
        if run_id is None:
            _log_params(client, made, point, parameters or {})
        process = _start(command, source.directory, _variables(client, environment, made, experiment))
        submitted = LocalSubmittedRun(made, process, client, stack.pop_all().close)
    logger.info("Project %s runs as %s: %s", source.name, made, point.name)
    return _waited_for(submitted) if synchronous else submitted


def _refuse_what_is_elsewhere(backend: str, config: Any, docker: dict[str, Any], build_image: bool) -> None:
    if backend != LOCAL:
        raise InvalidParameter(f"Runlore runs projects on this machine: backend {backend!r} is not offered, only 'local'.")
    if config:
        raise InvalidParameter("backend_config belongs to other backends than 'local', which is the only one here.")
    if build_image or any(docker.values()):
        raise InvalidParameter("docker_args, docker_auth and build_image belong to Docker, in which Runlore runs no projects.")


def _manager(project: Project, env_manager: str | None) -> str:
    """Raises `InvalidParameter` for a manager that is not offered."""
    if env_manager is None and project.environment is None:
        return environments.LOCAL
    return checked_manager(env_manager)


def _environment(project: Project, manager: str) -> Environment:
    if project.environment is None:
        return prepare(environments.Specification(), manager, tell=logger.info)
    return prepare(read_specification(project.environment), manager, tell=logger.info)


def _storage(storage_dir: str | None, stack: ExitStack) -> Path:
    if storage_dir is not None:
        Path(storage_dir).mkdir(parents=True, exist_ok=True)
        return Path(storage_dir).absolute()
    place = tempfile.mkdtemp(prefix="runlore-storage-")
    stack.callback(shutil.rmtree, place, ignore_errors=True)
    return Path(place)


def _experiment(client: RunloreClient, name: str | None, experiment_id: str | None) -> str:
    if name:
        found = client.get_experiment_by_name(name)
        return found.experiment_id if found else client.create_experiment(name)
    return str(experiment_id) if experiment_id is not None else context.current_experiment_id()


def _log_params(client: RunloreClient, run_id: str, point: EntryPoint, given: dict[str, Any]) -> None:
    """What was given, and defaults, as they were written."""
    for name, item in point.parameters.items():
        if item.default is not None and name not in given:
            client.log_param(run_id, name, item.default)
    for name, value in given.items():
        client.log_param(run_id, name, value)
    client.flush()


def _fail(client: RunloreClient, run_id: str, kind: type[BaseException] | None, *_: object) -> None:
    """A run that could not be started has failed."""
    if kind is not None:
        client.update_run(run_id, status=RunStatus.FAILED)


def _tags(source: Source, point: EntryPoint, manager: str) -> dict[str, str]:
    parent = active_run()
    tags = {
        "mlflow.user": user_name(),
        "mlflow.source.name": source.name,
        "mlflow.source.type": SourceType.PROJECT,
        "mlflow.project.entryPoint": point.name,
        "mlflow.project.backend": LOCAL,
        "mlflow.project.env": "" if manager == environments.LOCAL else manager,
        "mlflow.source.git.commit": source.commit or "",
        "mlflow.source.git.repoURL": source.repository or "",
        PARENT_TAG: parent.info.run_id if parent else "",
    }
    return {key: value for key, value in tags.items() if value}


def _variables(client: RunloreClient, environment: Environment, run_id: str, experiment: str) -> dict[str, str]:
    """The environment of the project's process: its run, its store, and Runlore in the place of MLflow."""
    found = environment.variables()
    found.pop("RUNLORE_ACTIVE_EXPERIMENT", None)
    if environment.root is None:
        found["PATH"] = f"{environment.python.parent}{os.pathsep}{found.get('PATH', os.defpath)}"
    place = str(Path(environments.__file__).with_name("as_mlflow"))
    paths = [path for path in found.get("PYTHONPATH", "").split(os.pathsep) if path and path != place]
    found["PYTHONPATH"] = os.pathsep.join([place, *paths])
    for prefix in ("RUNLORE", "MLFLOW"):
        found[f"{prefix}_RUN_ID"], found[f"{prefix}_EXPERIMENT_ID"] = run_id, experiment
        found[f"{prefix}_TRACKING_URI"], found[f"{prefix}_REGISTRY_URI"] = client.tracking_uri, get_registry_uri()
        found.pop(f"{prefix}_EXPERIMENT_NAME", None)
    return found


def _start(command: list[str], directory: Path, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the command in a group of processes of its own."""
    named = str(directory / command[0]) if command and os.path.dirname(command[0]) else "".join(command[:1])
    program = shutil.which(named, path=variables.get("PATH")) if command else None
    if program is None:
        raise ExecutionException(f"There is no program {command[0]!r} to run." if command else "The command is empty.")
    try:
        return subprocess.Popen([program, *command[1:]], cwd=directory, env=variables, start_new_session=os.name == "posix")
    except OSError as error:
        raise ExecutionException(f"{program} can not be started: {error.strerror or error}.") from None


def _waited_for(submitted: LocalSubmittedRun) -> SubmittedRun:
    try:
        well = submitted.wait()
    except BaseException:  # Ctrl-C: what was waited for ends, too
        submitted.cancel()
        raise
    if not well:
        raise ExecutionException(f"Run (ID '{submitted.run_id}') failed")
    return submitted
