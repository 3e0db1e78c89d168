"""Deep learning libraries, in the environment that `.ci/deep` makes: a directory and a store of its own for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.running import forget_environment

import runlore
from runlore.client.connection import close_stores

if find_spec("torch") is None:  # `make test-frameworks` says why; elsewhere these are not for this environment
    collect_ignore = [
        path.name for path in Path(__file__).parent.glob("test_*.py") if path.stem not in ("test_spark", "test_tensorflow")
    ]
else:
    os.environ["KERAS_BACKEND"] = "torch"
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What other libraries warn of is theirs; a warning of our own is an error."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            item.add_marker(pytest.mark.filterwarnings("error:::runlore"))


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No run stays open after a test, and nothing of it is where the next one looks."""
    forget_environment(monkeypatch)
    monkeypatch.setenv("RUNLORE_CONFIG_DIR", str(tmp_path / "config"))
    place = tmp_path / "mon projet é"
    place.mkdir()
    monkeypatch.chdir(place)
    yield
    while runlore.active_run():
        runlore.end_run()
    close_stores()
