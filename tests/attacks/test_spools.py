"""What a hostile server, and a spool that somebody else has filled, could try against whoever delivers what waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from runlore.client import RunloreClient
from runlore.client.connection import close_stores, spool_at
from runlore.spool.frames import MAGIC, Record, frames
from runlore.spool.journal import HEADER, Header
from runlore.spool.records import POINTS, decode

RUN, WRITER = "a" * 32, "b" * 32


class Hostile(ThreadingHTTPServer):
    """A server that answers what it likes, and remembers what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[str, str | None, bytes]] = []
        self.run_id: str | None = None
        """What it calls a run that is made; None: as the client does."""
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Hostile
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append((f"{self.command} {self.path}", self.headers.get("authorization"), body))
        said = json.loads(body or b"{}") if self.command == "POST" else {}
        info = {
            "run_id": self.server.run_id or said.get("client_run_id") or RUN,
            "artifact_uri": "mlflow-artifacts:/1/x",
            "status": "RUNNING",
        }
        reply = {"experiment_id": "1", "run": {"info": info, "data": {}}, "next_seq": said.get("next_seq", 0)}
        raw = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with Hostile() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def journal(spool: Path, *records: tuple[int, bytes], store: str = "", first: int = 0) -> Path:
    """Write what a process could have left behind; a payload for each kind of record."""
    directory = spool / WRITER
    directory.mkdir(parents=True)
    raw = MAGIC
    header = msgspec.msgpack.encode(Header(WRITER, first, store))
    for seq, (kind, payload) in enumerate([(HEADER, header), *records], start=first - 1):
        raw += frames(max(seq, 0), kind, payload, len(raw))
    (directory / "00000001.journal").write_bytes(raw)
    return directory


def points(run_id: str = RUN, step: int = 0) -> tuple[int, bytes]:
    return POINTS, msgspec.msgpack.encode((run_id, 0, step, {"m": 1.0}))


def sync(place: Path, code: int = 0, environment: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-m", "runlore.cli.main", "sync", str(place)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNLORE_", "MLFLOW_"))}
    done = subprocess.run(command, capture_output=True, text=True, env=kept | (environment or {}), timeout=60)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


def store_with_run(place: Path) -> tuple[Path, str]:
    """A store, its spool, and the id of a run in it."""
    run_id = RunloreClient(str(place)).create_run("0").info.run_id
    return place / "spool", run_id


OFFLINE = """
import runlore
with runlore.start_run():
    runlore.log_text("mine", "a.txt")
"""


@pytest.mark.parametrize("run_id", ["../../../victim", "{victim}", "", "c" * 32])
def test_a_server_does_not_choose_which_files_are_uploaded_and_removed(hostile: Hostile, tmp_path: Path, run_id: str) -> None:
    spool = tmp_path / "a" / "spool"
    environment = {"RUNLORE_SPOOL_DIR": str(spool), "RUNLORE_TRACKING_URI": hostile.url}
    subprocess.run([sys.executable, "-c", OFFLINE], env=os.environ | environment | {"RUNLORE_OFFLINE": "1"}, check=True)
    for victim in (tmp_path / "victim" / "artifacts", spool / "files" / ("c" * 32) / "artifacts"):
        victim.mkdir(parents=True)
        (victim / "thesis.txt").write_text("years of work")
    hostile.run_id = run_id.replace("{victim}", str(tmp_path / "victim"))
    sync(spool, environment=environment)
    assert hostile.asked
    assert not [body for _, _, body in hostile.asked if b"years of work" in body]
    assert len(list(tmp_path.rglob("thesis.txt"))) == 2


