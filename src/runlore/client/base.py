"""What the parts of the client share: the way to the store, and the forms of values that MLflow users hand in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from runlore.api.operation import Operation, ViewTypeWord
from runlore.api.runs import CreateRun
from runlore.client.connection import absolute_uri, get_registry_uri, get_tracking_uri, is_local, open_spool, spool_at, store_at
from runlore.entities import ViewType
from runlore.exceptions import InvalidParameter, RunloreError, Unavailable
from runlore.settings import read_settings
from runlore.spool.line import Line
from runlore.spool.offline import MADE_HERE
from runlore.spool.spool import Receipt, Spool
from runlore.store.base import Store

if TYPE_CHECKING:
    from runlore.blobs.base import BlobStore

logger = logging.getLogger("runlore")

Reply = TypeVar("Reply")
Item = TypeVar("Item")

MAX_KEY, MAX_PARAM, MAX_TAG = 250, 6_000, 8_000
"""Longest key, param value and tag value, in characters."""


class PagedList(list[Item]):
    """One page of a search: a list, and the `token` that asks for the next page (None on the last one)."""

    def __init__(self, items: Iterable[Item], token: str | None) -> None:
        super().__init__(items)
        self.token = token or None

    def to_list(self) -> list[Item]:
        """The page without its token."""
        return list(self)


class RunOperations:
    """What `synchronous=False` gives: `wait()` returns when the data is stored, and raises what went wrong."""

    def __init__(self, operation_futures: Sequence[Future[Any] | Receipt] | None = None) -> None:
        self._futures = operation_futures or []

    def wait(self) -> None:
        """Wait until everything is stored."""
        for future in self._futures:
            future.result()


class ClientBase:
    """The connection of a client. Safe to use from many threads; survives a fork."""

    def __init__(
        self,
        tracking_uri: str | Path | None = None,
        registry_uri: str | Path | None = None,
        workspace_store_uri: str | None = None,
    ) -> None:
        """A client of the given stores; without arguments, of those chosen by `set_tracking_uri` or the environment.

        A given `tracking_uri` is that of registered models too unless `registry_uri` says otherwise. Workspaces are not
        offered: `workspace_store_uri` must be None.
        """
        if workspace_store_uri is not None:
            raise InvalidParameter(f"Runlore has no workspaces; workspace_store_uri was {workspace_store_uri!r}.")
        self._tracking_uri = absolute_uri(tracking_uri) if tracking_uri else get_tracking_uri()
        self._strict = read_settings().strict
        own = self._tracking_uri if tracking_uri else get_registry_uri()
        self._registry_uri = absolute_uri(registry_uri) if registry_uri else own

    @property
    def tracking_uri(self) -> str:
        """The URI of the store of experiments and runs."""
        return self._tracking_uri

    @property
    def store(self) -> Store:
        """The store of experiments, runs and logged models."""
        return store_at(self._tracking_uri)

    @property
    def registry_store(self) -> Store:
        """The store of registered models."""
        return store_at(self._registry_uri)

    def flush(self, seconds: float = 60.0) -> bool:
        """Wait until everything that this process has logged to the store has arrived there; False when it has not in so many
        seconds. Reading calls do this themselves."""
        spool = open_spool(self._tracking_uri)
        return spool is None or spool.flush(seconds)

    def _call(self, operation: Operation[Reply]) -> Reply:
        """Carry out an operation after everything that was logged has arrived at the store."""
        makes = isinstance(operation, CreateRun) or (isinstance(operation, MADE_HERE) and not is_local(self._tracking_uri))
        spool = self._spool() if makes else open_spool(self._tracking_uri)
        if spool is not None:
            return spool.call(operation)
        try:
            return self.store.call(operation)
        except Unavailable:  # a directory that can not be written: runs and experiments are made in the spool
            instead = self._spool() if isinstance(operation, MADE_HERE) else None
            if instead is None:
                raise
        return instead.call(operation)

    def _register(self, operation: Operation[Reply]) -> Reply:
        if self._registry_uri == self._tracking_uri:
            return self._call(operation)
        return self.registry_store.call(operation)

    def _spool(self) -> Spool | None:
        """The journal that takes what is logged; None when logging calls go to the store themselves."""
        return None if self._strict else spool_at(self._tracking_uri)

    def _log(self, operations: Iterable[Operation[Any]], synchronous: bool | None) -> RunOperations | None:
        """Every logging call goes through here or through `_log_points`. It returns when the data is in the journal; with
        `synchronous=True`, or in strict mode, when it is on stable storage of the store."""
        spool = self._spool()
        if synchronous is False:
            return self._log_in_background(spool, operations)
        for operation in operations:
            if spool is None:
                self.store.call(operation)
            elif synchronous:
                spool.call(operation)
            else:
                spool.accept(operation)
        return None

    def _log_in_background(self, spool: Spool | None, operations: Iterable[Operation[Any]]) -> RunOperations:
        """What is wrong is raised by `wait()`."""
        done: Future[None] = Future()
        try:
            if spool is not None:
                return RunOperations([Receipt(spool, spool.accept(operation)) for operation in operations])
            self._log(operations, True)
            done.set_result(None)
        except RunloreError as error:
            done.set_exception(error)
        return RunOperations([done])

    def _log_points(self, run_id: str, values: dict[str, float], time: int, step: int | None) -> bool:
        """Put points into the journal; False when there is none."""
        spool = self._spool()
        if spool is None:
            return False
        if not spool.names.issuperset(values):
            for key in values:
                key_text(key, "metric")
        spool.log_points(run_id, values, time, step)
        return True

    def line(self, run_id: str) -> Line | None:
        """The short way for points of a run that this client has logged to; None where there is no journal."""
        spool = self._spool()
        return None if spool is None else spool.line(run_id)

    def _blobs(self, artifact_uri: str) -> BlobStore:
        from runlore.blobs.uri import open_blobs

        spool = open_spool(self._tracking_uri)
        if spool is not None and (directory := spool.files_of(artifact_uri)) is not None:
            from runlore.blobs.local import LocalBlobs

            return LocalBlobs(directory)
        return open_blobs(artifact_uri, self.store, foreign=True)


# -- values ---------------------------------------------------------------------------------------------------------------


def now() -> int:
    """The time as Unix milliseconds."""
    return int(time.time() * 1000)


def view_type_word(view_type: Any) -> ViewTypeWord:
    """The word for a view type given as MLflow's number (1 active, 2 deleted, 3 all), as a word, or as an enum of either."""
    value = getattr(view_type, "value", view_type)
    words: dict[Any, ViewTypeWord] = {1: "ACTIVE_ONLY", 2: "DELETED_ONLY", 3: "ALL"}
    words |= {word: word for word in words.values()}
    if value not in words:
        raise InvalidParameter(f"Invalid view type {view_type!r}. Expected {', '.join(vars_of(ViewType))}.")
    return words[value]


