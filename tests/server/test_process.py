"""`runlore server` and `runlore ui` as programs."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.server.wire import API, FILES, Wire

RUNLORE = [sys.executable, "-m", "runlore.cli.main"]


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUNLORE, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def running(*arguments: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], str, Wire]]:
    """A started server: the process, its first line, and a client."""
    with subprocess.Popen([*RUNLORE, *arguments], cwd=cwd, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r":(\d+)$", line.strip())
        try:
            assert found, line + process.stderr.read()
            yield process, line, Wire(int(found[1]))
        finally:
            process.kill()


def wait_until_closed(wire: Wire) -> None:
    """Wait until no new connection is taken."""
    while True:
        try:
            wire.ask("GET", "/health")
        except OSError:
            return


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_taken_port_is_one_clear_line_with_a_free_one(tmp_path: Path, taken: int) -> None:
    done = run("server", "--port", str(taken), cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"Port {taken} of 127.0.0.1 is taken" in line
    hint = re.search(r"hint: --port (\d+)", line)
    assert hint
    assert int(hint[1]) != taken
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", int(hint[1])))
    assert not (tmp_path / ".runlore").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.com"])
def test_addresses_that_others_reach_need_a_decision(tmp_path: Path, host: str) -> None:
    done = run("server", "--host", host, "--port", "0", cwd=tmp_path)
    assert done.returncode == 1
    assert "--insecure-no-auth" in done.stderr
    assert not (tmp_path / ".runlore").exists()


def test_the_decision_is_loud_and_works(tmp_path: Path) -> None:
    with running("server", "--host", "0.0.0.0", "--port", "0", "--insecure-no-auth", cwd=tmp_path) as (process, _, wire):
        assert process.stderr is not None
        assert "WARNING: --insecure-no-auth" in process.stderr.readline()
        assert wire.ask("GET", "/health").status == 200
        assert wire.ask("GET", "/health", {"Host": "evil.example"}).status == 403


def test_more_names_are_allowed_by_option(tmp_path: Path) -> None:
    with running("server", "--port", "0", "--allowed-hosts", "runs.example, 10.0.0.0/8", cwd=tmp_path) as (_, _, wire):
        for host, status in [
            ("runs.example", 200),
            ("RUNS.example:80", 200),
            ("10.1.2.3", 200),
            ("11.1.2.3", 403),
            ("x.runs.example", 403),
        ]:
            assert wire.ask("GET", "/health", {"Host": host}).status == status
    assert run("server", "--allowed-hosts", "http://x", cwd=tmp_path).returncode == 1


def test_it_says_what_it_serves_keeps_it_private_and_stops_cleanly(tmp_path: Path) -> None:
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "project" / "deep").mkdir()
    with running("server", "--port", "0", cwd=tmp_path / "project" / "deep") as (process, line, wire):
        assert str(tmp_path / "project" / ".runlore") in line
        run_id = wire.new_run()
        wire.ask("PUT", f"{FILES}/0/{run_id}/artifacts/f", body=b"x")
        for path in [tmp_path / "project" / ".runlore", *(tmp_path / "project" / ".runlore").rglob("*")]:
            if path.name != ".gitignore":
                assert path.stat().st_mode & 0o077 == 0, path
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    with sqlite3.connect(tmp_path / "project" / ".runlore" / "runlore.db") as database:
        assert database.execute("SELECT run_id FROM run").fetchall() == [(run_id,)]
    database.close()
    assert not (tmp_path / "project" / ".runlore" / "runlore.db-wal").exists()


def test_a_stop_waits_for_the_answers_under_way(tmp_path: Path) -> None:
    with running("server", "--port", "0", "--store", "store", cwd=tmp_path) as (process, _, wire), wire.connect() as connection:
        head = f"PUT {FILES}/0/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
        connection.send(head.encode() + b"12345")
        wire.ask("GET", "/health")  # the upload has been read: requests are taken in order
        process.send_signal(signal.SIGINT)
        wait_until_closed(wire)
        connection.send(b"67890")
        assert connection.answer().status == 200
        assert process.wait(30) == 0
    assert (tmp_path / "store" / "artifacts" / "0" / "slow").read_bytes() == b"1234567890"


def test_mlflows_option_names_are_understood(tmp_path: Path) -> None:
    options = (
        "--backend-store-uri",
        "sqlite:///x.db",
        "--artifacts-destination",
        "files",
        "--serve-artifacts",
        "-h",
        "127.0.0.1",
    )
    with running("server", "--port", "0", *options, cwd=tmp_path) as (_, line, wire):
        assert "sqlite:///x.db" in line
        wire.ask("PUT", f"{FILES}/0/f", body=b"x")
        assert (tmp_path / "files" / "0" / "f").read_bytes() == b"x"


def test_sqlite_is_served_by_one_process_whatever_was_asked_for(tmp_path: Path) -> None:
    """MLflow's users start servers with --workers: it is no reason not to start."""
    command = [*RUNLORE, "server", "--port", "0", "--workers", "4", "--store", "store"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            reason, line = process.stderr.readline(), process.stderr.readline()
        finally:
            process.kill()
    assert "one writer at a time" in reason
    assert "--workers 4 needs --store postgresql://" in reason
    assert re.search(r"serves \S+ at http://localhost:\d+$", line.strip())


def test_ui_opens_the_directory_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with running("ui", "other", "--port", "0", "--no-browser", cwd=tmp_path) as (_, line, wire):
        assert str(tmp_path / "other" / ".runlore") in line
        assert wire.call("POST", "experiments/create", {"name": "x"}).status == 200
    with running("ui", str(tmp_path / "other" / ".runlore"), "--port", "0", "--no-browser", cwd=tmp_path) as (_, _, wire):
        assert len(wire.ask("GET", API + "experiments/search?max_results=5").json()["experiments"]) == 2
    (tmp_path / "other" / "src").mkdir()
    with running("ui", "other/src", "--port", "0", "--no-browser", cwd=tmp_path) as (_, line, _):
        assert f"{tmp_path}/other/.runlore at" in line  # what scripts in src log to
    assert run("ui", "missing", cwd=tmp_path).returncode == 1


def test_ui_opens_the_browser_once_it_answers(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    program = "import sys, urllib.request as r; open('seen', 'wb').write(r.urlopen(sys.argv[1] + '/health').read())"
    browser.write_text(f"#!{sys.executable}\n{program}\n")
    browser.chmod(0o700)
    environment = {**os.environ, "BROWSER": f"{browser} %s", "NO_PROXY": "*"}
    with subprocess.Popen([*RUNLORE, "ui", "--port", "0"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
        seen = tmp_path / "seen"
        while not (seen.exists() and seen.read_bytes()):
            assert process.poll() is None
        process.terminate()
    assert seen.read_bytes() == b"OK"


def test_the_program_explains_itself(tmp_path: Path) -> None:
    assert run("--version").stdout.startswith("runlore ")
    for arguments in (("--help",), ("server", "--help"), ("ui", "-h")):
        done = run(*arguments)
        assert done.returncode == 0
        assert "runlore" in done.stdout
    assert "Examples:" in run("server", "--help").stdout
    assert run("nothing").returncode == 2
    done = run("server", "--store", "ftp://x", "--port", "0", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "names no store" in done.stderr


def test_help_imports_no_server() -> None:
    program = (
        "import sys; from runlore.cli.main import group; group(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for heavy in ("uvicorn", "asyncio", "runlore.server", "runlore.store.sql", "numpy", "obstore"):
        assert f"'{heavy}'" not in done.stdout


def test_an_error_steers_no_terminal(tmp_path: Path) -> None:
    done = run("runs", "list", "--store", f"sqlite:///\x1b[2J\u202e{'x' * 300}.db", cwd=tmp_path)
    assert done.returncode != 0
    assert "\x1b" not in done.stderr
    assert "\u202e" not in done.stderr
