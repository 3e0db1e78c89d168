"""Large files whose transfer is interrupted: nothing half is ever seen, and little is sent twice."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.faults.proxy import Proxy, proxied
from tests.faults.served import ROOT, Served, serving
from tests.faults.sizes import SOAK, size

from runlore import RunloreClient
from runlore.client.connection import close_stores

MIB = 1 << 20
BYTES = size(128 * MIB, 1_000_000_000)
LESS = size(40 * MIB, BYTES)
"""For faults that harm one part."""
TWICE = 0.05
"""How much of a file may be sent again after one interruption."""
MOST_MEMORY = 150
"""MiB that a server may take, whatever passes through it."""
MOTO = Path(os.environ.get("RUNLORE_MOTO") or ROOT / ".venvs/moto/bin/moto_server")

LOG = """
import sys
from runlore import RunloreClient
RunloreClient(sys.argv[1]).log_artifact(sys.argv[2], sys.argv[3], "models")
print("logged")
"""
FETCH = """
import sys
from runlore import RunloreClient
RunloreClient(sys.argv[1]).download_artifacts(sys.argv[2], "models/weights.bin", sys.argv[3])
print("fetched")
"""


class Place:
    """A server, a proxy before it, a run, and a large file."""

    def __init__(self, served: Served, proxy: Proxy, directory: Path, length: int) -> None:
        self.served, self.proxy, self.directory = served, proxy, directory
        self.client = RunloreClient(served.url)
        self.run_id = self.client.create_run("0").info.run_id
        self.file = directory / "weights.bin"
        self.length = length
        self.sha256 = _random_file(self.file, length)
        self.began = 0

    def run(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """A client in a process of its own, by way of the proxy."""
        environment = {**os.environ, "RUNLORE_STRICT": "1", "RUNLORE_SPOOL_DIR": str(self.directory / "spool")}
        command = [sys.executable, "-c", program, self.proxy.url, self.run_id, *arguments]
        self.began = self.proxy.sent
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def log(self) -> subprocess.Popen[str]:
        """A client that logs the file."""
        return self.run(LOG, str(self.file))

    def wait_until_sent(self, share: float) -> None:
        """Return when so much of the file has gone."""
        until(lambda: self.proxy.sent - self.began >= share * self.length)

    def seen(self) -> list[str]:
        """Files of the run that anybody can see."""
        return [info.path for info in self.client.list_artifacts(self.run_id, "models")]

    def check(self, sent: int, interruptions: int) -> None:
        """The file is there, whole, and was sent once."""
        (info,) = self.client.list_artifacts(self.run_id, "models")
        assert (info.path, info.file_size, info.sha256) == ("models/weights.bin", self.length, self.sha256)
        down = self.client.download_artifacts(self.run_id, "models/weights.bin", str(self.directory / "down"))
        assert _sha256(Path(down)) == self.sha256
        twice = sent / self.length - 1
        print(
            f"\n{self.length / 1e6:,.0f} MB, {interruptions} interruptions: {twice:.2%} sent twice; {self.served.memory()} MiB"
        )
        assert twice <= TWICE * interruptions
        assert self.served.memory() <= MOST_MEMORY


def until(happened: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def finished(process: subprocess.Popen[str], word: str) -> None:
    """The client ends well, and says nothing else."""
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out.strip()) == (0, word), err


def _random_file(path: Path, length: int) -> str:
    block, found = os.urandom(MIB), hashlib.sha256()
    with path.open("wb") as file:
        for number in range(0, length, MIB):
            piece = (number.to_bytes(8, "big") + block[8:])[: length - number]
            file.write(piece)
            found.update(piece)
    return found.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URI of a bucket in a server that speaks like S3."""
    if not MOTO.is_file():
        pytest.skip(f"No S3 server at {MOTO}. `make .venvs/moto/.ready` installs it, or set RUNLORE_MOTO.")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([str(MOTO), "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: _answers(url))
            urllib.request.urlopen(urllib.request.Request(f"{url}/bucket", method="PUT")).close()
            variables = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": url}
            for name, value in {**variables, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}.items():
                monkeypatch.setenv(name, value)
            yield "s3://bucket/root"
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError as error:
        return "refused" not in str(error)
    return True


@contextmanager
def placed(directory: Path, length: int, options: list[str] | None = None) -> Iterator[Place]:
    store = f"sqlite:///{directory / 'runlore.db'}"
    with serving(store, directory, options=options or []) as served, proxied(served.port, 0.0) as proxy:
        try:
            yield Place(served, proxy, directory, length)
        finally:
            close_stores()


@pytest.fixture(params=["disk", "objects"] if SOAK else ["disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """With artifacts on the server's disk, and in an object store."""
    options = ["--artifacts", request.getfixturevalue("objects")] if request.param == "objects" else []
    with placed(tmp_path, BYTES, options) as made:
        yield made


def test_a_client_that_is_killed_goes_on_where_it_was(place: Place) -> None:
    before, kills = place.proxy.sent, (0.1, 0.5, 0.9)
    for number, share in enumerate(kills):
        process = place.log()
        place.wait_until_sent(share - (kills[number - 1] if number else 0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert place.seen() == []
    finished(place.log(), "logged")
    sent = place.proxy.sent - before
    place.check(sent, len(kills))
    finished(place.log(), "logged")  # a third time, for nothing
    assert place.proxy.sent - before - sent < 100_000


@pytest.mark.parametrize("place", ["disk", "objects"], indirect=True)
def test_a_server_that_is_killed_or_away_is_waited_for(place: Place) -> None:
    before = place.proxy.sent
    process = place.log()
    place.wait_until_sent(0.3)
    place.proxy.cut_off()
    assert place.seen() == []
    time.sleep(0.5)
    place.proxy.cut_off(False)
    place.wait_until_sent(0.6)
    place.served.kill()
    place.served.start()
    finished(process, "logged")
    place.check(place.proxy.sent - before, 2)
    place.served.stop()
    place.served.start()
    artifacts = place.directory / "artifacts"
    left = [path.name for path in artifacts.rglob("*") if path.is_file() and not path.name.endswith("%")]
    assert left in ([], ["weights.bin"])  # no parts, nothing half


def test_a_download_goes_on_where_it_was(tmp_path: Path) -> None:
    with placed(tmp_path, LESS) as place:
        place.client.log_artifact(place.run_id, place.file, "models")
        down = tmp_path / "fetched"
        process = place.run(FETCH, str(down))
        until(lambda: any(path.stat().st_size > LESS // 2 for path in down.glob(".*.part")))
        process.kill()
        process.communicate()
        assert not (down / "models").exists()
        process = place.run(FETCH, str(down))
        place.proxy.cut_off()
        threading.Timer(0.5, place.proxy.cut_off, [False]).start()
        finished(process, "fetched")
        assert _sha256(down / "models/weights.bin") == place.sha256
        assert [path.name for path in down.rglob("*") if path.is_file()] == ["weights.bin"]


def test_a_damaged_file_is_not_handed_out(tmp_path: Path) -> None:
    with placed(tmp_path, LESS) as place:
        place.client.log_artifact(place.run_id, place.file, "models")
        (stored,) = (tmp_path / "artifacts").rglob("weights.bin")
        then = stored.stat()
        with stored.open("r+b") as file:
            file.seek(LESS // 2)
            file.write(b"damaged")
        os.utime(stored, ns=(then.st_atime_ns, then.st_mtime_ns))
        process = place.run(FETCH, str(tmp_path / "fetched"))
        _, said = process.communicate(timeout=60)
        assert process.returncode == 1
        assert re.search("has the SHA-256 [0-9a-f]{64}, not .* it was damaged, or replaced", said)
        assert not (tmp_path / "fetched/models/weights.bin").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs /proc")
def test_a_client_needs_no_memory_for_large_files(tmp_path: Path) -> None:
    program = LOG + "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    with placed(tmp_path, LESS) as place:
        process = place.run(program, str(place.file))
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        print(f"\nthe client took {int(out.split()[1]) // 1024} MiB for a file of {LESS // MIB} MiB")
        assert int(out.split()[1]) // 1024 < 100
