"""Models that wait until a test lets them go on, so that nothing depends on how fast anything is."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd

from runlore.pyfunc import PythonModel


class Gate:
    """What tests and the models below share, in one process."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.seen: list[int] = []


gate = Gate()


class Doubling(PythonModel):
    """Twice each value, row by row, once the gate is open."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Twice the input."""
        gate.seen.append(len(model_input))
        assert gate.open.wait(30)
        if (model_input["x"] < 0).any():
            raise ValueError("negative\nvalues are not doubled")
        return model_input["x"] * 2 * (params or {}).get("times", 1)


class Total(PythonModel):
    """The sum of all rows: a model that does not treat each by itself."""

    def predict(self, context: Any, model_input: pd.DataFrame) -> Any:
        """One number, in a list."""
        gate.seen.append(len(model_input))
        assert gate.open.wait(30)
        return [float(model_input["x"].sum())]


class Secretive(PythonModel):
    """An error that tells something about the machine."""

    def predict(self, context: Any, model_input: Any) -> Any:
        """Always fails."""
        raise FileNotFoundError("/srv/secrets/password.txt")


class BetweenFiles(PythonModel):
    """Says with one file that it was asked, and waits for another: for servers in other processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def predict(self, context: Any, model_input: Any) -> Any:
        """The input."""
        (self.folder / "asked").touch()
        while not (self.folder / "go on").exists():
            time.sleep(0.01)
        return model_input
