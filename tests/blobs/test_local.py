"""Files on the local disk: private, inside their root whatever lies there, and whole after any death of the writer."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.blobs.conftest import content

from runlore.blobs.base import ArtifactPath
from runlore.blobs.folder import BY_HANDLE, refuse_windows_name
from runlore.blobs.local import STAGING, LocalBlobs
from runlore.blobs.tree import BlobTree
from runlore.exceptions import InvalidParameter, NotFound

P = ArtifactPath


@pytest.fixture(params=[True, False], ids=["by handle", "by path"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> LocalBlobs:
    if request.param and not BY_HANDLE:
        pytest.skip("this platform can not open relative to a directory")
    return LocalBlobs(tmp_path / "root", by_handle=request.param)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the root that nobody may read or change through the root."""
    directory = tmp_path / "outside"
    (directory / "deep").mkdir(parents=True)
    (directory / "secret").write_text("secret")
    (directory / "deep/secret").write_text("secret")
    return directory


def untouched(outside: Path) -> bool:
    return {str(path.relative_to(outside)): path.is_dir() or path.read_text() for path in outside.rglob("*")} == {
        "secret": "secret",
        "deep": True,
        "deep/secret": "secret",
    }


# -- modes ---------------------------------------------------------------------------------------------------------------


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        LocalBlobs(tmp_path / "a/root").write(P("d/e/f"), [b"x"])
        LocalBlobs(tmp_path / "users", private=False).write(P("d/f"), [b"x"])
    finally:
        os.umask(old)

    def mode(path: str) -> str:
        return oct(stat.S_IMODE((tmp_path / path).stat().st_mode))

    assert [mode(path) for path in ("a/root", "a/root/d", "a/root/d/e", f"a/root/{STAGING}")] == ["0o700"] * 4
    assert mode("a/root/d/e/f") == "0o600"
    assert [mode("users/d"), mode("users/d/f")] == ["0o777", "0o666"]


def test_a_root_that_does_not_exist_is_empty_and_stays_away(blobs: LocalBlobs, tmp_path: Path) -> None:
    assert blobs.list(P("")) == []
    for action in (blobs.stat, blobs.read, blobs.delete):
        with pytest.raises(NotFound):
            action(P("x"))
    assert not (tmp_path / "root").exists()


# -- links ---------------------------------------------------------------------------------------------------------------


def plant(root: Path, outside: Path) -> None:
    root.mkdir()
    (root / "real").mkdir()
    (root / "real/file").write_text("mine")
    (root / "file").symlink_to(outside / "secret")
    (root / "directory").symlink_to(outside)
    (root / "relative").symlink_to("../outside")
    (root / "up").symlink_to("..")
    (root / "slash").symlink_to("/")
    (root / "inner").symlink_to("real")
    (root / "dangling").symlink_to(outside / "new")
    (root / "loop").symlink_to("loop")
    (root / "real/file2").symlink_to("file")
    (root / "real/out").symlink_to(outside)


LEAVES = ["file", "directory", "relative", "up", "slash", "inner", "dangling", "loop", "real/file2", "real/out"]
BELOW = ["directory/secret", "relative/secret", "up/outside/secret", "inner/file", "real/out/deep/secret", "slash/etc/hostname"]


def test_links_are_as_good_as_absent(blobs: LocalBlobs, tmp_path: Path, outside: Path) -> None:
    plant(tmp_path / "root", outside)
    assert list(blobs.files(P(""))) == ["real/file"]
    for path in LEAVES + BELOW:
        assert blobs.list(P(path)) == []
        for action in (
            blobs.stat,
            blobs.read,
            blobs.tag,
            blobs.delete,
            lambda path: blobs.download(path, tmp_path / "down"),
        ):
            with pytest.raises(NotFound):
                action(P(path))
    blobs.download(P(""), tmp_path / "down")
    assert [str(path.relative_to(tmp_path / "down")) for path in (tmp_path / "down").rglob("*")] == ["real", "real/file"]
    assert untouched(outside)


def test_nothing_is_written_through_a_link(blobs: LocalBlobs, tmp_path: Path, outside: Path) -> None:
    plant(tmp_path / "root", outside)
    for path in ("directory/secret", "directory/new", "relative/new", "up/new", "inner/new", "dangling/new", "loop/new"):
        with pytest.raises(InvalidParameter, match="a part of it is not a directory"):
            blobs.write(P(path), [b"mine"])
    for path in ("file", "directory", "dangling"):  # the link itself is replaced
        blobs.write(P(path), [b"mine"])
        assert not (tmp_path / "root" / path).is_symlink()
        assert content(blobs, path) == b"mine"
    assert untouched(outside)
    assert sorted(os.listdir(tmp_path)) == ["outside", "root"]


def test_deleting_a_directory_removes_links_not_their_targets(blobs: LocalBlobs, tmp_path: Path, outside: Path) -> None:
    plant(tmp_path / "root", outside)
    blobs.delete(P("real"))
    blobs.delete(P(""))
    assert os.listdir(tmp_path / "root") == []
    assert untouched(outside)


