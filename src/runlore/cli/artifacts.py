"""`runlore artifacts`: the files of runs: list them as a tree, log, download and delete them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from runlore.api.runs import GetRun
from runlore.blobs.base import ArtifactPath
from runlore.blobs.tree import BlobTree
from runlore.blobs.uri import open_blobs, resolve
from runlore.cli.output import counted, cut, plain, print_json, size_text, width
from runlore.cli.stores import complete_run, find_run, json_option, opened, store_option
from runlore.client.progress import Progress
from runlore.entities import FileInfo
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store

_PATIENCE_SECONDS = 60.0
_WIDEST = 72
_DIGITS = 12


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def artifacts() -> None:
    """List, log, download and delete the files of runs.

    RUN is a run id, or the first digits of one (at least four). PATH is a file or directory of the run; without it all its
    files are meant. Instead of a run, a URI may be listed and downloaded: runs:/…, models:/….

    \b
    Examples:
      runlore artifacts list 3f2a
      runlore artifacts list 3f2a plots --json
      runlore artifacts log 3f2a model.pkl report.html --to results
      runlore artifacts log 3f2a checkpoints/           a directory under its own name
      runlore artifacts download 3f2a results --to .    goes on where it was interrupted
      runlore artifacts download models:/fruit@champion --to model
      runlore artifacts rm 3f2a checkpoints/old.pt
    """


@artifacts.command("list")
@click.argument("run", shell_complete=complete_run)
@click.argument("path", default="")
@click.option("--depth", "-L", type=click.IntRange(1), help="Go down so many levels only.")
@json_option
@store_option
def list_command(run: str, path: str, depth: int | None, as_json: bool, store: str | None) -> None:
    """List files as a tree, with sizes and the beginning of their SHA-256.

    With --json: a list of all files, with whole digests. A digest is missing where nobody noted one when the file was stored.
    """
    with opened(store) as opened_store:
        blobs = _files(opened_store, run)
        top = ArtifactPath(path.rstrip("/"))
        info = blobs.stat(top)
        if not info.is_dir:
            info = next(found for found in blobs.described(top.parent) if found.path == top)
        if as_json:
            print_json([info] if not info.is_dir else list(_walk(blobs, top, depth)))
            return
        lines = [("", info)] if not info.is_dir else list(_tree(blobs, top, depth))
    _print_tree(lines)


def _files(store: Store, run: str) -> BlobTree:
    """The files that a run, or a URI, names."""
    if ":/" in run:
        uri = resolve(run, store, foreign=True)
    else:
        uri = store.call(GetRun(run_id=find_run(store, run))).run.info.artifact_uri
    return open_blobs(uri, store, foreign=True, patience=_PATIENCE_SECONDS)


def _walk(blobs: BlobTree, directory: ArtifactPath, depth: int | None) -> Iterator[FileInfo]:
    """All entries below a directory; directories only where they are not looked into."""
    for info in blobs.described(directory):
        if info.is_dir and depth != 1:
            yield from _walk(blobs, ArtifactPath(info.path), None if depth is None else depth - 1)
        else:
            yield info


def _tree(blobs: BlobTree, directory: ArtifactPath, depth: int | None, margin: str = "") -> Iterator[tuple[str, FileInfo]]:
    """Each entry with the branches before its name."""
    entries = blobs.described(directory)
    for info in entries:
        last = info is entries[-1]
        yield margin + ("└── " if last else "├── "), info
        if info.is_dir and depth != 1:
            below = None if depth is None else depth - 1
            yield from _tree(blobs, ArtifactPath(info.path), below, margin + ("    " if last else "│   "))


def _print_tree(lines: list[tuple[str, FileInfo]]) -> None:
    names = [cut(branch + plain(_name(info)), _WIDEST) for branch, info in lines]
    space = max(map(width, names), default=0)
    for name, (_, info) in zip(names, lines, strict=True):
        if info.is_dir:
            click.echo(name)
            continue
        size = size_text(info.file_size) if info.file_size is not None else "?"
        digest = click.style(f"  {info.sha256[:_DIGITS]}", dim=True) if info.sha256 else ""
        click.echo(f"{name}{' ' * (space - width(name))}  {size:>9}{digest}")
    files = [info for _, info in lines if not info.is_dir]
    total = sum(info.file_size or 0 for info in files)
    click.echo(f"{counted(len(files), 'file')}, {size_text(total)}", err=True)


def _name(info: FileInfo) -> str:
    return info.path.rpartition("/")[2] + ("/" if info.is_dir else "")


@artifacts.command()
@click.argument("run", shell_complete=complete_run)
@click.argument("local", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", "path", default="", metavar="PATH", help="The directory of the run that they go into.")
@click.option("--contents", is_flag=True, help="Of directories, what is in them, without their own names.")
@store_option
def log(run: str, local: tuple[Path, ...], path: str, contents: bool, store: str | None) -> None:
    """Store local files, and directories under their own names, with a run.

    Large files are sent in parts, and what is there already is not sent: after an interruption, say it again.
    """
    missing = [str(item) for item in local if not item.exists()]
    if missing:
        raise NotFound(f"There is no file or directory {missing[0]!r}.")
    with opened(store) as opened_store:
        blobs = _files_of_run(opened_store, run)
        for item in local:
            inside = item.is_dir() and not contents
            target = ArtifactPath(path.rstrip("/")).child(item.resolve().name if inside else "")
            with Progress(f"Uploading {item.name or item}") as progress:
                blobs.upload(item, target, progress)
    click.echo(f"Stored {', '.join(plain(item.name or str(item)) for item in local)}.", err=True)


def _files_of_run(store: Store, run: str) -> BlobTree:
    if ":/" in run:
        raise InvalidParameter(f"Files are logged to runs and deleted from runs; {run!r} is a URI.")
    return _files(store, run)


@artifacts.command()
@click.argument("run", shell_complete=complete_run)
@click.argument("path", default="")
@click.option("--to", "directory", default=".", metavar="DIR", type=click.Path(path_type=Path), help="Where to; else here.")
@store_option
def download(run: str, path: str, directory: Path, store: str | None) -> None:
    """Fetch a file, or everything under a directory, and print where it is.

    Each file appears when it is whole and its digest is right. What is there already is not fetched, and what an interrupted
    call has fetched is not fetched again.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with opened(store) as opened_store, Progress(f"Downloading {path or run}") as progress:
        found = _files(opened_store, run).download(ArtifactPath(path.rstrip("/")), directory, progress)
    click.echo(str(found))


@artifacts.command()
@click.argument("run", shell_complete=complete_run)
@click.argument("path", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@store_option
def rm(run: str, path: tuple[str, ...], yes: bool, store: str | None) -> None:
    """Delete files, or whole directories, of a run for good. They do not go to the trash."""
    with opened(store) as opened_store:
        blobs = _files_of_run(opened_store, run)
        found = [blobs.stat(ArtifactPath(text.rstrip("/"))) for text in path]
        if any(not info.path for info in found):
            raise InvalidParameter("The name of a file or directory is needed. hint: `runlore runs delete` takes whole runs.")
        if not yes:
            names = ", ".join(plain(info.path) + ("/" if info.is_dir else "") for info in found)
            click.confirm(f"Delete {names} for good?", abort=True, err=True)
        for info in found:
            blobs.delete(ArtifactPath(info.path))
    click.echo(f"Deleted {', '.join(plain(info.path) for info in found)}.", err=True)
