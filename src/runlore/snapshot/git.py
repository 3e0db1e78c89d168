"""The code that ran, as git knows it.

Commit, branch and remote are read from git's own files: quick, and without a git binary. What was not committed (the patch
and the untracked source files) needs the binary, takes longer, and belongs into a thread.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import time
from functools import lru_cache
from pathlib import Path

import msgspec

from runlore.snapshot.secrets import mask_url

TIMEOUT_S = 20
SHARED_S = 10
MAX_PATCH = 2 << 20
"""Bytes of a patch that are kept; a longer one is cut at the end of a line."""
MAX_FILES, MAX_FILE, MAX_FILES_BYTES = 200, 256 << 10, 4 << 20
"""Untracked source files that are kept: how many, of how many bytes each and in all."""
_SOURCE = re.compile(
    r".*\.(py|pyi|pyx|ipynb|r|jl|lua|c|h|cc|cpp|hpp|cu|cuh|rs|go|java|scala|kt|js|ts|sh|bash|ps1|sql"
    r"|toml|yaml|yml|json|cfg|ini|conf|gin|txt|md|rst|cmake|dockerfile)|(.*/)?(Dockerfile|Makefile|Procfile|Snakefile)",
    re.IGNORECASE,
)
_SECRET_FILE = re.compile(
    r"(^|/)(\.env|\.netrc|\.npmrc|\.pypirc|id_[a-z0-9]+)(\.[^/]*)?$|(credential|secret|password)[^/]*\.(?!py|ipynb)[^/]*$",
    re.IGNORECASE,
)
_PLAIN = re.compile(r'[^\x00-\x1f\x7f"\\\ud800-\udfff]+')
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class GitPlace(msgspec.Struct, frozen=True):
    """Where in which repository something ran. Everything but the root may be unknown."""

    root: str
    commit: str | None = None
    branch: str | None = None
    remote: str | None = None


class GitChanges(msgspec.Struct, frozen=True):
    """What was not committed. `left_out` are untracked source files that were too large or too many."""

    dirty: bool
    patch: str = ""
    """Changes of tracked files: a patch that `git apply` takes."""
    patch_cut: bool = False
    additions: str = ""
    """The untracked source files, as a patch that adds them."""
    untracked: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def git_place(place: Path) -> GitPlace | None:
    """The repository that a directory is in, from git's own files; None outside of one, or when they can not be read."""
    try:
        found = _git_directory(str(place))
        if found is None:
            return None
        root, git = found
        shared = git / (git / "commondir").read_text("utf-8").strip() if (git / "commondir").exists() else git
        commit, branch = _head(git, shared)
        return GitPlace(root=str(root), commit=commit, branch=branch, remote=_remote(shared, branch))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return None


def git_changes(root: Path) -> GitChanges | None:
    """What differs from the commit that is checked out; None without a git binary, or when git takes more than 20 s or fails.

    Runs that start within ten seconds of each other share one answer: a sweep of short runs does not wait for git.
    """
    return _changes(str(root), int(time.monotonic() / SHARED_S))


@lru_cache(maxsize=4)
def _changes(place: str, _: int) -> GitChanges | None:
    root = Path(place)
    try:
        status = _git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=untracked")
        raw = _difference(root) if status else b""
    except (OSError, subprocess.SubprocessError):
        return None
    entries = [entry for entry in status.decode("utf-8", "surrogateescape").split("\0") if entry]
    kept, left_out = _sources(root, sorted(entry[3:] for entry in entries if entry.startswith("?? ")))
    tracked = any(not entry.startswith("?? ") for entry in entries)
    whole = len(raw) <= MAX_PATCH
    patch = raw if whole else raw[: raw.rfind(b"\n", 0, MAX_PATCH) + 1]
    return GitChanges(
        dirty=tracked or bool(kept or left_out),
        patch=patch.decode("utf-8", "replace"),
        patch_cut=not whole,
        additions="".join(addition(name, text) for name, text in kept.items()),
        untracked=tuple(kept),
        left_out=tuple(left_out),
    )


