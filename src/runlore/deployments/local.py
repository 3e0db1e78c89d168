"""The built-in target: scoring servers on this machine, each a process of its own that outlives the one that started it.

A deployment is a file in the user's state directory with the server's address and process. A process whose number was given to
another one since is not taken for it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import psutil
import urllib3

from runlore.deployments.base import BaseDeploymentClient, PredictionsResponse
from runlore.exceptions import AlreadyExists, InvalidParameter, InvalidState, NotFound, error_from_code
from runlore.models.example import convert_input_example_to_serving_input
from runlore.serving.process import Options, serve
from runlore.settings import settings

START_SECONDS = 600.0
"""How long a server may take until it answers; making an environment takes longest."""
STOP_SECONDS = 30.0
ASK_SECONDS = 60.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class Deployment(msgspec.Struct, kw_only=True):
    """What the file of a deployment says."""

    name: str
    model_uri: str
    flavor: str
    config: dict[str, Any]
    pid: int = 0
    started: float = 0.0
    """When the process began, which tells it from a later one of its number."""
    url: str | None = None

    def process(self) -> psutil.Process | None:
        """The server's process, if it is alive."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started) < 1 and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None

    def facts(self) -> dict[str, Any]:
        """What callers are told."""
        status = "RUNNING" if self.process() else "STOPPED"
        return {**msgspec.to_builtins(self), "status": status, "log": str(_folder(self.name) / "log.txt")}


class LocalDeploymentClient(BaseDeploymentClient):
    """Starts, lists, asks and stops scoring servers on this machine."""

    def create_deployment(
        self, name: Any, model_uri: Any, flavor: Any = None, config: Any = None, endpoint: Any = None
    ) -> dict[str, Any]:
        """Start a server under a new name, and wait until it answers. `target_help()` lists what `config` may say."""
        options = _options(name, str(model_uri), flavor, config)
        folder = _folder(name)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise AlreadyExists(
                f"There is a deployment {name!r} already. Update it, delete it, or choose another name."
            ) from None
        made = Deployment(name=name, model_uri=str(model_uri), flavor="python_function", config=dict(config or {}))
        try:
            return _start(made, options)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def update_deployment(
        self, name: Any, model_uri: Any = None, flavor: Any = None, config: Any = None, endpoint: Any = None
    ) -> dict[str, Any]:
        """Stop the server and start it again with another model or other settings; those not given stay. A server that can not
        be started so leaves the deployment stopped."""
        found = _read(name)
        found.model_uri = str(model_uri or found.model_uri)
        found.config |= config or {}
        options = _options(name, found.model_uri, flavor, found.config)
        _stop(found)
        return _start(found, options)

    def delete_deployment(self, name: Any, config: Any = None, endpoint: Any = None) -> None:
        """Stop the server when it has answered what it was asked, and forget it."""
        try:
            found = _read(name)
        except NotFound:
            return
        _stop(found)
        shutil.rmtree(_folder(name), ignore_errors=True)

    def list_deployments(self, endpoint: Any = None) -> list[dict[str, Any]]:
        """Facts about each deployment, by name. A server that was killed is STOPPED."""
        folder = _place()
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        found = []
        for name in names:
            with suppress(NotFound):
                found.append(_read(name).facts())
        return found

    def get_deployment(self, name: Any, endpoint: Any = None) -> dict[str, Any]:
        """Facts about one deployment: url, pid, status, log."""
        return _read(name).facts()

    def predict(self, deployment_name: Any = None, inputs: Any = None, endpoint: Any = None) -> PredictionsResponse:
        """Ask a server. `inputs` is what the model's `predict` takes: a table, an array, or JSON-like values; a dictionary with
        one of the request formats is sent as it is."""
        found = _read(deployment_name)
        if not found.url or not found.process():
            raise InvalidState(f"The server of {deployment_name!r} does not run. update_deployment() starts it again.")
        formats = ("dataframe_split", "dataframe_records", "instances", "inputs")
        whole = isinstance(inputs, dict) and sum(name in inputs for name in formats) == 1
        body = msgspec.json.encode(inputs) if whole else str(convert_input_example_to_serving_input(inputs)).encode()
        headers = {"Content-Type": "application/json"}
        url = f"{found.url}/invocations"
        try:
            answer = urllib3.request("POST", url, body=body, headers=headers, timeout=ASK_SECONDS, retries=False)
        except urllib3.exceptions.HTTPError as error:
            raise InvalidState(f"The server of {deployment_name!r} at {found.url} does not answer: {error}.") from None
        if answer.status != 200:
            said = answer.json()
            raise error_from_code(str(said.get("error_code")), f"{deployment_name}: {said.get('message')}")
        return PredictionsResponse.from_json(answer.data)


