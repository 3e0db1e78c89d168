"""The one place where functions of other libraries are replaced.

A replaced function does what it did, with the same arguments, result and exceptions. Around it a `Watcher` looks on; an
exception in it is logged, whatever it is: foreign objects can raise anything, and a training must not end for its records.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

logger = logging.getLogger("runlore.autologging")

_MARK = "_runlore_original"


class Watcher(ABC):
    """Looks on while a function works."""

    @abstractmethod
    def begin(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Before the call; what it gives is handed to the others. None means: not this one."""

    def arguments(self, begun: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments that the function is called with: those given, and perhaps a callback more."""
        return args, kwargs

    @abstractmethod
    def done(self, begun: Any, result: Any) -> None:
        """After the call."""

    @abstractmethod
    def failed(self, begun: Any) -> None:
        """After an exception."""


class _PerThread(threading.local):
    watching = False


_thread = _PerThread()


def patch(owner: type | ModuleType, name: str, watcher: Watcher, *, through: bool = False) -> None:
    """Let a watcher look on at a method or function, instead of the one that did before.

    Calls inside of a watched call are not watched, unless it is looked `through`.
    """
    function = vars(owner)[name]
    original = getattr(function, _MARK, function)

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        if _thread.watching:
            return original(*args, **kwargs)
        _thread.watching = not through
        try:
            begun = guarded(watcher.begin, original, args, kwargs)
            if begun is not None:
                args, kwargs = guarded(watcher.arguments, begun, args, kwargs) or (args, kwargs)
            try:
                result = original(*args, **kwargs)
            except BaseException:
                if begun is not None:
                    guarded(watcher.failed, begun)
                raise
            if begun is not None:
                guarded(watcher.done, begun, result)
            return result
        finally:
            _thread.watching = False

    setattr(watched, _MARK, original)
    setattr(owner, name, watched)


def guarded(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function of our own; None, and a warning, when it fails."""
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001  # the boundary between foreign objects and a training
        logger.warning("Autologging left something out: %s: %s", type(error).__name__, error)
        return None


def warn(on: bool) -> None:
    """Whether what autologging leaves out is said in a warning."""
    logger.setLevel(logging.NOTSET if on else logging.ERROR)


def when_imported(name: str, then: Callable[[], None]) -> None:
    """Call `then` now when a module has been imported, else just after its first import, instead of what waited for that."""
    if name in sys.modules:
        then()
        return
    sys.meta_path[:] = [finder for finder in sys.meta_path if not (isinstance(finder, _Waiting) and finder.name == name)]
    sys.meta_path.insert(0, _Waiting(name, then))


class _Waiting:
    """Finds a module as ever, once, and sees its import end."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self.name = name
        self._then = then

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec that others find, with a loader that calls `then` after it has loaded."""
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._then)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Any, then: Callable[[], None]) -> None:
        self._loader, self._then = loader, then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        guarded(self._then)
