"""Requests that MLflow's scoring server and ours are asked side by side, and the models that they are for."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import runlore.pyfunc
import runlore.sklearn
from runlore.models import infer_signature

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
ROW = [5.1, 3.5, 1.4, 0.2]
JSON, CSV = "application/json", "text/csv"


class Echo:
    """A model that says what it was given. No base class: both libraries load it, and neither needs the other."""

    predict_type_hints = SimpleNamespace(input=None, output=None)

    def load_context(self, context: Any) -> None:
        """Nothing to load."""

    def __call__(self, model_input: Any) -> Any:
        """What makes it a function."""
        return self.predict(None, model_input)

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Types, shapes and values of the input."""
        if hasattr(model_input, "iloc"):
            gaps = model_input.astype(object).where(model_input.notna(), None)
            types = [str(kind).replace("object", "str") for kind in model_input.dtypes]
            return {"types": types, "values": gaps.values.tolist(), "columns": [str(c) for c in model_input], "params": params}
        if isinstance(model_input, dict):
            values = {key: getattr(value, "tolist", lambda value=value: value)() for key, value in model_input.items()}
            return {"types": {key: str(getattr(value, "dtype", "")) for key, value in model_input.items()}, "values": values}
        plain = getattr(model_input, "tolist", lambda: model_input)()
        return {"type": str(getattr(model_input, "dtype", type(model_input))), "values": plain, "params": params}


def save_models(folder: Path) -> None:
    """One model of each kind, in directories that both libraries can load."""
    import cloudpickle
    from tests.serving import questions

    cloudpickle.register_pickle_by_value(questions)
    X, y = load_iris(return_X_y=True, as_frame=True)
    pickled = {"serialization_format": "cloudpickle"}
    fitted = LogisticRegression(max_iter=300).fit(X, y)
    runlore.sklearn.save_model(fitted, folder / "columns", signature=infer_signature(X, fitted.predict(X)), **pickled)
    bare = LogisticRegression(max_iter=300).fit(X.to_numpy(), y)
    runlore.sklearn.save_model(bare, folder / "bare", **pickled)
    runlore.sklearn.save_model(
        bare, folder / "tensor", signature=infer_signature(X.to_numpy(), bare.predict(X.to_numpy())), **pickled
    )
    typed = pd.DataFrame({"i": [1], "d": [1.5], "s": ["a"], "b": [True], "t": pd.to_datetime(["2024-01-01"]), "raw": [b"x"]})
    tensors = {"a": np.array([1.0, 2.0]), "b": np.array([[1, 2], [3, 4]])}
    signatures = {
        "any": None,
        "typed": infer_signature(typed, params={"alpha": 0.5, "n": 3, "names": ["x"]}),
        "tensors": infer_signature(tensors),
        "one": infer_signature(["a", "b"]),
    }
    for name, signature in signatures.items():
        runlore.pyfunc.save_model(folder / name, python_model=Echo(), signature=signature)


class Question(NamedTuple):
    """One request. `different` says how and why our answer is another one."""

    model: str
    body: str
    content_type: str = JSON
    different: str = ""


def of(model: str, body: Any, content_type: str = JSON, different: str = "") -> Question:
    """A request with a JSON body, or a text."""
    return Question(model, body if isinstance(body, str) else json.dumps(body), content_type, different)


def each(model: str, key: str, *values: Any, different: str = "") -> list[Question]:
    """A request for each value: `{key: value}`."""
    return [of(model, {key: value}, different=different) for value in values]


LOSS = "MLflow changes the value without a word; here it is refused"
GAPS = "missing values are allowed in every column"
MORE = "MLflow can not read it, and it has one meaning"
POSITIONS = "an array with as many columns as the signature is taken in its order"
STRICT = "what means nothing is refused"
NAN = "MLflow writes NaN, which is no JSON"

_split = {"columns": COLUMNS, "data": [ROW]}
_named = dict(zip(COLUMNS, ROW, strict=True))
_line = ",".join(COLUMNS)
_good = {"i": 1, "d": 1.5, "s": "a", "b": True, "t": "2024-01-01T00:00:00"}
_raw = base64.b64encode(b"x").decode()
_row = {"dataframe_records": [{**_good, "raw": _raw}]}


def typed(*changes: tuple[str, Any], different: str = "") -> list[Question]:
    """For each change a row of the model of all types, with one value changed."""
    return [
        of("typed", {"dataframe_records": [{**_good, "raw": _raw, name: value}]}, different=different)
        for name, value in changes
    ]


def with_params(*values: Any, different: str = "") -> list[Question]:
    """The same row, with parameters."""
    return [of("typed", {**_row, "params": params}, different=different) for params in values]


def columns_as(*content_types: str, different: str = "") -> list[Question]:
    """A good request under content types."""
    return [of("columns", {"dataframe_split": _split}, kind, different) for kind in content_types]


def csv(model: str, *texts: str, different: str = "") -> list[Question]:
    """Requests in CSV."""
    return [of(model, text, CSV, different) for text in texts]


