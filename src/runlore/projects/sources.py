"""Where projects come from: a directory, or a git repository at a version.

What a user (or a file) names reaches git as a value, never as an option, and only over git's own, ssh and HTTP: URIs such as
`ext::…` would run programs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from runlore.exceptions import ExecutionException, InvalidParameter
from runlore.snapshot.git import git_place
from runlore.snapshot.secrets import mask_url

_GIT = re.compile(r"(https?|ssh|git|file)://[^\s]+|[A-Za-z0-9_][\w.-]*@[A-Za-z0-9][\w.-]*:[^\s:][^\s]*")
_VERSION = re.compile(r"[^-\s~^:?*\[\\\x00-\x20][^\s~^:?*\[\\\x00-\x20]*")
_PROTOCOLS = "file:git:http:https:ssh"


class Source(NamedTuple):
    """A project on this machine: its directory, its name as the run's source, and what git says of it."""

    directory: Path
    name: str
    commit: str | None
    repository: str | None


def is_git_uri(uri: str) -> bool:
    """Whether a text names a git repository: `https://…`, `ssh://…`, `git@host:path`, `file:///…`."""
    return _GIT.fullmatch(uri.partition("#")[0]) is not None


@contextmanager
def opened(uri: str, version: str | None) -> Iterator[Source]:
    """The project that a URI names; a copy of a repository is removed at the end. `#subdirectory` leads to a part of it.

    Raises `ExecutionException` when it can not be had, `InvalidParameter` for what is no place of a project.
    """
    place, _, part = uri.partition("#")
    if not is_git_uri(uri):
        if "://" in place or "::" in place or place.startswith("-"):
            raise InvalidParameter(f"{mask_url(uri)[:200]!r} is no place of a project. Name a directory or a git repository.")
        if version is not None:
            raise ExecutionException("Setting a version is only supported for Git project URIs")
        directory = _inside(Path(place).expanduser().absolute(), part, place)
        git = git_place(directory)
        yield Source(directory, str(directory), git.commit if git else None, git.remote if git else None)
        return
    clone = Path(tempfile.mkdtemp(prefix="runlore-project-"))
    try:
        commit = _clone(place, version, clone)
        yield Source(_inside(clone, part, mask_url(place)), mask_url(uri), commit, mask_url(place))
    finally:
        shutil.rmtree(clone, ignore_errors=True)


def _inside(root: Path, part: str, name: str) -> Path:
    """A directory of a project. No part of it leads out of it."""
    directory = (root / part).resolve()
    if not directory.is_relative_to(root.resolve()) or not directory.is_dir():
        what = f"Could not find subdirectory {part} of {name}" if part else f"There is no directory {name!r}."
        raise ExecutionException(what)
    return directory


def _clone(uri: str, version: str | None, place: Path) -> str:
    """Check a version out (a branch, a tag or a commit; the default branch without one); returns the commit."""
    if version is not None and not _VERSION.fullmatch(version):
        raise InvalidParameter(f"{version[:100]!r} is no version: name a branch, a tag or a commit.")
    _git("clone", "--quiet", "--no-checkout", "--", uri, str(place), about=f"Could not get the project {mask_url(uri)}")
    wanted = ["HEAD"] if version is None else [f"refs/remotes/origin/{version}", f"refs/tags/{version}", version]
    for name in wanted:
        done = _asked("-C", str(place), "rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
        if done.returncode == 0:
            commit = done.stdout.strip()
            _git("-C", str(place), "checkout", "--quiet", "--detach", commit, about="Could not check the project out")
            return commit
    raise ExecutionException(
        f"Unable to checkout version '{version}' of git repo {mask_url(uri)}. It has no branch, tag or commit of that name."
    )


def _git(*arguments: str, about: str) -> None:
    done = _asked(*arguments)
    if done.returncode:
        raise ExecutionException(f"{about}: {mask_url(done.stderr.strip())[-1_000:]}")


def _asked(*arguments: str) -> subprocess.CompletedProcess[str]:
    git = shutil.which("git")
    if git is None:
        raise ExecutionException("git is not installed, and projects in repositories need it.")
    environment = os.environ | {"GIT_ALLOW_PROTOCOL": _PROTOCOLS, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    return subprocess.run([git, *arguments], env=environment, capture_output=True, text=True, errors="replace", check=False)
