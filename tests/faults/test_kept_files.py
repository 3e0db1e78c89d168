"""Files logged while the server is away: no exception, no waiting, and everything arrives once it is back."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.served import ROOT, Served, serving
from tests.running import forget_environment

import runlore
from runlore import RunloreClient
from runlore.client.connection import close_stores, kept_files_at
from runlore.exceptions import InvalidParameter, Unavailable
from runlore.spool import kept


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    forget_environment(monkeypatch)
    monkeypatch.setenv("RUNLORE_SPOOL_DIR", str(tmp_path / "spool"))
    with serving(f"sqlite:///{tmp_path / 'runlore.db'}", tmp_path) as server:
        yield server
        if server.health() is None:
            server.start()  # or the end of the test would wait for it
        close_stores()


def files(client: RunloreClient, run_id: str, path: str = "") -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for info in client.list_artifacts(run_id, path):
        found |= files(client, run_id, info.path) if info.is_dir else {info.path: info.file_size}
    return found


def text(client: RunloreClient, run_id: str, path: str, where: Path) -> str:
    return Path(client.download_artifacts(run_id, path, str(where))).read_text()


def test_files_wait_for_the_server_and_the_training_does_not(served: Served, tmp_path: Path) -> None:
    client = RunloreClient(served.url)
    run_id = client.create_run("0").info.run_id
    client.log_text(run_id, "before", "before.txt")
    checkpoint = tmp_path / "checkpoint.bin"
    (tmp_path / "plots/deep").mkdir(parents=True)
    (tmp_path / "plots/deep/a.txt").write_text("a")
    (tmp_path / "plots/.hidden").write_text("h")
    served.kill()
    client.log_text(run_id, "first", "notes.txt")  # tries for a few seconds
    began = time.monotonic()
    for step in range(20):
        checkpoint.write_bytes(b"%02d" % step * 1_000)  # into the same file each time
        client.log_artifact(run_id, checkpoint, f"epoch{step % 2}")
        client.log_text(run_id, f"step {step}", "notes.txt")
    client.log_artifacts(run_id, tmp_path / "plots", "plots")
    client.log_stream(run_id, io.BytesIO(b"x" * 9_000_000), "stream.bin")
    assert time.monotonic() - began < 5
    served.start()
    client.log_text(run_id, "after", "notes.txt")  # does not pass those that wait
    assert files(client, run_id) == {
        "before.txt": 6, "notes.txt": 5, "epoch0/checkpoint.bin": 2_000, "epoch1/checkpoint.bin": 2_000,
        "plots/deep/a.txt": 1, "plots/.hidden": 1, "stream.bin": 9_000_000,
    }  # fmt: skip
    assert text(client, run_id, "notes.txt", tmp_path / "down") == "after"
    assert text(client, run_id, "epoch1/checkpoint.bin", tmp_path / "down") == "19" * 1_000
    assert list((tmp_path / "spool/files").iterdir()) == []


TRAINING = """
import sys, time
import runlore
runlore.set_tracking_uri(sys.argv[1])
with runlore.start_run() as run:
    print(run.info.run_id, flush=True)
    sys.stdin.readline()
    runlore.log_text("kept", "kept.txt")
    runlore.log_metric("loss", 1.0)
    print("logged", flush=True)
    time.sleep(100)
"""


def test_files_of_a_killed_process_are_delivered_by_sync(served: Served, tmp_path: Path) -> None:
    command = [sys.executable, "-c", TRAINING, served.url]
    variables = {**os.environ, "RUNLORE_CONSOLE": "0", "RUNLORE_SNAPSHOT": "0"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        served.kill()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "logged\n"
        process.kill()
    sync = [sys.executable, "-m", "runlore.cli.main", "sync", str(tmp_path / "spool")]
    served.start()
    done = subprocess.run(sync, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, "Delivered the files of 1 run." in done.stdout) == (0, True), done.stdout + done.stderr
    client = RunloreClient(served.url)
    assert files(client, run_id) == {"kept.txt": 4}
    assert client.get_run(run_id).data.metrics == {"loss": 1.0}
    assert "Nothing was left behind." in subprocess.run(sync, cwd=ROOT, capture_output=True, text=True).stdout


def test_files_without_room_for_a_copy_are_referred_to(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = RunloreClient(served.url)
    run_id = client.create_run("0").info.run_id
    for name in ("same.bin", "changed.bin"):
        (tmp_path / name).write_bytes(b"x" * 100_000)
    served.kill()
    client.log_text(run_id, "first", "notes.txt")
    monkeypatch.setattr(kept, "FREE_SHARE", 1.5)  # no disk is that empty
    monkeypatch.setattr(kept, "ALWAYS_COPIED", 0)
    for name in ("same.bin", "changed.bin"):
        client.log_artifact(run_id, tmp_path / name)
    assert "is not copied, the disk has too little room" in caplog.text
    (tmp_path / "changed.bin").write_bytes(b"y" * 100_000)
    served.start()
    assert files(client, run_id) == {"notes.txt": 5, "same.bin": 100_000}
    assert "changed.bin' was changed or removed before it could be delivered" in caplog.text
    assert [path.suffix for path in (tmp_path / "spool/files").rglob("*") if path.is_file()] == [".lost"]


def test_mistakes_are_errors_all_the_same(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = RunloreClient(served.url)
    run_id = client.create_run("0").info.run_id
    served.kill()
    with pytest.raises(InvalidParameter):
        client.log_text(run_id, "x", "../x.txt")
    with pytest.raises(runlore.exceptions.NotFound):
        client.log_artifact(run_id, tmp_path / "missing")
    monkeypatch.setenv("RUNLORE_STRICT", "1")
    client_in_strict_mode = RunloreClient(served.url)
    monkeypatch.setattr("runlore.store.http.PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("runlore.store.http.FIRST_PATIENCE_SECONDS", 0.5)
    with pytest.raises(Unavailable):
        client_in_strict_mode.log_text(run_id, "x", "x.txt")
    assert not kept_files_at(served.url).holds()
