"""`runlore backup` and `runlore doctor`: a copy under load holds everything acknowledged, and damage is found and named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.store.child import __file__ as child_file

from runlore.api.experiments import CreateExperiment
from runlore.api.logged_models import CreateLoggedModel, FinalizeLoggedModel
from runlore.api.metrics import GetMetricHistory
from runlore.api.registry import CreateModelVersion, CreateRegisteredModel
from runlore.api.runs import CreateRun, DeleteRun, GetRun, LogBatch, MetricPoint
from runlore.api.trash import PurgeTrash
from runlore.blobs.base import ArtifactPath
from runlore.blobs.uri import open_blobs
from runlore.exceptions import InvalidParameter, InvalidState
from runlore.store.backup import back_up
from runlore.store.base import Store, open_store
from runlore.store.doctor import examine_postgresql, examine_sqlite
from runlore.store.sql.checkup import Finding
from runlore.store.sql.folding import fold_run
from runlore.store.sql.sqlite import SqliteDatabase

ROOT = Path(child_file).parents[2]
RUNLORE = [sys.executable, "-m", "runlore.cli.main"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store with a run of 5,000 folded points and one in the tail, a file, a logged model and a version of it."""
    place = tmp_path / ".runlore"
    with closing(open_store(str(place))) as store:
        fill(store)
    with closing(SqliteDatabase(place / "runlore.db")) as database:
        db = database.write()
        for (key,) in db.all("SELECT run_key FROM run"):
            fold_run(db, key)
        db.commit()
    with closing(open_store(str(place))) as store:
        store.call(LogBatch(run_id=RUN, metrics=[MetricPoint(key="loss", value=1, timestamp=9_999, step=9_999)]))
    return place


RUN = "0123456789abcdef" * 2


def fill(store: Store) -> None:
    store.call(CreateExperiment(name="fruit"))
    run = store.call(CreateRun(experiment_id="1", client_run_id=RUN)).run
    for start in range(0, 5_000, 1_000):
        points = [MetricPoint(key="loss", value=step / 7, timestamp=step, step=step) for step in range(start, start + 1_000)]
        store.call(LogBatch(run_id=RUN, metrics=points))
    open_blobs(run.info.artifact_uri, store).write(ArtifactPath("a/b.bin"), iter([b"x" * 1_000]))
    model = store.call(CreateLoggedModel(experiment_id="1", source_run_id=RUN)).model.info
    open_blobs(model.artifact_uri, store).write(ArtifactPath("MLmodel"), iter([b"flavors: {}"]))
    store.call(FinalizeLoggedModel(model_id=model.model_id, status="LOGGED_MODEL_READY"))
    store.call(CreateRegisteredModel(name="basket"))
    store.call(CreateModelVersion(name="basket", source=f"models:/{model.model_id}"))


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("RUNLORE_", "MLFLOW_"))}
    variables["XDG_STATE_HOME"] = str(cwd / "state")  # what other tests left there is none of these
    return subprocess.run([*RUNLORE, *arguments], cwd=cwd, env=variables, capture_output=True, text=True)


def of_level(findings: Iterator[Finding], *levels: str) -> list[str]:
    return [finding.what for finding in findings if finding.level in levels]


# -- backup ----------------------------------------------------------------------------------------------------------------


def test_a_copy_is_a_store_that_can_be_put_anywhere(place: Path, tmp_path: Path) -> None:
    done = command("backup", "copies/monday", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["files"], told["size"], told["left_out"]) == (2, 1_011, None)
    shutil.move(tmp_path / "copies" / "monday", tmp_path / "elsewhere")
    shutil.rmtree(place)
    assert of_level(examine_sqlite(tmp_path / "elsewhere" / "runlore.db", None), "warning", "error") == []
    with closing(open_store(str(tmp_path / "elsewhere"))) as store:
        history = store.call(GetMetricHistory(run_id=RUN, metric_key="loss")).metrics
        assert len(history) == 5_001
        run = store.call(GetRun(run_id=RUN)).run
        assert b"".join(open_blobs(run.info.artifact_uri, store).read(ArtifactPath("a/b.bin"))) == b"x" * 1_000
    for path in (tmp_path / "elsewhere").rglob("*"):
        assert path.name == ".gitignore" or path.stat().st_mode & 0o077 == 0


