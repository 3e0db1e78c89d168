"""Copying runs with their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runlore.api.copies import CopyRuns
from runlore.api.runs import GetRun
from runlore.blobs.base import ArtifactPath, BlobStore
from runlore.blobs.uri import open_blobs
from runlore.client.base import ClientBase
from runlore.store.base import Store


class CopiesClient(ClientBase):
    """Copies of runs."""

    def copy_runs(self, run_ids: Sequence[str], experiment_id: str, files: bool = True) -> list[str]:
        """Make copies of up to 100 runs in an experiment, with params, tags, every metric point and datasets, and unless
        `files` is false with their files, which pass through this process one after the other. Returns the new ids, in order.

        The runs are copied all or none. When a file fails, the copies are there without it and what comes after it.
        """
        made = self._call(CopyRuns(run_ids=list(run_ids), to_experiment_id=str(experiment_id))).run_ids
        if files:
            copy_files(self.store, run_ids, made)
        return made


def copy_files(store: Store, run_ids: Sequence[str], copies: Sequence[str]) -> None:
    """Copy the files of each run to the run in the same place of the other list."""
    for source, copy in zip(run_ids, copies, strict=True):
        theirs, ours = (open_blobs(_place(store, run_id), store, foreign=True) for run_id in (source, copy))
        for path in _files(theirs, ArtifactPath("")):
            ours.write(path, theirs.read(path))


def _place(store: Store, run_id: str) -> str:
    return store.call(GetRun(run_id=run_id)).run.info.artifact_uri


def _files(blobs: BlobStore, directory: ArtifactPath) -> Iterator[ArtifactPath]:
    for entry in blobs.list(directory):
        path = ArtifactPath(entry.path)
        if entry.is_dir:
            yield from _files(blobs, path)
        else:
            yield path
