"""What produced a run: the command, the code, the packages, the machine. Recorded beside the run, without being asked.

`SnapshotRecorder` reads all of it in a thread and stores it as files under `runlore/snapshot/` of the run; `difference` says
how two runs differ. `RUNLORE_SNAPSHOT` chooses the parts. No git, no GPU, no permission to look: the part is left out.
"""

from __future__ import annotations

from runlore.snapshot.diff import SnapshotDifference, difference
from runlore.snapshot.recorder import FOLDER, PARTS, SnapshotRecorder, load_snapshot

__all__ = ["FOLDER", "PARTS", "SnapshotDifference", "SnapshotRecorder", "difference", "load_snapshot"]
