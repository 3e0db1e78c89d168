"""`runlore server` and `runlore ui`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from runlore.cli.sync import deliver_to, delivering
from runlore.exceptions import InvalidParameter
from runlore.store import location


@click.command()
@click.option("--host", "-h", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", "-p", default=5000, show_default=True, type=click.IntRange(0, 65_535), help="0 picks a free port.")
@click.option(
    "--store",
    "--backend-store-uri",
    "store",
    metavar="URI",
    help="A directory, sqlite:///file.db or postgresql://user@host/database. Default: the .runlore directory of this project.",
)
@click.option(
    "--artifacts",
    "--artifacts-destination",
    "--default-artifact-root",
    "artifacts",
    metavar="DIR|URI",
    help="Where files go: a directory, s3://bucket/prefix, gs://… or az://… Default: beside the store.",
)
@click.option(
    "--allowed-hosts",
    multiple=True,
    metavar="NAMES",
    help="Further names, addresses or networks under which browsers and clients reach this server, parted by commas.",
)
@click.option(
    "--trusted-proxies",
    multiple=True,
    metavar="NETWORKS",
    help="Addresses or networks of reverse proxies whose X-Forwarded-Proto, -Host, -Prefix and -For headers are believed.",
)
@click.option(
    "--prefix",
    "--static-prefix",
    "prefix",
    default="",
    metavar="PATH",
    help="The path under which a proxy serves this server, such as /runlore.",
)
@click.option(
    "--webhook-networks",
    multiple=True,
    metavar="NETWORKS",
    help="Private addresses or networks that webhooks may reach, also by http. Else only public addresses by https.",
)
@click.option(
    "--access-log",
    type=click.Choice(["text", "json"]),
    help="Write one line for each request to standard output.",
)
@click.option("--metrics", is_flag=True, help="Answer Prometheus at /metrics.")
@click.option("--insecure-no-auth", is_flag=True, help="Let an address other than loopback be used, without any password.")
@click.option("--serve-artifacts", is_flag=True, hidden=True, help="MLflow's option; artifacts are always served.")
@click.option(
    "--workers",
    "-w",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Processes that share the work; more than one needs PostgreSQL.",
)
@click.help_option("--help")
def server(serve_artifacts: bool, **chosen: Any) -> None:
    """Serve a store to Runlore clients, MLflow clients and browsers.

    \b
    Examples:
      runlore server
      runlore server --port 5001 --store ./experiments
      runlore server --store sqlite:///team.db --artifacts /data/artifacts
      runlore server --store postgresql://runlore@db/runlore --artifacts s3://bucket/runlore --workers 4
    \b
    Clients:
      MLFLOW_TRACKING_URI=http://localhost:5000 python train.py
    """
    from runlore.server.process import Options, serve
    from runlore.web.listening import names_of

    for name in ("allowed_hosts", "trusted_proxies", "webhook_networks"):
        chosen[name] = names_of(chosen[name])
    deliver_to(chosen["store"], chosen["artifacts"], _tell)
    with delivering(chosen["store"], chosen["artifacts"]):
        serve(Options(**chosen), _tell)


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--port", "-p", default=5000, show_default=True, type=click.IntRange(0, 65_535), help="0 picks a free port.")
@click.option("--no-browser", is_flag=True, help="Only say where the dashboard is.")
@click.help_option("-h", "--help")
def ui(directory: Path | None, port: int, no_browser: bool) -> None:
    """Open the dashboard of DIRECTORY (default: of this project) in the browser.

    \b
    Examples:
      runlore ui
      runlore ui ../other-project --port 5001
      runlore ui --no-browser
    """
    from runlore.server.process import Options, serve

    store = _store_in(directory)
    deliver_to(None if store is None else str(store), None, _tell)
    options = Options(store=None if store is None else str(store), port=port)
    with delivering(options.store, None):
        serve(options, _tell, None if no_browser else _open_browser)


def _store_in(directory: Path | None) -> Path | None:
    """The store that a directory is, or that scripts in it log to; None for the one of the working directory."""
    if directory is None:
        return None
    if not directory.is_dir():
        raise InvalidParameter(f"There is no directory {str(directory)!r}.")
    if (directory / "runlore.db").is_file() or directory.name == location.NAME:
        return directory
    return location.nearest(directory)


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _open_browser(url: str) -> None:
    import threading
    import webbrowser

    # In a thread: some browsers do not return until they are closed.
    threading.Thread(target=functools.partial(webbrowser.open, url), daemon=True).start()
