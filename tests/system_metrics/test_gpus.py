"""GPUs without a GPU: the driver's library is a stand-in that answers as NVIDIA's does, AMD's files are made here."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from runlore.system_metrics.amd import AmdGpus
from runlore.system_metrics.nvidia import NvidiaGpus

NOT_SUPPORTED = 3


class Driver:
    """Three GPUs and a slice. Handles are the numbers 1 to 3, and 9 for the slice, which tells its memory alone."""

    UUIDS = {1: b"GPU-aaaa-1", 2: b"GPU-bbbb-2", 3: b"GPU-bbcc-3"}
    SLICE = 9

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = 3
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, handle: Any) -> int:
        handle._obj.value = index + 1
        return 0

    def nvmlDeviceGetHandleByUUID(self, name: bytes, handle: Any) -> int:
        handle._obj.value = self.SLICE
        return 0 if name == b"MIG-1234" else NOT_SUPPORTED

    def nvmlDeviceGetUUID(self, handle: ctypes.c_void_p, text: Any, size: int) -> int:
        text.value = self.UUIDS[handle.value or 0]
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: ctypes.c_void_p, memory: Any) -> int:
        memory._obj.total, memory._obj.used = 80_000_000_000, (handle.value or 0) * 1_000_000_000
        return 0

    def nvmlDeviceGetUtilizationRates(self, handle: ctypes.c_void_p, use: Any) -> int:
        use._obj.gpu = 50
        return self._whole(handle)

    def nvmlDeviceGetPowerUsage(self, handle: ctypes.c_void_p, value: Any) -> int:
        value._obj.value = 350_000
        return self._whole(handle)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: ctypes.c_void_p, value: Any) -> int:
        value._obj.value = 700_000
        return self._whole(handle)

    def nvmlDeviceGetTemperature(self, handle: ctypes.c_void_p, sensor: int, value: Any) -> int:
        value._obj.value = 61
        return self._whole(handle)

    def _whole(self, handle: ctypes.c_void_p) -> int:
        return NOT_SUPPORTED if handle.value == self.SLICE else 0


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, [1, 2, 3]), ("", []), ("-1", []), ("2", [3]), ("2,0", [3, 1]), ("0,7,1", [1]), ("GPU-bbcc", [3]),
        ("MIG-1234", [9]), ("MIG-none", []), (" 1 , GPU-aaaa-1", [2, 1]),
    ],
)  # fmt: skip
def test_only_the_gpus_of_this_process(visible: str | None, expected: list[int]) -> None:
    sample = NvidiaGpus(Driver(), visible).sample()
    used = [value / 1_000 for name, value in sample.items() if name.endswith("memory_usage_megabytes")]
    assert used == expected


def test_what_a_gpu_tells() -> None:
    gpus = NvidiaGpus(Driver(), "1,MIG-1234")
    assert len(gpus) == 2
    assert gpus.sample() == {
        "gpu_0_memory_usage_megabytes": 2_000, "gpu_0_memory_usage_percentage": 2.5, "gpu_0_utilization_percentage": 50,
        "gpu_0_power_usage_watts": 350, "gpu_0_power_usage_percentage": 50, "gpu_0_temperature_celsius": 61,
        "gpu_1_memory_usage_megabytes": 9_000, "gpu_1_memory_usage_percentage": 11.25,
    }  # fmt: skip


def card(place: Path, number: int, **values: int) -> None:
    device = place / f"card{number}" / "device"
    (device / "hwmon" / "hwmon3").mkdir(parents=True)
    for name, value in values.items():
        file = device / "hwmon" / "hwmon3" / name if name.startswith(("power1", "temp1")) else device / name
        file.write_text(f"{value}\n")


def test_amd(tmp_path: Path) -> None:
    card(tmp_path, 10, mem_info_vram_used=4_000_000, mem_info_vram_total=16_000_000)
    card(
        tmp_path, 2, mem_info_vram_used=2_000_000, mem_info_vram_total=8_000_000, gpu_busy_percent=40,
        power1_average=150_000_000, power1_cap=300_000_000, temp1_input=55_000,
    )  # fmt: skip
    card(tmp_path, 0)  # no GPU of AMD's
    assert AmdGpus(None, tmp_path).sample(first=1) == {
        "gpu_1_memory_usage_megabytes": 2, "gpu_1_memory_usage_percentage": 25, "gpu_1_utilization_percentage": 40,
        "gpu_1_power_usage_watts": 150, "gpu_1_power_usage_percentage": 50, "gpu_1_temperature_celsius": 55,
        "gpu_2_memory_usage_megabytes": 4, "gpu_2_memory_usage_percentage": 25,
    }  # fmt: skip
    assert AmdGpus("1", tmp_path).sample() == {"gpu_0_memory_usage_megabytes": 4, "gpu_0_memory_usage_percentage": 25}
    assert AmdGpus("", tmp_path).sample() == {}
