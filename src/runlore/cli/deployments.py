"""`runlore deployments`: models on a target, by MLflow's commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from runlore.cli.models_serving import use_store
from runlore.cli.output import print_fields, print_json, print_table
from runlore.cli.stores import json_option, store_option

Command = TypeVar("Command", bound=Callable[..., Any])


def target_option(command: Command) -> Command:
    """`--target`."""
    about = "Where to: local, or what a plugin offers. Default: RUNLORE_DEPLOYMENTS_TARGET, else local."
    return click.option("--target", "-t", metavar="URI", help=about)(command)


def name_option(command: Command) -> Command:
    """`--name`."""
    return click.option("--name", required=True, help="Of the deployment.")(command)


def config_option(command: Command) -> Command:
    """`--config`."""
    about = "A setting of the target; `runlore deployments help` lists them."
    return click.option("--config", "-C", multiple=True, metavar="NAME=VALUE", help=about)(command)


def endpoint_option(command: Command) -> Command:
    """`--endpoint`."""
    return click.option("--endpoint", metavar="NAME", help="For targets that have endpoints.")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def deployments() -> None:
    """Start, list, ask and stop models on a target.

    \b
    Examples:
      runlore deployments create --name iris -m models:/iris/1
      runlore deployments list
      runlore deployments predict --name iris -I rows.json
      runlore deployments update --name iris -m models:/iris/2
      runlore deployments delete --name iris
      runlore deployments help -t local
    """


def _client(target: str | None) -> Any:
    from runlore.deployments import get_deploy_client

    return get_deploy_client(target)


def _settings(pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name in found:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE with a name of its own.", param_hint="--config")
        found[name] = value
    return found


@deployments.command()
@name_option
@click.option("--model-uri", "-m", required=True, metavar="URI", help="Which model.")
@click.option("--flavor", "-f", metavar="NAME", help="Of the model; the target chooses one by default.")
@target_option
@config_option
@endpoint_option
@json_option
@store_option
def create(config: tuple[str, ...], target: str | None, as_json: bool, store: str | None, **chosen: Any) -> None:
    """Deploy a model under a new name."""
    use_store(store)
    _show(_client(target).create_deployment(config=_settings(config), **chosen), as_json)


@deployments.command()
@name_option
@click.option("--model-uri", "-m", metavar="URI", help="Which model. Default: as before.")
@click.option("--flavor", "-f", metavar="NAME", help="Of the model.")
@target_option
@config_option
@endpoint_option
@json_option
@store_option
def update(config: tuple[str, ...], target: str | None, as_json: bool, store: str | None, **chosen: Any) -> None:
    """Change the model or the settings of a deployment."""
    use_store(store)
    _show(_client(target).update_deployment(config=_settings(config), **chosen), as_json)


@deployments.command()
@name_option
@target_option
@config_option
@endpoint_option
def delete(name: str, target: str | None, config: tuple[str, ...], endpoint: str | None) -> None:
    """End a deployment. One that is not there is no error."""
    _client(target).delete_deployment(name, config=_settings(config), endpoint=endpoint)


@deployments.command("list")
@target_option
@endpoint_option
@json_option
def list_command(target: str | None, endpoint: str | None, as_json: bool) -> None:
    """List deployments."""
    found = _client(target).list_deployments(endpoint=endpoint)
    if as_json:
        print_json(found)
        return
    keys = ("name", "status", "url", "model_uri")
    print_table(
        [key.replace("_", " ").upper() for key in keys], [[str(item.get(key) or "-") for key in keys] for item in found]
    )


@deployments.command()
@name_option
@target_option
@endpoint_option
@json_option
def get(name: str, target: str | None, endpoint: str | None, as_json: bool) -> None:
    """Show one deployment."""
    _show(_client(target).get_deployment(name, endpoint=endpoint), as_json)


@deployments.command()
@click.option("--name", help="Of the deployment.")
@click.option(
    "--input-path", "-I", required=True, metavar="FILE", help="JSON: a request, or what is predicted; - for standard input."
)
@click.option("--output-path", "-O", metavar="FILE", help="Where to. Default: standard output.")
@target_option
@endpoint_option
def predict(name: str | None, input_path: str, output_path: str | None, target: str | None, endpoint: str | None) -> None:
    """Ask a deployment."""
    try:
        text = sys.stdin.read() if input_path == "-" else Path(input_path).read_text("utf-8")
        inputs = json.loads(text)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{input_path} holds no JSON that can be read: {error}") from None
    answer = _client(target).predict(deployment_name=name, inputs=inputs, endpoint=endpoint)
    body = answer.to_json() if hasattr(answer, "to_json") else msgspec.json.encode(answer).decode()
    if output_path is None:
        click.echo(body)
    else:
        Path(output_path).write_text(body, "utf-8")


@deployments.command("run-local")
@name_option
@click.option("--model-uri", "-m", required=True, metavar="URI", help="Which model.")
@click.option("--flavor", "-f", metavar="NAME", help="Of the model.")
@target_option
@config_option
@store_option
def run_local(config: tuple[str, ...], target: str | None, store: str | None, **chosen: Any) -> None:
    """Try a deployment on this machine, until it is interrupted."""
    from runlore import deployments as library

    use_store(store)
    library.run_local(target or "local", config=_settings(config), **chosen)


@deployments.command("help")
@target_option
def help_command(target: str | None) -> None:
    """Say what a target's URI and settings are, and which targets there are."""
    from runlore.deployments.targets import known_targets, target_help

    click.echo(target_help(target or "local"))
    click.echo(f"Targets: {', '.join(known_targets())}.")


def _show(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        print_fields([(key.replace("_", " "), str(value)) for key, value in facts.items()])
