"""The machine: operating system, processor, memory, GPUs, container. Read from files and the standard library alone."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any


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
        "container": _container(),
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


def _read(path: str) -> str:
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
    return found[1].strip() if found else platform.processor()


def _memory() -> int | None:
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _gpus() -> list[dict[str, str]]:
    """NVIDIA's and AMD's, as their kernel drivers describe them: no library has to be installed."""
    found = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        text = _read(str(path))
        model, uuid = (re.search(rf"^{name}:\s*(.+)$", text, re.MULTILINE) for name in ("Model", "GPU UUID"))
        found.append({"name": model[1].strip() if model else "NVIDIA", **({"uuid": uuid[1].strip()} if uuid else {})})
    for card in sorted(Path("/sys/class/drm").glob("card[0-9]*/device/mem_info_vram_total")):
        name = _read(str(card.with_name("product_name"))).strip() or "AMD"
        found.append({"name": name, "memory_bytes": _read(str(card)).strip()})
    return found


def _driver() -> str | None:
    found = re.search(r"Kernel Module(?: for \S+)?\s+([\d.]+)", _read("/proc/driver/nvidia/version"))
    return found[1] if found else None


def _container() -> dict[str, str] | None:
    """Which kind of container this is, with its id or image where the platform tells."""
    kinds = {
        "kubernetes": "KUBERNETES_SERVICE_HOST" in os.environ,
        "apptainer": bool(os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")),
        "podman": os.path.exists("/run/.containerenv"),
        "docker": os.path.exists("/.dockerenv"),
    }
    kind = next((name for name, present in kinds.items() if present), None)
    if kind is None:
        return None
    found = {"kind": kind}
    identifier = re.search(r"/(?:docker|containers|libpod|kubepods)[^\n]*?([0-9a-f]{64})", _read("/proc/self/mountinfo"))
    if identifier:
        found["id"] = identifier[1]
    if image := os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER"):
        found["image"] = image
    return found
