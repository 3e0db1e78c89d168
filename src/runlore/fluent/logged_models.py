"""Logged models of the fluent interface, and the active model that metrics are linked to."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from runlore.client import RunloreClient
from runlore.client.base import all_pages
from runlore.client.tables import pandas_module
from runlore.entities import LoggedModel
from runlore.exceptions import InvalidParameter
from runlore.fluent import context
from runlore.fluent.source import source_tags

if TYPE_CHECKING:
    import pandas

EXTERNAL_TAG = "mlflow.model.isExternal"
COLUMNS = (
    "model_id", "experiment_id", "name", "artifact_location", "creation_timestamp", "last_updated_timestamp",
    "model_type", "source_run_id", "status", "tags", "params", "metrics",
)  # fmt: skip


class ActiveModel(LoggedModel):
    """The active logged model, to be used in a `with` block: leaving the block brings back the one before."""

    previous_model_id: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        context.set_model_id(self.previous_model_id)


def initialize_logged_model(
    name: str | None = None,
    source_run_id: str | None = None,
    tags: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    model_type: str | None = None,
    experiment_id: str | None = None,
) -> LoggedModel:
    """Announce a model of the active run; log its files, then call `finalize_logged_model`."""
    return _create(name, source_run_id, tags, params, model_type, experiment_id)


def create_external_model(
    name: str | None = None,
    source_run_id: str | None = None,
    tags: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    model_type: str | None = None,
    experiment_id: str | None = None,
) -> LoggedModel:
    """Announce a model whose files are kept elsewhere. It is ready at once."""
    marked = {**(tags or {}), EXTERNAL_TAG: "true"}
    model = _create(name, source_run_id, marked, params, model_type, experiment_id)
    return finalize_logged_model(model.model_id, "READY")


def finalize_logged_model(model_id: str, status: str) -> LoggedModel:
    """Say that the files are complete ("READY") or that the upload failed ("FAILED")."""
    return RunloreClient().finalize_logged_model(model_id, status)


def get_logged_model(model_id: str) -> LoggedModel:
    """One logged model. Raises `NotFound`."""
    return RunloreClient().get_logged_model(model_id)


def last_logged_model() -> LoggedModel | None:
    """The model that was announced last in this process, as it is now."""
    last = context.last_model()
    return last[0].get_logged_model(last[1]) if last else None


def search_logged_models(
    experiment_ids: list[str] | None = None,
    filter_string: str | None = None,
    datasets: list[dict[str, str]] | None = None,
    max_results: int | None = None,
    order_by: list[dict[str, Any]] | None = None,
    output_format: str = "pandas",
) -> list[LoggedModel] | pandas.DataFrame:
    """The logged models of the given experiments (of the active one by default) that match, newest first unless `order_by`
    says otherwise: as a frame, or with `output_format="list"` as they are."""
    if output_format not in ("pandas", "list"):
        raise InvalidParameter(f"Unsupported output format: {output_format!r}. Supported string values are: 'pandas' or 'list'")
    client = RunloreClient()
    ids = experiment_ids or [context.current_experiment_id()]
    models = all_pages(
        lambda token, size: client.search_logged_models(ids, filter_string, datasets, size, order_by, token), max_results, 100
    )
    if output_format == "list":
        return models
    pd = pandas_module("search_logged_models(output_format='pandas')")
    frame: pandas.DataFrame = pd.DataFrame({name: [getattr(model, name) for model in models] for name in COLUMNS})
    return frame


def set_logged_model_tags(model_id: str, tags: dict[str, Any]) -> None:
    """Set tags of a logged model, replacing their values."""
    RunloreClient().set_logged_model_tags(model_id, tags)


def delete_logged_model_tag(model_id: str, key: str) -> None:
    """Remove one tag of a logged model."""
    RunloreClient().delete_logged_model_tag(model_id, key)


def log_model_params(params: dict[str, str], model_id: str | None = None) -> None:
    """Add params to a logged model, by default to the active one."""
    chosen = model_id or get_active_model_id()
    if chosen is None:
        raise InvalidParameter("Give log_model_params a model_id, or choose a model with set_active_model.")
    RunloreClient().log_model_params(chosen, params)


def set_active_model(*, name: str | None = None, model_id: str | None = None) -> ActiveModel:
    """Link the metrics that this thread logs to a logged model. A name that no model has is made an external model."""
    if model_id is not None:
        model = get_logged_model(model_id)
        if name not in (None, model.name):
            raise InvalidParameter(f"LoggedModel with model_id {model_id!r} has name {model.name!r}, not {name!r}.")
    elif name is not None:
        found = search_logged_models(filter_string=f"name='{name}'", max_results=1, output_format="list")
        model = found[0] if isinstance(found, list) and found else create_external_model(name=name)
    else:
        raise InvalidParameter("Either name or model_id must be provided")
    active = ActiveModel(info=model.info, data=model.data, previous_model_id=context.model_id())
    context.set_model_id(model.model_id)
    return active


def get_active_model_id() -> str | None:
    """The logged model that metrics of this thread are linked to."""
    return context.model_id()


def clear_active_model() -> None:
    """Link no more metrics of this thread to a model."""
    context.set_model_id(None)


def _create(
    name: str | None,
    source_run_id: str | None,
    tags: dict[str, str] | None,
    params: dict[str, str] | None,
    model_type: str | None,
    experiment_id: str | None,
) -> LoggedModel:
    active = context.stack()[-1] if context.stack() else None
    if source_run_id is None and active is not None:
        source_run_id = active.run_id
    client = active.client if active else RunloreClient()
    experiment = experiment_id or (active.run.info.experiment_id if active else context.current_experiment_id())
    model = client.create_logged_model(experiment, name, source_run_id, {**source_tags(), **(tags or {})}, params, model_type)
    context.set_last_model(client, model.model_id)
    return model
