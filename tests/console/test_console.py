"""What a process prints is kept with its run, and its own console is none the worse for it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import forget_environment
from tests.waiting import wait_for

import runlore
from runlore.client.connection import close_stores
from runlore.console import PartsWriter
from runlore.console.parts import LIMIT, PART, TAIL
from runlore.exceptions import Unavailable


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    forget_environment(monkeypatch)
    monkeypatch.setenv("RUNLORE_CONSOLE", "1")
    runlore.set_tracking_uri(tmp_path / "store")
    yield
    while runlore.active_run():
        runlore.end_run()
    close_stores()


def sessions(run_id: str) -> list[str]:
    """The text of each session, oldest first."""
    client = runlore.MlflowClient()
    texts = []
    for session in client.list_artifacts(run_id, "runlore/console"):
        names = [part.path for part in client.list_artifacts(run_id, session.path)]
        texts.append("".join(runlore.artifacts.load_text(f"runs:/{run_id}/{name}") for name in names))
    return texts


def program(text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    command = [sys.executable, "-c", f"import runlore, sys, os\n{text}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_prints_go_to_the_console_and_to_the_run() -> None:
    done = program(
        """
import logging
logging.basicConfig(format="%(message)s")
print("before")
with runlore.start_run() as run:
    print("inside", "é")
    logging.warning("careful")
    sys.stderr.write("10%\\r100%\\n")
    assert sys.stdout is sys.__stdout__
print("after")
print(run.info.run_id)
"""
    )
    assert (done.returncode, done.stderr) == (0, "careful\n10%\n100%\n")  # universal newlines
    before, inside, after, run_id = done.stdout.splitlines()
    assert (before, inside, after) == ("before", "inside é", "after")
    assert sessions(run_id) == ["inside é\ncareful\n100%\n"]


def test_the_traceback_of_a_training_that_fails_is_kept() -> None:
    done = program("run = runlore.start_run()\nprint(run.info.run_id, flush=True)\n1 / 0")
    assert done.returncode == 1
    [text] = sessions(done.stdout.strip())
    assert text.endswith("ZeroDivisionError: division by zero\n")


def test_it_is_there_while_the_run_goes_on(capsys: pytest.CaptureFixture[str], server: str) -> None:
    runlore.set_tracking_uri(server)
    with runlore.start_run() as run:
        print("first")
        wait_for(lambda: sessions(run.info.run_id) == ["first\n"])
        print("half", end="")
        wait_for(lambda: sessions(run.info.run_id) == ["first\nhalf"])
        print(" and half")
    assert sessions(run.info.run_id) == ["first\nhalf and half\n"]
    assert capsys.readouterr().out == "first\nhalf and half\n"


def test_nested_runs_have_what_was_printed_while_they_were_open(capsys: pytest.CaptureFixture[str]) -> None:
    with runlore.start_run() as outer:
        print("one")
        with runlore.start_run(nested=True) as inner:
            print("two")
        print("three")
    assert sessions(outer.info.run_id) == ["one\ntwo\nthree\n"]
    assert sessions(inner.info.run_id) == ["two\n"]
    assert capsys.readouterr().out == "one\ntwo\nthree\n"


def test_threads_print_too(capsys: pytest.CaptureFixture[str]) -> None:
    with runlore.start_run() as run:
        threads = [
            threading.Thread(target=lambda: [print(f"{number:04}\n", end="") for number in range(200)]) for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    [text] = sessions(run.info.run_id)
    assert sorted(text.split()) == sorted(capsys.readouterr().out.split())
    assert len(text.split()) == 1_000


def test_streams_are_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    write = sys.stdout.write
    with runlore.start_run():
        assert sys.stdout.write != write
    wait_for(lambda: sys.stdout.write == write)


def test_a_wrapper_that_came_later_keeps_working(capsys: pytest.CaptureFixture[str]) -> None:
    with runlore.start_run() as run:
        ours = sys.stdout.write
        sys.stdout.write = lambda text: ours(text.upper())  # type: ignore[method-assign]
        print("loud")
    print("still loud")
    del sys.stdout.write
    assert capsys.readouterr().out == "LOUD\nSTILL LOUD\n"
    assert sessions(run.info.run_id) == ["LOUD\n"]


def test_what_can_not_be_stored_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    done = program(
        "run = runlore.start_run()\nsys.stdout.reconfigure(errors='replace')\nprint(run.info.run_id)\nprint('\\ud800!')"
    )
    assert (done.returncode, done.stderr) == (0, "")
    run_id, _ = done.stdout.splitlines()
    assert sessions(run_id) == [f"{run_id}\n\\ud800!\n"]


def test_secrets_are_masked() -> None:
    done = program(
        "run = runlore.start_run()\nprint(run.info.run_id)\nprint('using', os.environ['HUB_TOKEN'])", HUB_TOKEN="s3cretvalue"
    )
    assert sessions(done.stdout.split()[0])[0].endswith("\nusing ***\n")


@pytest.mark.parametrize("resumed", [False, True])
def test_nothing_is_kept_when_it_is_off(monkeypatch: pytest.MonkeyPatch, resumed: bool) -> None:
    monkeypatch.setenv("RUNLORE_CONSOLE", "0")
    with runlore.start_run() as run:
        print("not kept")
    assert sessions(run.info.run_id) == []


def test_a_process_that_goes_on_begins_a_session_of_its_own() -> None:
    first = program("with runlore.start_run() as run: print(run.info.run_id)").stdout.strip()
    program("with runlore.start_run() as run: print('again')", RUNLORE_RUN_ID=first)
    assert sorted(sessions(first)) == sorted([f"{first}\n", "again\n"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_prints_and_ends_as_ever() -> None:
    done = program(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 says that there are threads
run = runlore.start_run()
print(run.info.run_id, flush=True)
if (child := os.fork()) == 0:
    print("from the child", flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("from the parent")
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    run_id, *others = done.stdout.splitlines()
    assert others == ["from the child", "from the parent"]
    assert sessions(run_id) == [f"{run_id}\nfrom the parent\n"]


# -- parts ----------------------------------------------------------------------------------------------------------------


class Folder:
    """A place to write to that can be out of reach."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.written = 0
        self.broken = False

    def write(self, name: str, text: str) -> None:
        if self.broken:
            raise Unavailable("out of reach")
        self.files[name] = text
        self.written += len(text)

    def text(self) -> str:
        return "".join(self.files[name] for name in sorted(self.files))


