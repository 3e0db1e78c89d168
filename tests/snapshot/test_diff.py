"""How two runs differ."""

from __future__ import annotations

from typing import Any

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
