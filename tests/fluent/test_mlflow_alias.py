"""`import mlflow` without MLflow, and scripts started by `runlore run`. Each test in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import runlore
from runlore.version import MLFLOW_VERSION

RUN = [sys.executable, "-m", "runlore.cli.main", "run"]


def python(program: str, *flags: str) -> str:
    done = subprocess.run([sys.executable, *flags, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def runlore_run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_mlflow_is_not_installed_here() -> None:
    assert python("import importlib.util; print(importlib.util.find_spec('mlflow'))") == "None\n"


def test_modules_are_the_same_objects() -> None:
    python("""
import runlore
from runlore.version import MLFLOW_VERSION
runlore.install_as_mlflow()
runlore.install_as_mlflow()
import mlflow, mlflow.sklearn, mlflow.pyfunc, mlflow.models, mlflow.data, mlflow.entities, mlflow.artifacts, mlflow.tracking
import mlflow.models.signature, mlflow.exceptions
import runlore.sklearn, runlore.models.signature
assert mlflow.sklearn is runlore.sklearn and runlore.sklearn.__spec__.name == runlore.sklearn.__name__ == "runlore.sklearn"
assert mlflow.models.signature is runlore.models.signature
assert mlflow.start_run is runlore.start_run and mlflow.MlflowClient is runlore.MlflowClient
from mlflow import log_metric, MlflowClient, MlflowException
from mlflow.exceptions import MlflowException as same
from mlflow.tracking import MlflowClient as second
from mlflow.tracking.client import MlflowClient as third
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import infer_signature
assert MlflowException is same and MlflowClient is second is third and ModelVersion is runlore.entities.ModelVersion
""")


def test_every_module_of_mlflow_that_holds_one_of_our_classes_is_there() -> None:
    python("""
import runlore
runlore.install_as_mlflow()
from mlflow.entities.run_status import RunStatus
from mlflow.entities.view_type import ViewType
from mlflow.entities.model_registry.model_version import ModelVersion
from mlflow.data.pandas_dataset import PandasDataset
from mlflow.data.dataset_source import DatasetSource
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.models.model_config import ModelConfig
from mlflow.models.utils import convert_input_example_to_serving_input
from mlflow.tracking.fluent import ActiveRun, active_run, start_run
from mlflow.tracking.artifact_utils import get_artifact_uri
from mlflow.version import VERSION
import mlflow.entities.metric, mlflow.entities.source_type, mlflow.data.huggingface_dataset_source
assert RunStatus is runlore.entities.RunStatus and ViewType is runlore.entities.ViewType
assert ModelVersion is runlore.entities.ModelVersion and mlflow.entities.metric.Metric is runlore.entities.Metric
assert PandasDataset is runlore.data.PandasDataset and DatasetSource is runlore.data.DatasetSource
assert HTTPDatasetSource("https://example.com/d.csv").to_dict() == {"url": "https://example.com/d.csv"}
assert issubclass(CodeDatasetSource, DatasetSource) and mlflow.data.huggingface_dataset_source.HuggingFaceDatasetSource
assert ModelConfig is runlore.models.ModelConfig and start_run is runlore.start_run and ActiveRun is runlore.ActiveRun
assert VERSION == mlflow.__version__
SourceType = mlflow.entities.source_type.SourceType
assert SourceType.to_string(SourceType.LOCAL) == SourceType.to_string(4) == "LOCAL" and SourceType.to_string(9) == "UNKNOWN"
assert ViewType.from_string("deleted_only") == ViewType.DELETED_ONLY and ViewType.to_string(3) == "all"
from mlflow.protos.databricks_pb2 import ErrorCode, RESOURCE_DOES_NOT_EXIST
try:
    mlflow.MlflowClient().get_run("a" * 32)
except mlflow.MlflowException as error:
    assert error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)
else:
    raise AssertionError
""")


def test_libraries_that_look_for_mlflow_find_one_version() -> None:
    output = python("""
import runlore
from runlore.version import MLFLOW_VERSION
runlore.install_as_mlflow()
import importlib.metadata as metadata, importlib.util
assert importlib.util.find_spec("mlflow") is not None
assert importlib.util.find_spec("mlflow.sklearn") is not None
import mlflow
assert importlib.util.find_spec("mlflow") is mlflow.__spec__
found = [d.version for d in metadata.distributions() if d.metadata["Name"] == "mlflow"]
assert metadata.packages_distributions()["mlflow"] == ["mlflow"]
assert metadata.version("runlore")
print(mlflow.__version__, metadata.version("mlflow"), metadata.distribution("mlflow").version, *found)
""")
    assert len(set(output.split())) == 1
    assert len(output.split()) == 4
    assert re.fullmatch(r"3\.\d+\.\d+", output.split()[0])


def test_constants_that_other_libraries_read() -> None:
    python("""
