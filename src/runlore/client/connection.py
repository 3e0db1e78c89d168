"""Which store a client talks to: the URIs that `set_tracking_uri` sets, and the stores this process has open.

Clients are cheap and many, stores are few: a store is opened at its first use and shared by all clients of the process. A
chosen URI is kept in the environment of the process, so that child processes log to the same store.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from pathlib import Path

from runlore.exceptions import Unavailable
from runlore.settings import read_settings
from runlore.spool.kept import KeptFiles
from runlore.spool.places import spool_of
from runlore.spool.spool import Spool, hurry, patience
from runlore.store.base import Store, open_store
from runlore.store.http import HttpStore
from runlore.store.location import locate

logger = logging.getLogger("runlore")

_lock = threading.RLock()
TERMINATED_SECONDS = 4.0
_stores: dict[str, Store] = {}
_spools: dict[str, Spool | None] = {}
_kept: dict[str, KeptFiles] = {}


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
            try:
                _stores[uri] = open_store(uri)
            except OSError as error:  # a directory that can not be written
                raise Unavailable(f"The store at {uri} can not be opened: {error}.") from error
        return _stores[uri]


def spool_at(uri: str) -> Spool | None:
    """The journal of this process for a store, begun unless it is there already; None where there is no place for one (a
    warning says so), and log calls go to the store themselves."""
    if uri in _spools:
        return _spools[uri]
    with _lock:
        if uri not in _spools:
            try:
                _spools[uri] = Spool(
                    uri, lambda: delivery_store(uri), lambda: store_at(uri), read_settings().offline and not is_local(uri)
                )
            except OSError as error:
                logger.warning("There is no place for a journal, so log calls wait for the store: %s", error)
                _spools[uri] = None
            _close_at_the_end_of_a_worker()
        return _spools[uri]


def is_local(uri: str) -> bool:
    """Whether a store is a file of this machine."""
    return uri.startswith(("file:", "sqlite:"))


def open_spool(uri: str) -> Spool | None:
    """The journal of this process for a store, if there is one."""
    return _spools.get(uri)


def kept_files_at(uri: str) -> KeptFiles:
    """Where files wait that a server does not take."""
    with _lock:
        if uri not in _kept:
            _kept[uri] = KeptFiles(*spool_of(uri), lambda: delivery_store(uri))
        return _kept[uri]


def flush_files(uri: str, seconds: float) -> bool:
    """Wait until no files wait for a server any more; False when they still do after so many seconds."""
    kept = _kept.get(uri)
    return kept is None or kept.flush(seconds)


def hurry_to_the_end() -> None:
    """The process was told to end: what was logged gets a few seconds to arrive, then it stays in the journal."""
    hurry(TERMINATED_SECONDS)


def delivery_store(uri: str) -> Store:
    """The store that deliveries go to: they have a patience of their own."""
    if not uri.startswith(("http:", "https:")):
        return store_at(uri)
    key = f"deliveries to {uri}"
    if (store := _stores.get(key)) is not None:
        return store
    with _lock:
        if key not in _stores:
            _stores[key] = HttpStore(uri, patience=0.0)
        return _stores[key]


def _close_at_the_end_of_a_worker() -> None:
    """Workers of `multiprocessing` end without `atexit`."""
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, close_stores, exitpriority=0)


def close_stores() -> None:
    """Wait for what was logged to arrive (30 s at most), finish waiting writes, and close every open store. The next use opens
    them again."""
    with _lock:
        spools = [spool for spool in _spools.values() if spool is not None]
        _spools.clear()
        kept_files = list(_kept.values())
        _kept.clear()
    for spool in spools:
        spool.close()
    for kept in kept_files:
        if not kept.flush(patience()):
            kept.tell_what_waits()
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


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()  # another thread may have held it when this process was forked
    spools = [spool for spool in _spools.values() if spool is not None]
    _spools.clear()
    _kept.clear()  # the parent delivers its own
    for spool in spools:
        spool.abandon()


def _note_children() -> None:
    for spool in _spools.values():
        if spool is not None:
            spool.has_children = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork, after_in_parent=_note_children)
atexit.register(close_stores)
