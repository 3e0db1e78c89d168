"""Logging files into the active run: local files, texts, dictionaries, figures, images, tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from runlore.client import RunloreClient, RunOperations
from runlore.client.connection import flush_files, get_tracking_uri, kept_files_at
from runlore.fluent import context
from runlore.fluent.logging import target
from runlore.fluent.runs import current_run
from runlore.spool.spool import READ_SECONDS

if TYPE_CHECKING:
    import pandas


def log_artifact(local_path: str | Path, artifact_path: str | None = None, run_id: str | None = None) -> None:
    """Store one local file, or a directory under its own name, under the directory `artifact_path` of the run."""
    client, run_id = target(run_id)
    client.log_artifact(run_id, local_path, artifact_path)


def log_artifacts(local_dir: str | Path, artifact_path: str | None = None, run_id: str | None = None) -> None:
    """Store everything in a local directory under the directory `artifact_path` of the run."""
    client, run_id = target(run_id)
    client.log_artifacts(run_id, local_dir, artifact_path)


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Store a text as a file in UTF-8."""
    client, run_id = target(run_id)
    client.log_text(run_id, text, artifact_file)


def log_dict(dictionary: dict[str, Any], artifact_file: str, run_id: str | None = None) -> None:
    """Store a dictionary as YAML when the file's name ends in .yml or .yaml, as JSON otherwise."""
    client, run_id = target(run_id)
    client.log_dict(run_id, dictionary, artifact_file)


def log_stream(stream: BinaryIO, artifact_file: str, run_id: str | None = None) -> None:
    """Store what a binary stream gives, piece by piece."""
    client, run_id = target(run_id)
    client.log_stream(run_id, stream, artifact_file)


def log_figure(figure: Any, artifact_file: str, *, save_kwargs: dict[str, Any] | None = None) -> None:
    """Store a matplotlib or plotly figure; the format follows from the name (.png, .svg, .html …)."""
    run = current_run()
    run.client.log_figure(run.run_id, figure, artifact_file, save_kwargs=save_kwargs)


def log_image(
    image: Any,
    artifact_file: str | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = False,
) -> RunOperations | None:
    """Store an image under a file name, or under a key for each step. See `RunloreClient.log_image` for what is an image."""
    run = current_run()
    return run.client.log_image(run.run_id, image, artifact_file, key, step, timestamp, synchronous)


def log_audio(
    audio: Any, key: str, step: int | None = None, sample_rate: int | None = None, timestamp: int | None = None
) -> None:
    """Store a sound (a file, or samples with their `sample_rate`) under a key for each step. See `RunloreClient.log_audio`."""
    run = current_run()
    run.client.log_audio(run.run_id, audio, key, step, sample_rate, timestamp)


def log_video(video: Any, key: str, step: int | None = None, fps: float = 20, timestamp: int | None = None) -> None:
    """Store a video (a file, or frames) under a key for each step. See `RunloreClient.log_video`."""
    run = current_run()
    run.client.log_video(run.run_id, video, key, step, fps, timestamp)


def log_histogram(values: Any, key: str, step: int | None = None, bins: Any = 64, timestamp: int | None = None) -> None:
    """Store the distribution of an array, tensor or list of numbers under a key for each step."""
    run = current_run()
    run.client.log_histogram(run.run_id, values, key, step, bins, timestamp)


def log_table(data: dict[str, Any] | pandas.DataFrame, artifact_file: str, run_id: str | None = None) -> None:
    """Store a table as .json or .parquet; rows are added to a table of that name which is already there."""
    client, run_id = target(run_id)
    client.log_table(run_id, data, artifact_file)


def load_table(
    artifact_file: str, run_ids: list[str] | None = None, extra_columns: list[str] | None = None
) -> pandas.DataFrame:
    """The rows of the tables of that name in the given runs, by default in all runs of the active experiment."""
    run_ids = [run_ids] if isinstance(run_ids, str) else run_ids
    client = context.client_of(run_ids[0]) if run_ids else RunloreClient()
    return client.load_table(context.current_experiment_id(), artifact_file, run_ids, extra_columns)


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """The artifact URI of the active run, or of a file or directory in it."""
    from runlore.blobs.uri import join_uri

    return join_uri(current_run().run.info.artifact_uri, artifact_path or "")


def flush_artifact_async_logging() -> None:
    """Return when every file logged so far is stored: those that a server did not take were kept, and are sent now. After a
    minute, or when the server still does not answer, they wait on; a warning says so."""
    uri = context.stack()[-1].client.tracking_uri if context.stack() else get_tracking_uri()
    if not flush_files(uri, READ_SECONDS):
        kept_files_at(uri).tell_what_waits()
