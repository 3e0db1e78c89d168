"""What every blob store does, whatever is behind it."""

from __future__ import annotations

import hashlib
import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.blobs.conftest import content

from runlore.blobs.base import ArtifactPath
from runlore.blobs.sources import CHUNK
from runlore.blobs.tree import BlobTree
from runlore.entities import FileInfo
from runlore.exceptions import InvalidParameter, NotFound

P = ArtifactPath
MIB = 1 << 20

# Each has been, decoded or not, the way out of some tracker's artifact directory.
HOSTILE = [
    "..",
    ".",
    "../x",
    "a/..",
    "a/../..",
    "a/../../etc/passwd",
    "a/./b",
    "./a",
    "a//b",
    "a/",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "\\..\\x",
    "a\\b",
    "..\\..\\etc",
    "%2e%2e/x",
    "%2e%2e%2fx",
    "..%2fx",
    "a%2f..%2f..%2fetc",
    "%252e%252e%252fx",
    "%00",
    "..%c0%afx",
    "%5c..%5cx",
    "a\x00b",
    "a\x00.txt",
    "a\nb",
    "a\rb",
    "a\tb",
    "\x1b[31m",
    "a\x7fb",
    "a\x85b",
    "C:/windows",
    "C:\\windows",
    "c:",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "http://host/x",
    "e\u0301",
    "\u212b",
    "\ud800",
    "x" * 256,
    "é" * 128,
    "a/" + "x" * 256,
    "/".join(["x" * 100] * 11),
    ".staging%",
    ".staging%/x",
]
ODD_BUT_FINE = [
    "a b",
    " a",
    "a.",
    "..a",
    "a..",
    "...",
    "-rf",
    "~",
    "~root",
    "$HOME",
    "`id`",
    "a;b",
    "a&b",
    "a|b",
    "a?b",
    "a#b",
    "a*b",
    "a[b]",
    "a{b}",
    'a"b',
    "a'b",
    "a<b>",
    "a+b",
    "a=b",
    "a@b",
    "a,b",
    "a^b",
    "d/a:b",
    "é",
    "日本語",
    "🦉",
    ".hidden",
    "x" * 255,
    "CON",
]


def without_digest(info: FileInfo) -> FileInfo:
    return FileInfo(path=info.path, is_dir=info.is_dir, file_size=info.file_size)