TABLES = [
    *each("columns", "dataframe_split", _split, {**_split, "index": [7]}, {**_split, "columns": [*COLUMNS[:3], "x"]}),
    *each("columns", "dataframe_split", {"columns": COLUMNS[::-1], "data": [ROW[::-1]]}, {**_split, "x": 1}),
    *each("columns", "dataframe_split", {"columns": [*COLUMNS, "more"], "data": [[*ROW, 1]]}, {**_split, "data": []}),
    *each(
        "columns", "dataframe_split", {"columns": COLUMNS, "data": [ROW[:3]]}, {"columns": COLUMNS}, [1], "x", {"data": [ROW]}
    ),
    *each("columns", "dataframe_split", *({**_split, "data": [[value, *ROW[1:]]]} for value in ("a", "5.1", 5, None, True))),
    *each("columns", "dataframe_records", [_named] * 2, _named, "x", [], [1, 2]),
    *each("columns", "inputs", [_named, _named], {name: [value] for name, value in _named.items()}, _named, ROW, "x"),
    *each("columns", "inputs", [ROW], different=POSITIONS),
    *each("columns", "instances", [_named, _named]),
    *each("columns", "instances", [ROW], different=POSITIONS),
    *(of("columns", body) for body in ({"inputs": [ROW], "instances": [ROW]}, {}, {"x": 1}, [1], {"messages": []})),
    *(of("columns", text) for text in ("3", "", "{", "null", '{"dataframe_split": NaN}', "\xff\xfe")),
    *(of("columns", {"dataframe_split": _split, "params": params}) for params in ({"a": 1}, None, {})),
    of("columns", {"dataframe_split": _split, "params": [1]}, different=STRICT),
    *columns_as("application/json; charset=utf-8", "application/json; charset=UTF-8", "", "text/plain", "application/jsonx"),
    *columns_as("application/json;charset=latin-1", "application/json; format=pandas-split"),
    *columns_as("Application/JSON", "application/json;", different=MORE),
    *csv("columns", *(f"{_line}\n{line}\n" for line in ("5.1,3.5,1.4,0.2", ",3,4,5", "x,3,4,5", ""))),
    *csv("columns", "", "a,b\n1,2\n", "\xff", 'a,"b\n1,2'),
    of("columns", "no table", "application/vnd.apache.parquet"),
]

TYPES = [
    *typed(("extra", 1), ("i", 2**40), ("i", "1"), ("i", True), ("i", 1.0), ("b", 1), ("s", None)),
    *typed(("d", 1), ("d", None), ("d", "1.5"), ("d", "x"), ("t", None), ("t", "nonsense"), ("t", "2024-01-01")),
    *typed(("i", 1.5), ("b", "false"), ("t", 1704067200000), ("raw", "***"), ("s", 1), different=LOSS),
    *typed(("i", None), ("b", None), ("raw", None), different=GAPS),
    *(of("typed", {name: [{**_good, "i": None, "raw": _raw}]}, different=GAPS) for name in ("inputs", "instances")),
    *each("typed", "dataframe_records", *([{key: _good[key] for key in _good if key != gone}] for gone in _good)),
    *with_params({"alpha": 1}, {"alpha": 0.1, "n": 2, "names": ["a", "b"]}, {"alpha": None}, {}, None, {"names": []}),
    *with_params({"alpha": "x"}, {"n": 1.5}, {"n": True}, {"names": "a"}, {"names": [1]}, "x", [1]),
    *with_params({"unknown": 1}, different=STRICT),
    *csv("typed", "i,d,s,b,t,raw\n1,1.5,007,True,2024-01-01,eA==\n", different=MORE),
]

_matrices = ([ROW], [ROW, ROW], [[1, 2, 3, 4]], [["a", "b", "c", "d"]], [[None, 2, 3, 4]], [[1, 2, 3]], [[1, 2, 3, 4], [1]], [])

ARRAYS = [
    *(question for model in ("bare", "tensor") for question in each(model, "inputs", *_matrices)),
    *(question for model in ("bare", "tensor") for question in each(model, "dataframe_split", _split)),
    *(of(model, '{"inputs":[[NaN,1,2,3]]}') for model in ("bare", "tensor")),
    *csv("bare", "a,b,c,d\n1,2,3,4\n"),
    *csv("tensor", "a,b,c,d\n1,2,3,4\n", different=MORE),
    *each("tensor", "inputs", {"a": [1]}, 3, "x"),
    *each("any", "dataframe_split", {"data": [[1, None], [None, "a"]]}, {"columns": ["a", "a"], "data": [[1, 2]]}),
    *each("any", "dataframe_records", [{"a": 1}, {"b": 2}]),
    *each("any", "inputs", "text", 5, None, True, [1, 2.5], ["a", 1], [None, 1], [[1], [2, 3]], {"a": [1, 2], "b": "x"}),
    *each("any", "inputs", {"a": None}, [{"a": 1}, {"a": 2}]),
    *each("any", "instances", [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}], [{"a": 1}, {"b": 2}], {"a": [1, 2], "b": [1]}),
    *each("any", "instances", [], [[1, 2], [3, 4]], ["a", "b"]),
    of("any", {"messages": [{"role": "user", "content": "x"}], "temperature": 1}),
    *each("tensors", "inputs", {"a": [1, 2], "b": [[1, 2], [3, 4]]}, {"a": [1, 2]}, {"a": [1], "b": [[1, 2, 3]]}, [1]),
    *each("tensors", "inputs", {"a": ["x"], "b": [[1, 2]]}, {"a": [1], "b": [[1, 2]], "c": [1]}),
    *each("tensors", "instances", [{"a": 1, "b": [1, 2]}], [{"a": 1}]),
    *each("tensors", "inputs", {"a": [1, 2], "b": [[1.5, 2]]}, different=LOSS),
    *each("tensors", "inputs", {"a": [1, None], "b": [[1, 2]]}, different=NAN),
    *each("one", "inputs", ["a", "b"], "a", {"x": ["a"]}),
    *each("one", "inputs", [1], [None], different=LOSS),
    *each("one", "dataframe_split", {"data": [["a"]]}, {"columns": ["q"], "data": [["a"]]}),
    *each("one", "instances", ["a"]),
]

QUESTIONS = [*TABLES, *TYPES, *ARRAYS]
