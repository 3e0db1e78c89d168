"""Input examples beside a model: the data as it was given, and the same as a request to a scoring server."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import json
from pathlib import Path
from typing import Any

from runlore.blobs.base import ArtifactPath
from runlore.exceptions import InvalidParameter
from runlore.models.model import Model
from runlore.types.infer import is_missing

ModelInputExample = Any
"""What an input example may be: a table, an array, a dictionary of arrays, JSON-like values, or a pair of these and params."""
EXAMPLE_FILE = "input_example.json"
SERVING_FILE = "serving_input_example.json"


class Example:
    """An input example: `data` for predictions, `params` beside it, `info` for the `MLmodel` file.

    Takes pandas tables, numpy arrays, dictionaries of arrays, sparse matrices, JSON-like values, pydantic models, and a pair
    `(data, params)` with a dictionary of parameters.
    """

    def __init__(self, given: Any) -> None:
        has_params = isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], dict)
        self.data: Any = copy.deepcopy(given[0] if has_params else given)
        self.params: dict[str, Any] | None = copy.deepcopy(given[1]) if has_params else None
        kind, stored, request = _forms(_plain_models(self.data))
        self.info: dict[str, Any] = {"artifact_path": EXAMPLE_FILE, "serving_input_path": SERVING_FILE, **kind}
        if self.params is not None:
            stored = {"data": stored, "params": self.params}
            request = {**request, "params": self.params}
            if self.params:
                self.info["params"] = "true"
        self.json = json.dumps(stored, default=_plain)
        self.serving_json = json.dumps(request, default=_plain, indent=2)

    def save(self, directory: Path) -> None:
        """Write both files."""
        (directory / EXAMPLE_FILE).write_text(self.json, encoding="utf-8")
        (directory / SERVING_FILE).write_text(self.serving_json, encoding="utf-8")


def convert_input_example_to_serving_input(input_example: Any) -> str | None:
    """The JSON body that sends an input example to a scoring server."""
    return None if input_example is None else Example(input_example).serving_json


def read_example(directory: Path, model: Model) -> tuple[Any, dict[str, Any] | None]:
    """The input example beside a model as it was given, and the params beside it; None where there is none."""
    info = model.saved_input_example_info
    if not info:
        return None, None
    path = directory / ArtifactPath(str(info.get("artifact_path")))
    stored = json.loads(path.read_text(encoding="utf-8"))
    params = None
    if info.get("params"):
        stored, params = stored.get("data"), stored.get("params")
    return _restored(stored, str(info.get("type")), info.get("pandas_orient"), model), params


def read_serving_example(directory: Path, model: Model) -> str | None:
    """The request to a scoring server beside a model; None where there is none."""
    info = model.saved_input_example_info or {}
    if not info.get("serving_input_path"):
        return None
    return (directory / ArtifactPath(str(info["serving_input_path"]))).read_text(encoding="utf-8")


def _restored(stored: Any, kind: str, orient: Any, model: Model) -> Any:
    """The example of a stored form; arrays get the types of the signature."""
    import numpy as np

    if kind == "dataframe":
        import pandas as pd

        split = stored if isinstance(stored, dict) else {"data": stored}
        return pd.DataFrame(split["data"], columns=split.get("columns"))
    schema = model.get_input_schema()
    if kind == "ndarray":
        types = schema.numpy_types() if schema is not None and schema.is_tensor_spec() else []
        if isinstance(stored, dict):
            named = dict(zip(schema.input_names(), types, strict=False)) if types else {}
            return {name: np.array(values, dtype=named.get(name)) for name, values in stored.items()}
        return np.array(stored, dtype=types[0] if types else None)
    if kind.startswith("sparse_matrix_"):
        from scipy import sparse

        made = sparse.csr_matrix if kind.endswith("csr") else sparse.csc_matrix
        return made((stored["data"], stored["indices"], stored["indptr"]), shape=tuple(stored["shape"]))
    return stored


def _plain_models(data: Any) -> Any:
    """The same with dictionaries in place of pydantic models."""
    if hasattr(data, "model_dump") and not isinstance(data, type):
        return data.model_dump(exclude_unset=True)
    if isinstance(data, list):
        return [_plain_models(item) for item in data]
    return {key: _plain_models(item) for key, item in data.items()} if type(data) is dict else data


def _forms(data: Any) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """Facts for the `MLmodel` file, the stored form and the request form of an example."""
    import numpy as np

    name = type(data).__name__
    if name == "DataFrame":
        split = _split(data)
        orient = "split" if "columns" in split else "values"
        return {"type": "dataframe", "pandas_orient": orient}, split, {"dataframe_split": split}
    if name in ("csr_matrix", "csc_matrix"):
        parts = {part: _nulls(getattr(data, part).tolist()) for part in ("data", "indices", "indptr")}
        return {"type": f"sparse_matrix_{name[:3]}"}, {**parts, "shape": list(data.shape)}, {"inputs": data.toarray()}
    if isinstance(data, np.ndarray):
        values = _nulls(data.tolist())
        return {"type": "ndarray"}, values, {"inputs": values}
    arrays = [isinstance(item, np.ndarray) for item in data.values()] if isinstance(data, dict) else []
    if arrays and all(arrays):
        named = {key: _nulls(item.tolist()) for key, item in data.items()}
        return {"type": "ndarray"}, named, {"inputs": named}
    if any(arrays):
        raise InvalidParameter("An input example may not mix numpy arrays and other values in one dictionary.")
    if isinstance(data, dict | list | dt.datetime) or np.isscalar(data):
        return {"type": "json_object"}, data, {"inputs": data}
    raise InvalidParameter(f"An input example of type {name} is not supported: give a table, an array or JSON-like values.")


def _split(table: Any) -> dict[str, Any]:
    split: dict[str, Any] = table.to_dict(orient="split")
    del split["index"]
    split["data"] = _nulls(split["data"])
    if split["columns"] == list(range(len(split["columns"]))):
        del split["columns"]
    return split


def _nulls(value: Any) -> Any:
    """The same nested list with None for every missing value: JSON has no NaN."""
    if isinstance(value, list):
        return [_nulls(item) for item in value]
    return None if is_missing(value) else value


def _plain(value: Any) -> Any:
    """A value that JSON does not know as one that it does."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes | bytearray):
        return base64.encodebytes(bytes(value)).decode("ascii")
    if isinstance(value, np.datetime64 | dt.date | dt.time):
        return str(value) if isinstance(value, np.datetime64) else value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    raise InvalidParameter(f"An input example holds a value of type {type(value).__name__}, which JSON can not: {value!r}.")
