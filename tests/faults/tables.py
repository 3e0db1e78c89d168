"""Asking a store's tables without Runlore."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

Query = Callable[[str], list[Any]]


@contextmanager
def querying(uri: str, path: Path) -> Iterator[Query]:
    """Ask a store's tables without Runlore."""
    if uri.startswith("sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            yield lambda sql: connection.execute(sql).fetchall()
    else:
        with psycopg.connect(uri, autocommit=True) as other:
            yield lambda sql: other.execute(sql).fetchall()
