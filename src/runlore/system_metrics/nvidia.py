"""NVIDIA's GPUs that this process may use, through the driver's own library: nothing has to be installed for it.

`CUDA_VISIBLE_DEVICES` is heeded, and devices are numbered as CUDA numbers them for this process: `gpu_0` is `cuda:0` (given
one kind of GPU, or `CUDA_DEVICE_ORDER=PCI_BUS_ID`). Slices of a GPU (MIG) are devices of their own.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

LIBRARIES = ("nvml.dll",) if sys.platform == "win32" else ("libnvidia-ml.so.1", "libnvidia-ml.so")
_UUID_BYTES = 96
_TEMPERATURE_GPU = 0


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class _Utilization(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


def driver_library() -> Any:
    """The driver's library, initialised; None where there is no driver."""
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        if library.nvmlInit_v2() == 0:
            return library
    return None


class NvidiaGpus:
    """The visible GPUs. What a GPU can not tell (power on some, utilization of slices) is left out."""

    def __init__(self, library: Any, visible: str | None) -> None:
        """`visible` is the value of `CUDA_VISIBLE_DEVICES`, None when it is not set."""
        self._library = library
        self._handles = self._visible(visible)

    def __len__(self) -> int:
        return len(self._handles)

    def sample(self) -> dict[str, float]:
        """What is the case now, by metric name without `system/`."""
        found: dict[str, float] = {}
        for number, handle in enumerate(self._handles):
            found |= {f"gpu_{number}_{name}": value for name, value in self._one(handle).items()}
        return found

    def _one(self, handle: ctypes.c_void_p) -> dict[str, float]:
        library, found = self._library, {}
        memory, use = _Memory(), _Utilization()
        if library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0 and memory.total:
            found["memory_usage_megabytes"] = memory.used / 1e6
            found["memory_usage_percentage"] = memory.used / memory.total * 100
        if library.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(use)) == 0:
            found["utilization_percentage"] = float(use.gpu)
        power, limit = self._number("PowerUsage", handle), self._number("EnforcedPowerLimit", handle)
        if power is not None:
            found["power_usage_watts"] = power / 1000
            if limit:
                found["power_usage_percentage"] = power / limit * 100
        degrees = ctypes.c_uint()
        if library.nvmlDeviceGetTemperature(handle, _TEMPERATURE_GPU, ctypes.byref(degrees)) == 0:
            found["temperature_celsius"] = float(degrees.value)
        return found

    def _number(self, what: str, handle: ctypes.c_void_p) -> int | None:
        value = ctypes.c_uint()
        done: int = getattr(self._library, f"nvmlDeviceGet{what}")(handle, ctypes.byref(value))
        return value.value if done == 0 else None

    def _visible(self, visible: str | None) -> list[ctypes.c_void_p]:
        """The handles of the devices that CUDA shows this process, in its order; as in CUDA, an unknown name ends the list."""
        every = self._all()
        if visible is None:
            return every
        found: list[ctypes.c_void_p] = []
        for name in (part.strip() for part in visible.split(",")):
            if name.isdigit() and int(name) < len(every):
                found.append(every[int(name)])
            elif (handle := self._by_uuid(name, every)) is not None:
                found.append(handle)
            else:
                break
        return found

    def _all(self) -> list[ctypes.c_void_p]:
        count = ctypes.c_uint()
        self._library.nvmlDeviceGetCount_v2(ctypes.byref(count))
        handles = []
        for index in range(count.value):
            handle = ctypes.c_void_p()
            if self._library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) == 0:
                handles.append(handle)
        return handles

    def _by_uuid(self, name: str, every: list[ctypes.c_void_p]) -> ctypes.c_void_p | None:
        """A device by its UUID or the beginning of one; a slice by its whole UUID."""
        if name.startswith("MIG-"):
            handle = ctypes.c_void_p()
            found: int = self._library.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(handle))
            return handle if found == 0 else None
        return next((handle for handle in every if name.startswith("GPU-") and self._uuid(handle).startswith(name)), None)

    def _uuid(self, handle: ctypes.c_void_p) -> str:
        text = ctypes.create_string_buffer(_UUID_BYTES)
        done: int = self._library.nvmlDeviceGetUUID(handle, text, _UUID_BYTES)
        return text.value.decode() if done == 0 else ""
