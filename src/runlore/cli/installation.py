"""What `runlore doctor` looks at beside the store: this installation, what waits in journals, and the server that is used."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from runlore.api.experiments import SearchExperiments
from runlore.cli.output import counted
from runlore.exceptions import RunloreError
from runlore.snapshot.host import host, python
from runlore.snapshot.secrets import mask_text, mask_variables
from runlore.spool.journal import Leftover
from runlore.spool.places import claimed, user_spool, writers
from runlore.store.http import HttpStore
from runlore.store.sql.checkup import Finding
from runlore.system_metrics.monitor import visible_gpus
from runlore.version import MLFLOW_VERSION, __version__

_PATIENCE_S = 5.0
_LITTLE_SPACE = 1 << 30
_SYNC = "runlore sync delivers it; so does the next process that logs to the same place."


def examine_installation() -> Iterator[Finding]:
    """Versions, the environment's settings, and the GPUs that system metrics would watch."""
    machine = host()
    system = " ".join(str(machine[name]) for name in ("distribution", "machine") if name in machine) or sys.platform
    what = f"Runlore {__version__} (the surface of MLflow {MLFLOW_VERSION}) on Python {python()['version']}, {system}."
    yield Finding(level="ok", what=what)
    variables = {name: value for name, value in os.environ.items() if name.startswith(("RUNLORE_", "MLFLOW_"))}
    if variables:
        said = ", ".join(f"{name}={value}" for name, value in sorted(mask_variables(variables).items()))
        yield Finding(level="ok", what=f"The environment says {said}.")
    nvidia, amd = visible_gpus()
    count = len(nvidia or ()) + len(amd)
    which = os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen = "" if which is None else f" (CUDA_VISIBLE_DEVICES={which})"
    yield Finding(level="ok", what=f"{counted(count, 'GPU')} can be watched by system metrics{chosen}.")


def examine_spool(spool: Path) -> Iterator[Finding]:
    """What processes have left in a spool. Journals of processes that live are none of it. Nothing is changed."""
    if not spool.is_dir():
        return
    waiting, calls, damaged = 0, 0, 0
    for directory in writers(spool):
        claim = claimed(directory)
        if claim is None:  # its process lives
            continue
        with suppress(OSError):
            left = Leftover(claim.directory)
            records = sum(1 for _ in left.records())
            waiting, calls, damaged = waiting + (records > 0), calls + records, damaged + sum(left.damaged.values())
        claim.release()
    if waiting:
        what = f"{counted(calls, 'log call')} of {counted(waiting, 'ended process')} wait in {spool}."
        yield Finding(level="warning", what=what, advice=_SYNC)
    else:
        yield Finding(level="ok", what=f"Nothing waits in {spool}.")
    damaged += sum(1 for _ in spool.glob("*/*.corrupt"))
    if damaged:
        what = f"{counted(damaged, 'place')} in journals of {spool} can not be read."
        yield Finding(
            level="warning", what=what, advice="The files are kept as .corrupt; what is around the places is not lost."
        )
    if (spool / "refused.jsonl").exists():
        what = f"{spool / 'refused.jsonl'} holds log calls that a store refused."
        yield Finding(level="warning", what=what, advice="Look at why, then delete the file.")
    free = shutil.disk_usage(spool).free
    if free < _LITTLE_SPACE:
        what = f"{free >> 20} MiB are left on the disk of {spool}."
        yield Finding(level="warning", what=what, advice="Make space: without it nothing more can be kept for a server.")


def examine_own_spool() -> Iterator[Finding]:
    """The spool of this user, for servers and PostgreSQL."""
    return examine_spool(user_spool())


def examine_server(uri: str) -> Iterator[Finding]:
    """Whether a server answers, as which version, and how quickly."""
    with closing(HttpStore(uri, patience=_PATIENCE_S)) as store:
        try:
            begun = time.perf_counter()
            store.call(SearchExperiments(max_results=1))
            took = (time.perf_counter() - begun) * 1_000
        except RunloreError as error:
            yield Finding(level="error", what=mask_text(error.message), advice="Is its address right, and does it run?")
            return
        version = _version(store)
    kind = f"a server of Runlore {version}" if version else "a server of MLflow, or another that speaks its language,"
    yield Finding(level="ok", what=f"{store.uri} is {kind} and answers in {took:.0f} ms.")
    if version and version.split(".")[:2] != __version__.split(".")[:2]:
        what = f"The server is Runlore {version}, this is {__version__}."
        yield Finding(level="note", what=what, advice="They understand each other; newer features need both.")
    what = "Its store is looked at where it is."
    yield Finding(level="note", what=what, advice="Run `runlore doctor` on the server's machine, with the --store that it has.")


def _version(store: HttpStore) -> str | None:
    import urllib3

    try:
        reply = urllib3.request("GET", f"{store.uri}/version", headers=store.headers, timeout=_PATIENCE_S, retries=False)
    except urllib3.exceptions.HTTPError:
        return None
    return reply.headers.get("x-runlore-version")
