"""The console of a run: what the process prints, kept as text that grows while it runs.

Stored under `runlore/console/<session>/` in parts named by the byte at which they begin (`000000000000.txt`, …): all parts in
the order of their names are the text. A part is written again while it grows, up to 128 kB; then the next one begins. So every
kind of store can keep it, and whoever reads it sees it live. A process that goes on with a run begins a session of its own.

`RUNLORE_CONSOLE=0` turns it off.
"""

from __future__ import annotations

from runlore.console.capture import ConsoleRecorder, wanted
from runlore.console.parts import FOLDER, PartsWriter
from runlore.console.transcript import Transcript

__all__ = ["FOLDER", "ConsoleRecorder", "PartsWriter", "Transcript", "wanted"]