import runlore
from runlore.version import MLFLOW_VERSION
runlore.install_as_mlflow()
import mlflow
assert mlflow.utils.validation.MAX_PARAM_VAL_LENGTH == 6000
assert mlflow.utils.validation.MAX_PARAMS_TAGS_PER_BATCH == 100
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_PARENT_RUN_ID
assert (MLFLOW_RUN_NAME, MLFLOW_PARENT_RUN_ID) == ("mlflow.runName", "mlflow.parentRunId")
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
error = mlflow.MlflowException("no", error_code=INVALID_PARAMETER_VALUE)
assert error.get_http_status_code() == 400
""")


@pytest.mark.parametrize("module", ["mlflow.no_such_flavor", "mlflow.settings", "mlflow.utils.nothing"])
def test_what_is_not_offered_is_named(module: str) -> None:
    python(f"""
import runlore
from runlore.version import MLFLOW_VERSION
runlore.install_as_mlflow()
try:
    import {module}
except ModuleNotFoundError as error:
    assert error.name == {module!r} and {module!r} in str(error), error
else:
    raise AssertionError
import mlflow
try:
    mlflow.no_such_function
except AttributeError as error:
    assert "no_such_function" in str(error)
""")


@pytest.fixture
def fake_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package called mlflow, of another version."""
    site = tmp_path / "site"
    (site / "mlflow").mkdir(parents=True)
    (site / "mlflow" / "__init__.py").write_text("__version__ = '1.0'\n")
    (site / "mlflow" / "sklearn.py").write_text("REAL = True\n")
    (site / "mlflow-1.0.dist-info").mkdir()
    (site / "mlflow-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mlflow\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", str(site))


@pytest.mark.usefixtures("fake_mlflow")
def test_the_alias_wins_over_an_installed_mlflow() -> None:
    assert python("import mlflow; print(mlflow.__version__)") == "1.0\n"
    python("""
import runlore
from runlore.version import MLFLOW_VERSION
runlore.install_as_mlflow()
import importlib.metadata, mlflow, mlflow.sklearn
assert mlflow.sklearn is runlore.sklearn
assert mlflow.__version__ == importlib.metadata.version("mlflow") != "1.0"
""")


@pytest.mark.usefixtures("fake_mlflow")
def test_an_mlflow_that_is_imported_already_is_left_alone() -> None:
    python("""
import mlflow, runlore
try:
    runlore.install_as_mlflow()
except runlore.RunloreError as error:
    assert "imported already" in str(error) and "runlore run --as-mlflow" in str(error)
else:
    raise AssertionError
import importlib.metadata
assert importlib.metadata.version("mlflow") == "1.0"
""")


SCRIPT = """\
import sys

import mlflow
import mlflow.sklearn
from mlflow.tracking import MlflowClient

if __name__ == "__main__":
    mlflow.set_experiment("from a script")
    with mlflow.start_run(run_name=sys.argv[1]) as run:
        mlflow.log_param("alpha", 0.5)
        mlflow.log_metric("rmse", 0.25)
    print(MlflowClient().get_run(run.info.run_id).data.metrics["rmse"], sys.argv, __file__, sys.path[0])
"""


def test_an_unmodified_mlflow_script_runs() -> None:
    folder = Path("skripte ä")
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    done = runlore_run("--as-mlflow", "skripte ä/train.py", "--lr", "-m", "x")
    argv = ["skripte ä/train.py", "--lr", "-m", "x"]
    assert done.stdout == f"0.25 {argv} skripte ä/train.py {folder.absolute()}\n"
    assert done.stderr == ""
    [run] = runlore.search_runs(experiment_names=["from a script"], output_format="list")
    assert (run.info.run_name, run.data.params, run.info.status) == ("--lr", {"alpha": "0.5"}, "FINISHED")
    assert run.data.tags["mlflow.source.name"] == "skripte ä/train.py"


def test_without_the_flag_mlflow_is_not_there() -> None:
    Path("t.py").write_text("import mlflow\n")
    assert "No module named 'mlflow'" in runlore_run("t.py", code=1).stderr


def test_modules_run_too() -> None:
    Path("pack").mkdir()
    Path("pack/__init__.py").write_text("")
    Path("pack/__main__.py").write_text("import sys\nfrom pack import train\n")
    Path("pack/train.py").write_text("import sys, mlflow\nprint(__name__, __package__, sys.argv[1:], sys.path[0])\n")
    assert runlore_run("--as-mlflow", "-m", "pack.train", "--x", "1").stdout == f"__main__ pack ['--x', '1'] {Path.cwd()}\n"
    assert runlore_run("--as-mlflow", "-m", "pack").stdout == f"pack.train pack [] {Path.cwd()}\n"
    assert "No module named" in runlore_run("-m", "no.such", code=1).stderr