def git_ignores(root: Path, path: Path) -> bool:
    """True when git leaves a file out; false where git can not say."""
    try:
        _git(root, "check-ignore", "--quiet", str(path))
        return True
    except (OSError, subprocess.SubprocessError):
        return False


def addition(name: str, text: str) -> str:
    """A patch that makes a file."""
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n"
    if not text:
        return head
    lines = text.removesuffix("\n").split("\n")
    body = "".join(f"+{line}\n" for line in lines)
    end = "" if text.endswith("\n") else "\\ No newline at end of file\n"
    return f"{head}--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{len(lines)} @@\n{body}{end}"


def _difference(root: Path) -> bytes:
    """What differs from the commit; before the first one, from nothing at all."""
    options = ("--no-color", "--no-ext-diff", "--no-textconv")
    try:
        return _git(root, "diff", "HEAD", *options)
    except subprocess.CalledProcessError:
        return _git(root, "diff", _EMPTY_TREE, *options)


def _git(root: Path, *arguments: str) -> bytes:
    # without optional locks git never stands in the way of the user's own git commands
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotepath=false", *arguments]
    done = subprocess.run(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, command, stderr=done.stderr)
    return done.stdout


def _sources(root: Path, names: list[str]) -> tuple[dict[str, str], list[str]]:
    """Untracked source files: text by name of those to keep, and the names of those that the limits leave out.

    Files of secrets, links, and names that a patch would have to quote are neither.
    """
    kept: dict[str, str] = {}
    left_out: list[str] = []
    total = 0
    for name in names:
        path = root / name
        if (
            not _SOURCE.fullmatch(name)
            or _SECRET_FILE.search(name)
            or ".runlore/" in name
            or path.is_symlink()
            or not _PLAIN.fullmatch(name)
        ):
            continue
        try:
            size = path.stat().st_size
            if size > MAX_FILE or len(kept) >= MAX_FILES or total + size > MAX_FILES_BYTES:
                left_out.append(name)
                continue
            kept[name] = path.read_text("utf-8", "replace")
            total += size
        except OSError:
            continue
    return kept, left_out


@lru_cache(maxsize=64)
def _git_directory(place: str) -> tuple[Path, Path] | None:
    for directory in (Path(place), *Path(place).parents):
        entry = directory / ".git"
        if entry.is_dir():
            return directory, entry
        if entry.is_file():  # a worktree or submodule: the file names the directory
            return directory, Path(os.path.join(directory, entry.read_text("utf-8").removeprefix("gitdir:").strip()))
    return None


def _head(git: Path, shared: Path) -> tuple[str | None, str | None]:
    """Commit and branch that are checked out."""
    head = (git / "HEAD").read_text("utf-8").strip()
    if not head.startswith("ref:"):
        return (head if _COMMIT.fullmatch(head) else None), None
    name = head.removeprefix("ref:").strip()
    branch = name.removeprefix("refs/heads/") if name.startswith("refs/heads/") else None
    for root in (git, shared):
        if (root / name).is_file():
            commit = (root / name).read_text("utf-8").strip()
            return (commit if _COMMIT.fullmatch(commit) else None), branch
    packed = shared / "packed-refs"
    lines = packed.read_text("utf-8").splitlines() if packed.exists() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), None), branch


def _remote(shared: Path, branch: str | None) -> str | None:
    """The URL that the branch is fetched from, else that of `origin`, without credentials."""
    path = shared / "config"
    if not path.is_file():
        return None
    config = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    config.read_string("\n".join(line.strip() for line in path.read_text("utf-8").splitlines()))
    name = config.get(f'branch "{branch}"', "remote", fallback=None) or "origin"
    url = config.get(f'remote "{name}"', "url", fallback=None)
    return mask_url(url) if url else None