def test_everything_acknowledged_before_the_start_is_in_a_copy_made_under_load(tmp_path: Path) -> None:
    place = tmp_path / "store"
    with closing(open_store(str(place))) as store:
        run_id = store.call(CreateRun()).run.info.run_id
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.store.child", "write", f"sqlite:///{place / 'runlore.db'}", run_id],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert writer.stdout is not None
        acknowledged: set[str] = set()
        for copy in range(5):
            until = len(acknowledged) + 200
            while len(acknowledged) < until:
                acknowledged.add(writer.stdout.readline().decode().strip())
            done = back_up(place / "runlore.db", None, tmp_path / f"copy{copy}")
            assert done.database_size > 0
            with closing(open_store(done.directory)) as store:
                data = store.call(GetRun(run_id=run_id)).run.data
            assert acknowledged <= data.params.keys()
            assert data.params.keys() == data.metrics.keys()  # each call is in it as a whole
    finally:
        writer.kill()
        writer.communicate()
    assert of_level(examine_sqlite(tmp_path / "copy4" / "runlore.db", None), "error") == []


def test_links_keep_what_they_are(place: Path, tmp_path: Path) -> None:
    back_up(place / "runlore.db", None, tmp_path / "copy", link=True)
    (file,) = place.rglob("b.bin")
    (linked,) = (tmp_path / "copy").rglob("b.bin")
    assert file.samefile(linked)
    with closing(open_store(str(place))) as store:
        uri = store.call(GetRun(run_id=RUN)).run.info.artifact_uri
        open_blobs(uri, store).write(ArtifactPath("a/b.bin"), iter([b"new"]))
    assert linked.read_bytes() == b"x" * 1_000


def test_a_copy_without_files(place: Path, tmp_path: Path) -> None:
    done = command("backup", "copy", "--no-artifacts", "--store", str(place), cwd=tmp_path)
    assert done.returncode == 0
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [".gitignore", "runlore.db"]
    missing = of_level(examine_sqlite(tmp_path / "copy" / "runlore.db", None), "error")
    assert ["basket/1" in what for what in missing] == [True, False]


def test_what_can_not_be_copied_is_said(place: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(InvalidState, match="exists already"):
        back_up(place / "runlore.db", None, tmp_path / "full")
    with pytest.raises(InvalidParameter, match="is inside the artifacts"):
        back_up(place / "runlore.db", None, place / "artifacts" / "copy")
    assert back_up(place / "runlore.db", "s3://bucket/x", tmp_path / "copy").left_out == "s3://bucket/x"
    refused = command("backup", "x", "--store", "postgresql://me:secret@db/lore", cwd=tmp_path)
    assert refused.returncode == 1
    assert "pg_dump --format=custom --file=runlore.dump 'postgresql://me@db/lore'" in refused.stderr
    assert "on its machine" in command("backup", "x", "--store", "http://localhost:1", cwd=tmp_path).stderr
    assert not (tmp_path / "x").exists()


def test_a_killed_backup_leaves_no_copy(place: Path, tmp_path: Path) -> None:
    """Whole or absent: the directory has its name only at the end."""
    os.mkfifo(place / "artifacts" / "1" / "pipe")  # special files are left out
    big = place / "artifacts" / "1" / RUN / "artifacts" / "big"
    with big.open("wb") as file:
        file.truncate(8 << 30)  # copying the zeros takes a while
    with subprocess.Popen([*RUNLORE, "backup", str(tmp_path / "copy"), "--store", str(place)]) as process:
        while not list(tmp_path.glob(".copy.*.part/artifacts/1/*/artifacts/big")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "copy").exists()
    big.unlink()
    back_up(place / "runlore.db", None, tmp_path / "copy")


# -- doctor ----------------------------------------------------------------------------------------------------------------


def look(place: Path) -> tuple[int, list[dict[str, Any]]]:
    done = command("doctor", str(place), "--json", cwd=place.parent)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_a_store_that_is_well(place: Path) -> None:
    code, findings = look(place)
    assert code == 0
    assert {finding["level"] for finding in findings} == {"ok"}
    assert any("All 5,001 metric points of 1 runs" in finding["what"] for finding in findings)
    words = command("doctor", cwd=place.parent).stdout  # the store of the working directory
    assert words.count("ok ") == len(findings)
    assert len(command("doctor", "--quick", cwd=place.parent).stdout.splitlines()) < len(findings)


def change(place: Path, *statements: str) -> None:
    with closing(sqlite3.connect(place / "runlore.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE metric_chunk SET data = CAST(substr(data, 1, 99) || x'0102' || substr(data, 102) AS BLOB) WHERE points = 4096",
         "points 0 to 4095 of metric 'loss': Metric points are damaged"),
        ("UPDATE metric_chunk SET data = CAST(data AS TEXT)", "can not be read to the end"),
        ("DELETE FROM metric_chunk WHERE first_index = 0", "points before them are missing"),
        ("UPDATE metric_chunk SET points = points - 1 WHERE first_index = 0", "instead of 4095"),
        ("UPDATE metric_tail SET data = x'00'", "tail row"),
        ("DELETE FROM metric_tail", "counts 5001 points, 5000 of them in chunks; there are 5000"),
        ("DELETE FROM metric", "points of 1 metrics that have no name"),
        ("UPDATE metric_pyramid SET data = substr(data, 1, 60)", "chart page"),
        ("DELETE FROM experiment WHERE experiment_id = 1", "belongs to a experiment that is not there"),
        ("INSERT INTO schema_version VALUES (999, 'future', 0)", "newer than this Runlore knows"),
        ("DROP TABLE schema_version", "not one of Runlore's"),
    ],
)  # fmt: skip
def test_damage_is_found_and_named(place: Path, statement: str, words: str) -> None:
    change(place, statement)
    code, findings = look(place)
    assert code == 1
    errors = [finding for finding in findings if finding["level"] == "error"]
    assert any(words in finding["what"] for finding in errors), errors
    assert all(finding["advice"] for finding in errors)


