"""Which store a client talks to: the URIs that `set_tracking_uri` sets, and the stores this process has open.

Clients are cheap and many, stores are few: a store is opened at its first use and shared by all clients of the process. A
chosen URI is kept in the environment of the process, so that child processes log to the same store.
"""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path

from runlore.settings import read_settings
from runlore.store.base import Store, open_store
from runlore.store.location import locate

_lock = threading.Lock()
_stores: dict[str, Store] = {}


def set_tracking_uri(uri: str | Path) -> None:
    """Choose the store for everything that follows in this process and its children; an empty text takes the choice back.

    `uri` is a directory, `sqlite:///file.db`, `postgresql://…`, or the address of a Runlore or MLflow server. Runs that are
    open stay with the store they were started in.
    """
    _choose("RUNLORE_TRACKING_URI", uri)


def get_tracking_uri() -> str:
    """The URI in use: the one set, else that of the environment (`RUNLORE_TRACKING_URI`, `MLFLOW_TRACKING_URI`), else the
    `file:` URI of the nearest `.runlore/` directory."""
    return _absolute(read_settings().tracking_uri) or locate().as_uri()


def is_tracking_uri_set() -> bool:
    """True when `set_tracking_uri` or the environment has chosen the store."""
    return bool(read_settings().tracking_uri)


def set_registry_uri(uri: str | Path) -> None:
    """Keep registered models in another store than runs; an empty text takes the choice back."""
    _choose("RUNLORE_REGISTRY_URI", uri)


def get_registry_uri() -> str:
    """The URI of the store of registered models: that of runs unless another one was chosen."""
    return _absolute(read_settings().registry_uri) or get_tracking_uri()


def store_at(uri: str) -> Store:
    """The store of a URI, opened unless this process has it open already."""
    if (store := _stores.get(uri)) is not None:
        return store
    with _lock:
        if uri not in _stores:
            _stores[uri] = open_store(uri)
        return _stores[uri]


def close_stores() -> None:
    """Finish waiting writes and close every open store. The next use opens them again."""
    with _lock:
        stores = list(_stores.values())
        _stores.clear()
    for store in stores:
        store.close()


def absolute_uri(uri: str | Path) -> str:
    """A tracking URI that means the same after a change of the working directory."""
    return _absolute(str(uri) if uri else None) or get_tracking_uri()


def _choose(variable: str, uri: str | Path) -> None:
    if text := _absolute(str(uri) if uri else None):
        os.environ[variable] = text
    else:
        os.environ.pop(variable, None)


def _absolute(uri: str | None) -> str | None:
    if not uri:
        return None
    scheme, colon, rest = uri.partition(":")
    if not colon or len(scheme) == 1 or not scheme.replace("+", "").isalnum():
        return Path(uri).expanduser().absolute().as_uri()
    if scheme == "file" and not rest.startswith("/"):
        return Path(rest).absolute().as_uri()
    if scheme == "sqlite" and rest.startswith("///") and not Path(rest[3:]).is_absolute():
        return f"sqlite:///{Path(rest[3:]).absolute()}"
    return uri


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it when this process was forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
atexit.register(close_stores)
