"""Logging into the active run: metrics, params, tags, datasets. Files are in `artifacts.py`.

When no run is active, one is started. Every function returns when the data is in the journal of the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runlore.client import RunloreClient, RunOperations
from runlore.client.base import now
from runlore.client.params import flat_params
from runlore.data import Dataset, dataset_entity
from runlore.entities import Dataset as DatasetEntity
from runlore.entities import DatasetInput, InputTag, LoggedModelInput, LoggedModelOutput, Metric, Param, RunTag
from runlore.exceptions import InvalidParameter
from runlore.fluent import context
from runlore.fluent.context import quick
from runlore.fluent.runs import current_run

CONTEXT_TAG = "mlflow.data.context"


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Write one param of the active run; returns the value. A param keeps its first value: another one is refused."""
    run = current_run()
    return run.client.log_param(run.run_id, key, value, synchronous)


def log_params(params: dict[str, Any], synchronous: bool | None = None, run_id: str | None = None) -> RunOperations | None:
    """Write several params. Nested ones get names with dots: `{"model": {"layers": 3}}` is the param `model.layers`.

    Dataclasses and the result of argparse are taken too. Under `--as-mlflow` nested dictionaries are one text, as in MLflow.
    """
    client, run_id = target(run_id)
    named = params if context.stands_in_for_mlflow() else flat_params(params)
    entries = [Param(key=key, value=value) for key, value in named.items()]
    return client.log_batch(run_id, params=entries, synchronous=synchronous)


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
    dataset: Dataset | DatasetEntity | None = None,
) -> RunOperations | None:
    """Append one point to a metric of the active run (or of `run_id`).

    `step` is 0 by default, `timestamp` (Unix ms) is now. `model_id`, by default that of `set_active_model`, and `dataset`
    say what was measured on what; the run is linked to both.
    """
    plain = synchronous is None and timestamp is None and run_id is None and model_id is None and dataset is None
    if plain and (line := quick.line) is not None and line.point(key, value, step):
        return None
    client, run_id = target(run_id)
    model_id = model_id or context.model_id()
    entity = _link(client, run_id, model_id, dataset)
    pending = client.log_metric(
        run_id,
        key,
        value,
        timestamp,
        step,
        synchronous=synchronous,
        dataset_name=entity.name if entity else None,
        dataset_digest=entity.digest if entity else None,
        model_id=model_id,
    )
    if plain and model_id is None:
        quick.line = client.line(run_id)
    return pending


def log_metrics(
    metrics: dict[str, float],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: Dataset | DatasetEntity | None = None,
) -> RunOperations | None:
    """Append one point to each of several metrics, all with the same step and time. See `log_metric`."""
    plain = synchronous is None and timestamp is None and run_id is None and model_id is None and dataset is None
    if plain and (line := quick.line) is not None and line.points(metrics, step):
        return None
    client, run_id = target(run_id)
    model_id = model_id or context.model_id()
    if synchronous is None and model_id is None and dataset is None:
        client.log_metrics(run_id, metrics, step, timestamp)
        if plain:
            quick.line = client.line(run_id)
        return None
    entity = _link(client, run_id, model_id, dataset)
    time = now() if timestamp is None else timestamp
    points = [
        Metric(
            key=key,
            value=value,
            timestamp=time,
            step=step or 0,
            dataset_name=entity.name if entity else None,
            dataset_digest=entity.digest if entity else None,
            model_id=model_id,
        )
        for key, value in metrics.items()
    ]
    return client.log_batch(run_id, metrics=points, synchronous=synchronous)


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> RunOperations | None:
    """Set one tag of the active run, replacing its value."""
    run = current_run()
    return run.client.set_tag(run.run_id, key, value, synchronous)


def set_tags(tags: dict[str, Any], synchronous: bool | None = None) -> RunOperations | None:
    """Set several tags of the active run."""
    run = current_run()
    entries = [RunTag(key=key, value=value) for key, value in tags.items()]
    return run.client.log_batch(run.run_id, tags=entries, synchronous=synchronous)


def delete_tag(key: str) -> None:
    """Remove one tag of the active run. Raises `NotFound` when there is none of that key."""
    run = current_run()
    run.client.delete_tag(run.run_id, key)


def log_input(
    dataset: Dataset | None = None,
    context: str | None = None,
    tags: dict[str, str] | None = None,
    model: LoggedModelInput | None = None,
) -> None:
    """Say which dataset, in which role ("training", "test" …), or which logged model, the active run read."""
    run = current_run()
    datasets = [_dataset_input(dataset, context, tags)] if dataset is not None else []
    if dataset is None and (context or tags):
        raise InvalidParameter("`dataset` must be specified if `context` or `tags` is specified.")
    run.client.log_inputs(run.run_id, datasets=datasets, models=[model] if model else None)


def log_inputs(
    datasets: list[Dataset | None] | None = None,
    contexts: list[str | None] | None = None,
    tags_list: list[dict[str, str] | None] | None = None,
    models: list[LoggedModelInput | None] | None = None,
) -> None:
    """Several datasets and models at once; the first three lists have the same length."""
    datasets, contexts, tags_list = datasets or [], contexts or [], tags_list or []
    if not len(datasets) == len(contexts) == len(tags_list):
        raise InvalidParameter("log_inputs requires `datasets`, `contexts`, `tags_list` to have the same length.")
    entries = [
        _dataset_input(dataset, role, tags)
        for dataset, role, tags in zip(datasets, contexts, tags_list, strict=True)
        if dataset is not None
    ]
    run = current_run()
    run.client.log_inputs(run.run_id, datasets=entries, models=[model for model in models or () if model])


def log_outputs(models: list[LoggedModelOutput] | None = None) -> None:
    """Say which logged models the active run produced."""
    run = current_run()
    run.client.log_outputs(run.run_id, models or [])


def flush_async_logging() -> None:
    """Return when everything logged so far has arrived at the store, or after a minute."""
    for opened in context.stack()[-1:]:
        opened.client.flush()
    RunloreClient().flush()


def target(run_id: str | None) -> tuple[RunloreClient, str]:
    """The client and the id of the run that is meant: the given one, else the active one."""
    if run_id is not None:
        return context.client_of(run_id), run_id
    run = current_run()
    return run.client, run.run_id


def _link(
    client: RunloreClient, run_id: str, model_id: str | None, dataset: Dataset | DatasetEntity | None
) -> DatasetEntity | None:
    """Link a run to the model and dataset of a metric, once."""
    entity = dataset_entity(dataset) if dataset is not None else None
    opened = context.find(run_id) if model_id or entity else None
    known = opened.linked if opened else set()
    models = [LoggedModelInput(model_id=model_id)] if model_id and model_id not in known else []
    datasets = [DatasetInput(dataset=entity)] if entity and f"{entity.name}\n{entity.digest}" not in known else []
    if models or datasets:
        client.log_inputs(run_id, datasets=datasets, models=models)
        known.update(model.model_id for model in models)
        known.update(f"{item.dataset.name}\n{item.dataset.digest}" for item in datasets)
    return entity


def _dataset_input(dataset: Dataset | DatasetEntity, role: str | None, tags: dict[str, str] | None) -> DatasetInput:
    pairs: Sequence[tuple[str, Any]] = [*(tags or {}).items(), *([(CONTEXT_TAG, role)] if role else [])]
    return DatasetInput(dataset=dataset_entity(dataset), tags=[InputTag(key=key, value=str(value)) for key, value in pairs])
