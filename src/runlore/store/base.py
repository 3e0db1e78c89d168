"""What a store is, and how a URI becomes one."""

from __future__ import annotations

from typing import Protocol, TypeVar

from runlore.api.operation import Operation

Reply = TypeVar("Reply")


class Store(Protocol):
    """Answers operations. Safe to use from many threads.

    `call` returns the reply, or raises a `RunloreError` and has changed nothing. When a writing operation returns, its
    effect is on stable storage. Sending the same write again is harmless.
    """

    uri: str
    artifact_root: str
    """Where `mlflow-artifacts:/` points: a `file:`, `s3:`, `gs:`, `az:` or `http(s):` URI."""

    def call(self, operation: Operation[Reply]) -> Reply:
        """Carry out one operation."""
        ...

    def close(self) -> None:
        """Finish waiting writes and let go of files and sockets. Calling it twice is harmless."""
        ...