def run_local(name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None) -> None:
    """Serve in this process until it is interrupted."""
    serve(_options(name, model_uri, flavor, config), lambda line: sys.stderr.write(f"{line}\n"))


def target_help() -> str:
    """What the URI and the settings of this target are."""
    known = ", ".join(name for name in Options.__struct_fields__ if name not in _OWN)
    return (
        "Target local: scoring servers on this machine, as `runlore models serve` starts them.\n"
        "The target URI is: local\n"
        f"Settings (config, -C name=value), with the meaning of that command's options: {known}.\n"
        "port is one that is free unless it is given; others can reach a server only if host is set."
    )


_OWN = frozenset({"model_uri", "name", "parent", "ready_file"})


def _options(name: Any, model_uri: str, flavor: str | None, config: dict[str, Any] | None) -> Options:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidParameter(
            f"{str(name)[:100]!r} is no name of a deployment: letters, digits, `_`, `.` and `-`, at most 100."
        )
    if flavor not in (None, "python_function"):
        raise InvalidParameter(f"The target local serves the flavor python_function, not {flavor!r}.")
    config = config or {}
    if unknown := sorted(set(config) & _OWN | set(config) - set(Options.__struct_fields__)):
        raise InvalidParameter(f"The target local has no settings {unknown}. {target_help().splitlines()[2]}")
    try:
        given = {"port": 0, **config, "model_uri": model_uri, "name": name}
        return msgspec.convert(given, Options, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"A setting of the deployment {name!r} has a wrong value: {error}.") from None


def _place() -> Path:
    return Path(settings().state_directory or "~/.local/state").expanduser() / "runlore" / "deployments"


def _folder(name: str) -> Path:
    return _place() / name


def _read(name: Any) -> Deployment:
    if isinstance(name, str) and _NAME.fullmatch(name):
        with suppress(FileNotFoundError, msgspec.DecodeError):
            return msgspec.json.decode((_folder(name) / "deployment.json").read_bytes(), type=Deployment)
    raise NotFound(f"There is no deployment {str(name)[:100]!r}.")


def _start(deployment: Deployment, options: Options) -> dict[str, Any]:
    """Start the server of a deployment, and write down where it is once it answers."""
    folder = _folder(deployment.name)
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    text = msgspec.json.encode(msgspec.structs.replace(options, ready_file=str(ready))).decode()
    command = [sys.executable, "-P", "-m", "runlore.serving", "serve", text]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deployment.pid, deployment.started = process.pid, psutil.Process(process.pid).create_time()
    _write(deployment)
    deadline = time.monotonic() + START_SECONDS
    try:
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                said = (folder / "log.txt").read_text("utf-8", "replace").strip()[-2_000:]
                raise InvalidState(f"The server of {deployment.name!r} did not start. It said:\n{said}")
            time.sleep(0.02)
    except BaseException:
        _stop(deployment)
        raise
    process.returncode = 0  # it outlives this process, and nobody waits for it
    deployment.url = ready.read_text("utf-8")
    _write(deployment)
    return deployment.facts()


def _write(deployment: Deployment) -> None:
    path = _folder(deployment.name) / "deployment.json"
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(deployment))
    os.replace(draft, path)


def _stop(deployment: Deployment) -> None:
    process = deployment.process()
    if process is None:
        return
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
