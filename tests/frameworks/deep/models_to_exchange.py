"""One model of each kind, the same ones for Runlore and MLflow, and what each is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import torch
from tests.frameworks.deep import tiny

X = np.arange(8, dtype="float32").reshape(2, 4)
TEXTS = ["a good film", "bad"]
DATA: dict[str, Any] = {
    "graph": X,
    "pickle": X,
    "keras": X,
    "classes": TEXTS,
    "words": ["a [MASK] film"],
    "features": ["a good film"],
    "tokens": ["good film"],
    "embeddings": TEXTS,
    "spacy": pd.DataFrame({"text": TEXTS}),
}


def models(place: Path) -> dict[str, tuple[str, Any, dict[str, Any]]]:
    """Name -> module that keeps it, model, arguments of `save_model`."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).eval()
    layers = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    return {
        "graph": ("pytorch", net, {"input_example": X, "serialization_format": "pt2"}),
        "pickle": ("pytorch", net, {"serialization_format": "pickle"}),
        "keras": ("keras", layers, {}),
        "classes": ("transformers", tiny.pipeline("text-classification"), {}),
        "words": ("transformers", tiny.pipeline("fill-mask"), {}),
        "features": ("transformers", tiny.pipeline("feature-extraction"), {}),
        "tokens": ("transformers", tiny.pipeline("token-classification"), {}),
        "embeddings": ("sentence_transformers", tiny.sentence_transformer(place / "parts"), {}),
        "spacy": ("spacy", tiny.text_classifier(), {}),
    }


def note(file: Path, found: Any) -> None:
    """Keep a prediction in a form that two processes can compare."""
    plain = found.to_dict(orient="records") if hasattr(found, "to_dict") else found
    file.write_text(json.dumps(plain, default=lambda value: value.tolist() if hasattr(value, "tolist") else value.item()))
