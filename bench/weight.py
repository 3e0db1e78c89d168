"""What `pip install runlore` brings: distributions, megabytes on disk, and the time of `import runlore`.

    python bench/weight.py

Builds the wheel of this checkout, installs it into a fresh environment, and counts.
 Targets: at most 15 distributions, 120 MB, and 0.10 s of import.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_DISTRIBUTIONS, MOST_MEGABYTES, MOST_SECONDS = 15, 120, 0.10
COUNT = "import importlib.metadata as m; print('\\n'.join(sorted({d.name.lower() for d in m.distributions()})))"
IMPORT = "import time; begun = time.perf_counter(); import runlore; print(time.perf_counter() - begun)"
UV = shutil.which("uv") or str(ROOT / ".venvs/uv/bin/uv")
TOOLS = {"pip", "setuptools", "wheel"}


def main() -> None:
    """Measure and print; fails when a target is missed."""
    with tempfile.TemporaryDirectory() as place:
        environment = Path(place, "environment")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
        python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        before = megabytes(environment)
        subprocess.run([UV, "pip", "install", "--quiet", "--python", str(python), str(ROOT)], check=True)
        names = subprocess.run([python, "-c", COUNT], capture_output=True, text=True, check=True).stdout.split()
        names = [name for name in names if name not in TOOLS]
        size = megabytes(environment) - before
        subprocess.run([python, "-m", "compileall", "-q", str(environment)], check=False)
        compiled = megabytes(environment) - before
        imports = [
            float(subprocess.run([python, "-c", IMPORT], capture_output=True, text=True, check=True).stdout) for _ in range(9)
        ]
    seconds = statistics.median(imports)
    print(f"distributions      {len(names):>8}    at most {MOST_DISTRIBUTIONS}: {', '.join(names)}")
    print(f"on disk            {size:>8.1f} MB at most {MOST_MEGABYTES}; {compiled:.1f} MB with compiled bytecode")
    print(f"import runlore     {seconds * 1000:>8.1f} ms at most {MOST_SECONDS * 1000:.0f}, median of {len(imports)}")
    sys.exit(len(names) > MOST_DISTRIBUTIONS or size > MOST_MEGABYTES or seconds > MOST_SECONDS)


def megabytes(directory: Path) -> float:
    """The size of all files below."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


if __name__ == "__main__":
    main()
