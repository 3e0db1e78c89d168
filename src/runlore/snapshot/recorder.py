"""Records what produced a run: quick facts when it starts, everything else in a thread, stored as files of the run.

    runlore/snapshot/snapshot.json      command, code, packages, machine, environment variables, seeds
    runlore/snapshot/changes.patch      what differs from the commit, new source files too; `git apply` takes it
    runlore/snapshot/code/…             the script, where there is no git repository or git ignores it
    runlore/snapshot/lock/…             the lock file
    runlore/snapshot/notebook.py        the cells that were run, followed until the run's end

A process that goes on with a run keeps its own in `runlore/snapshot/resumed-<time>/`.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from runlore.blobs.base import ArtifactPath, BlobStore
from runlore.exceptions import InvalidParameter, NotFound, RunloreError
from runlore.snapshot.git import MAX_FILE, GitChanges, git_changes, git_ignores, git_place
from runlore.snapshot.host import host, python
from runlore.snapshot.packages import conda_packages, installed_packages, lock_file
from runlore.snapshot.process import CONSOLE, NOTEBOOK, Process, notebook_source, shell
from runlore.snapshot.secrets import mask_arguments, mask_text, mask_variables, secret_values
from runlore.snapshot.seeds import RandomStates, seeds

FOLDER = "runlore/snapshot"
FILE = "snapshot.json"
DIRTY_TAG = "runlore.git.dirty"
PARTS = ("command", "git", "changes", "untracked", "packages", "lock", "host", "variables", "seeds", "notebook")
"""What can be left out: `RUNLORE_SNAPSHOT="-changes,-untracked"`, or named alone: `RUNLORE_SNAPSHOT="git,packages"`."""
VERSION = 1
CELLS_S = 10.0
"""Time between two looks at which cells of a notebook were run."""
PATIENCE_S = 15.0
"""How long the end of a run waits for its snapshot: longer only when git or the store is that slow."""

logger = logging.getLogger("runlore")


class Client(Protocol):
    """What a recorder needs of a client."""

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Store a text as a file of the run."""
        ...

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        """Set a tag of the run."""
        ...


