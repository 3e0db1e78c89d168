"""The machine: operating system, processor, memory, GPUs, container. Read from files and the standard library alone."""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

_CONTAINER_ID = re.compile(
    r"(?:docker|containers|libpod|crio|containerd|kubepods)[^\n]*?(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])"
)
_SCHEDULERS = {
    "slurm": {"job": "SLURM_JOB_ID", "array_task": "SLURM_ARRAY_TASK_ID", "name": "SLURM_JOB_NAME", "tasks": "SLURM_NTASKS",
              "partition": "SLURM_JOB_PARTITION", "nodes": "SLURM_JOB_NODELIST"},
    "lsf": {"job": "LSB_JOBID", "array_task": "LSB_JOBINDEX", "name": "LSB_JOBNAME", "queue": "LSB_QUEUE"},
    "pbs": {"job": "PBS_JOBID", "array_task": "PBS_ARRAY_INDEX", "name": "PBS_JOBNAME", "queue": "PBS_QUEUE"},
    "grid engine": {"job": "JOB_ID", "array_task": "SGE_TASK_ID", "name": "JOB_NAME", "queue": "QUEUE", "cell": "SGE_CELL"},
    "ray": {"job": "RAY_JOB_ID", "node": "RAY_NODE_ID"},
}  # fmt: skip
"""Schedulers: what is recorded of a job, and the environment variables that say it."""


@cache
def host() -> dict[str, Any]:
    """What is known of this machine; keys whose value is not known are absent."""
    described = {
        "name": socket.gethostname(),
        "system": platform.system(),
        "release": platform.release(),
        "distribution": _distribution(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "cpus_available": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_bytes": _memory(),
        "gpus": _gpus(),
        "gpu_driver": _driver(),
        "container": container(os.environ),
        "scheduler": scheduler(os.environ),
    }
    return {name: value for name, value in described.items() if value not in (None, "", [])}


@cache
def python() -> dict[str, str]:
    """The interpreter."""
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable or "",
        "prefix": sys.prefix,
    }


def _read(path: str | Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return Path(path).read_text()
    return ""


def _distribution() -> str | None:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    with suppress(OSError):
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    return None


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    if found:
        return found[1].strip()
    if sys.platform == "darwin":
        with suppress(OSError, subprocess.SubprocessError):
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    return platform.processor()


def _memory() -> int | None:
    with suppress(ImportError, OSError):
        import psutil

        return int(psutil.virtual_memory().total)
    return None


def _gpus() -> list[dict[str, str]]:
    """NVIDIA's and AMD's, as their kernel drivers describe them: no library has to be installed."""
    found = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        text = _read(path)
        model, uuid = (re.search(rf"^{name}:\s*(.+)$", text, re.MULTILINE) for name in ("Model", "GPU UUID"))
        found.append({"name": model[1].strip() if model else "NVIDIA", **({"uuid": uuid[1].strip()} if uuid else {})})
    for card in sorted(Path("/sys/class/drm").glob("card[0-9]*/device/mem_info_vram_total")):
        name = _read(str(card.with_name("product_name"))).strip() or "AMD"
        found.append({"name": name, "memory_bytes": _read(card).strip()})
    return found


def _driver() -> str | None:
    found = re.search(r"Kernel Module(?: for \S+)?\s+([\d.]+)", _read("/proc/driver/nvidia/version"))
    return found[1] if found else None


def container(environment: Mapping[str, str], root: Path = Path("/")) -> dict[str, str] | None:
    """Which kind of container this is, with the ids and names that the platform tells; None outside of one."""
    image = environment.get("APPTAINER_CONTAINER") or environment.get("SINGULARITY_CONTAINER")
    kinds = {
        "kubernetes": "KUBERNETES_SERVICE_HOST" in environment,
        "apptainer": bool(image),
        "podman": (root / "run/.containerenv").exists(),
        "docker": (root / ".dockerenv").exists(),
        environment.get("container", ""): bool(environment.get("container")),  # what systemd, LXC and others say
    }
    kind = next((name for name, present in kinds.items() if present), None)
    if kind is None:
        return None
    found = {"kind": kind, "image": image}
    for name in ("proc/self/cgroup", "proc/self/mountinfo"):
        if identifier := _CONTAINER_ID.search(_read(root / name)):
            found["id"] = identifier[1]
    if kind == "podman":
        said = dict(re.findall(r'^(id|name|image)="([^"\n]*)"$', _read(root / "run/.containerenv"), re.MULTILINE))
        found |= {name: value for name, value in said.items() if value}
    if kind == "kubernetes":
        namespace = _read(root / "var/run/secrets/kubernetes.io/serviceaccount/namespace").strip()
        found |= {"pod": environment.get("HOSTNAME"), "namespace": namespace or None}
    return {name: value for name, value in found.items() if value}


def scheduler(environment: Mapping[str, str]) -> dict[str, str] | None:
    """The job of a scheduler that this process is a part of: its kind, id, name and place; None outside of one."""
    for kind, variables in _SCHEDULERS.items():
        own = "SGE_CELL" if kind == "grid engine" else variables["job"]
        if environment.get(own):
            found = {name: environment[variable] for name, variable in variables.items() if environment.get(variable)}
            return {"kind": kind, **found}
    return None
