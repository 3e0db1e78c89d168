"""The disk: an answer comes after the sync, a failing disk stops the server, a full one only makes it wait."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from tests.faults.load import load
from tests.faults.oracle import Ledger, batch, check_file, check_http, creation, run_id_of
from tests.faults.served import serving
from tests.faults.sizes import size

from runlore.api.operation import Operation, to_request
from runlore.api.runs import LogParam

SYNCS = "fsync,fdatasync"


def ask_once(url: str, operation: Operation[object]) -> tuple[int, str, str | None]:
    """Send a request, once; returns status, body and `Retry-After`."""
    method, path, _, body = to_request(operation)
    request = urllib.request.Request(url + path, data=body, method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers["Retry-After"]


def test_a_disk_that_fails_to_sync_stops_the_server(tmp_path: Path, strace: list[str]) -> None:
    """What was under way is in doubt and not acknowledged; the server says why, and ends for its supervisor to see."""
    ledger = Ledger()
    inject = ["--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={SYNCS}", "-e", f"inject={SYNCS}:error=EIO:when=20+"]
    with serving(str(tmp_path / "store"), tmp_path, [*strace, *inject]) as served:
        status, first = 0, 0
        assert ask_once(served.url, creation(0))[0] == 200
        while status != 504:
            ledger.send(0, first, 10)
            status, body, _ = ask_once(served.url, batch(0, first, 10))
            if status == 200:
                ledger.acknowledge(0, first, 10)
            first += 10
            assert first < 1_000
        assert "disk I/O error" in json.loads(body)["message"]
        assert served.health() in (503, None)
        assert served.wait() == 1
        assert "Error: Stopped, because nothing more can be acknowledged." in served.lines[-1]
        assert "disk I/O error" in served.lines[-1]
        assert len(ledger) > 50
        served.before = []
        served.start()
        check_http(ledger, served.url)
        served.stop()
    check_file(ledger, tmp_path / "store" / "runlore.db")


def test_a_full_disk_makes_writers_wait_and_readers_not(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, unshare: list[str]
) -> None:
    ledger, megabytes, copy = Ledger(), size(8, 64), tmp_path_factory.mktemp("copy")
    mount = ["sh", "-c", f'mount -t tmpfs -o size={megabytes}m tmpfs {tmp_path} && exec "$@"', "sh"]
    with serving(str(tmp_path / "store"), tmp_path, [*unshare, *mount]) as served:
        process, inside = served.process.pid, Path(f"/proc/{served.process.pid}/root{tmp_path}")
        recovered = []
        assert ask_once(served.url, creation(99))[0] == 200
        with load(ledger, served.url, writers=4) as work:
            for _ in range(size(2, 6)):
                work.wait_for(500)
                _fill(inside / "ballast")
                refused = _until_refused(served.url)
                assert (refused[0], refused[2]) == (503, "1")
                assert "disk of the database is full" in refused[1]
                assert _upload(served.url) in (503, 507)
                assert served.health() == 200
                check_http(ledger, served.url)
                (inside / "ballast").unlink()
                began = time.monotonic()
                work.wait_for(100)
                recovered.append(time.monotonic() - began)
        print(f"{len(ledger):,} points acknowledged; going on after {max(recovered):.1f} s at the latest")
        check_http(ledger, served.url)
        assert served.process.pid == process
        for name in ("runlore.db", "runlore.db-wal"):  # nobody writes now
            shutil.copy(inside / "store" / name, copy / name)
    check_file(ledger, copy / "runlore.db")


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4_096))


def _until_refused(url: str) -> tuple[int, str, str | None]:
    """Write until the server says no: some pages of the write-ahead log are used again."""
    for number in range(100_000):
        answer = ask_once(url, LogParam(run_id=run_id_of(99), key=f"q{number}", value="x" * 6_000))
        if answer[0] != 200:
            return answer
    raise AssertionError("the disk was not filled")


def _upload(url: str) -> int:
    request = urllib.request.Request(f"{url}/api/2.0/mlflow-artifacts/artifacts/0/f", data=bytes(1 << 20), method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_writers_share_the_syncs_of_a_slow_disk(tmp_path: Path, strace: list[str]) -> None:
    ledger, log = Ledger(), tmp_path / "syncs"
    delay = size(50, 500)
    inject = ["--seccomp-bpf", "-o", str(log), "-e", f"trace={SYNCS}", "-e", f"inject={SYNCS}:delay_enter={delay * 1_000}"]
    with serving(str(tmp_path / "store"), tmp_path, [*strace, *inject]) as served:
        before = len(log.read_text().splitlines())
        began = time.monotonic()
        with load(ledger, served.url, writers=20, points=10, pause=0.0) as work:
            work.wait_for(size(2_000, 10_000), seconds=300)
        seconds, syncs = time.monotonic() - began, len(log.read_text().splitlines()) - before
        work.seconds.sort()
        print(f"each sync {delay} ms: {len(ledger) / seconds:,.0f} points/s, {syncs} syncs for {len(work.seconds)} batches, "
              f"answered after {work.seconds[len(work.seconds) * 99 // 100] * 1_000:,.0f} ms (99th percentile)")  # fmt: skip
        assert syncs < len(work.seconds) / 4
        check_http(ledger, served.url)
        served.stop()
    check_file(ledger, tmp_path / "store" / "runlore.db")
