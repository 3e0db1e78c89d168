"""What killed processes leave behind arrives, once, whoever delivers it."""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.spool.numbered import value_of

from runlore.client import RunloreClient
from runlore.client.connection import close_stores
from runlore.spool.journal import CORRUPT, SUFFIX
from runlore.spool.places import left_behind, new_writer, spool_of

command_module = importlib.import_module("runlore.cli.sync")
NUMBERED = [sys.executable, str(Path(__file__).with_name("numbered.py"))]
RUNLORE = [sys.executable, "-m", "runlore.cli.main"]
KILLS = 200 if os.environ.get("RUNLORE_SOAK") else 8


def killed_after(uri: str, seconds: float) -> tuple[str, int]:
    """A run, and how many points were accepted before the process that logged them was killed."""
    with subprocess.Popen([*NUMBERED, uri, "0", "100000000"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run_id, _ = process.stdout.readline().strip(), process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().split("\n")
    return run_id, int(lines[-2]) + 1 if len(lines) > 1 else 1  # the last line is empty, or cut off


def sync(*arguments: str, code: int = 0) -> dict[str, object]:
    done = subprocess.run([*RUNLORE, "sync", "--json", *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stderr + done.stdout
    return dict(json.loads(done.stdout))


def check(uri: str, run_id: str, accepted: int) -> None:
    """All that was accepted is there, nothing twice, nothing that nobody logged."""
    client = RunloreClient(uri)
    for key, sign in (("value", 1), ("other", -1)):
        points = client.get_metric_history(run_id, key)
        assert len(points) in (accepted, accepted + 1), "the last call may have been accepted without saying so"
        assert [(p.step, p.timestamp, p.value) for p in points] == [(n, n, sign * value_of(n)) for n in range(len(points))]
    data = client.get_run(run_id).data
    due = {f"p{number}": str(number) for number in range(0, accepted, 50)}
    assert data.params.items() >= due.items()
    assert int(data.tags["last"]) in range((accepted - 1) // 50 * 50, accepted + 51)


def test_nothing_that_was_accepted_is_lost_when_the_process_is_killed(uri: str) -> None:
    chance = random.Random(7)
    runs = [killed_after(uri, chance.uniform(0, 0.8)) for _ in range(KILLS)]
    place = [] if uri.startswith("http") else [uri]
    report = sync(*place)
    assert report["waiting"] == 0
    for run_id, accepted in runs:
        check(uri, run_id, accepted)
    assert not any(sync(*place).values())
    assert not [path for path in spool_of(RunloreClient(uri).tracking_uri)[0].iterdir() if path.is_dir()]


def test_the_next_process_delivers(uri: str) -> None:
    run_id, accepted = killed_after(uri, 0.3)
    client = RunloreClient(uri)
    client.log_metric(client.create_run("0").info.run_id, "m", 1)
    place = spool_of(client.tracking_uri)[0]
    deadline = time.monotonic() + 30
    while len([path for path in place.iterdir() if path.is_dir()]) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    check(uri, run_id, accepted)


def test_a_server_delivers_what_was_left_in_its_store(tmp_path: Path) -> None:
    store = tmp_path / "store"
    run_id, accepted = killed_after(str(store), 0.3)
    command = [*RUNLORE, "server", "--port", "0", "--store", str(store)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "had left behind" in process.stderr.readline()
        assert "http://localhost:" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
    check(str(store), run_id, accepted)


def test_delivering_twice_stores_once(uri: str, tmp_path: Path) -> None:
    run_id, accepted = killed_after(uri, 0.3)
    place = spool_of(RunloreClient(uri).tracking_uri)[0]
    (journal,) = [path for path in place.iterdir() if path.is_dir()]
    shutil.copytree(journal, tmp_path / "copy")
    arguments = [] if uri.startswith("http") else [uri]
    sync(*arguments)
    shutil.copytree(tmp_path / "copy", journal)
    assert sync(*arguments)["writers"] == 1
    check(uri, run_id, accepted)


def test_damage_is_counted_and_kept(tmp_path: Path) -> None:
    """One bit: the block that it is in is lost, and the file stays to be looked at."""
    uri = str(tmp_path / "store")
    run_id, accepted = killed_after(uri, 1.0)
    place = spool_of(RunloreClient(uri).tracking_uri)[0]
    (journal,) = [path for path in place.iterdir() if path.is_dir()]
    segment = sorted(journal.glob(f"*{SUFFIX}"))[0]
    data = bytearray(segment.read_bytes())
    assert len(data) > 3 * 32 * 1024
    data[40_000] ^= 4
    segment.write_bytes(data)
    report = sync(uri)
    assert (report["damaged"], report["waiting"], report["writers"]) == (1, 0, 1)
    assert [path.name for path in journal.iterdir() if path.suffix == CORRUPT] == [segment.name.replace(SUFFIX, CORRUPT)]
    assert sync(uri)["writers"] == 0, "what is kept to be looked at is no journal"
    points = RunloreClient(uri).get_metric_history(run_id, "value")
    assert accepted - 1_000 < len(points) <= accepted + 1
    assert all(point.value == value_of(point.step) and point.timestamp == point.step for point in points)


def test_a_journal_waits_for_its_server(surroundings: Path, tmp_path: Path, server: str) -> None:
    run_id, accepted = killed_after(server, 0.3)
    (journal,) = [path for path in surroundings.iterdir() if path.is_dir()]
    moved = tmp_path / "moved"
    shutil.copytree(journal, moved / journal.name)
    shutil.rmtree(journal)
    lost = subprocess.run([*RUNLORE, "sync", str(moved), "--to", "http://127.0.0.1:9"], capture_output=True, text=True)
    assert lost.returncode == 1
    assert "1 journal still to deliver" in lost.stderr
    assert "127.0.0.1:9" in lost.stderr
    report = sync(str(moved), "--to", server)
    assert (report["writers"], report["waiting"]) == (1, 0)
    check(server, run_id, accepted)


def test_journals_of_living_processes_are_left_alone(uri: str) -> None:
    client = RunloreClient(uri)
    run_id = client.create_run("0").info.run_id
    client.log_metric(run_id, "m", 1)
    report = sync(*([] if uri.startswith("http") else [uri]))
    assert (report["writers"], report["waiting"]) == (0, 0)
    client.log_metric(run_id, "m", 2, step=1)
    assert len(client.get_metric_history(run_id, "m")) == 2
    close_stores()


def test_a_new_writer_finds_a_place_while_others_look_for_leftovers(tmp_path: Path) -> None:
    """A directory that is not locked yet looks like one whose process is gone."""
    ended = threading.Event()

    def sweep() -> None:
        while not ended.is_set():
            for claim in left_behind(tmp_path):
                claim.release(remove=True)

    sweepers = [threading.Thread(target=sweep) for _ in range(2)]
    for sweeper in sweepers:
        sweeper.start()
    try:
        claims = [new_writer(tmp_path) for _ in range(200)]
    finally:
        ended.set()
        for sweeper in sweepers:
            sweeper.join()
    assert all(claim.directory.is_dir() for claim in claims)
    for claim in claims:
        claim.release(remove=True)


def test_a_server_delivers_what_is_left_while_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_module, "LOOK_SECONDS", 0.1)
    store = str(tmp_path / "store")
    RunloreClient(store).create_run("0")
    close_stores()
    with command_module.delivering(store, None):
        run_id, accepted = killed_after(store, 0.3)
        place = spool_of(RunloreClient(store).tracking_uri)[0]
        deadline = time.monotonic() + 30
        while [path for path in place.iterdir() if path.is_dir()] and time.monotonic() < deadline:
            time.sleep(0.05)
    check(store, run_id, accepted)


def test_a_child_that_skips_its_end_is_delivered_by_its_parent(uri: str) -> None:
    """`os._exit`, as workers of some libraries end: at the end of the parent."""
    program = """
import os, runlore
with runlore.start_run() as run:
    print(run.info.run_id, flush=True)
    runlore.log_metric("parent", 1)
    if not (child := os.fork()):
        for step in range(100):
            runlore.log_metric("child", step, step=step)
        os._exit(0)
    os.waitpid(child, 0)
"""
    environment = {**os.environ, "RUNLORE_TRACKING_URI": uri}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(RunloreClient(uri).get_metric_history(done.stdout.strip(), "child")) == 100


def test_sync_asks_a_server_that_is_gone_once(surroundings: Path, tmp_path: Path, server: str) -> None:
    for _ in range(3):
        killed_after(server, 0.0)
    assert len([path for path in surroundings.iterdir() if path.is_dir()]) == 3
    begin = time.monotonic()
    done = subprocess.run([*RUNLORE, "sync", "--to", "http://127.0.0.1:9"], capture_output=True, text=True)
    assert time.monotonic() - begin < 15
    assert done.returncode == 1
    assert done.stderr.count("No answer from") == 1, "what is wrong is said once"
    assert "3 journals still to deliver" in done.stderr
    assert sync()["waiting"] == 0


def test_the_spool_of_a_released_version_is_accepted(surroundings: Path, server: str) -> None:
    """Of version 0.1.0, killed offline: an experiment and a run that were made there, params, points, a tag."""
    shutil.unpack_archive(Path(__file__).with_name("released") / "0.1.0.tar.xz", surroundings)
    for _ in range(2):
        sync("--to", server)
        client = RunloreClient(server)
        run = client.get_run("f8156123f0c34d9ea5cad8b67f1705e2")
        experiment = client.get_experiment_by_name("released")
        assert experiment is not None
        assert (run.info.experiment_id, run.info.run_name) == (experiment.experiment_id, "of 0.1.0")
        assert (run.data.params, run.data.tags["t"]) == ({"lr": "0.1", "long": "x" * 7_000}, "1")
        points = client.get_metric_history(run.info.run_id, "loss")
        assert [(point.step, point.timestamp, point.value) for point in points] == [(n, n, n * 0.5) for n in range(300)]
        assert (len(client.get_metric_history(run.info.run_id, "acc")), run.data.metrics["no step"]) == (300, 1.0)
        assert run.data.metrics["batch"] == 2.0
        close_stores()
