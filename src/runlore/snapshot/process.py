"""The process: what was started how, where and in which environment; the cells of a notebook.

`Process.current()` is quick and reads everything that the script may change later; it runs in `start_run` itself.
"""

from __future__ import annotations

import fnmatch
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

VARIABLES = (
    "CUDA_*", "NVIDIA_VISIBLE_DEVICES", "HIP_*", "ROCR_*", "NCCL_*", "OMP_*", "MKL_*", "OPENBLAS_*", "NUMEXPR_*",
    "PYTHON*", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "CONDA_PREFIX", "TORCH*", "PYTORCH_*", "TF_*", "XLA_*", "JAX_*", "KERAS_*",
    "TOKENIZERS_PARALLELISM", "TRANSFORMERS_*", "PL_GLOBAL_SEED", "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR",
    "SLURM_JOB_ID", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_JOB_NODELIST", "SLURM_JOB_PARTITION", "SLURM_ARRAY_*", "LSB_JOBID",
    "PBS_JOBID", "JOB_NAME", "BUILD_ID", "CI", "GITHUB_RUN_ID", "GITHUB_SHA", "GITHUB_REPOSITORY", "LANG", "LC_ALL", "TZ",
)  # fmt: skip
"""Environment variables that can change what a training computes, or that say where it ran. `RUNLORE_SNAPSHOT_ENV` adds."""
CONSOLE, NOTEBOOK = "<console>", "<notebook>"
"""Entry points that are no file: an interactive interpreter or `python -c`, and a notebook whose name is not known."""


class Process(msgspec.Struct, frozen=True):
    """What the process looked like when the run started. Nothing in it is masked yet."""

    entry_point: str
    arguments: tuple[str, ...]
    command: tuple[str, ...]
    working_directory: str
    variables: dict[str, str]

    @classmethod
    def current(cls, more_variables: str = "") -> Self:
        """This process, now. `more_variables` are further names or patterns of environment variables, with commas between."""
        patterns = (*VARIABLES, *(name.strip() for name in more_variables.split(",") if name.strip()))
        return cls(
            entry_point=entry_point(),
            arguments=() if in_notebook() else tuple(map(str, sys.argv[1:])),  # a kernel's are the front end's, not the user's
            command=tuple(map(str, sys.orig_argv)),
            working_directory=os.getcwd(),
            variables=chosen(os.environ, patterns),
        )

    @property
    def directory(self) -> Path:
        """Where the code is: the script's directory, else the working directory."""
        if self.entry_point in (CONSOLE, NOTEBOOK):
            return Path(self.working_directory)
        return Path(self.working_directory, self.entry_point).parent


def entry_point() -> str:
    """The script as it was named, the notebook where that is known, else `<notebook>` or `<console>`."""
    notebook = notebook_path() or (NOTEBOOK if in_notebook() else None)
    if notebook:
        return notebook
    script = str(sys.argv[0]) if sys.argv else ""
    return CONSOLE if script in ("", "-c", "-") or shell() else script


def chosen(environment: Mapping[str, str], patterns: tuple[str, ...]) -> dict[str, str]:
    """The variables that match one of the patterns, sorted."""
    exact = {pattern for pattern in patterns if "*" not in pattern}
    prefixes = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*") and "*" not in pattern[:-1])
    other = [pattern for pattern in patterns if "*" in pattern[:-1]]
    return {
        name: value
        for name, value in sorted(environment.items())
        if name in exact or name.startswith(prefixes) or any(fnmatch.fnmatchcase(name, pattern) for pattern in other)
    }


def in_notebook() -> bool:
    """True in the kernel of a notebook, false in IPython on a terminal."""
    return getattr(shell(), "kernel", None) is not None


def notebook_path() -> str | None:
    """The file of the notebook that this kernel serves, where the front end tells."""
    running = shell()
    if running is None:
        return None
    place = running.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME") or ""
    return str(place) if str(place).endswith(".ipynb") else None


def notebook_source() -> str | None:
    """Every cell that was run so far, as a script with `# %%` between the cells; None outside of IPython."""
    running = shell()
    if running is None:
        return None
    cells = running.user_ns.get("In") or []
    return "\n\n".join(f"# %% [{number}]\n{cell.rstrip()}" for number, cell in enumerate(cells) if cell.strip()) + "\n"


def shell() -> Any:
    """The running IPython shell, or None. IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
