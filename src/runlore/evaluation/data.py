"""The data of an evaluation: features, targets and, where there is no model, predictions; from whatever users have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runlore.data import Dataset, NumpyDataset, from_numpy, from_pandas
from runlore.exceptions import InvalidParameter, MissingDependency


@dataclass(frozen=True)
class EvaluationData:
    """Features as a table, targets and predictions as arrays (or None), and the dataset as a run remembers it."""

    features: Any
    targets: Any
    predictions: Any
    predictions_name: str | None
    targets_name: str | None
    dataset: Dataset

    @property
    def table(self) -> Any:
        """The features and, under its name, the target."""
        table = self.features.copy()
        if self.targets is not None:
            table[self.targets_name or "target"] = self.targets
        return table


def read_data(
    data: Any, targets: Any, predictions: str | None, feature_names: list[str] | None, path: str | None, has_model: bool
) -> EvaluationData:
    """Tables (pandas, polars, Spark), arrays, lists of lists and datasets of `runlore.data`.

    In a table, `targets` and `predictions` name columns; `targets` may be an array beside it, and is one beside an array.
    With a model, `predictions` names a column of its answer.
    """
    require_sklearn()
    if data is None:
        raise InvalidParameter("evaluate needs data: a table, an array, a list or a dataset.")
    dataset = data if isinstance(data, Dataset) else None
    if dataset is not None:
        targets = getattr(dataset, "targets", None) if targets is None else targets
        predictions = predictions or (None if has_model else getattr(dataset, "predictions", None))
        data = dataset.features if isinstance(dataset, NumpyDataset) else getattr(dataset, "df", None)
        if data is None:
            raise InvalidParameter(f"A {type(dataset).__name__} can not be evaluated: give a table or an array.")
    data = _as_pandas(data)
    if hasattr(data, "columns"):
        return _from_table(data, targets, predictions, feature_names, path, dataset, has_model)
    return _from_arrays(data, targets, predictions, feature_names, path, dataset)


def _as_pandas(data: Any) -> Any:
    """Tables of polars and Spark as pandas tables; everything else as it is."""
    library = type(data).__module__.partition(".")[0]
    if library == "polars" and hasattr(data, "to_dict"):
        import pandas as pd

        return pd.DataFrame(data.to_dict(as_series=False))  # without pyarrow, which polars' own way needs
    return data.toPandas() if library == "pyspark" else data


def _from_table(
    table: Any, targets: Any, predictions: str | None, names: list[str] | None, path: str | None, dataset: Any, has_model: bool
) -> EvaluationData:
    static = None if has_model else predictions
    truth, targets = (None, targets) if targets is None or isinstance(targets, str) else (_array(targets, table), None)
    for role, name in (("targets", targets), ("predictions", static)):
        if name is not None and name not in table.columns:
            raise InvalidParameter(f"The table has no column {name!r} of {role}; it has {list(table.columns)}.")
    if names is not None and (missing := [name for name in names if name not in table.columns]):
        raise InvalidParameter(f"The table has no columns {missing} of feature_names; it has {list(table.columns)}.")
    features = table[names] if names is not None else table[[name for name in table.columns if name not in (targets, static)]]
    return EvaluationData(
        features,
        truth if targets is None else table[targets].to_numpy(),
        None if static is None else table[static].to_numpy(),
        static,
        targets,
        dataset or from_pandas(table, source=path, targets=targets, predictions=static),
    )


def _array(targets: Any, data: Any) -> Any:
    import numpy as np

    labels = np.asarray(targets)
    if len(labels) != len(data):
        raise InvalidParameter(f"There are {len(data)} rows of features and {len(labels)} targets.")
    return labels


def _from_arrays(
    data: Any, targets: Any, predictions: str | None, names: list[str] | None, path: str | None, dataset: Any
) -> EvaluationData:
    import numpy as np
    import pandas as pd

    array = np.asarray(data)
    if array.ndim != 2:
        raise InvalidParameter(f"An array of features has two dimensions, rows and columns; this one has {array.ndim}.")
    if isinstance(targets, str) or predictions is not None:
        raise InvalidParameter("Beside an array, targets is an array too, and predictions come from a model: use a table.")
    width = array.shape[1]
    if names is not None and len(names) != width:
        raise InvalidParameter(f"The array has {width} columns, feature_names has {len(names)} names.")
    digits = len(str(width))
    columns = names or [f"feature_{number:0{digits}d}" for number in range(1, width + 1)]
    labels = None if targets is None else _array(targets, array)
    described = dataset or from_numpy(array, source=path, targets=labels)
    return EvaluationData(pd.DataFrame(array, columns=columns), labels, None, None, None, described)


def require_sklearn() -> None:
    """Raise `MissingDependency` unless scikit-learn and pandas are installed."""
    try:
        import pandas
        import sklearn  # noqa: F401
    except ImportError:
        raise MissingDependency(
            "Evaluations are computed by scikit-learn. hint: pip install 'runlore[sklearn]' matplotlib"
        ) from None
    del pandas