def test_a_spool_from_elsewhere_does_not_choose_which_files_of_this_user_are_sent(hostile: Hostile, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("years of work")
    waiting = tmp_path / "project" / "spool" / "files" / RUN
    (waiting / "artifacts").mkdir(parents=True)
    (waiting / "artifacts" / "link").symlink_to(victim)
    (waiting / "artifacts" / "directory").symlink_to(tmp_path)
    (waiting / "store").write_text(hostile.url)
    (waiting / "references").mkdir()
    kind = victim.stat()
    reference = {"path": "f", "local": str(victim), "size": kind.st_size, "mtime_ns": kind.st_mtime_ns}
    (waiting / "references" / "0.json").write_bytes(msgspec.json.encode(reference))
    hostile.run_id = RUN
    environment = {"RUNLORE_SPOOL_DIR": str(tmp_path / "own"), "RUNLORE_TRACKING_URI": hostile.url}
    sync(tmp_path / "project" / "spool", environment=environment)
    assert hostile.asked
    assert not [body for _, _, body in hostile.asked if b"years of work" in body]
    assert victim.read_text() == "years of work"


def test_files_that_wait_arrive_at_an_honest_server(hostile: Hostile, tmp_path: Path) -> None:
    environment = {"RUNLORE_SPOOL_DIR": str(tmp_path), "RUNLORE_TRACKING_URI": hostile.url}
    subprocess.run([sys.executable, "-c", OFFLINE], env=os.environ | environment | {"RUNLORE_OFFLINE": "1"}, check=True)
    sync(tmp_path, environment=environment)
    assert [body for asked, _, body in hostile.asked if asked.startswith("PUT ") and asked.endswith("/a.txt")] == [b"mine"]


@pytest.mark.parametrize("part", ["files", "files/run", "files/run/artifacts", "files/run/artifacts/a"])
def test_links_among_waiting_files_are_not_followed(hostile: Hostile, tmp_path: Path, part: str) -> None:
    environment = {"RUNLORE_SPOOL_DIR": str(tmp_path / "spool"), "RUNLORE_TRACKING_URI": hostile.url}
    subprocess.run([sys.executable, "-c", OFFLINE], env=os.environ | environment | {"RUNLORE_OFFLINE": "1"}, check=True)
    (run,) = (tmp_path / "spool" / "files").iterdir()
    link = tmp_path / "spool" / part.replace("run", run.name)
    target = tmp_path / "elsewhere"
    below = {"files": f"{run.name}/artifacts", "files/run": "artifacts"}.get(part, "")
    (target / below).mkdir(parents=True)
    (target / below / "key").write_text("private")
    if link.exists():
        link.rename(tmp_path / "moved")
    link.symlink_to(target)
    sync(tmp_path / "spool", environment=environment)
    assert not [body for _, _, body in hostile.asked if b"private" in body]
    assert (target / below / "key").exists()


def test_a_journal_in_a_project_names_no_other_server(hostile: Hostile, tmp_path: Path) -> None:
    """A project that was fetched from somewhere may bring a spool with it."""
    spool, _ = store_with_run(tmp_path / "store")
    journal(spool, points(), store=hostile.url)
    for place in (tmp_path / "store", spool):
        said = sync(place, 1, {"RUNLORE_TOKEN": "rlt_secret", "RUNLORE_TRACKING_URI": "https://tracking.example"})
        assert hostile.url in said
    assert not hostile.asked


def test_a_server_that_only_a_journal_names_gets_no_credentials(hostile: Hostile, tmp_path: Path) -> None:
    journal(tmp_path / "spool", points(), store=hostile.url)
    sync(tmp_path / "spool", environment={"RUNLORE_TOKEN": "rlt_secret"})
    assert [authorization for _, authorization, _ in hostile.asked] == [None] * len(hostile.asked) != []


@pytest.mark.parametrize("own", [{"RUNLORE_SPOOL_DIR": "spool"}, {"RUNLORE_TRACKING_URI": "server"}])
def test_the_own_server_gets_credentials(hostile: Hostile, tmp_path: Path, own: dict[str, str]) -> None:
    journal(tmp_path / "spool", points(), store=hostile.url)
    given = {name: {"spool": str(tmp_path / "spool"), "server": hostile.url}[value] for name, value in own.items()}
    sync(tmp_path / "spool", environment={"RUNLORE_TOKEN": "rlt_secret"} | given)
    assert {authorization for _, authorization, _ in hostile.asked} == {"Bearer rlt_secret"}


@pytest.mark.parametrize("name", ["refused.jsonl", f"{WRITER}/lock"])
@pytest.mark.parametrize("there", [True, False])
def test_links_in_a_spool_are_not_written_through(tmp_path: Path, name: str, there: bool) -> None:
    """A line of a refused record in a file that a shell reads would be a command."""
    spool, _ = store_with_run(tmp_path / "store")
    journal(spool, (2, msgspec.msgpack.encode({"run_id": "$(touch owned)", "metrics": [], "params": [], "tags": []})))
    target = tmp_path / "profile"
    if there:
        target.write_text("export A=1\n")
    (spool / name).unlink(missing_ok=True)
    (spool / name).symlink_to(target)
    sync(tmp_path / "store", 1 if name == "refused.jsonl" else 0)
    assert target.exists() == there
    assert not there or target.read_text() == "export A=1\n"


def test_a_writer_that_is_a_link_is_passed_over(tmp_path: Path) -> None:
    spool, run_id = store_with_run(tmp_path / "store")
    elsewhere = journal(tmp_path / "other", points(run_id))
    spool.mkdir(exist_ok=True)
    (spool / WRITER).symlink_to(elsewhere)
    sync(tmp_path / "store")
    assert [path.name for path in elsewhere.iterdir()] == ["00000001.journal"]


def test_a_pipe_and_a_giant_among_journals_hold_nothing_up(tmp_path: Path) -> None:
    spool, run_id = store_with_run(tmp_path / "store")
    journal(spool, points(run_id))
    pipe = spool / ("c" * 32)
    pipe.mkdir()
    os.mkfifo(pipe / "00000001.journal")
    giant = spool / ("d" * 32)
    giant.mkdir()
    with (giant / "00000001.journal").open("wb") as file:
        file.truncate(2**40)
    said = sync(tmp_path / "store", 1)
    assert "Delivered 1 log call of 1 journal" in said
    assert "2 journals still to deliver" in said
    assert len(RunloreClient(str(tmp_path / "store")).get_metric_history(run_id, "m")) == 1


ODD = {
    "step": points(step=2**64 - 1),
    "time": (POINTS, msgspec.msgpack.encode((RUN, 2**64 - 1, 0, {"m": 1.0}))),
    "run": points("../../x"),
    "shape": (POINTS, b"\xc0"),
    "kind": (29, b"x"),
    "deep": (2, b"\x82\xa6run_id\xd9\x20" + RUN.encode() + b"\xa4more" + b"\x91" * 100_000 + b"\xc0"),
    "cut": (2, b"\xdf\xff\xff\xff\xff"),
    "text": (2, b"\x81\xa6run_id\xa2\xff\xfe"),
}


def test_odd_records_are_set_aside_and_hold_nothing_up(tmp_path: Path) -> None:
    spool, run_id = store_with_run(tmp_path / "store")
    journal(spool, *ODD.values(), points(run_id))
    sync(tmp_path / "store")
    refused = [json.loads(line)["seq"] for line in (spool / "refused.jsonl").read_text().splitlines()]
    assert sorted(refused) == list(range(len(ODD)))
    assert len(RunloreClient(str(tmp_path / "store")).get_metric_history(run_id, "m")) == 1


@pytest.mark.parametrize("seq", [2**63 - 1, 2**63, 2**64 - 1])
def test_numbers_that_no_delivery_can_hold_are_refused(seq: int) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(Record(seq, *points()))


@pytest.mark.parametrize("way", ["..", "%2e%2e", "%2E./.%2e", "x/../../.."])
def test_a_server_does_not_say_where_on_this_machine_files_are(tmp_path: Path, way: str) -> None:
    """Files of runs that wait in the spool have addresses there; one that leads out of it comes from nobody but a server."""
    close_stores()
    spool = spool_at((tmp_path / "store").as_uri())
    assert spool is not None
    place = (tmp_path / "store" / "spool").as_uri()
    assert spool.files_of(f"{place}/files/{RUN}/artifacts") == tmp_path / "store" / "spool" / "files" / RUN / "artifacts"
    assert spool.files_of(f"{place}/{way}/{way}/.ssh") is None
    assert spool.files_of(f"{place}-other/files") is None
    close_stores()
