"""What docs/guides/frameworks.md shows of these libraries, works from top to bottom."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

for library in ("xgboost", "lightgbm", "catboost", "statsmodels"):
    pytest.importorskip(library, reason="`make test-frameworks` installs it in .venvs/boosters")

GUIDE = Path(__file__).parents[3] / "docs/guides/frameworks.md"
SECTIONS = ("XGBoost", "LightGBM", "CatBoost", "statsmodels")


def test_the_examples_run(tmp_path: Path) -> None:
    text = GUIDE.read_text("utf-8")
    blocks = []
    for section in SECTIONS:
        part = text.partition(f"\n### {section}\n")[2].partition("\n##")[0]
        [block] = re.findall(r"^```py\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)
        blocks.append(block)
    told = "print(sorted(run.data.tags.get('mlflow.autologging', '') for run in runlore.search_runs(output_format='list')))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join([*blocks, told])],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["['lightgbm', 'statsmodels', 'xgboost']"]), done.stderr
