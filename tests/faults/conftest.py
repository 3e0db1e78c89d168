"""Fixtures of the fault tests, and what each needs of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from tests.store.postgres import Cluster, binaries, cluster


@pytest.fixture(scope="session")
def own_cluster() -> Iterator[Cluster]:
    """A PostgreSQL server that these tests may stop and start."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (no initdb in /usr/lib/postgresql/*/bin or on the PATH)")
    with cluster() as server:
        yield server


@pytest.fixture
def postgresql(own_cluster: Cluster) -> Iterator[str]:
    """An empty PostgreSQL database of this test alone."""
    name = own_cluster.database()
    yield own_cluster.uri(name)
    own_cluster.drop(name)


@pytest.fixture(scope="session")
def strace() -> list[str]:
    """The beginning of a command line that runs a program under strace, as the process that was started.

    `--seccomp-bpf` makes it cheaper, but then no signals are injected.
    """
    command = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync"]
    if shutil.which("strace") is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("strace is not installed, or may not trace here")
    return ["strace", "-D", "-f", "-qq"]


@pytest.fixture(scope="session")
def unshare() -> list[str]:
    """The beginning of a command line that runs a program with mounts of its own."""
    command = ["unshare", *([] if os.geteuid() == 0 else ["-Ur"]), "-m"]
    if shutil.which("unshare") is None or subprocess.run([*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).returncode:
        pytest.skip("this machine lets us make no small file system (unshare, mount)")
    return command


@pytest.fixture(scope="session")
def own_network() -> list[str]:
    """The beginning of a command line that runs a program with a network of its own, which it may take down."""
    command = ["unshare", "-n"]
    able = shutil.which("unshare") and shutil.which("ip") and binaries() is not None and os.geteuid() == 0
    if not able or subprocess.run([*command, "ip", "link", "set", "lo", "up"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this machine lets us have no network of our own (root, unshare, ip, PostgreSQL)")
    return command
