"""The commands of `runlore models` that load a model, or make what loads it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import click

import runlore
from runlore.cli.stores import existing_store, json_option, store_option
from runlore.environments import ENV_MANAGERS

Command = TypeVar("Command", bound=Callable[..., Any])

_MANAGERS = "local: as it is here; uv, virtualenv: an environment with the model's requirements, made once and kept."


def uri_option(required: bool = True) -> Callable[[Command], Command]:
    """`--model-uri`."""
    return click.option("--model-uri", "-m", required=required, metavar="URI", help="Which model.")


def env_manager_option(default: str | None) -> Callable[[Command], Command]:
    """`--env-manager`, and MLflow's other names for `local`."""

    def decorate(command: Command) -> Command:
        command = click.option("--install-mlflow", is_flag=True, hidden=True, help="MLflow's; no MLflow is needed.")(command)
        command = click.option("--no-conda", "env_manager", flag_value="local", hidden=True)(command)
        kind = click.Choice([*ENV_MANAGERS, "conda"])
        return click.option("--env-manager", type=kind, default=default, show_default=True, help=_MANAGERS)(command)

    return decorate


def consent_options(command: Command) -> Command:
    """`--allow-pickle` and `--trusted`: what the caller vouches for."""
    about = "You trust the model's author: its files may run code."
    command = click.option("--trusted", multiple=True, metavar="TYPE", help="Full name of a type in a skops file.")(command)
    return click.option("--allow-pickle", is_flag=True, help=about)(command)


def use_store(store: str | None) -> None:
    """Look for models in another store than the tracking URI's."""
    if store is not None:
        runlore.set_tracking_uri(existing_store(store))


def tell(line: str) -> None:
    """A line for the user."""
    click.echo(line, err=True)


