"""Transactions and connections of both databases."""

from __future__ import annotations

from runlore.store.base import Store


def test_opens(store: Store) -> None:
    assert store.artifact_root.startswith("file:///")
    store.close()
    store.close()
