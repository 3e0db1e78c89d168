"""Signatures found from data have the very JSON that MLflow writes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from runlore.exceptions import InvalidParameter
from runlore.models import ModelSignature, infer_signature
from runlore.types import AnyType, Array, ColSpec, DataType, Map, Object, ParamSchema, ParamSpec, Property, Schema, TensorSpec

# Each is a Python expression that both sides evaluate.
DATA = [
    "pd.DataFrame({'a': [1, 2], 'b': [1.0, None], 'c': ['x', 'y'], 'd': [True, False]})",
    "pd.DataFrame({'t': pd.to_datetime(['2024-01-01']), 'f': np.array([1], 'float32'), 'i': np.array([1], 'int32')})",
    "pd.DataFrame({'l': [[1, 2], [3]], 'o': [{'k': 'v'}, {'k': 'w', 'n': 1}]})",
    "pd.DataFrame({'s': ['x', None]})",
    "pd.DataFrame(np.zeros((2, 2)))",
    "pd.Series([1, 2], name='z')",
    "pd.Series(['a', 'b'])",
    "np.zeros((3, 2))",
    "np.zeros(3, dtype='int64')",
    "np.array(['a', 'bb'])",
    "np.array([b'a'])",
    "{'a': np.zeros((2, 2), 'float32'), 'b': np.zeros(2, 'uint8')}",
    "csr_matrix(np.eye(3))",
    "[{'a': 1}, {'a': 2, 'b': 'x'}]",
    "[{'a': None, 'b': [1.5]}, {'a': 'q', 'b': []}]",
    "['a', 'b']",
    "[1, 2, 3]",
    "[]",
    "[[1, 2], [3]]",
    "'text'",
    "3.5",
    "b'raw'",
    "{'a': [1, 2], 'b': 'x', 'c': {'d': [1.5], 'e': None}}",
]
PARAMS = "{'a': 1, 'b': [1, 2], 'c': 'x', 'd': 1.5, 'e': True, 'f': {'g': 1}, 'h': datetime.datetime(2024, 1, 2, 3)}"
NAMES: dict[str, Any] = {"np": np, "pd": pd, "csr_matrix": csr_matrix}

REFERENCE = """
import datetime, json, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
from scipy.sparse import csr_matrix
from mlflow.models import infer_signature
expressions, params = json.load(sys.stdin)
print(json.dumps([infer_signature(eval(text)).to_dict() for text in expressions]
                 + [infer_signature(np.zeros(3), params=eval(params)).to_dict()]))
"""


def mlflow_python() -> str:
    """The interpreter of a real MLflow 3; the test is skipped where there is none."""
    python = Path(os.environ.get("RUNLORE_MLFLOW3_PYTHON") or Path(__file__).parents[2] / ".venvs/mlflow3/bin/python")
    if not python.exists():
        pytest.skip(f"no MLflow 3 at {python}: run `make test-services` or set RUNLORE_MLFLOW3_PYTHON")
    return str(python)


def test_signatures_are_those_of_mlflow() -> None:
    import datetime

    python = mlflow_python()
    done = subprocess.run(
        [python, "-c", REFERENCE], input=json.dumps([DATA, PARAMS]), capture_output=True, text=True, check=True
    )
    theirs = json.loads(done.stdout.splitlines()[-1])
    ours = [infer_signature(eval(text, dict(NAMES))).to_dict() for text in DATA]
    ours.append(infer_signature(np.zeros(3), params=eval(PARAMS, {"datetime": datetime})).to_dict())
    for text, own, other in zip([*DATA, PARAMS], ours, theirs, strict=True):
        assert own == other, text


@pytest.mark.parametrize("text", DATA)
def test_a_signature_survives_its_json(text: str) -> None:
    signature = infer_signature(eval(text, dict(NAMES)), eval(text, dict(NAMES)))
    assert ModelSignature.from_dict(signature.to_dict()) == signature


def test_every_kind_of_type_survives_its_json() -> None:
    kinds = [
        *DataType,
        Array(Array("string")),
        Map(Array("long")),
        Object([Property("a", AnyType(), required=False)]),
        AnyType(),
    ]
    schema = Schema([ColSpec(kind, f"c{index}", required=index % 2 == 0) for index, kind in enumerate(kinds)])
    assert Schema.from_json(schema.to_json()) == schema
    params = ParamSchema([ParamSpec("p", "long", [1], (-1,)), ParamSpec("q", "datetime", "2024-01-02")])
    assert ParamSchema.from_json(params.to_json()) == params


@pytest.mark.parametrize(
    "make",
    [
        lambda: Schema([]),
        lambda: Schema([ColSpec("long"), ColSpec("long", "a")]),
        lambda: Schema([ColSpec("long", required=False)]),
        lambda: ColSpec("number"),
        lambda: Object([]),
        lambda: ParamSpec("p", "binary", b""),
        lambda: ParamSpec("p", "long", 1.5),
        lambda: TensorSpec(np.dtype("U3"), (-1,)),
        lambda: infer_signature([1, "a"]),
        lambda: infer_signature(object()),
        lambda: infer_signature(),
        lambda: Schema.from_json('[{"type": "tensor"}]'),
        lambda: Schema.from_json("{"),
    ],
)
def test_what_makes_no_schema_is_refused(make: Any) -> None:
    with pytest.raises(InvalidParameter):
        make()
