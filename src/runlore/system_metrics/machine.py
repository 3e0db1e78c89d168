"""Processor, memory, disk and network of the machine, and of this process with all its children."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

MEGABYTE = 1e6


class Machine:
    """Reads the machine; rates and sums count from when it was made. Needs psutil."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._own = psutil.Process()
        self._tree: dict[int, Any] = {}
        self._network = self._io(psutil.net_io_counters)
        self._disk = self._io(psutil.disk_io_counters)
        psutil.cpu_percent()  # the first call has nothing to compare with
        self._own_tree()

    def sample(self) -> dict[str, float]:
        """What is the case now, by metric name without `system/`."""
        psutil = self._psutil
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(os.path.abspath(os.sep))
        found = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / MEGABYTE,
            "system_memory_usage_percentage": memory.percent,
            "disk_usage_percentage": disk.percent,
            "disk_usage_megabytes": disk.used / MEGABYTE,
            "disk_available_megabytes": disk.free / MEGABYTE,
        }
        network, io = self._io(psutil.net_io_counters), self._io(psutil.disk_io_counters)
        if network and self._network:
            found["network_receive_megabytes"] = (network.bytes_recv - self._network.bytes_recv) / MEGABYTE
            found["network_transmit_megabytes"] = (network.bytes_sent - self._network.bytes_sent) / MEGABYTE
        if io and self._disk:
            found["disk_read_megabytes"] = (io.read_bytes - self._disk.read_bytes) / MEGABYTE
            found["disk_write_megabytes"] = (io.write_bytes - self._disk.write_bytes) / MEGABYTE
        return found | self._own_tree()

    def _own_tree(self) -> dict[str, float]:
        """This process and its children; 100 % is one core that is always busy. Memory that they share is counted for each."""
        gone = self._psutil.Error
        with suppress(gone):
            children = {child.pid: child for child in self._own.children(recursive=True)}
            self._tree = {pid: self._tree.get(pid, child) for pid, child in children.items()}  # known ones know their last time
        busy, resident, processes = 0.0, 0, 0
        for process in (self._own, *self._tree.values()):
            with suppress(gone):
                busy += process.cpu_percent()
                resident += process.memory_info().rss
                processes += 1
        return {
            "process_cpu_utilization_percentage": busy,
            "process_memory_usage_megabytes": resident / MEGABYTE,
            "process_count": processes,
        }

    @staticmethod
    def _io(counters: Any) -> Any:
        """Counters of input and output, or None where the system has none."""
        with suppress(OSError, RuntimeError, NotImplementedError):
            return counters()
        return None
