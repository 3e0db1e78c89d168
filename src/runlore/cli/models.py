"""`runlore models`: registered models, and saved models that are served, asked, packed."""

from __future__ import annotations

from typing import Any

import click

from runlore.api.registry import GetRegisteredModel, SearchModelVersions, SearchRegisteredModels
from runlore.cli.models_serving import build_docker, generate_dockerfile, predict, prepare_env, serve, update_pip_requirements
from runlore.cli.output import print_fields, print_json, print_table, time_text
from runlore.cli.stores import json_option, opened, store_option
from runlore.entities import ModelVersion, RegisteredModel
from runlore.store.base import Store

_PAGE = 1_000


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def models() -> None:
    """Look at registered models; serve, ask and pack saved ones.

    MODEL URIs are models:/NAME/VERSION, models:/NAME@ALIAS, models:/ID, runs:/RUN/NAME, or a directory.

    \b
    Examples:
      runlore models list
      runlore models describe iris
      runlore models serve -m models:/iris/1 --port 5001
      runlore models predict -m models:/iris/1 -i rows.csv -t csv -o answers.csv
      runlore models build-docker -m models:/iris@champion -n iris
    """


for command in (serve, predict, prepare_env, build_docker, generate_dockerfile, update_pip_requirements):
    models.add_command(command)


@models.command("list")
@click.option("--filter", "query", default="", metavar="TEXT", help="As in search_registered_models().")
@click.option("--max", "most", default=100, show_default=True, type=click.IntRange(1, 100_000), help="How many at most.")
@json_option
@store_option
def list_command(query: str, most: int, as_json: bool, store: str | None) -> None:
    """List registered models by name, with their newest version and aliases.

    \b
    Examples:
      runlore models list
      runlore models list --filter "name LIKE 'iris%'" --json
    """
    with opened(store) as opened_store:
        found = _registered(opened_store, query, most)
    if as_json:
        print_json(found)
        return
    print_table(["NAME", "NEWEST VERSION", "ALIASES", "CHANGED"], [_row(model) for model in found])


@models.command()
@click.argument("name")
@json_option
@store_option
def describe(name: str, as_json: bool, store: str | None) -> None:
    """Show a registered model and its versions, the newest first.

    \b
    Example:
      runlore models describe iris --json
    """
    with opened(store) as opened_store:
        model = opened_store.call(GetRegisteredModel(name=name)).registered_model
        versions = _versions(opened_store, name)
    if as_json:
        print_json({"registered_model": model, "model_versions": versions})
        return
    print_fields(
        [
            ("name", model.name),
            ("description", model.description or "-"),
            ("created", time_text(model.creation_timestamp)),
            ("changed", time_text(model.last_updated_timestamp)),
            *((f"tag {key}", value) for key, value in sorted(model.tags.items())),
        ]
    )
    click.echo()
    rows = [
        [
            item.version,
            ", ".join(item.aliases) or "-",
            item.current_stage,
            item.run_id or "-",
            time_text(item.creation_timestamp),
        ]
        for item in versions
    ]
    print_table(["VERSION", "ALIASES", "STAGE", "RUN", "CREATED"], rows)


def _row(model: RegisteredModel) -> list[str]:
    newest = max((int(item.version) for item in model.latest_versions), default=None)
    aliases = ", ".join(f"{alias} → {version}" for alias, version in sorted(model.aliases.items()))
    return [model.name, "-" if newest is None else str(newest), aliases or "-", time_text(model.last_updated_timestamp)]


def _registered(store: Store, query: str, most: int) -> list[RegisteredModel]:
    found: list[RegisteredModel] = []
    token: Any = ""
    while len(found) < most:
        size = min(_PAGE, most - len(found))
        page = store.call(SearchRegisteredModels(filter=query, max_results=size, page_token=token))
        found += page.registered_models
        if not (token := page.next_page_token):
            break
    return found


def _versions(store: Store, name: str) -> list[ModelVersion]:
    found: list[ModelVersion] = []
    token: Any = ""
    quote = '"' if "'" in name else "'"
    while token is not None:
        page = store.call(SearchModelVersions(filter=f"name = {quote}{name}{quote}", max_results=_PAGE, page_token=token))
        found += page.model_versions
        token = page.next_page_token or None
    return sorted(found, key=lambda version: -int(version.version))
