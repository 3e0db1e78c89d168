"""What the real MLflow does with the models of `test_exchange.py`: `referee.py write DIR`, `referee.py read DIR`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlflow.keras
import mlflow.pyfunc
import mlflow.pytorch
import mlflow.sentence_transformers
import mlflow.spacy
import mlflow.transformers

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.frameworks.deep import models_to_exchange as given


def write(place: Path) -> None:
    """Save every model with MLflow, and beside it what it predicts."""
    for name, (module, model, options) in given.models(place).items():
        keep: Any = getattr(mlflow, module)
        keep.save_model(model, str(place / name), **options, pip_requirements=[module])
        given.note(place / f"{name}.json", mlflow.pyfunc.load_model(str(place / name)).predict(given.DATA[name]))


def read(place: Path) -> None:
    """Predict by every model that Runlore saved."""
    for name, data in given.DATA.items():
        given.note(place / f"{name}.json", mlflow.pyfunc.load_model(str(place / name)).predict(data))


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
