"""`python -m runlore.serving TASK OPTIONS`: what another process of this package runs, in an environment made for a model."""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec

from runlore.exceptions import RunloreError
from runlore.serving import files, process


def tell(line: str) -> None:
    """A line for the user."""
    sys.stderr.write(f"{line}\n")


TASKS: dict[str, Callable[[str], int]] = {
    "serve": lambda text: process.serve(msgspec.json.decode(text, type=process.Options), tell),
    "predict": lambda text: files.predict_here(msgspec.json.decode(text, type=files.FileOptions)),
}


def main() -> int:
    """Run a task; 0, or one line on standard error and 1."""
    try:
        return TASKS[sys.argv[1]](sys.argv[2])
    except RunloreError as error:
        tell(f"Error: {error.message}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