def test_a_directory_that_becomes_a_link_during_a_write_is_not_followed(
    blobs: LocalBlobs, tmp_path: Path, outside: Path
) -> None:
    blobs.write(P("d/old"), [b"x"])

    def chunks() -> Iterator[bytes]:
        yield b"mine"
        (tmp_path / "root/d").rename(tmp_path / "root/moved")
        (tmp_path / "root/d").symlink_to(outside)

    with pytest.raises(InvalidParameter, match="not a directory"):
        blobs.write(P("d/secret"), chunks())
    assert untouched(outside)


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    blobs = LocalBlobs(tmp_path / "root")
    blobs.write(P("d/f"), [b"x"])
    assert (tmp_path / "disk/d/f").read_bytes() == b"x"
    assert content(blobs, "d/f") == b"x"


def test_special_files_are_as_good_as_absent(blobs: LocalBlobs, tmp_path: Path) -> None:
    blobs.write(P("f"), [b"x"])
    os.mkfifo(tmp_path / "root/pipe")
    assert [info.path for info in blobs.list(P(""))] == ["f"]
    for action in (blobs.stat, blobs.read):  # opening the pipe would wait for a writer
        with pytest.raises(NotFound):
            action(P("pipe"))


def test_names_that_no_path_can_express_are_not_listed(blobs: LocalBlobs, tmp_path: Path) -> None:
    blobs.write(P("f"), [b"x"])
    for name in ("a%b", "a\\b", "a\nb", b"\xff\xfe".decode("utf-8", "surrogateescape")):
        (tmp_path / "root" / name).write_text("x")
    assert [info.path for info in blobs.list(P(""))] == ["f"]


def test_files_and_directories_do_not_take_each_others_place(blobs: LocalBlobs) -> None:
    blobs.write(P("file"), [b"x"])
    blobs.write(P("directory/file"), [b"x"])
    with pytest.raises(InvalidParameter, match="there is a directory of that name"):
        blobs.write(P("directory"), [b"y"])
    with pytest.raises(InvalidParameter, match="a part of it is not a directory"):
        blobs.write(P("file/below"), [b"y"])
    assert list(blobs.files(P(""))) == ["directory/file", "file"]
    assert os.listdir(blobs.root / STAGING) == []


@pytest.mark.parametrize("name", ["CON", "con.txt", "NUL", "com1", "LPT9.log", "a:b", "a:$DATA", "a?", "a*", "a<", "a.", "a "])
def test_names_that_mean_something_else_on_windows_are_absent_there(name: str) -> None:
    with pytest.raises(FileNotFoundError):
        refuse_windows_name(name)
    refuse_windows_name("console.txt")


# -- death of the writer ---------------------------------------------------------------------------------------------------

HALF = """
import sys, time
from pathlib import Path
from runlore.blobs.base import ArtifactPath
from runlore.blobs.local import LocalBlobs

def chunks():
    yield b"x" * 5_000_000
    print("half", flush=True)
    time.sleep(600)

LocalBlobs(Path(sys.argv[1])).write(ArtifactPath("d/f"), chunks())
"""


def test_a_killed_writer_leaves_nothing_that_a_start_does_not_remove(tmp_path: Path) -> None:
    root = tmp_path / "root"
    blobs = LocalBlobs(root)
    blobs.write(P("d/f"), [b"old"])
    with subprocess.Popen([sys.executable, "-c", HALF, root], stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"half\n"
        assert len(os.listdir(root / STAGING)) == 1
        LocalBlobs(root)  # another process starts: the file is being written and stays
        assert len(os.listdir(root / STAGING)) == 1
        writer.send_signal(signal.SIGKILL)
    assert content(blobs, "d/f") == b"old"
    assert list(blobs.files(P(""))) == ["d/f"]
    assert len(os.listdir(root / STAGING)) == 1
    LocalBlobs(root)
    assert os.listdir(root / STAGING) == []
    assert content(blobs, "d/f") == b"old"


def test_a_start_does_not_disturb_those_who_write(blobs: LocalBlobs, tmp_path: Path) -> None:
    begun, go = threading.Event(), threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"first"
        begun.set()
        assert go.wait(60)
        yield b"second"

    writer = threading.Thread(target=blobs.write, args=(P("f"), chunks()))
    writer.start()
    assert begun.wait(60)
    LocalBlobs(tmp_path / "root")
    go.set()
    writer.join()
    assert content(blobs, "f") == b"firstsecond"


def test_a_staging_directory_that_is_a_link_is_not_used(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / STAGING).symlink_to(outside)
    blobs = LocalBlobs(root)
    with pytest.raises(NotADirectoryError):
        blobs.write(P("f"), [b"x"])
    assert untouched(outside)


def test_a_directory_that_is_deleted_again_and_again_does_not_stop_writers(blobs: BlobTree) -> None:
    def delete() -> None:
        for _ in range(80):
            with suppress(NotFound):
                blobs.delete(P("a"))

    deleter = threading.Thread(target=delete)
    deleter.start()
    for number in range(100):
        blobs.write(P(f"a/b/c/{number}"), [b"x"])
    deleter.join()
    blobs.write(P("a/b/c/last"), [b"x"])
    assert content(blobs, "a/b/c/last") == b"x"


def test_open_files_are_closed(blobs: LocalBlobs) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    blobs.write(P("a/b/f"), [b"x"])
    before = count()
    for _ in range(20):
        reader = blobs.read(P("a/b/f"))
        next(reader)
        blobs.read(P("a/b/f"))  # opened, never read
        blobs.list(P("a/b"))
        with pytest.raises(NotFound):
            blobs.read(P("a/b"))
        del reader
    assert count() == before
