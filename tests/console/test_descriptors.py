"""`RUNLORE_CONSOLE=all`: C libraries and child processes are heard, and nobody's output is other than it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.console.test_console import program, sessions, surroundings  # noqa: F401  # a fixture

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="on Linux and macOS alone")

BEGIN = "run = runlore.start_run()\nprint(run.info.run_id, flush=True)\n"
MIXED = """
import ctypes, subprocess
print("from python")
sys.stdout.flush()
ctypes.CDLL(None).puts(b"from C")
ctypes.CDLL(None).fflush(None)
subprocess.run(["sh", "-c", "echo from a child; echo and its error >&2"])
os.write(1, b"half a caf\\xc3")
os.write(1, b"\\xa9\\n")
print("last")
"""


def test_everything_in_order_and_byte_for_byte() -> None:
    done = program(BEGIN + MIXED, RUNLORE_CONSOLE="all")
    run_id, rest = done.stdout.split("\n", 1)
    assert (done.returncode, done.stderr) == (0, "and its error\n")
    assert rest == "from python\nfrom C\nfrom a child\nhalf a café\nlast\n"
    [text] = sessions(run_id)
    lines = text.splitlines()
    assert sorted(lines) == sorted([run_id, *rest.splitlines(), "and its error"])
    assert [line for line in lines if line != "and its error"] == [run_id, *rest.splitlines()]


def test_without_it_nothing_is_replaced() -> None:
    done = program("before = os.fstat(1).st_ino\n" + BEGIN + "print(os.fstat(1).st_ino == before)", RUNLORE_CONSOLE="1")
    assert done.stdout.split()[1] == "True"


def test_descriptors_are_given_back_and_nested_runs_have_their_own(tmp_path: Path) -> None:
    done = program(
        """
before = os.fstat(1).st_ino
with runlore.start_run() as outer:
    print(outer.info.run_id, flush=True)
    os.system("echo one")
    with runlore.start_run(nested=True) as inner:
        print(inner.info.run_id, flush=True)
        os.system("echo two")
    os.system("echo three")
print(os.fstat(1).st_ino == before)
os.system("echo after")
""",
        RUNLORE_CONSOLE="all",
    )
    outer, one, inner, two, three, same, after = done.stdout.split()
    assert (one, two, three, same, after) == ("one", "two", "three", "True", "after")
    assert sessions(outer) == [f"{outer}\none\n{inner}\ntwo\nthree\n"]
    assert sessions(inner) == [f"{inner}\ntwo\n"]


def test_a_terminal_stays_a_terminal(tmp_path: Path) -> None:
    import pty
    import termios

    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (33, 111))
    code = (
        "import runlore, os, sys, subprocess\n" + BEGIN + "print(sys.stdout.isatty(), os.get_terminal_size())\n"
        "subprocess.run([sys.executable, '-c', 'import sys; print(sys.stdout.isatty()); print(chr(27) + \"[31mred\")'])\n"
    )
    environment = {**os.environ, "RUNLORE_CONSOLE": "all"}
    process = subprocess.Popen([sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    seen = b""
    try:
        while piece := os.read(master, 4_096):
            seen += piece
    except OSError:  # its last user is gone
        pass
    assert process.wait(timeout=60) == 0
    os.close(master)
    run_id, *lines = seen.decode().split("\r\n")
    assert lines == ["True os.terminal_size(columns=111, lines=33)", "True", "\x1b[31mred", ""]
    assert sessions(run_id) == [f"{run_id}\nTrue os.terminal_size(columns=111, lines=33)\nTrue\n\x1b[31mred\n"]


def test_a_child_that_outlives_us_goes_on_writing() -> None:
    code = BEGIN + "import subprocess\nsubprocess.Popen(['sh', '-c', 'sleep 1; echo late; echo later'])\n"
    done = program(code, RUNLORE_CONSOLE="all")
    assert done.returncode == 0
    assert done.stdout.split("\n", 1)[1] == "late\nlater\n"


def test_a_reader_that_leaves_is_noticed_as_ever() -> None:
    code = "import runlore, os\nrunlore.start_run()\nimport sys\nwhile True: print('x' * 1000, flush=True)\n"
    environment = {**os.environ, "RUNLORE_CONSOLE": "all"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) != 0
        assert process.stderr is not None
        assert b"BrokenPipeError" in process.stderr.read()