ENDINGS = {
    "error": "def f():\n    raise ValueError('boom')\n\nf()\n",
    "chained": "try:\n    {}['k']\nexcept KeyError as error:\n    raise RuntimeError('late') from error\n",
    "syntax": "x = (1,\n",
    "exit": "import sys\nsys.exit(7)\n",
    "message": "import sys\nsys.exit('stop here')\n",
    "finalizer": "import atexit\nvalue = 1\natexit.register(lambda: print(value))\n",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_scripts_end_as_under_plain_python(ending: str) -> None:
    Path("script.py").write_text(ENDINGS[ending])
    plain = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, timeout=60)
    done = runlore_run("script.py", code=plain.returncode)
    place = Path.cwd() / "script.py"  # newer Pythons show the full path
    assert done.stdout == plain.stdout
    assert done.stderr.replace(str(place), "script.py") == plain.stderr.replace(str(place), "script.py")


def test_a_failing_script_fails_its_run() -> None:
    Path("script.py").write_text("import mlflow\nmlflow.start_run()\nmlflow.log_metric('m', 1)\n1 / 0\n")
    runlore_run("--as-mlflow", "script.py", code=1)
    [run] = runlore.search_runs(output_format="list")
    assert (run.info.status, run.data.metrics) == ("FAILED", {"m": 1})


def test_classes_of_the_script_can_be_pickled() -> None:
    program = "import pickle\nclass A: pass\nassert type(pickle.loads(pickle.dumps(A()))) is A\nprint('ok')\n"
    Path("script.py").write_text(program)
    assert runlore_run("script.py").stdout == "ok\n"


def test_a_missing_script_is_named() -> None:
    assert "can't open file 'gone.py'" in runlore_run("gone.py", code=1).stderr
    assert "Which script" in runlore_run(code=2).stderr
    assert os.listdir() == []


EVERYDAY = Path(__file__).parents[1] / "compat" / "scripts" / "everyday.py"
NOT_OFFERED: list[str] = []


def test_what_the_real_mlflow_does_every_day_works_without_it() -> None:
    """The script that `tests/compat` runs with the real MLflow against a server, on a local store."""
    done = subprocess.run([*RUN, "--as-mlflow", str(EVERYDAY)], capture_output=True, text=True, timeout=240)
    assert re.findall(r"FAILED (\w+)", done.stdout) == NOT_OFFERED, done.stderr
    assert len(re.findall(r"ok (\w+)", done.stdout)) >= 11


CHILDREN = """
import importlib.metadata, multiprocessing, subprocess, sys

PROBE = "import mlflow.sklearn, importlib.metadata as m; print(mlflow.log_metric.__module__, m.version('mlflow'))"

def in_a_child(number):
    import mlflow
    assert mlflow.log_metric.__module__ == "runlore.fluent.logging"
    return number + 1

if __name__ == "__main__":
    import mlflow
    for command in ([sys.executable, "-c", PROBE], ["sh", "-c", f'"{sys.executable}" -c "{PROBE}"']):
        print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(in_a_child, [1, 2]))
    print(importlib.metadata.version("mlflow") == mlflow.__version__)
"""


def test_child_processes_import_runlore_as_mlflow_too(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(CHILDREN)
    done = runlore_run("--as-mlflow", str(tmp_path / "train.py"))
    probe = f"runlore.fluent.logging {MLFLOW_VERSION}\n"
    assert (done.stdout, done.stderr) == (f"{probe}{probe}[2, 3]\nTrue\n", "")


def test_children_of_scripts_that_did_not_ask_for_it_find_no_mlflow(tmp_path: Path) -> None:
    script = "import subprocess, sys\nsys.exit(subprocess.call([sys.executable, '-c', 'import mlflow']))\n"
    (tmp_path / "train.py").write_text(script)
    assert "No module named 'mlflow'" in runlore_run(str(tmp_path / "train.py"), code=1).stderr


def test_names_are_there_while_python_shuts_down(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("""
import mlflow
class Callback:
    def __del__(self):
        print(mlflow.active_run() is None)
mlflow.active_run()
callback = Callback()
import builtins
builtins.kept_to_the_very_end = callback
""")
    done = runlore_run("--as-mlflow", str(tmp_path / "train.py"))
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_loggers_ask_for_the_tags_of_a_run() -> None:
    python("""
import runlore
from runlore.version import MLFLOW_VERSION
runlore.install_as_mlflow()
from mlflow.tracking import context
from mlflow.tracking.context import resolve_tags
from mlflow.tracking.context.registry import resolve_tags as same
assert resolve_tags is same and hasattr(context, "registry")
tags = resolve_tags({"mlflow.user": "ada", "k": "v"})
assert (tags["mlflow.user"], tags["k"], tags["mlflow.source.type"]) == ("ada", "v", "LOCAL")
""")