@click.command()
@uri_option()
@click.option("--port", "-p", default=5000, show_default=True, type=click.IntRange(0, 65_535), help="0 picks a free port.")
@click.option("--host", "-h", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--timeout", "-t", default=60.0, show_default=True, metavar="SECONDS", help="How long a request may take.")
@click.option("--workers", "-w", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes (Linux).")
@click.option("--threads", default=0, type=click.IntRange(0, 256), help="Of each process. Default: one a processor, up to 4.")
@env_manager_option("local")
@click.option("--max-waiting", default=100, show_default=True, type=click.IntRange(1), help="Requests that wait; more get 503.")
@click.option("--max-request-size", default=64, show_default=True, type=click.IntRange(1, 2_048), help="Of a body, in MiB.")
@click.option(
    "--max-batch-size",
    default=1,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Requests that are predicted together. Only for models that treat each row by itself.",
)
@click.option("--max-batch-delay", default=0.0, show_default=True, metavar="MS", help="How long to wait for a batch to fill.")
@click.option("--allowed-hosts", multiple=True, metavar="NAMES", help="Further names it is reached by, parted by commas.")
@click.option("--access-log", type=click.Choice(["text", "json"]), help="Write one line for each request to standard output.")
@click.option("--stack-traces", is_flag=True, help="Show clients where in the model an error happened.")
@consent_options
@store_option
@click.help_option("--help")
def serve(store: str | None, install_mlflow: bool, **chosen: Any) -> None:
    """Serve a model: POST /invocations, as MLflow's scoring server understands it.

    Also GET /ping, /health, /version, /metrics, /docs, /openapi.json.

    \b
    Examples:
      runlore models serve -m models:/iris/1
      runlore models serve -m runs:/3f2a…/model --port 5001 --workers 4 --env-manager uv
      runlore models serve -m ./model --max-batch-size 64
      curl localhost:5000/invocations -H 'Content-Type: application/json' -d '{"inputs": [[5.1, 3.5, 1.4, 0.2]]}'
    """
    from runlore.serving.process import Options
    from runlore.serving.process import serve as serve_model
    from runlore.web.listening import names_of

    use_store(store)
    chosen["allowed_hosts"] = names_of(chosen["allowed_hosts"])
    sys.exit(serve_model(Options(**chosen), tell))


@click.command()
@uri_option()
@click.option("--input-path", "-i", metavar="FILE", help="What to predict. Default: standard input.")
@click.option("--output-path", "-o", metavar="FILE", help="JSON, a table if it ends in .csv. Default: standard output.")
@click.option("--content-type", "-t", type=click.Choice(["json", "csv"]), default="json", show_default=True, help="Its type.")
@env_manager_option("local")
@click.option("--pip-requirements-override", "-r", metavar="LIST", help="In the place of the model's: x==1,y==2.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="An environment variable for the model.")
@consent_options
@store_option
@click.help_option("-h", "--help")
def predict(
    store: str | None,
    install_mlflow: bool,
    env_manager: str,
    pip_requirements_override: str | None,
    env: tuple[str, ...],
    **chosen: Any,
) -> None:
    """Predict what is in a file, without a server.

    \b
    Examples:
      runlore models predict -m models:/iris/1 -i rows.csv -t csv -o answers.csv
      echo '{"inputs": [[5.1, 3.5, 1.4, 0.2]]}' | runlore models predict -m ./model
      runlore models predict -m models:/iris/1 -i rows.json --env-manager uv -r scikit-learn==1.7.2
    """
    from runlore.serving.files import FileOptions, predict_with

    use_store(store)
    variables = {}
    for text in env:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="--env")
        variables[name] = value
    overrides = pip_requirements_override.split(",") if pip_requirements_override else None
    predict_with(FileOptions(**chosen), env_manager, None, overrides, variables, tell)


@click.command("prepare-env")
@uri_option()
@env_manager_option(None)
@json_option
@store_option
@click.help_option("-h", "--help")
def prepare_env(model_uri: str, env_manager: str | None, install_mlflow: bool, as_json: bool, store: str | None) -> None:
    """Make the environment that a model needs, so that serving and predicting in it start at once.

    Takes uv where it is installed, else virtualenv. Nothing of the model is loaded.

    \b
    Example:
      runlore models prepare-env -m models:/iris/1 --env-manager uv
    """
    from runlore.cli.output import print_json
    from runlore.models.flavor import fetch
    from runlore.serving.process import environment_of

    use_store(store)
    environment = environment_of(fetch(model_uri), env_manager, tell)
    if as_json:
        print_json({"directory": environment.root and str(environment.root), "python": str(environment.python)})
    else:
        click.echo(environment.root or environment.python)


def docker_options(command: Command) -> Command:
    """What both Docker commands take."""
    command = click.option("--mlflow-home", hidden=True, metavar="DIR", help="MLflow's; this very Runlore serves.")(command)
    command = click.option("--install-java", is_flag=True, help="Java too; Spark and H2O models have it anyway.")(command)
    return click.option("--base-image", metavar="NAME", help="An image with Python. Default: python:3.X-slim.")(command)


@click.command("generate-dockerfile")
@uri_option(required=False)
@click.option("--output-directory", "-d", default="mlflow-dockerfile", show_default=True, help="A new directory.")
@env_manager_option(None)
@docker_options
@consent_options
@store_option
@click.help_option("-h", "--help")
def generate_dockerfile(
    store: str | None,
    install_mlflow: bool,
    mlflow_home: str | None,
    allow_pickle: bool,
    trusted: tuple[str, ...],
    **chosen: Any,
) -> None:
    """Write a directory from which docker builds an image that serves a model at port 8080.

    Without a model, the image serves the one that is mounted at /opt/ml/model.

    \b
    Example:
      runlore models generate-dockerfile -m models:/iris/1 -d image
      docker build -t iris image
      docker run -p 5001:8080 iris
    """
    from runlore.models.trust import Consent
    from runlore.serving import docker

    use_store(store)
    tell(f"Wrote {docker.generate_dockerfile(**chosen, consent=Consent.of(allow_pickle, trusted))}/Dockerfile.")


@click.command("build-docker")
@uri_option(required=False)
@click.option("--name", "-n", default="mlflow-pyfunc-servable", show_default=True, help="Of the image.")
@env_manager_option("virtualenv")
@docker_options
@consent_options
@store_option
@click.help_option("-h", "--help")
def build_docker(store: str | None, trusted: tuple[str, ...], **chosen: Any) -> None:
    """Build a Docker image that serves a model at port 8080.

    \b
    Example:
      runlore models build-docker -m models:/iris/1 -n iris
      docker run -p 5001:8080 iris --max-batch-size 64
    """
    from runlore.serving import docker

    use_store(store)
    docker.build_docker(**chosen, trusted=list(trusted))


@click.command("update-pip-requirements")
@uri_option()
@click.argument("operation", type=click.Choice(["add", "remove"]))
@click.argument("requirement_strings", nargs=-1, required=True)
@store_option
@click.help_option("-h", "--help")
def update_pip_requirements(
    model_uri: str, operation: Literal["add", "remove"], requirement_strings: tuple[str, ...], store: str | None
) -> None:
    """Add requirements to a model's files (in the place of those for the same distribution), or remove them by name.

    Registered versions can not be changed: give runs:/…, models:/ID or a directory.

    \b
    Examples:
      runlore models update-pip-requirements -m runs:/3f2a…/model add "pandas>=2.2" pyarrow
      runlore models update-pip-requirements -m ./model remove torchvision
    """
    from runlore.models import update_model_requirements

    use_store(store)
    update_model_requirements(model_uri, operation, list(requirement_strings))
    tell(f"Changed the requirements of {model_uri}.")
