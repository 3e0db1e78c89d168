"""The process: what was started how, where and in which environment; random seeds; the cells of a notebook.

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
CONSOLE = "<console>"


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
            arguments=tuple(map(str, sys.argv[1:])),
            command=tuple(map(str, sys.orig_argv)),
            working_directory=os.getcwd(),
            variables=chosen(os.environ, patterns),
        )

    @property
    def directory(self) -> Path:
        """Where the code is: the script's directory, else the working directory."""
        if self.entry_point == CONSOLE or self.entry_point.startswith("<"):
            return Path(self.working_directory)
        return Path(self.working_directory, self.entry_point).parent


def entry_point() -> str:
    """The script as it was named, the notebook where that is known, else `<console>`."""
    notebook = notebook_path()
    if notebook:
        return notebook
    script = str(sys.argv[0]) if sys.argv else ""
    return CONSOLE if script in ("", "-c", "-") or _shell() else script


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


def seeds(variables: Mapping[str, str]) -> dict[str, int | str]:
    """Random seeds that can be read: of torch, of numpy when nothing was drawn since, and of the environment.

    Python's `random` keeps no seed, and no library is imported to ask it.
    """
    found: dict[str, int | str] = {}
    for name in ("PYTHONHASHSEED", "PL_GLOBAL_SEED"):
        if variables.get(name):
            found[name] = variables[name]
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy.random")
    if hasattr(torch, "initial_seed"):
        found["torch"] = int(torch.initial_seed())  # type: ignore[union-attr]
    if hasattr(numpy, "get_state"):
        kind, key, position, *_ = numpy.get_state(legacy=True)  # type: ignore[union-attr]
        if kind == "MT19937" and position == 624:  # seeded and not used yet: the first word is the seed
            found["numpy"] = int(key[0])
    return found


def notebook_path() -> str | None:
    """The file of the notebook that this kernel serves, where the front end tells."""
    shell = _shell()
    if shell is None:
        return None
    place = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME") or ""
    return str(place) if str(place).endswith(".ipynb") else None


def notebook_source() -> str | None:
    """Every cell that was run so far, as a script with `# %%` between the cells; None outside of IPython."""
    shell = _shell()
    if shell is None:
        return None
    cells = shell.user_ns.get("In") or []
    return "\n\n".join(f"# %% [{number}]\n{cell.rstrip()}" for number, cell in enumerate(cells) if cell.strip()) + "\n"


def _shell() -> Any:
    """The running IPython shell, or None. IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