class SnapshotRecorder:
    """Takes the snapshot of one run in a thread of its own, from the moment it is made; `finish` waits for it."""

    def __init__(
        self, client: Client, run_id: str, resumed: bool = False, choice: str | None = None, more_variables: str = ""
    ) -> None:
        """`choice` names the parts as in `RUNLORE_SNAPSHOT`, `more_variables` further environment variables."""
        self._client, self._run_id = client, run_id
        self._parts = chosen_parts(choice)
        self._folder = f"{FOLDER}/resumed-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}" if resumed else FOLDER
        self._process = Process.current(more_variables)
        self._random = RandomStates.current() if "seeds" in self._parts else RandomStates()
        self._secrets = secret_values(os.environ)
        self._notebook: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._record, name="runlore-snapshot", daemon=True)
        if self._parts:
            self._thread.start()

    def finish(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait for the snapshot, and store the cells of a notebook that were run since."""
        if not self._parts:
            return
        self._stop.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.warning("The snapshot of run %s is not complete: it took more than %g s.", self._run_id, timeout_s)

    def _record(self) -> None:
        """Everything that takes time. What is stored first is what is quick."""
        try:
            snapshot, changes, root = self._snapshot()
            self._store(FILE, json.dumps(snapshot, indent=1, ensure_ascii=False) + "\n")
            if changes is not None:
                self._client.set_tag(self._run_id, DIRTY_TAG, "true" if changes.dirty else "false")
                parts = {"changes": changes.patch, "untracked": changes.additions}
                if patch := "".join(text for part, text in parts.items() if part in self._parts):
                    self._store("changes.patch", mask_text(patch, self._secrets))
            self._store_files(Path(root) if root else None)
            if "notebook" in self._parts and shell() is not None:
                self._follow_cells()
        except (RunloreError, OSError) as error:  # a run does not depend on its snapshot
            logger.warning("The snapshot of run %s is not complete: %s", self._run_id, error)

    def _snapshot(self) -> tuple[dict[str, Any], GitChanges | None, str]:
        """The snapshot as it is stored, what git says of the working tree, and the repository's root."""
        process, parts = self._process, self._parts
        snapshot: dict[str, Any] = {"version": VERSION, "time": int(time.time() * 1000)}
        if "command" in parts:
            snapshot["command"] = {
                "entry_point": process.entry_point,
                "arguments": mask_arguments(process.arguments, self._secrets),
                "command_line": mask_arguments(process.command, self._secrets),
                "working_directory": process.working_directory,
            }
            snapshot["python"] = python()
        place = git_place(process.directory) if "git" in parts else None
        changes = git_changes(Path(place.root)) if place and parts & {"changes", "untracked"} else None
        if place:
            code: dict[str, Any] = {"root": place.root, "commit": place.commit, "branch": place.branch, "remote": place.remote}
            if changes:
                code |= {"dirty": changes.dirty, "untracked": list(changes.untracked), "left_out": list(changes.left_out)}
                code |= {"patch_cut": True} if changes.patch_cut else {}
            snapshot["git"] = {name: value for name, value in code.items() if value is not None}
        if "host" in parts:
            snapshot["host"] = host()
        if "variables" in parts:
            snapshot["variables"] = mask_variables(process.variables)
        if "seeds" in parts:
            snapshot["seeds"] = seeds(self._random, process.variables)
        if "packages" in parts:
            snapshot["packages"] = installed_packages()
            if conda := conda_packages():
                snapshot["conda"] = conda
        return snapshot, changes, place.root if place else ""

    def _store_files(self, root: Path | None) -> None:
        process = self._process
        script = Path(process.working_directory, process.entry_point)
        if (
            "untracked" in self._parts
            and process.entry_point not in (CONSOLE, NOTEBOOK)
            and (root is None or git_ignores(root, script))
        ):
            with suppress(OSError, InvalidParameter):  # the name may be one that no artifact can have
                if script.is_file() and script.stat().st_size <= MAX_FILE:
                    self._store(f"code/{script.name}", mask_text(script.read_text("utf-8", "replace"), self._secrets))
        if "lock" in self._parts and (lock := lock_file(process.directory, root)) is not None:
            with suppress(OSError):
                self._store(f"lock/{lock.name}", mask_text(lock.read_text("utf-8", "replace"), self._secrets))

    def _follow_cells(self) -> None:
        """Store the cells that were run, now and until the end: a kernel that is killed has said what it did."""
        while True:
            last = self._stop.wait(0 if self._notebook is None else CELLS_S)
            if (cells := notebook_source()) is not None and cells != self._notebook:
                self._store("notebook.py", mask_text(cells, self._secrets))
                self._notebook = cells
            if last:
                return

    def _store(self, name: str, text: str) -> None:
        text = text.encode("utf-8", "backslashreplace").decode()  # names of files may hold what is no text
        self._client.log_text(self._run_id, text, f"{self._folder}/{name}")


def chosen_parts(choice: str | None) -> frozenset[str]:
    """The parts that a setting names: "0" none; "1" or nothing all; "git,packages" these; "-changes" all but this one.

    Raises `InvalidParameter` for a part that does not exist.
    """
    text = (choice or "1").strip().lower()
    if text in ("0", "false", "no", "off", "none"):
        return frozenset()
    if text in ("1", "true", "yes", "on", "all"):
        return frozenset(PARTS)
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name.lstrip("-") not in PARTS]
    if unknown:
        raise InvalidParameter(
            f"RUNLORE_SNAPSHOT={choice!r} names an unknown part {unknown[0]!r}. Expected 0, 1, or some of: {', '.join(PARTS)}; "
            "a minus in front leaves a part out."
        )
    without = {name[1:] for name in names if name.startswith("-")}
    return frozenset(name for name in names if not name.startswith("-")) or frozenset(PARTS) - without


def load_snapshot(files: BlobStore) -> dict[str, Any]:
    """The stored snapshot among the files of a run, with its patch as the text `"changes"`; empty when the run has none."""
    try:
        snapshot: dict[str, Any] = json.loads(b"".join(files.read(ArtifactPath(f"{FOLDER}/{FILE}"))))
    except NotFound:
        return {}
    with suppress(NotFound):
        snapshot["changes"] = b"".join(files.read(ArtifactPath(f"{FOLDER}/changes.patch"))).decode("utf-8", "replace")
    return snapshot
