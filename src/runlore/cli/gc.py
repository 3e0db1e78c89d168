"""`runlore gc`: delete for good what has been in the trash for long enough, and the files that nothing needs any more."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from runlore.api.artifacts import Kept
from runlore.api.trash import GetReleasedFiles, GetTrash, Kind, PurgeTrash
from runlore.blobs.sweep import census, measure, remove, remove_released
from runlore.cli.output import counted, plain, print_json, size_text
from runlore.cli.stores import artifacts_option, json_option, opened, store_option
from runlore.exceptions import InvalidState
from runlore.store.base import Store

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What `runlore gc` did, or would do (`dry_run`)."""

    dry_run: bool
    experiments: int = 0
    runs: int = 0
    logged_models: int = 0
    files: int = 0
    size: int = 0
    kept: list[Kept] = []


class Age(click.ParamType[int]):
    """`30d`, `12h`, `90m`, `0` as milliseconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Milliseconds; refuses everything else with an example."""
        found = re.fullmatch(r"(\d{1,9})([smhdw]?)", str(value))
        if not found or not (found[2] or int(found[1]) == 0):
            self.fail(f"{value!r} is no age. Examples: 30d, 12h, 4w, 0.", param, ctx)
        return int(found[1]) * _UNITS.get(found[2], 0) * 1_000


@click.command()
@click.option("--older-than", type=Age(), default="30d", show_default=True, metavar="AGE", help="In the trash for this long.")
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would go.")
@click.option("--unowned", is_flag=True, help="Also directories of runs and models that the store does not know.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@store_option
@artifacts_option
@click.help_option("-h", "--help")
def gc(
    older_than: int, dry_run: bool, unowned: bool, yes: bool, as_json: bool, store: str | None, artifacts: str | None
) -> None:
    """Delete for good what is in the trash, with its files. There is no way back.

    Files that a model version is made of stay until the version is deleted. The store can be in use meanwhile. Other programs
    may share the artifact root: --unowned is for those who know that none does.

    \b
    Examples:
      runlore gc --dry-run
      runlore gc --older-than 7d
      runlore gc --older-than 0 --yes
      runlore gc --store http://localhost:5000
      runlore gc --store team.db --artifacts s3://bucket/runlore --unowned --dry-run

    Exit code: 0, or 1 when something failed.
    """
    with opened(store, artifacts) as opened_store:
        outlook = _outlook(opened_store, older_than, _unowned(opened_store) if unowned else [])
        nothing = outlook == Collected(dry_run=True, kept=outlook.kept)
        if not (dry_run or yes or as_json or nothing) and sys.stdin.isatty():
            _tell(outlook)
            click.confirm("Delete all this for good?", abort=True)
        younger = "" if as_json else _younger(opened_store, older_than, outlook)
        done = outlook if dry_run else _collect(opened_store, older_than, unowned)
    if as_json:
        print_json(done)
    else:
        _tell(done)
        if younger:
            click.echo(f"Also in the trash, but not for so long: {younger}. `--older-than 0` takes them too.")


def _outlook(store: Store, older_than: int, strangers: list[str]) -> Collected:
    """What would go, measured."""
    purged = store.call(PurgeTrash(dry_run=True, older_than=older_than))
    released = store.call(GetReleasedFiles(max_results=10_000))
    kept = [*purged.kept, *released.kept]
    size = measure(store, _directories(store, older_than, kept))
    waiting, unowned = measure(store, released.uris), measure(store, strangers)
    return Collected(
        dry_run=True,
        experiments=purged.experiments,
        runs=purged.runs,
        logged_models=purged.logged_models,
        files=size.files + waiting.files + unowned.files,
        size=size.size + waiting.size + unowned.size,
        kept=kept,
    )


def _younger(store: Store, older_than: int, outlook: Collected) -> str:
    """What is in the trash and stays there for now."""
    if not older_than:
        return ""
    all_ = store.call(PurgeTrash(dry_run=True, older_than=0))
    more = (
        (all_.experiments - outlook.experiments, "experiment"),
        (all_.runs - outlook.runs, "run"),
        (all_.logged_models - outlook.logged_models, "logged model"),
    )
    return ", ".join(counted(number, noun) for number, noun in more if number > 0)


def _directories(store: Store, older_than: int, kept: list[Kept]) -> Iterator[str]:
    """Where the files are that would go; adds to `kept` those that would not."""
    staying = {item.id for item in kept if item.kind == "experiment"}
    kinds: tuple[Kind, ...] = ("run", "logged_model")
    for kind in kinds:
        token: str | None = ""
        while token is not None:
            operation = GetTrash(kind=kind, older_than=older_than, within_experiments=True, max_results=1_000, page_token=token)
            page = store.call(operation)
            for item in page.items:
                if item.pinned_by:
                    reason = f"Model version {', '.join(item.pinned_by)} is made of its files. They go when it is deleted."
                    kept.append(Kept(kind="files", id=item.artifact_uri or "", reason=reason))
                elif item.artifact_uri and not (kind == "logged_model" and item.experiment_id in staying):
                    yield item.artifact_uri
            token = page.next_page_token


def _collect(store: Store, older_than: int, unowned: bool) -> Collected:
    """Purge rows, then remove files."""
    experiments = runs = models = files = size = 0
    kept: list[Kept] = []
    while True:
        purged = store.call(PurgeTrash(older_than=older_than))
        experiments += purged.experiments
        runs, models = runs + purged.runs, models + purged.logged_models
        if not purged.more:
            kept += purged.kept
            break
    while True:
        removed = remove_released(store)
        files, size = files + removed.files, size + removed.size
        if not removed.more:
            kept += removed.kept
            break
    for uri in _unowned(store) if unowned else []:
        found = remove(store, uri)
        files, size = files + found.files, size + found.size
    return Collected(dry_run=False, experiments=experiments, runs=runs, logged_models=models, files=files, size=size, kept=kept)


def _unowned(store: Store) -> list[str]:
    found = census(store)
    if found.unowned and not found.owned:
        raise InvalidState(
            f"None of the {len(found.unowned)} directories in {store.artifact_root} belongs to this store. Is it the artifact "
            "root of another one? Nothing was deleted. hint: --artifacts"
        )
    return found.unowned


def _tell(done: Collected) -> None:
    nouns = ((done.experiments, "experiment"), (done.runs, "run"), (done.logged_models, "logged model"), (done.files, "file"))
    verb = "Would delete" if done.dry_run else "Deleted"
    click.echo(f"{verb} {', '.join(counted(number, noun) for number, noun in nouns)}: {size_text(done.size)}.")
    for item in done.kept:
        click.echo(f"Kept: {item.kind} {plain(item.id)}: {plain(item.reason)}")