def vars_of(words: type) -> list[str]:
    """The public constants of a class of words."""
    return [name for name in vars(words) if name.isupper()]


def key_text(key: Any, noun: str) -> str:
    """A key of a metric, param or tag, checked here so that the message can name it."""
    if key is None or not isinstance(key, str) or not key:
        raise InvalidParameter(f"Invalid {noun} key {key!r}. A key name must be provided: text of 1 to {MAX_KEY} characters.")
    if len(key) > MAX_KEY:
        raise InvalidParameter(f"{noun.capitalize()} key {key[:50]!r}… exceeds the maximum length of {MAX_KEY} characters.")
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in key):
        raise InvalidParameter(f"Invalid {noun} key {key!r}: half of a surrogate pair can not be stored.")
    return key


def param_text(key: str, value: Any, cut: bool = False) -> str:
    """A param value of any type as text of at most 6,000 characters; `cut` says that longer ones may be cut."""
    return _short_text("Param", key, str(value), MAX_PARAM, cut)


def tag_text(key: str, value: Any, cut: bool = False) -> str:
    """A tag value of any type as text of at most 8,000 characters; `cut` says that longer ones may be cut."""
    return _short_text("Tag", key, str(value), MAX_TAG, cut)


def _short_text(noun: str, key: str, text: str, limit: int, cut: bool) -> str:
    if len(text) <= limit:
        return text
    if cut and _truth("TRUNCATE_LONG_VALUES", read_settings().truncate_long_values or "true"):
        logger.warning(
            "%s value of %r, %r… (%d characters), is truncated to %d characters. hint: log_text and log_dict store it whole.",
            noun, key, text[:40], len(text), limit,
        )  # fmt: skip
        return text[:limit]
    raise InvalidParameter(
        f"'{noun} value' exceeds the maximum length of {limit} characters: {key!r} has {len(text)}, {text[:40]!r}…. "
        "hint: log long values with log_text or log_dict."
    )


def _truth(name: str, text: str) -> bool:
    if text.lower() not in ("true", "1", "false", "0"):
        raise InvalidParameter(f"RUNLORE_{name} (or MLFLOW_{name}) is {text!r}. Expected true or false.")
    return text.lower() in ("true", "1")


def metric_number(key: str, value: Any) -> float:
    """A metric value as a float: numbers, texts of numbers, numpy scalars, arrays and tensors of one element.

    NaN and infinities are numbers.
    """
    if type(value) is float:  # a subclass, such as numpy.float64, can not be sent as it is
        return value
    if value is None:
        raise InvalidParameter(f"Missing value for required parameter 'value' of metric '{key}'.")
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise InvalidParameter(
            f"Invalid value {str(value)[:100]!r} of type {type(value).__name__} for metric '{key}'. "
            "Please specify value as a valid double (64-bit floating point)."
        ) from None


def step_number(step: Any, noun: str = "step") -> int:
    """A step (or timestamp) as an integer; None is 0. Whole floats and numpy integers are fine."""
    if step is None:
        return 0
    try:
        if not isinstance(step, str) and step == int(step):
            return int(step)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidParameter(f"Invalid {noun} {step!r}. {noun.capitalize()} must be a whole number (64-bit integer).")


def in_chunks(items: list[Item], size: int) -> list[list[Item]]:
    """The items in lists of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def all_pages(page: Callable[[str | None, int], PagedList[Item]], limit: int | None, page_size: int) -> list[Item]:
    """Items of all pages, at most `limit`. `page(token, size)` asks for one page."""
    items: list[Item] = []
    token: str | None = None
    while limit is None or len(items) < limit:
        size = page_size if limit is None else min(page_size, limit - len(items))
        found = page(token, size)
        items += found
        token = found.token
        if not token:
            break
    return items


def tag_pairs(tags: Mapping[str, Any] | None, cut: bool = False) -> list[tuple[str, str]]:
    """Tags as checked pairs of texts; `cut` as for `tag_text`."""
    return [(key_text(key, "tag"), tag_text(key, value, cut)) for key, value in (tags or {}).items()]
