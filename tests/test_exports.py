"""What is public is documented, what is documented is there, and the reference says what the code says."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from docs.generate import MODULES, REFERENCE, pages

import runlore

PAGES = pages()


def all_modules() -> list[str]:
    return ["runlore", *(module.name for module in pkgutil.walk_packages(runlore.__path__, "runlore."))]


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_fresh(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name], "run `make reference`"


def test_the_reference_has_no_other_pages() -> None:
    assert {path.name for path in REFERENCE.iterdir()} == PAGES.keys()


def test_every_public_module_is_in_the_reference() -> None:
    modules = {f"runlore.{name}" for name in runlore.__all__ if inspect.ismodule(getattr(runlore, name))}
    assert modules - set(MODULES) == {"runlore.client", "runlore.entities", "runlore.tracking"}


@pytest.mark.parametrize("name", all_modules())
def test_whatever_is_public_says_what_it_is(name: str) -> None:
    module = import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    silent = [where for where, value in public_things(module) if not inspect.getdoc(value)]
    assert silent == []


def public_things(module: Any) -> Iterator[tuple[str, Any]]:
    """Functions and classes that a module defines, and the methods and properties of these classes."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            yield f"{module.__name__}.{name}", value
        if inspect.isclass(value):
            for member in vars(value):
                thing = getattr(value, member)
                if not member.startswith("_") and (inspect.isroutine(thing) or isinstance(thing, property)):
                    yield f"{module.__name__}.{name}.{member}", thing


def test_paths_in_the_reference_are_nobodys_machine() -> None:
    home = str(Path.home())
    assert [name for name, text in PAGES.items() if home in text or " object at 0x" in text] == []