def test_flipped_bytes_in_the_file_are_found(place: Path) -> None:
    change(place, "VACUUM")
    data = bytearray((place / "runlore.db").read_bytes())
    for offset in range(4_096 * 3, len(data), 4_096 * 5):
        data[offset : offset + 64] = bytes(64)
    (place / "runlore.db").write_bytes(data)
    code, findings = look(place)
    assert code == 1
    assert any("restore the newest backup" in finding["advice"] for finding in findings)
    (place / "runlore.db").write_bytes(b"something else entirely" * 1_000)
    assert look(place)[0] == 1


def test_files_that_are_missing_or_have_no_owner(place: Path) -> None:
    (model,) = (place / "artifacts" / "1" / "models").iterdir()
    shutil.rmtree(model)
    stranger = place / "artifacts" / "1" / ("ab" * 16)
    stranger.mkdir()
    (stranger / "f").write_bytes(b"x" * 2_000_000)
    staging = place / "artifacts" / ".staging%"
    (staging / ".left.part").write_bytes(b"half")
    code, findings = look(place)
    by_level = {level: [item["what"] for item in findings if item["level"] == level] for level in ("note", "warning", "error")}
    assert code == 1
    assert sorted(by_level["error"]) == [
        f"The files of logged model {model.name} are missing.", "The files of model version basket/1 are missing.",
    ]  # fmt: skip
    assert by_level["note"] == ["1 uploads are not finished."]
    assert len(by_level["warning"]) == 1
    assert by_level["warning"][0].startswith("1 directories (2.0 MB) belong to no run")


def test_warnings_do_not_fail(place: Path) -> None:
    with closing(open_store(str(place))) as store:
        store.call(DeleteRun(run_id=RUN))
        store.call(PurgeTrash())
    (place / "runlore.db").chmod(0o644)
    (place / "runlore.db.v1.bak").touch(0o600)
    code, findings = look(place)
    found = {finding["what"]: finding for finding in findings if finding["level"] != "ok"}
    assert code == 0
    assert sorted(finding["level"] for finding in found.values()) == ["note", "note", "warning"]
    assert "Other users of this machine may get at runlore.db (0644)." in found
    assert found["1 directories of purged runs and models wait to be removed."]["advice"] == "runlore gc"


def test_a_store_in_use_is_well(place: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.store.child", "write", f"sqlite:///{place / 'runlore.db'}", RUN],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert writer.stdout is not None
        for _ in range(3):
            for _ in range(100):
                writer.stdout.readline()
            assert look(place)[0] == 0
    finally:
        writer.kill()
        writer.communicate()


def test_postgresql(postgres_uri: str, tmp_path: Path) -> None:
    artifacts = str(tmp_path / "artifacts")
    with closing(open_store(postgres_uri, artifacts)) as store:
        fill(store)
    findings = list(examine_postgresql(postgres_uri, artifacts))
    assert of_level(iter(findings), "error") == [
        what for what in of_level(iter(findings), "error") if "fsync" in what or "full_page_writes" in what
    ]  # the tests' own server need not survive a power failure
    assert any("5,000 metric points" in what for what in of_level(iter(findings), "ok"))
    shutil.rmtree(tmp_path / "artifacts" / "1" / "models")
    assert len([what for what in of_level(examine_postgresql(postgres_uri, artifacts), "error") if "missing" in what]) == 2
