"""How many bytes of disk a metric point takes: MLflow, FastTrackML and Runlore in turn, the same points for each.

    python bench/disk.py              # about a minute
    python bench/disk.py --points 1000000 --only runlore

Ten metrics a call, as a training loop logs them. All three keep a SQLite file; what is counted is the pages that are in use
after the server has stopped, less those of the same store with the same run without points. For Runlore twice: while the run
goes on, as its calls left them, and when it has ended and its points were folded.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import tempfile
import time
from pathlib import Path

from ingest import create_run
from peers import PEERS, Connection, Peer, started, write_readme

from runlore.store.sql.sqlite import driver

METRICS = 10
LOOSE_POINTS = 10_000
"""Before folding, which begins at 1,024 calls."""
START = 1_700_000_000_000


def used_bytes(folder: Path) -> int:
    """Bytes of the pages in use of the one SQLite file in a folder."""
    (path,) = [path for path in folder.iterdir() if path.suffix == ".db"]
    database = driver().connect(path)
    try:
        size, pages, free = (
            database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
        )
        return int(size * (pages - free))
    finally:
        database.close()


def log(connection: Connection, run_id: str, points: int) -> None:
    """Curves that fall with some noise, as float32 frameworks log them, ten steps a second."""
    chance = random.Random(7)
    for step in range(points // METRICS):
        time_now = START + step * 100 + chance.randrange(20)
        values = [math.exp(-step / 2_000) + chance.gauss(0, 0.01) for _ in range(METRICS)]
        metrics = [
            {"key": f"metric_{number}", "value": round(value, 7), "timestamp": time_now, "step": step}
            for number, value in enumerate(values)
        ]
        connection.post("runs/log-batch", {"run_id": run_id, "metrics": metrics})


def bytes_after(peer: Peer, points: int, ended: bool) -> int:
    """Bytes of a store with one run of so many points."""
    kept = Path(tempfile.mkdtemp(prefix="runlore-bench-"))
    try:
        with started(peer) as server:
            connection = server.connect()
            run_id = create_run(connection, "disk")
            for number in range(METRICS):
                connection.post(
                    "runs/log-metric",
                    {"run_id": run_id, "key": f"metric_{number}", "value": 1, "timestamp": START - 1, "step": -1},
                )
            log(connection, run_id, points)
            if ended:
                connection.post("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": START})
                time.sleep(3)  # folding begins when nothing was written for 50 ms
            server.stop()
            shutil.copytree(server.folder, kept, dirs_exist_ok=True)
        return used_bytes(kept)
    finally:
        shutil.rmtree(kept, ignore_errors=True)


def main() -> None:
    """Measure every installed peer and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000, help="points of a run that has ended")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    parser.add_argument("--only", help="only the peer whose name begins with this")
    options = parser.parse_args()
    found: dict[str, tuple[float, float | None]] = {}
    for peer in PEERS:
        if not peer.installed or (options.only and not peer.name.lower().startswith(options.only.lower())):
            continue
        points = 3_000 if peer.name.startswith("MLflow") else LOOSE_POINTS  # at 20 calls a second
        empty = bytes_after(peer, 0, ended=False)
        loose = (bytes_after(peer, points, ended=False) - empty) / points
        ours = peer.name == "Runlore"
        folded = (bytes_after(peer, options.points, ended=True) - empty) / options.points if ours else None
        found[peer.name] = loose, folded
        if not options.json:
            print(
                f"{peer.name}: {loose:.1f} bytes a point" + (f", {folded:.1f} when folded" if folded is not None else ""),
                flush=True,
            )
    if options.json:
        print(json.dumps(found))
        return
    cells = [f"{loose:.0f}" + (f", {folded:.1f} when folded" if folded is not None else "") for loose, folded in found.values()]
    names = list(found)
    text = "\n".join(
        [f"| Work | {' | '.join(names)} |", "|---|" + "---|" * len(names), f"| bytes on disk a point | {' | '.join(cells)} |"]
    )
    print("\n" + text)
    if "Runlore" in found:
        loose, folded = found["Runlore"]
        for what, bytes_, aim in (("before folding", loose, 40), ("after folding", folded or 0.0, 8)):
            print(f"{'met    ' if bytes_ <= aim else 'NOT MET'}  bytes a point {what}: {bytes_:.1f} (aim {aim})")
    if options.readme:
        write_readme("disk", text)


if __name__ == "__main__":
    main()
