"""The `runlore` program: a table of commands, each imported only when it is asked for, and the place where errors end.

Adding a command is one line in `COMMANDS`.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from runlore.exceptions import RunloreError
from runlore.settings import read_settings
from runlore.version import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "server": ("runlore.cli.server:server", "Serve a store to clients and browsers."),
    "ui": ("runlore.cli.server:ui", "Open the dashboard of a directory in the browser."),
    "run": ("runlore.cli.run:run", "Run a training script."),
    "experiments": ("runlore.cli.experiments:experiments", "List, describe, delete and restore experiments."),
    "runs": ("runlore.cli.runs:runs", "List, describe, delete, restore and move runs."),
    "artifacts": ("runlore.cli.artifacts:artifacts", "List, log, download and delete the files of runs."),
    "models": ("runlore.cli.models:models", "Registered models; serve, ask and pack a model."),
    "deployments": ("runlore.cli.deployments:deployments", "Start, list, ask and stop models on a target."),
    "export": ("runlore.cli.export:export", "Write all runs, or all metric points, to a file."),
    "import-csv": ("runlore.cli.import_csv:import_csv", "Make runs from a table: CSV, JSON Lines or Parquet."),
    "sync": ("runlore.cli.sync:sync", "Deliver what was logged and has not arrived."),
    "webhooks": ("runlore.cli.webhooks:webhooks", "Tell URLs of what happens: list, create, delete, test."),
    "watch": ("runlore.cli.watch:watch", "Show the metrics of a run as they come in."),
    "doctor": ("runlore.cli.doctor:doctor", "Check a store, and say what to do."),
    "db": ("runlore.cli.db:db", "The database of a store: status, migrate, distribute."),
    "backup": ("runlore.cli.backup:backup", "Copy a store that is in use."),
    "gc": ("runlore.cli.gc:gc", "Delete for good what is in the trash."),
}
"""Name -> (where it is defined, one line of help, so that `runlore --help` imports nothing)."""


def colour() -> bool | None:
    """False where the environment forbids colour, None where the terminal decides."""
    return False if read_settings().no_color else None


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="runlore", message="%(prog)s %(version)s")
def group() -> None:
    """Experiment tracking for machine learning.

    \b
    runlore ui                     look at the runs of this project
    runlore server                 a server for MLflow and Runlore clients
    runlore run train.py           run a training script
    runlore runs list              look from the command line
    runlore gc --dry-run           what deleting the trash for good would free

    Tab completion: eval "$(_RUNLORE_COMPLETE=bash_source runlore)" (or zsh_source, fish_source).
    """


def main() -> None:
    """The entry point: exit code 0, or one line on stderr and 1 (2 for wrong usage)."""
    try:
        group(prog_name="runlore", color=colour())
    except RunloreError as error:
        _fail(error.message)
    except Exception as error:  # the boundary: a user reads one line, a developer asks for the rest
        if read_settings().traceback:
            raise
        _fail(f"{type(error).__name__}: {error} (RUNLORE_TRACEBACK=1 shows where)")


def _fail(message: str) -> None:
    """Say it and stop. Words may come from a server or a file: none of them steers the terminal."""
    message = "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in message)
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {message}", err=True, color=colour())
    sys.exit(1)


if __name__ == "__main__":
    main()
