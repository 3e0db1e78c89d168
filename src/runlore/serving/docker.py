"""A Docker image that serves a model: a directory with everything that goes into it, and `docker build` on that.

The directory holds the model, requirements with versions, and this very Runlore as a wheel. Two stages keep caches and whatever
was needed to build out of the image; the process in it is not root. Nothing that comes from a model gets into the Dockerfile as
text.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from runlore.environments import ENV_MANAGERS, LOCAL, VIRTUALENV, Specification, distribution_name, read_specification
from runlore.exceptions import InvalidParameter, InvalidState, MissingDependency
from runlore.models.flavor import fetch
from runlore.models.requirements import pinned
from runlore.models.trust import Consent, LocalModel
from runlore.own_wheel import pack_wheel
from runlore.pyfunc import FLAVOR_NAME
from runlore.version import __version__

PORT = 8080
MODEL_PLACE = "/opt/ml/model"
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")
_NEED_JAVA = frozenset({"spark", "h2o", "johnsnowlabs"})

_DOCKERFILE = """\
# An image that serves {what}. Made by Runlore {version}; build it with: docker build -t NAME .
# Without network: pip download -d wheels --find-links wheels -r requirements.txt
#                  docker build -t NAME --build-arg PIP_NO_INDEX=1 .
FROM {base} AS build
ARG PIP_NO_INDEX=
RUN python -m venv /opt/runlore
COPY wheels /build/wheels
COPY requirements.txt /build/requirements.txt
RUN PIP_NO_INDEX=$PIP_NO_INDEX /opt/runlore/bin/pip install --no-cache-dir --disable-pip-version-check \\
    --find-links /build/wheels -r /build/requirements.txt

FROM {base}
{java}RUN useradd --uid 10001 --create-home --home-dir /home/runlore runlore
COPY --from=build /opt/runlore /opt/runlore
{model}ENV PATH=/opt/runlore/bin:$PATH PYTHONUNBUFFERED=1 RUNLORE_ENV_ROOT=/home/runlore/environments
USER 10001
WORKDIR /home/runlore
EXPOSE {port}
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \\
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:{port}/ping', timeout=4)"]
ENTRYPOINT {entrypoint}
"""
_JAVA = "RUN apt-get update && apt-get install -y --no-install-recommends default-jre-headless && rm -rf /var/lib/apt/lists/*\n"


def generate_dockerfile(
    model_uri: str | None,
    output_directory: str | Path,
    env_manager: str | None = None,
    install_java: bool = False,
    base_image: str | None = None,
    consent: Consent | None = None,
) -> Path:
    """Write a directory that `docker build` makes a scoring server of; returns it.

    With a model, its requirements are in the image and `env_manager` has nothing to do. Without one, the image serves what is
    mounted at `/opt/ml/model`, in an environment that `env_manager` (default: virtualenv) makes when the container starts. A
    model that this installation wrote, or that the caller vouches for, may run its code in the image. The directory must be new
    or empty. `base_image` must have Python; the default is `python:3.X-slim` of the model's version.
    """
    directory = Path(output_directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InvalidParameter(f"{directory} is there already and is not empty. Give a new directory.")
    if env_manager is not None and env_manager not in ENV_MANAGERS:
        raise InvalidParameter(f"{env_manager!r} is no environment manager. Expected one of {', '.join(ENV_MANAGERS)}.")
    local = None if model_uri is None else fetch(model_uri, consent=consent)
    if local is not None:
        local.model.flavor(FLAVOR_NAME)
    wanted = Specification() if local is None else read_specification(local.path)
    base = checked_image(base_image or f"python:{wanted.minor}-slim")
    (directory / "wheels").mkdir(parents=True)
    pack_wheel(directory / "wheels")
    (directory / "requirements.txt").write_text("\n".join([*image_requirements(wanted), ""]), "utf-8")
    if local is not None:
        _copy_model(local, directory / "model")
    java = install_java or (local is not None and not _NEED_JAVA.isdisjoint(local.model.flavors))
    text = _DOCKERFILE.format(
        what="a model" if local else "the model that is mounted at " + MODEL_PLACE,
        version=__version__,
        base=base,
        java=_JAVA if java else "",
        model=f"COPY model {MODEL_PLACE}\n" if local else "",
        port=PORT,
        entrypoint=json.dumps(_entrypoint(local, env_manager or VIRTUALENV)),
    )
    (directory / "Dockerfile").write_text(text, "utf-8")
    return directory


def build_docker(
    model_uri: str | None = None,
    name: str = "mlflow-pyfunc",
    env_manager: str = "virtualenv",
    mlflow_home: str | None = None,
    install_java: bool = False,
    install_mlflow: bool = False,
    base_image: str | None = None,
    *,
    allow_pickle: bool = False,
    trusted: list[str] | None = None,
) -> None:
    """Build a Docker image that serves a model at port 8080: `generate_dockerfile`, then `docker build`.

    `mlflow_home` and `install_mlflow` change nothing: this very Runlore is what serves. Consent as in
    `runlore.pyfunc.load_model`. Raises `InvalidState` when docker fails, `MissingDependency` where there is none.
    """
    checked_image(name)
    if (docker := shutil.which("docker") or shutil.which("podman")) is None:
        raise MissingDependency("There is no docker. hint: `runlore models generate-dockerfile` writes what it would build.")
    with tempfile.TemporaryDirectory(prefix="runlore-docker-") as folder:
        consent = Consent.of(allow_pickle, trusted)
        place = generate_dockerfile(model_uri, Path(folder, "image"), env_manager, install_java, base_image, consent)
        done = subprocess.run([docker, "build", "--tag", name, "--", str(place)], check=False)
    if done.returncode:
        raise InvalidState(
            f"docker build ended with exit code {done.returncode}. hint: `docker info` says whether its daemon runs; "
            "`runlore models generate-dockerfile` writes a directory to build elsewhere."
        )


def checked_image(name: str) -> str:
    """The name of an image. Raises `InvalidParameter` for what could be more than a name."""
    if not _IMAGE.fullmatch(name):
        raise InvalidParameter(f"{name[:200]!r} is no name of an image.")
    return name


def image_requirements(wanted: Specification) -> list[str]:
    """What is installed: the model's requirements, this Runlore, and what it needs in the versions that are installed here."""
    return list(wanted.completed("pandas>=2.1" if pinned("pandas") == "pandas" else pinned("pandas"), *_own()).requirements)


def _own() -> list[str]:
    """This Runlore and its dependencies, of theirs too."""
    found: dict[str, str] = {"runlore": f"runlore=={__version__}"}
    waiting = ["runlore"]
    while waiting:
        try:
            needed = metadata.requires(waiting.pop()) or []
        except metadata.PackageNotFoundError:
            continue
        for text in needed:
            name = distribution_name(text)
            version = pinned(name)
            if "extra ==" not in text and name not in found and version != name:
                found[name] = version + (f"; {marker.strip()}" if (marker := text.partition(";")[2]) else "")
                waiting.append(name)
    return list(found.values())


def _copy_model(local: LocalModel, target: Path) -> None:
    """The model's files, readable by everybody: in the image another user reads them."""
    shutil.copytree(local.path, target)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _entrypoint(local: LocalModel | None, env_manager: str) -> list[str]:
    manager = LOCAL if local is not None else env_manager
    command = ["runlore", "models", "serve", "--model-uri", MODEL_PLACE, "--host", "0.0.0.0", "--port", str(PORT)]
    return [*command, "--env-manager", manager, *(["--allow-pickle"] if local is not None and local.may_run_code else [])]
