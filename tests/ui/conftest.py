"""A real server with real runs, and Debian's Chromium in front of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ui.seed import Seeded, seed

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "src/runlore/server/static/index.html"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    """A server process on a free port, filled."""
    if not STATIC.is_file():
        pytest.skip("the dashboard is not built: run 'make ui'")
    directory = tmp_path_factory.mktemp("store")
    with running_server(directory) as url:
        seeded = seed(url)
        seeded.database = str(directory / "store/runlore.db")
        yield seeded


class running_server:
    """`runlore server` on a free port of loopback, over a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> str:
        command = [sys.executable, "-c", "from runlore.cli.main import main; main()", "server", "--port", "0"]
        log = self._directory / "server.log"
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [*command, "--store", str(self._directory / "store")],
                stdout=output, stderr=output, cwd=self._directory, env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            found = re.search(r"http://\S+", log.read_text())
            if found:
                return found[0].replace("localhost", "127.0.0.1")
            time.sleep(0.05)
        self._process.kill()
        raise RuntimeError(f"the server did not start: {log.read_text()}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe(chromium: Any) -> str:
    """axe: finds what a page keeps from people who do not see it. Wherever there is a browser, it must be there too."""
    del chromium
    path = ROOT / "ui/node_modules/axe-core/axe.min.js"
    if not path.is_file():
        pytest.fail(f"{path} is missing: run 'make ui'")
    return path.read_text()


@pytest.fixture(scope="session")
def tab(chromium: Any, served: Seeded) -> Iterator[Any]:
    """One tab for all tests: scripts are read and compiled once, which is most of what opening a page costs."""
    context = chromium.new_context(
        viewport={"width": 1360, "height": 860},
        base_url=served.url,
        permissions=["clipboard-read", "clipboard-write"],
    )
    # Conditions are waited for, never times: the limit only says when a loaded machine has had its chance.
    context.set_default_timeout(30_000)
    opened = context.new_page()
    opened.problems = []
    opened.on("pageerror", lambda error: opened.problems.append(f"script error: {error}"))
    opened.on("console", lambda said: opened.problems.append(f"console: {said.text}") if said.type == "error" else None)
    opened.on("request", lambda sent: None if _own(sent.url, served.url) else opened.problems.append(f"asked {sent.url}"))
    yield opened
    context.close()


@pytest.fixture
def page(tab: Any) -> Iterator[Any]:
    """The tab, light and with nothing remembered. Fails the test on script errors, console errors and outside requests."""
    tab.emulate_media(color_scheme="light")
    tab.problems.clear()
    yield tab
    problems = list(tab.problems)
    tab.evaluate("localStorage.clear()")
    tab.goto("about:blank")
    assert problems == []


def _own(url: str, origin: str) -> bool:
    return url.startswith((origin + "/", "blob:", "data:", "about:"))
