"""Logged models: models as objects of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runlore.api.logged_models import (
    CreateLoggedModel,
    DeleteLoggedModel,
    DeleteLoggedModelTag,
    FinalizeLoggedModel,
    GetLoggedModel,
    LogLoggedModelParams,
    ModelDataset,
    ModelOrderBy,
    SearchLoggedModels,
    SetLoggedModelTags,
)
from runlore.client.base import ClientBase, PagedList, key_text, param_text, tag_pairs
from runlore.client.progress import Progress
from runlore.entities import FileInfo, LoggedModel, LoggedModelParameter, LoggedModelTag
from runlore.exceptions import InvalidParameter

_STATUS: dict[Any, Any] = {
    "READY": "LOGGED_MODEL_READY",
    "FAILED": "LOGGED_MODEL_UPLOAD_FAILED",
    "PENDING": "LOGGED_MODEL_PENDING",
}


class LoggedModelsClient(ClientBase):
    """Logged models and their files."""

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        """Announce a model; log its files, then call `finalize_logged_model`."""
        operation = CreateLoggedModel(
            experiment_id=str(experiment_id),
            name=name or "model",
            model_type=model_type,
            source_run_id=source_run_id,
            params=_params(params),
            tags=_tags(tags),
        )
        return self._call(operation).model

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """One logged model. Raises `NotFound`."""
        return self._call(GetLoggedModel(model_id=model_id)).model

    def finalize_logged_model(self, model_id: str, status: str) -> LoggedModel:
        """Say that the files are complete ("READY") or that the upload failed ("FAILED")."""
        word = str(getattr(status, "value", status))
        if word not in _STATUS:
            raise InvalidParameter(f"Invalid model status: {status!r}. Expected statuses: READY, FAILED.")
        return self._call(FinalizeLoggedModel(model_id=model_id, status=_STATUS[word])).model

    def delete_logged_model(self, model_id: str) -> None:
        """Move a logged model to the trash."""
        self._call(DeleteLoggedModel(model_id=model_id))

    def search_logged_models(
        self,
        experiment_ids: list[str],
        filter_string: str | None = None,
        datasets: list[dict[str, Any]] | None = None,
        max_results: int | None = None,
        order_by: list[dict[str, Any]] | None = None,
        page_token: str | None = None,
    ) -> PagedList[LoggedModel]:
        """One page of the logged models that match, newest first unless `order_by` says otherwise.

        An entry of `order_by` has `field_name`, and may have `ascending`, `dataset_name` and `dataset_digest`; one of
        `datasets` has `dataset_name` and may have `dataset_digest`: metric filters then look at those datasets only.
        """
        operation = SearchLoggedModels(
            experiment_ids=[str(experiment_id) for experiment_id in experiment_ids],
            filter=filter_string or "",
            datasets=[_struct(ModelDataset, entry, "datasets") for entry in datasets or ()],
            max_results=max_results or 100,
            order_by=[_struct(ModelOrderBy, entry, "order_by") for entry in order_by or ()],
            page_token=page_token or "",
        )
        reply = self._call(operation)
        return PagedList(reply.models, reply.next_page_token)

    def set_logged_model_tags(self, model_id: str, tags: dict[str, Any]) -> None:
        """Set tags, replacing their values."""
        self._call(SetLoggedModelTags(model_id=model_id, tags=_tags(tags)))

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove one tag."""
        self._call(DeleteLoggedModelTag(model_id=model_id, tag_key=key_text(key, "tag")))

    def log_model_params(self, model_id: str, params: dict[str, str]) -> None:
        """Add params to a logged model."""
        self._call(LogLoggedModelParams(model_id=model_id, params=_params(params)))

    def log_model_artifact(self, model_id: str, local_path: str, artifact_path: str | None = None) -> None:
        """Store one local file with a logged model, under the directory `artifact_path`."""
        self._upload_to_model(model_id, Path(local_path), artifact_path)

    def log_model_artifacts(self, model_id: str, local_dir: str, artifact_path: str | None = None) -> None:
        """Store everything in a local directory with a logged model."""
        self._upload_to_model(model_id, Path(local_dir), artifact_path)

    def list_logged_model_artifacts(self, model_id: str, path: str | None = None) -> list[FileInfo]:
        """Files and directories directly under `path`."""
        from runlore.blobs.base import ArtifactPath

        return self._blobs(self.get_logged_model(model_id).artifact_location).described(ArtifactPath(path or ""))

    def _upload_to_model(self, model_id: str, local: Path, artifact_path: str | None) -> None:
        from runlore.blobs.base import ArtifactPath

        blobs = self._blobs(self.get_logged_model(model_id).artifact_location)
        with Progress(f"Uploading {local.name}") as progress:
            blobs.upload(local, ArtifactPath(artifact_path or ""), progress)


def _params(params: Mapping[str, Any] | None) -> list[LoggedModelParameter]:
    pairs = (params or {}).items()
    return [LoggedModelParameter(key=key_text(key, "param"), value=param_text(key, value)) for key, value in pairs]


def _tags(tags: Mapping[str, Any] | None) -> list[LoggedModelTag]:
    return [LoggedModelTag(key=key, value=value) for key, value in tag_pairs(tags)]


def _struct(kind: type[Any], entry: Mapping[str, Any], argument: str) -> Any:
    try:
        return kind(**entry)
    except TypeError as error:
        raise InvalidParameter(f"Invalid entry {entry!r} of {argument}: {error}.") from None
