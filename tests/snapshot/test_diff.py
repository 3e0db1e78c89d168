"""How two runs differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner

import runlore
from runlore.cli.main import group
from runlore.snapshot import difference
from runlore.snapshot.diff import Change

A: dict[str, Any] = {
    "python": {"version": "3.11.2", "executable": "/a/python"},
    "git": {"root": "/a", "commit": "c1", "dirty": True},
    "host": {"cpus": 8, "gpus": [{"name": "A100", "uuid": "1"}]},
    "packages": {"numpy": "1.26", "torch": "2.1", "same": "1"},
    "changes": "-x = 1\n+x = 2\n",
}
B: dict[str, Any] = {
    "python": {"version": "3.12.0", "executable": "/b/python"},
    "git": {"root": "/b", "commit": "c1", "dirty": True},
    "host": {"cpus": 8, "gpus": [{"name": "H100", "uuid": "1"}]},
    "packages": {"numpy": "2.0", "jax": "0.4", "same": "1"},
    "changes": "-x = 1\n+x = 3\n",
}


def test_only_what_differs() -> None:
    found = difference(A, B, ({"lr": "0.1", "epochs": "3"}, {"lr": "0.2", "epochs": "3"}))
    assert found.packages == [Change("jax", None, "0.4"), Change("numpy", "1.26", "2.0"), Change("torch", "2.1", None)]
    assert found.sections == {
        "params": [Change("lr", "0.1", "0.2")],
        "python": [Change("version", "3.11.2", "3.12.0")],
        "host": [Change("gpus", "A100, 1", "H100, 1")],
    }
    assert "-+x = 2\n++x = 3\n" in found.code
    assert not found.same


def test_the_same() -> None:
    assert difference(A, A).same
    assert difference({}, {}).same


def test_two_runs_of_a_project(project: Path, ran: Callable[..., str]) -> None:
    a = ran(project, OMP_NUM_THREADS="1")
    (project / "model.py").write_text("LAYERS = 9\n")
    b = ran(project, "--deep", OMP_NUM_THREADS="2")
    found = runlore.diff_runs(a, b)
    assert {change.name: (change.a, change.b) for change in found.sections["variables"]} == {"OMP_NUM_THREADS": ("1", "2")}
    assert found.sections["git"] == [Change("dirty", False, True)]
    assert ("arguments", "", "--deep") in {(change.name, change.a, change.b) for change in found.sections["command"]}
    assert "++LAYERS = 9" in found.code
    shown = CliRunner().invoke(group, ["runs", "diff", a[:8], b[:8], "--store", runlore.get_tracking_uri()])
    assert shown.exit_code == 1
    assert "OMP_NUM_THREADS" in shown.output
    assert "++LAYERS = 9" in shown.output
    same = CliRunner().invoke(group, ["runs", "diff", a, a, "--store", runlore.get_tracking_uri()])
    assert (same.exit_code, same.output) == (0, "Nothing is known to differ.\n")
