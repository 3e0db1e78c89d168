"""AMD's GPUs, as the Linux kernel's driver describes them in files: nothing has to be installed for it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

DEVICES = Path("/sys/class/drm")


class AmdGpus:
    """The visible GPUs, numbered as HIP numbers them for this process. What a GPU does not tell is left out."""

    def __init__(self, visible: str | None, devices: Path = DEVICES) -> None:
        """`visible` is the value of `HIP_VISIBLE_DEVICES` or `ROCR_VISIBLE_DEVICES`, None when neither is set."""
        every = sorted(
            (path.parent for path in devices.glob("card[0-9]*/device/mem_info_vram_total")),
            key=lambda device: int("".join(filter(str.isdigit, device.parent.name)) or 0),
        )
        self._devices = every
        if visible is not None:
            chosen = [name.strip() for name in visible.split(",")]
            self._devices = [every[int(name)] for name in chosen if name.isdigit() and int(name) < len(every)]

    def __len__(self) -> int:
        return len(self._devices)

    def sample(self, first: int = 0) -> dict[str, float]:
        """What is the case now, by metric name without `system/`; the first device has the number `first`."""
        found: dict[str, float] = {}
        for number, device in enumerate(self._devices, first):
            found |= {f"gpu_{number}_{name}": value for name, value in _one(device).items()}
        return found


def _one(device: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    used, total = _number(device / "mem_info_vram_used"), _number(device / "mem_info_vram_total")
    if used is not None and total:
        found["memory_usage_megabytes"] = used / 1e6
        found["memory_usage_percentage"] = used / total * 100
    if (busy := _number(device / "gpu_busy_percent")) is not None:
        found["utilization_percentage"] = busy
    for sensors in sorted(device.glob("hwmon/hwmon*")):
        power, limit = _number(sensors / "power1_average"), _number(sensors / "power1_cap")
        if power is not None:
            found["power_usage_watts"] = power / 1e6
            if limit:
                found["power_usage_percentage"] = power / limit * 100
        if (heat := _number(sensors / "temp1_input")) is not None:
            found["temperature_celsius"] = heat / 1000
    return found


def _number(path: Path) -> float | None:
    with suppress(OSError, ValueError):
        return float(path.read_text())
    return None
