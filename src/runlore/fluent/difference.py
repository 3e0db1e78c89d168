"""How two runs differ in what produced them."""

from __future__ import annotations

from runlore.fluent import context
from runlore.snapshot import SnapshotDifference, difference, load_snapshot


def diff_runs(a: str, b: str) -> SnapshotDifference:
    """What differs between two runs, by their ids: params, packages, commit, uncommitted code, machine, environment.

    A run that was logged without a snapshot differs in everything that the other one knows. Raises `NotFound` for a run that
    does not exist.
    """
    from runlore.blobs.uri import open_blobs

    runs = [context.client_of(run_id).get_run(run_id) for run_id in (a, b)]
    stores = [context.client_of(run_id).store for run_id in (a, b)]
    snapshots = [
        load_snapshot(open_blobs(run.info.artifact_uri, store, foreign=True)) for run, store in zip(runs, stores, strict=True)
    ]
    return difference(snapshots[0], snapshots[1], (runs[0].data.params, runs[1].data.params))
