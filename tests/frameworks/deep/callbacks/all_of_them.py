"""The scripts beside this one, one after the other in one process: importing torch once is enough."""

import runpy
from pathlib import Path

if __name__ == "__main__":
    for script in sorted(Path(__file__).parent.glob("with_*.py")):
        runpy.run_path(str(script), run_name="__main__")
