"""Which store a command works on, and the things in it that arguments name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import click
from click.shell_completion import CompletionItem

from runlore.api.dashboard import GetExperimentSummaries, QueryRuns
from runlore.api.experiments import GetExperiment, GetExperimentByName
from runlore.entities import Experiment
from runlore.exceptions import InvalidParameter, InvalidState, RunloreError
from runlore.settings import settings
from runlore.store import location
from runlore.store.base import Store, open_store

Command = TypeVar("Command", bound=Callable[..., Any])

_RUN_ID = re.compile(r"[0-9a-fA-F]{32}")
_SHORT_RUN_ID = re.compile(r"[0-9a-fA-F]{4,31}")


def store_option(command: Command) -> Command:
    """`--store`, for commands that work on a store which exists."""
    about = "A directory, sqlite:///…, postgresql://… or http://…; else the tracking URI, else this project's."
    return click.option("--store", metavar="URI", help=about)(command)


def artifacts_option(command: Command) -> Command:
    """`--artifacts`, for commands that touch files."""
    return click.option("--artifacts", metavar="DIR|URI", help="Where its files are, when not beside it.")(command)


def json_option(command: Command) -> Command:
    """`--json`, for programs that read the answer."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(command)


def existing_store(uri: str | None) -> str:
    """The URI of the store that is meant; a store on this machine must exist. Raises `InvalidState`, `InvalidParameter`."""
    uri = uri or settings().tracking_uri
    place = sqlite_file(uri)
    if place is not None and not place.is_file():
        named = (
            "" if uri else " hint: --store says where it is; a store is made when something is logged, or by `runlore server`."
        )
        raise InvalidState(f"There is no store {str(place)!r}.{named}")
    if uri is None or (place is not None and not uri.startswith("sqlite:")):
        assert place is not None
        return str(place.parent)
    return uri


def sqlite_file(uri: str | None) -> Path | None:
    """The database file of a store on this machine, whether it exists or not; None for stores elsewhere."""
    if uri is None:
        return location.locate() / "runlore.db"
    if uri.startswith("sqlite:"):
        _, found, name = uri.partition(":///")
        if not found or not name:
            raise InvalidParameter(f"{uri!r} names no file. Write sqlite:///relative.db or sqlite:////absolute/path.db.")
        return Path(name).absolute()
    if uri.startswith("file:"):
        return Path(unquote(urlsplit(uri).path)) / "runlore.db"
    if "://" in uri:
        return None
    place = Path(uri).expanduser().absolute()
    inner = place / location.NAME / "runlore.db"
    return inner if inner.is_file() and not (place / "runlore.db").is_file() else place / "runlore.db"


@contextmanager
def opened(uri: str | None, artifacts: str | None = None) -> Iterator[Store]:
    """The store that a command works on."""
    store = open_store(existing_store(uri), artifacts)
    try:
        yield store
    finally:
        store.close()


def find_experiment(store: Store, text: str) -> Experiment:
    """The experiment of an id, or else of a name. Raises `NotFound`."""
    if text.isascii() and text.isdigit():
        return store.call(GetExperiment(experiment_id=text)).experiment
    return store.call(GetExperimentByName(experiment_name=text)).experiment


def find_run(store: Store, text: str) -> str:
    """The run id that a text begins, deleted runs too. Raises `InvalidParameter` when it begins none, or several."""
    if _RUN_ID.fullmatch(text):
        return text.lower()
    if not _SHORT_RUN_ID.fullmatch(text):
        raise InvalidParameter(f"{text!r} is no run id: give its 32 hexadecimal digits, or at least the first four.")
    found = store.call(QueryRuns(filter=f"attributes.run_id LIKE '{text.lower()}%'", limit=2, view_type="ALL")).run_ids
    if len(found) != 1:
        raise InvalidParameter(f"{'No run has' if not found else 'Several runs have'} an id that begins with {text!r}.")
    return found[0]


def complete_experiment(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of experiments, for the Tab key."""
    with suppress(RunloreError, OSError), opened(context.params.get("store")) as store:
        found = store.call(GetExperimentSummaries(view_type="ALL")).experiments
        return [CompletionItem(item.name) for item in found if item.name.startswith(incomplete)]
    return []


def complete_run(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of runs with their names, for the Tab key."""
    if incomplete and not re.fullmatch(r"[0-9a-fA-F]{1,32}", incomplete):
        return []
    with suppress(RunloreError, OSError), opened(context.params.get("store")) as store:
        query = QueryRuns(
            filter=f"attributes.run_id LIKE '{incomplete.lower()}%'", columns=["attributes.run_name"], limit=50, view_type="ALL"
        )
        table = store.call(query)
        names = table.columns["attributes.run_name"]
        return [CompletionItem(run_id, help=str(name)) for run_id, name in zip(table.run_ids, names, strict=True)]
    return []
