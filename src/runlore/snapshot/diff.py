"""How two runs differ in what produced them: pure functions on two snapshots and two runs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import msgspec

SECTIONS = ("command", "python", "git", "host", "variables", "seeds", "conda")
_ALWAYS_OTHER = {
    ("git", "root"), ("git", "untracked"), ("git", "left_out"), ("python", "executable"), ("python", "prefix"),
    ("host", "container.id"), ("host", "container.pod"), ("host", "scheduler.job"), ("host", "scheduler.array_task"),
}  # fmt: skip


class Change(msgspec.Struct, frozen=True):
    """A value of both runs; None where a run does not have it."""

    name: str
    a: Any
    b: Any


class SnapshotDifference(msgspec.Struct, frozen=True):
    """What is not the same. Sections without a difference are absent, lists are sorted by name."""

    packages: list[Change]
    """Added (a is None), removed (b is None) and changed distributions."""
    sections: dict[str, list[Change]]
    """Per section of the snapshot ("command", "git", "host" …, and "params"), the values that differ."""
    code: str
    """A unified difference of the two patches against their commits; empty when they are equal."""

    @property
    def same(self) -> bool:
        """True when nothing is known to differ."""
        return not (self.packages or self.sections or self.code)


def difference(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    params: tuple[Mapping[str, str], Mapping[str, str]] | None = None,
) -> SnapshotDifference:
    """What differs between two snapshots, and between the params of their runs when they are given.

    Places that differ from machine to machine and from checkout to checkout (the repository's root, the interpreter's path) and
    the numbers of jobs and containers are no difference.
    """
    sections = {}
    for section in SECTIONS:
        found = [
            change
            for change in changes(flat(a.get(section)), flat(b.get(section)))
            if (section, change.name) not in _ALWAYS_OTHER
        ]
        if found:
            sections[section] = found
    if params is not None and (found := changes(*params)):
        sections = {"params": found, **sections}
    return SnapshotDifference(
        packages=changes(a.get("packages") or {}, b.get("packages") or {}),
        sections=sections,
        code=code_difference(str(a.get("changes") or ""), str(b.get("changes") or "")),
    )


def changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Change]:
    """The names whose values differ, sorted."""
    return [Change(name=name, a=a.get(name), b=b.get(name)) for name in sorted({*a, *b}) if a.get(name) != b.get(name)]


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dots between the names; lists as one text each."""
    if not isinstance(value, Mapping):
        return {} if value is None else {prefix: _text(value)}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= flat(inner, f"{prefix}.{name}" if prefix else str(name))
    return found


def code_difference(a: str, b: str) -> str:
    """A unified difference of two patches: what `b` changes that `a` did not, and the other way round."""
    if a == b:
        return ""
    lines = difflib.unified_diff(a.splitlines(), b.splitlines(), "a/changes.patch", "b/changes.patch", lineterm="")
    return "\n".join(lines) + "\n"


def _text(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return " ".join(str(item) if not isinstance(item, Mapping) else ", ".join(map(str, item.values())) for item in value)
    return value