@pytest.mark.parametrize("chunks", [[], [b""], [b"x"], [b"ab", b"", b"cd"]], ids=["nothing", "empty", "one byte", "chunks"])
def test_small_files_come_back(blobs: BlobTree, chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    assert blobs.write(P("d/file"), iter(chunks)) == len(whole)
    assert content(blobs, "d/file") == whole
    assert without_digest(blobs.stat(P("d/file"))) == FileInfo(path="d/file", is_dir=False, file_size=len(whole))


def test_a_large_file_streams_through_bounded_memory(bounded_blobs: BlobTree, tmp_path: Path) -> None:
    blobs, size = bounded_blobs, 100
    block = os.urandom(MIB)
    expected = hashlib.sha256(block * size).digest()
    tracemalloc.start()
    try:
        assert blobs.write(P("big"), (bytes(bytearray(block)) for _ in range(size))) == size * MIB
        seen = hashlib.sha256()
        for chunk in blobs.read(P("big")):
            seen.update(chunk)
        local = blobs.download(P("big"), tmp_path / "down")
        blobs.upload(local, P("again"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen.digest() == expected
    assert blobs.stat(P("again/big")).file_size == size * MIB
    assert peak < 50 * MIB
    with local.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == expected


def test_listing_shows_one_level_sorted(blobs: BlobTree) -> None:
    for path in ("b", "a/x", "a/deep/y", "ab", "a.txt"):
        blobs.write(P(path), [path.encode()])
    assert [without_digest(info) for info in blobs.list(P(""))] == [
        FileInfo(path="a", is_dir=True),
        FileInfo(path="a.txt", is_dir=False, file_size=5),
        FileInfo(path="ab", is_dir=False, file_size=2),
        FileInfo(path="b", is_dir=False, file_size=1),
    ]
    assert [info.path for info in blobs.list(P("a"))] == ["a/deep", "a/x"]
    assert list(blobs.files(P(""))) == ["a/deep/y", "a/x", "a.txt", "ab", "b"]
    assert blobs.list(P("nothing")) == blobs.list(P("b")) == blobs.list(P("b/below")) == []
    assert blobs.stat(P("a")) == FileInfo(path="a", is_dir=True)


@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (0, 0), (0, 1), (3, 7), (3, None), (9, 10), (9, 99), (10, None), (10, 10), (99, None), (5, 5)]
)
def test_ranges(blobs: BlobTree, start: int, end: int | None) -> None:
    blobs.write(P("f"), [b"0123456789"])
    assert b"".join(blobs.read(P("f"), start, end)) == b"0123456789"[start:end]


@pytest.mark.parametrize(("start", "end"), [(-1, None), (0, -1), (5, 4)])
def test_impossible_ranges_are_refused(blobs: BlobTree, start: int, end: int | None) -> None:
    blobs.write(P("f"), [b"0123456789"])
    with pytest.raises(InvalidParameter):
        blobs.read(P("f"), start, end)


def test_what_is_missing_is_not_found(blobs: BlobTree, tmp_path: Path) -> None:
    blobs.write(P("dir/file"), [b"x"])
    for path in ("no", "no/no", "dir/no", "dir/file/below"):
        for action in (
            lambda path: blobs.read(path),
            lambda path: blobs.read(path, 1, 2),
            lambda path: blobs.stat(path),
            lambda path: blobs.delete(path),
            lambda path: blobs.download(path, tmp_path / "down"),
        ):
            with pytest.raises(NotFound, match=f"No such artifact: '.*{path}'"):
                action(P(path))
    with pytest.raises(NotFound):
        blobs.read(P("dir"))
    with pytest.raises(NotFound, match="no file or directory"):
        blobs.upload(tmp_path / "no", P(""))


def test_a_file_needs_a_name(blobs: BlobTree) -> None:
    with pytest.raises(InvalidParameter):
        blobs.write(P(""), [b"x"])
    with pytest.raises(InvalidParameter):
        blobs.read(P(""))


def test_deleting_files_and_directories(blobs: BlobTree) -> None:
    for path in ("a/1", "a/b/2", "ab", "c"):
        blobs.write(P(path), [b"x"])
    blobs.delete(P("a/1"))
    assert list(blobs.files(P(""))) == ["a/b/2", "ab", "c"]
    blobs.delete(P("a"))
    assert [info.path for info in blobs.list(P(""))] == ["ab", "c"]
    blobs.delete(P(""))
    assert blobs.list(P("")) == []
    blobs.write(P("a/again"), [b"x"])
    assert list(blobs.files(P(""))) == ["a/again"]


@pytest.mark.parametrize("size", [1, 20 * MIB])
def test_a_new_version_appears_only_when_it_is_whole(blobs: BlobTree, size: int) -> None:
    blobs.write(P("f"), [b"old"])
    during: list[bytes] = []

    def chunks() -> Iterator[bytes]:
        yield b"n" * size
        during.append(content(blobs, "f"))
        yield b"e" * size
        during.append(content(blobs, "f"))

    blobs.write(P("f"), chunks())
    assert during == [b"old", b"old"]
    assert content(blobs, "f") == b"n" * size + b"e" * size


@pytest.mark.parametrize("size", [1, 20 * MIB])
def test_a_failed_write_leaves_nothing_and_the_old_version(blobs: BlobTree, size: int) -> None:
    blobs.write(P("f"), [b"old"])

    def chunks() -> Iterator[bytes]:
        yield b"x" * size
        raise KeyError("the reader's own error")

    for path in ("f", "new/f"):
        with pytest.raises(KeyError):
            blobs.write(P(path), chunks())
    assert list(blobs.files(P(""))) == ["f"]
    assert content(blobs, "f") == b"old"


def test_a_reader_keeps_the_version_it_opened(blobs: BlobTree) -> None:
    blobs.write(P("f"), [b"old" * MIB])
    reader = blobs.read(P("f"))
    first = next(reader)
    blobs.write(P("f"), [b"new"])
    assert first + b"".join(reader) == b"old" * MIB


def test_concurrent_writers_of_one_name_and_of_many(blobs: BlobTree) -> None:
    writers, rounds = 8, 5
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(rounds):
                blobs.write(P("same/name"), [bytes([number]) * 1000] * 50)
                blobs.write(P(f"own/{number}/{turn}"), [b"x"])
                if turn == 2:
                    blobs.delete(P(f"own/{number}"))
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    final = content(blobs, "same/name")
    assert final == final[:1] * 50_000
    assert list(blobs.files(P("own"))) == [f"own/{number}/{turn}" for number in range(writers) for turn in (3, 4)]


@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
def test_hostile_names_are_refused_everywhere(blobs: BlobTree, tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidParameter, match="Invalid artifact path"):
        P(path)
    (tmp_path / "local").write_bytes(b"x")
    raw: ArtifactPath = path  # type: ignore[assignment]  # a caller that forgot the type
    for action in (
        lambda: blobs.list(raw),
        lambda: blobs.stat(raw),
        lambda: blobs.read(raw),
        lambda: blobs.write(raw, [b"x"]),
        lambda: blobs.delete(raw),
        lambda: blobs.upload(tmp_path / "local", raw),
        lambda: blobs.download(raw, tmp_path / "down"),
        lambda: blobs.under(raw).list(P("")),
    ):
        with pytest.raises(InvalidParameter, match="Invalid artifact path"):
            action()
    assert sorted(entry.name for entry in tmp_path.iterdir()) in (["local"], ["local", "root"])


@pytest.mark.parametrize("path", ODD_BUT_FINE)
def test_odd_names_are_just_names(blobs: BlobTree, tmp_path: Path, path: str) -> None:
    blobs.write(P(path), [b"x"])
    assert [info.path for info in blobs.list(P(path.rpartition("/")[0]))] == [path]
    assert content(blobs, path) == b"x"
    local = blobs.download(P(path), tmp_path / "down")
    assert local == tmp_path / "down" / path
    blobs.upload(local, P("up"))
    assert content(blobs, f"up/{local.name}") == b"x"
    blobs.delete(P(path))
    with pytest.raises(NotFound):
        blobs.stat(P(path))


# -- whole directories --------------------------------------------------------------------------------------------------


def test_a_directory_goes_up_and_comes_down(blobs: BlobTree, tmp_path: Path) -> None:
    source = tmp_path / "source"
    names = [f"{directory}file{number}" for directory in ("", "sub/", "sub/deep/") for number in range(30)]
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    blobs.upload(source, P("here/below"))
    assert sorted(blobs.files(P(""))) == sorted(f"here/below/{name}" for name in names)
    down = blobs.download(P("here/below"), tmp_path / "down")
    assert down == tmp_path / "down/here/below"
    assert {str(path.relative_to(down)): path.read_text() for path in down.rglob("*") if path.is_file()} == {
        name: name for name in names
    }
    assert blobs.download(P(""), tmp_path / "all") == tmp_path / "all"
    assert (tmp_path / "all/here/below/sub/deep/file7").read_text() == "sub/deep/file7"


def test_a_failure_in_one_file_of_many_is_raised(blobs: BlobTree, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for number in range(20):
        (tmp_path / f"source/{number}").write_text("x")
    (tmp_path / "source/bad%name").write_text("x")
    with pytest.raises(InvalidParameter, match="bad%name"):
        blobs.upload(tmp_path / "source", P("d"))


def test_links_inside_an_uploaded_directory_are_followed_but_not_out_of_it(blobs: BlobTree, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    source = tmp_path / "source"
    (source / "real").mkdir(parents=True)
    (source / "real/file").write_text("x")
    (source / "link").symlink_to("real/file")
    (source / "directory").symlink_to(source / "real")
    blobs.upload(source, P(""))
    assert sorted(blobs.files(P(""))) == ["directory/file", "link", "real/file"]
    for number, target in enumerate(("../secret", str(tmp_path / "secret"), "..", "/", "real/../../secret")):
        bad = source / f"out{number}"
        bad.symlink_to(target)
        with pytest.raises(InvalidParameter, match="leads out of the directory"):
            blobs.upload(source, P("second"))
        bad.unlink()
    for target in (".", "../real"):
        (source / "real/loop").symlink_to(target)
        with pytest.raises(InvalidParameter, match="leads to a directory above itself"):
            blobs.upload(source, P("third"))
        (source / "real/loop").unlink()
    os.mkfifo(source / "pipe")
    with pytest.raises(InvalidParameter, match="neither a file nor a directory"):
        blobs.upload(source, P("fourth"))


def test_decomposed_names_of_local_files_are_composed(blobs: BlobTree, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/re\u0301sume\u0301").write_text("x")
    blobs.upload(tmp_path / "source", P(""))
    blobs.upload(tmp_path / "source/re\u0301sume\u0301", P("one"))
    assert list(blobs.files(P(""))) == ["one/résumé", "résumé"]
    (tmp_path / "source/résumé").write_text("y")
    with pytest.raises(InvalidParameter, match="Two files"):
        blobs.upload(tmp_path / "source", P(""))


def test_a_download_does_not_follow_links_in_its_target(blobs: BlobTree, tmp_path: Path) -> None:
    blobs.write(P("file"), [b"new"])
    blobs.write(P("d/file"), [b"new"])
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("old")
    down = tmp_path / "down"
    down.mkdir()
    (down / "file").symlink_to(tmp_path / "outside/file")
    blobs.download(P("file"), down)
    assert (down / "file").read_text() == "new"
    assert not (down / "file").is_symlink()
    (down / "d").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidParameter, match="not a directory"):
        blobs.download(P("d/file"), down)
    assert (tmp_path / "outside/file").read_text() == "old"
    assert sorted(os.listdir(down)) == ["d", "file"]


# -- digests ------------------------------------------------------------------------------------------------------------


def keeps_digests(blobs: BlobTree) -> bool:
    blobs.write(P("probe"), [b"x"])
    known = blobs.digest(P("probe")) is not None
    blobs.delete(P("probe"))
    return known


def test_digests_are_noted_and_never_wrong(blobs: BlobTree) -> None:
    if not keeps_digests(blobs):
        pytest.skip("directories of the user get no files beside theirs")
    for text in (b"first", b"second", b"third!"):
        blobs.write(P("d/file"), [text])
        assert blobs.digest(P("d/file")) == hashlib.sha256(text).hexdigest()
    blobs.write(P("d/other"), [b""])
    found = {info.path: info.sha256 for info in blobs.described(P("d"))}
    assert found == {"d/file": hashlib.sha256(b"third!").hexdigest(), "d/other": hashlib.sha256(b"").hexdigest()}
    assert [info.sha256 for info in blobs.described(P(""))] == [None]
    assert [info.path for info in blobs.list(P("d"))] == ["d/file", "d/other"]


@pytest.mark.parametrize("size", [10, 20 * MIB])
def test_bytes_with_another_digest_than_expected_are_not_stored(bounded_blobs: BlobTree, size: int) -> None:
    blobs = bounded_blobs
    right = hashlib.sha256(bytes(size)).hexdigest()
    with pytest.raises(InvalidParameter, match="SHA-256"):
        blobs.write(P("f"), [bytes(size - 1), b"x"], right)
    assert blobs.list(P("")) == []
    assert blobs.write(P("f"), [bytes(size)], right) == size


def test_what_is_there_is_not_sent_again(blobs: BlobTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not keeps_digests(blobs):
        pytest.skip("directories of the user get no files beside theirs")
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (source / name).write_text(name * 10)
    blobs.upload(source, P("up"))
    tags = {path: blobs.tag(path) for path in blobs.files(P("up"))}
    (source / "b").write_text("x" * 10)
    (source / "sub/new").write_text("new")
    sent: list[str] = []
    write_file = type(blobs).write_file

    def noted(self: BlobTree, local: Path, path: ArtifactPath, advance: object = None) -> int:
        sent.append(path)
        return write_file(self, local, path, advance)  # type: ignore[arg-type]

    monkeypatch.setattr(type(blobs), "write_file", noted)
    blobs.upload(source, P("up"))
    assert sorted(sent) == ["up/b", "up/sub/new"]
    assert tags["up/a"] == blobs.tag(P("up/a"))
    assert content(blobs, "up/b") == b"x" * 10


# -- local files that do not hold still -----------------------------------------------------------------------------------


def test_one_bad_file_keeps_no_other_back(blobs: BlobTree, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(30):
        (source / f"{number:02d}").write_text("x")
    (source / "bad%name").write_text("x")
    (source / "dangling").symlink_to("nowhere")
    (source / "out").symlink_to(tmp_path)
    os.mkfifo(source / "pipe")
    (source / "empty").mkdir()
    with pytest.raises(InvalidParameter) as caught:
        blobs.upload(source, P("d"))
    said = str(caught.value)
    assert said.startswith(f"4 of 34 entries of {os.fspath(source)!r} could not be stored; the others are.")
    for words in ("bad%name", "leads to nothing", "leads out of the directory", "neither a file nor a directory"):
        assert said.count(words) == 1
    assert len(list(blobs.files(P("d")))) == 30


def test_a_file_that_changes_while_it_is_stored_is_an_error(blobs: BlobTree, tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_bytes(bytes(3 * CHUNK))

    class Writer:
        """Writes into the file when the first bytes have been read."""

        def expect(self, size: int) -> None:
            assert size == 3 * CHUNK

        def advance(self, size: int) -> None:
            with local.open("r+b") as file:
                file.seek(CHUNK + 7)
                file.write(b"changed")
            os.utime(local, ns=(0, 0))

    with pytest.raises(InvalidParameter, match="was changed while it was stored"):
        blobs.upload(local, P("d"), Writer())
    assert [path for path in blobs.files(P("")) if path == "d/file"] == []


def test_a_file_that_grows_is_stored_as_it_was(blobs: BlobTree, tmp_path: Path) -> None:
    local = tmp_path / "log.txt"
    local.write_bytes(bytes(3 * CHUNK))

    class Writer:
        """Adds a line each time some bytes have been read."""

        def expect(self, size: int) -> None:
            """Nothing."""

        def advance(self, size: int) -> None:
            with local.open("ab") as file:
                file.write(b"one more line\n")

    blobs.upload(local, P("d"), Writer())
    assert content(blobs, "d/log.txt") == bytes(3 * CHUNK)
