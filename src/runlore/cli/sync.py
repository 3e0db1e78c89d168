"""`runlore sync`: deliver what processes that log have left behind."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import click
import msgspec

from runlore.cli.output import counted, plain, print_json
from runlore.cli.stores import json_option
from runlore.client.connection import absolute_uri
from runlore.exceptions import InvalidParameter, RunloreError
from runlore.settings import Settings, settings
from runlore.spool.leftovers import Delivered, deliver_files_left_behind, deliver_left_behind
from runlore.spool.places import FILES, spool_of, user_spool
from runlore.store import location
from runlore.store.base import Store, open_store
from runlore.store.http import HttpStore

_PATIENCE_SECONDS = 2.0
LOOK_SECONDS = 15.0

logger = logging.getLogger("runlore")


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@click.option("--to", "target", metavar="URI", help="Deliver to this store, whatever the journals say.")
@json_option
@click.help_option("-h", "--help")
def sync(directory: Path | None, target: str | None, as_json: bool) -> None:
    """Deliver what was logged and has not arrived: offline, while a server was away, or by processes that were killed.

    DIR is a project, a store or a spool. Without it, the store of this project and this user's spool are looked at. May be
    repeated at any time: what has arrived is not stored again. Processes that live deliver their journals themselves.

    \b
    Examples:
      runlore sync
      runlore sync ~/project --json
      runlore sync /scratch/spool --to http://tracking:5000

    Exit code: 0, or 1 when something still waits.
    """
    report = Delivered()
    for spool, home in _spools(directory):
        with ExitStack() as stack:
            stores = _Stores(stack, spool, home, target)
            _add(report, deliver_left_behind(spool, stores.named))
            _add(report, deliver_files_left_behind(spool, stores.named))
    if as_json:
        print_json(report)
    else:
        _tell(report)
    if report.waiting or report.files_waiting:
        click.get_current_context().exit(1)


def deliver_to(uri: str | None, artifacts: str | None, tell: Callable[[str], None]) -> None:
    """Deliver what processes have left behind for a store of this machine, before it is served. Never fails."""
    uri = location.locate().as_uri() if uri is None else absolute_uri(uri)
    spool, own = spool_of(uri)
    if not any(_is_journal(entry) for entry in spool.glob("*")):
        return
    with ExitStack() as stack:

        def named(name: str) -> Store | None:
            return stack.enter_context(closing(open_store(uri, artifacts))) if name == own else None

        report = deliver_left_behind(spool, named)
    if report.records:
        tell(f"Delivered {counted(report.records, 'log call')} that processes had left behind.")
    for error in dict.fromkeys(report.errors):
        tell(f"What processes have left behind waits: {plain(error)}")


@contextmanager
def delivering(uri: str | None, artifacts: str | None) -> Iterator[None]:
    """While a store of this machine is served, deliver what processes leave behind for it, every 15 seconds.

    A look costs a lock for each process that logs there; the store is opened only where one is gone.
    """
    uri = location.locate().as_uri() if uri is None else absolute_uri(uri)
    spool, own = spool_of(uri)
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            with ExitStack() as stack:

                def named(name: str) -> Store | None:
                    return stack.enter_context(closing(open_store(uri, artifacts))) if name == own else None

                try:
                    deliver_left_behind(spool, named)
                except RunloreError as error:  # in opening or closing the store: the next look may be luckier
                    logger.warning("What processes have left behind waits: %s", error.message)

    thread = threading.Thread(target=look, name="runlore-leftovers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(5.0)


class _Stores:
    """Stores by the names in journals, each opened once.

    What a journal names is believed in this user's own spool. A directory from elsewhere may hold anything: in a store's
    directory journals are for that store alone, and a server that only a journal names gets no credentials.
    """

    def __init__(self, stack: ExitStack, spool: Path, home: str | None, target: str | None) -> None:
        self._stack, self._home, self._target = stack, home, target
        self._own = spool == user_spool()
        self._open: dict[str, Store] = {}

    def named(self, name: str) -> Store | None:
        """The store of that name; no name is the store in whose directory the spool is."""
        uri = self._target or name or self._home
        if uri is None:
            return None
        if name and self._home and not self._target and not self._own:
            raise InvalidParameter(f"A journal in the directory of {self._home} is for {name[:200]!r}. Is it? Then add --to.")
        if uri not in self._open:
            self._open[uri] = self._stack.enter_context(closing(self._opened(uri)))
        return self._open[uri]

    def _opened(self, uri: str) -> Store:
        if not re.match("https?:", uri):
            return open_store(uri)
        believed = self._own or uri in (self._target, (settings().tracking_uri or "").rstrip("/"))
        return HttpStore(uri, None if believed else Settings(), _PATIENCE_SECONDS)


def _spools(directory: Path | None) -> list[tuple[Path, str | None]]:
    """Spools, and the stores in whose directories they are."""
    if directory is None:
        found = _of_store(location.locate())
        return [place for place in [*found, (user_spool(), None)] if place[0].is_dir()]
    if not directory.exists():
        raise InvalidParameter(f"There is no directory {str(directory)!r}.")
    directory = directory.absolute()
    if directory.name == "spool" or directory.suffix == ".spool":
        home = directory.parent if directory.name == "spool" else None
        known = home is not None and (home / "runlore.db").is_file()
        file = directory.with_suffix("") if directory.suffix == ".spool" else None
        return [(directory, str(home) if known else f"sqlite:///{file}" if file else None)]
    if (directory / "spool").is_dir() or (directory / "runlore.db").is_file():
        return _of_store(directory)
    if any(_is_journal(entry) or entry.name == FILES for entry in directory.iterdir()):
        return [(directory, None)]
    return _of_store(location.nearest(directory))


def _of_store(directory: Path) -> list[tuple[Path, str | None]]:
    spools: list[tuple[Path, str | None]] = [(directory / "spool", str(directory))]
    return spools + [(path, f"sqlite:///{path.with_suffix('')}") for path in sorted(directory.glob("*.db.spool"))]


def _is_journal(entry: Path) -> bool:
    return bool(re.fullmatch("[0-9a-f]{32}", entry.name)) and entry.is_dir()


def _add(report: Delivered, more: Delivered) -> None:
    for name in msgspec.structs.asdict(more):
        setattr(report, name, getattr(report, name) + getattr(more, name))


def _tell(report: Delivered) -> None:
    if report.writers or report.records:
        click.echo(f"Delivered {counted(report.records, 'log call')} of {counted(report.writers, 'journal')}.")
    if report.files:
        click.echo(f"Delivered the files of {counted(report.files, 'run')}.")
    if not (report.writers or report.records or report.files):
        click.echo("Nothing was left behind.")
    if report.refused:
        click.echo(f"{counted(report.refused, 'log call')} refused: see refused.jsonl in the spool.", err=True)
    if report.damaged:
        click.echo(f"{counted(report.damaged, 'damaged place')} in journals; the files are kept as .corrupt.", err=True)
    if report.waiting:
        click.echo(f"{counted(report.waiting, 'journal')} still to deliver:", err=True)
    if report.files_waiting:
        click.echo(f"Files of {counted(report.files_waiting, 'run')} still to deliver:", err=True)
    if report.waiting or report.files_waiting:
        for error in dict.fromkeys(report.errors):
            click.echo(f"  {plain(error)}", err=True)
