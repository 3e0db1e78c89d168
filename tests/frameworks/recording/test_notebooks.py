"""Runs that begin in the cells of a notebook, in a real kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_for

import runlore
from runlore.client.connection import get_tracking_uri

jupyter = pytest.importorskip("jupyter_client", reason="needs notebooks' kernels: `make .venvs/recording/.ready`")
pytestmark = pytest.mark.filterwarnings("ignore")  # what jupyter_client and pyzmq say of themselves

BEGIN = """import runlore
runlore.set_tracking_uri({uri!r})
run = runlore.start_run()
print(run.info.run_id)"""


class Notebook:
    """A kernel, and what its cells print."""

    def __init__(self, directory: Path) -> None:
        self._manager = jupyter.KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(directory))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(60)

    def cell(self, source: str) -> str:
        """Run a cell; gives what it printed."""
        printed: list[str] = []

        def hear(message: Any) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        self._client.execute_interactive(source, output_hook=hear, timeout=60)
        return "".join(printed).strip()

    def restart(self) -> None:
        """As the menu of a notebook does it."""
        self._manager.restart_kernel()
        self._client.wait_for_ready(60)

    def stop(self) -> None:
        """End the kernel."""
        self._client.stop_channels()
        self._manager.shutdown_kernel()


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    kernel = Notebook(tmp_path)
    yield kernel
    kernel.stop()


def text(run_id: str, folder: str) -> str:
    """The text files in a folder of a run, one after the other."""
    client = runlore.MlflowClient()
    inside = client.list_artifacts(run_id, folder)
    names = [name.path for entry in inside for name in (client.list_artifacts(run_id, entry.path) if entry.is_dir else [entry])]
    return "".join(runlore.artifacts.load_text(f"runs:/{run_id}/{name}") for name in names if not name.endswith(".json"))


def test_cells_and_what_they_print_are_kept_and_a_restart_ends_the_run(notebook: Notebook) -> None:
    begin = BEGIN.format(uri=get_tracking_uri())
    run_id = notebook.cell(begin)
    assert notebook.cell("print('from a cell')") == "from a cell"
    assert notebook.cell("!echo from a child") == "from a child"
    notebook.cell("1 / 0")
    notebook.restart()
    other = notebook.cell(begin)
    wait_for(lambda: runlore.get_run(run_id).info.status == "FINISHED")
    run = runlore.get_run(run_id)
    assert (run.data.tags["mlflow.source.name"], run.data.tags["mlflow.source.type"]) == ("<notebook>", "NOTEBOOK")
    assert text(run_id, "runlore/console") == f"{run_id}\nfrom a cell\nfrom a child\n"
    others = "\n\n".join(
        f"# %% [{number}]\n{source}"
        for number, source in enumerate(
            (begin, "print('from a cell')", "get_ipython().system('echo from a child')", "1 / 0"), 1
        )
    )
    assert text(run_id, "runlore/snapshot") == others + "\n"
    notebook.cell("runlore.end_run()")
    assert text(other, "runlore/snapshot") == f"# %% [1]\n{begin}\n\n# %% [2]\nrunlore.end_run()\n"
    assert text(other, "runlore/console") == f"{other}\n"