def test_parts_are_whole_and_little_is_written_again() -> None:
    folder = Folder()
    writer = PartsWriter(folder.write)
    line = "0123456789" * 100 + "\n"
    for number in range(3_000):
        writer.flush(line if number % 10 else line * 5, "live")
    assert folder.text() == line * (3_000 + 4 * 300) + "live"
    assert [int(name.removesuffix(".txt")) for name in sorted(folder.files)] == [
        sum(len(folder.files[name]) for name in sorted(folder.files)[:place]) for place in range(len(folder.files))
    ]
    assert max(map(len, folder.files.values())) < PART + 10 * len(line)


def test_nothing_is_written_twice_when_nothing_is_new() -> None:
    folder = Folder()
    writer = PartsWriter(folder.write)
    writer.flush("a\n", "b")
    before = folder.written
    writer.flush("", "b")
    assert folder.written == before


def test_what_the_store_did_not_take_comes_later() -> None:
    folder = Folder()
    writer = PartsWriter(folder.write)
    block = "x" * (PART // 2) + "\n"
    folder.broken = True
    for _ in range(5):
        with pytest.raises(Unavailable):
            writer.flush(block, "")
    folder.broken = False
    writer.flush("", "end")
    assert folder.text() == block * 5 + "end"


def test_the_beginning_and_the_end_of_very_much_are_kept() -> None:
    folder = Folder()
    writer = PartsWriter(folder.write)
    block = "".join(f"{number:9}\n" for number in range(10_000))
    blocks = LIMIT // len(block) + 30
    for _ in range(blocks):
        writer.flush(block, "")
    text = folder.text()
    assert text.startswith(block)
    assert text.endswith(block[-TAIL // 2 :])
    assert "characters left out …]\n" in text
    assert len(text) < LIMIT + 4 * TAIL
