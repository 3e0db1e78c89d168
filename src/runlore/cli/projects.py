"""The part of `runlore run` that is about projects."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from runlore.environments import ENV_MANAGERS
from runlore.exceptions import InvalidParameter
from runlore.projects.sources import is_git_uri

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("-e", "--entry-point", metavar="NAME", help="Projects: the entry point, or a script of it.  [default: main]"),
    click.option("-P", "--param-list", "parameters", multiple=True, metavar="NAME=VALUE", help="Projects: a parameter."),
    click.option("-v", "--version", metavar="VERSION", help="Projects: a branch, tag or commit of a git repository."),
    click.option("--env-manager", metavar="NAME", help=f"Projects: {', '.join(ENV_MANAGERS)}; else what the project asks for."),
    click.option("--experiment-name", metavar="NAME", help="Projects: the experiment of the run, made if it is not there."),
    click.option("--experiment-id", metavar="ID", help="Projects: the experiment of the run."),
    click.option("--run-name", metavar="NAME", help="Projects: the name of the run."),
    click.option("--run-id", metavar="ID", help="Projects: log to this run instead of a new one."),
    click.option("--storage-dir", metavar="DIR", help="Projects: where files that parameters name elsewhere are kept."),
    click.option("-b", "--backend", metavar="NAME", help="Projects: local, the only one here."),
)


def project_options(command: Command) -> Command:
    """The options of projects, MLflow's."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def is_project(text: str) -> bool:
    """Whether a text names a project rather than a script: a directory or a git repository."""
    return is_git_uri(text) or os.path.isdir(text.partition("#")[0] or ".")


def run_project(arguments: tuple[str, ...], **options: Any) -> None:
    """Run a project and say where its run is."""
    from runlore.projects import run

    uri, *rest = arguments
    if rest:
        raise click.UsageError(f"What is {rest[0]!r}? Parameters of a project are given as -P NAME=VALUE.")
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    options["parameters"] = _pairs(options["parameters"])
    submitted = run(uri, **{name: value for name, value in options.items() if value})
    click.echo(f"Run {submitted.run_id} has {submitted.get_status().lower()}.", err=True)


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidParameter(f"Invalid input for -P: {text!r}. Write NAME=VALUE.")
        if name in found:
            raise InvalidParameter(f"Repeated parameter: {name!r}")
        found[name] = value
    return found
