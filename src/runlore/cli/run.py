"""`runlore run`: start a Python script as `python` would, if wanted with Runlore in the place of MLflow; or run a project."""

from __future__ import annotations

import importlib.util
import io
import os
import sys
from types import CodeType, ModuleType
from typing import Any

import click

import runlore
from runlore.cli.projects import is_project, project_options, run_project
from runlore.mlflow_alias import pass_on_to_children


class _Run(click.Command):
    """Options may follow a project, as with `mlflow run`; what follows a script is the script's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look at what is to be run, then decide."""
        if "-m" not in args:
            found, _, _ = self.make_parser(ctx).parse_args(list(args))
            named = found.get("arguments")
            if isinstance(named, tuple) and named and is_project(named[0]):
                ctx.allow_interspersed_args, ctx.ignore_unknown_options = True, False
        return super().parse_args(ctx, args)


@click.command(cls=_Run, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--as-mlflow", is_flag=True, help="`import mlflow` in the script and its child processes gives Runlore.")
@click.option("-m", "module", metavar="MODULE", help="Run a module instead of a script, as `python -m` does.")
@project_options
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[SCRIPT|PROJECT] [ARGUMENTS]...")
def run(as_mlflow: bool, module: str | None, arguments: tuple[str, ...], **project: Any) -> None:
    """Run a Python script, or a project: a directory or git repository with an MLproject file.

    \b
    Examples:
      runlore run train.py --lr 0.1
      runlore run --as-mlflow train.py        an unmodified MLflow script, without MLflow
      runlore run --as-mlflow -m package.train
      runlore run . -P alpha=0.5              the entry point main of the project here
      runlore run https://git.example.com/team/project.git#part -v v1.2 -e validate
    """
    if module is None and not arguments:
        raise click.UsageError("Which script? Example: runlore run train.py")
    if module is None and is_project(arguments[0]):
        run_project(arguments, **project)
        return
    if given := [name for name, value in project.items() if value]:
        raise click.UsageError(
            f"--{given[0].replace('_', '-')} goes with a project, which {arguments[0] if arguments else module} is not."
        )
    if as_mlflow:
        runlore.install_as_mlflow()
        pass_on_to_children()
    if module is not None:
        code, main = _module(module)
        sys.argv = [main.__dict__["__file__"], *arguments]
        sys.path[0] = os.getcwd()
    else:
        code, main = _script(arguments[0])
        sys.argv = list(arguments)
        sys.path[0] = os.path.dirname(os.path.realpath(arguments[0]))
    _execute(code, main)


def _script(path: str) -> tuple[CodeType, ModuleType]:
    """The code of a script, and a fresh `__main__` for it."""
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        raise click.ClickException(f"can't open file {path!r}: {error.strerror}") from None
    return _compiled(source, path), _main(path, None, None)


def _module(name: str) -> tuple[CodeType, ModuleType]:
    """The code of a module (of `__main__` in a package), and a fresh `__main__` for it."""
    sys.path[0] = os.getcwd()
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError as error:
        raise click.ClickException(f"No module named {error.name}") from None
    code = spec.loader.get_code(spec.name) if spec and hasattr(spec.loader, "get_code") else None  # type: ignore[union-attr]
    if spec is None or code is None:
        raise click.ClickException(f"No module named {name}, or it has no code to run")
    main = _main(spec.origin or name, spec.parent, spec)
    return code, main


def _compiled(source: bytes, path: str) -> CodeType:
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        sys.excepthook(type(error), error.with_traceback(None), None)
        sys.exit(1)


def _main(path: str, package: str | None, spec: object) -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__.update(__file__=path, __package__=package, __spec__=spec, __builtins__=__builtins__, __cached__=None)
    sys.modules["__main__"] = main
    return main


def _execute(code: CodeType, main: ModuleType) -> None:
    """Run the code; an exception ends the process with the traceback that `python` would have shown."""
    try:
        exec(code, main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001  # as the interpreter itself does
        trace = error.__traceback__.tb_next if error.__traceback__ else None  # without the frame of this function
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)
