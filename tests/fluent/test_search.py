"""`search_runs` in both grammars: what is read by which, and when a caller has to say it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import runlore
from runlore.exceptions import InvalidParameter


@pytest.fixture
def runs(experiment: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Names of three runs by id, in the active experiment; a fourth is in another one."""
    names = {}
    for name, params, loss in (("a", {"lr": "0.1"}, 1.0), ("b", {"lr": "0.10"}, 2.0), ("c", {}, 3.0)):
        with runlore.start_run(run_name=name) as run:
            runlore.log_params(params)
            runlore.log_metric("loss", loss)
        names[run.info.run_id] = name
    other = runlore.create_experiment(f"another {request.node.nodeid}")
    with runlore.start_run(run_name="d", experiment_id=other) as run:
        runlore.log_metric("loss", 4.0)
    return names | {run.info.run_id: "d"}


def found(runs: dict[str, str], text: str, **more: object) -> str:
    listed = runlore.search_runs(filter_string=text, output_format="list", **more)  # type: ignore[call-overload]
    return "".join(sorted(runs[run.info.run_id] for run in listed if run.info.run_id in runs))


def test_what_mlflow_understands_means_what_it_means_there(runs: dict[str, str]) -> None:
    assert found(runs, "params.lr = '0.1'") == "a"
    assert found(runs, "params.lr != '0.1'") == "b"
    assert found(runs, "params.lr = '0.1'", grammar="mlflow") == "a"


def test_what_it_does_not_is_read_by_the_wider_grammar(runs: dict[str, str]) -> None:
    assert found(runs, "metrics.loss = 1 OR metrics.loss = 3") == "ac"
    assert found(runs, "name ~ '^[ab]$'") == "ab"
    assert found(runs, "params.lr > 0.05") == "ab"
    assert found(runs, "", order_by=["metrics.loss@min DESC"]) == "abc"
    frame = runlore.search_runs(filter_string="NOT metrics.loss > 1")
    assert list(frame["metrics.loss"]) == [1.0]


def test_a_named_grammar_reads_everything(runs: dict[str, str]) -> None:
    assert found(runs, "params.lr = '0.1'", grammar="runlore") == "ab"
    assert found(runs, "params.lr != '0.1'", grammar="runlore") == "c"
    with pytest.raises(InvalidParameter, match="Invalid clause"):
        found(runs, "metrics.loss = 1 OR metrics.loss = 3", grammar="mlflow")
    with pytest.raises(InvalidParameter, match="Unknown grammar 'sql'"):
        found(runs, "", grammar="sql")


@pytest.mark.parametrize("text", ["params.lr != '1' OR name = 'x'", "NOT params.lr NOT IN ('1')", "has child (tags.a != 'x')"])
def test_an_ambiguous_filter_has_to_say_what_it_means(runs: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidParameter, match="grammar='runlore'"):
        found(runs, text)
    found(runs, text, grammar="runlore")


def test_a_filter_that_nobody_understands_is_underlined(runs: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter, match=r"(?s)Invalid aggregate 'mn'.*\^\^\^"):
        found(runs, "metrics.loss@mn > 1")


def test_all_experiments_at_once(runs: dict[str, str], request: pytest.FixtureRequest) -> None:
    another = f"another {request.node.nodeid}"
    assert found(runs, "metrics.loss > 1 OR metrics.loss < 0", search_all_experiments=True) == "bcd"
    assert found(runs, "metrics.loss > 1", search_all_experiments=True) == "bcd"
    assert found(runs, "metrics.loss > 1 OR metrics.loss < 0", experiment_names=[another]) == "d"
    assert found(runs, "metrics.loss > 1 OR metrics.loss < 0", experiment_names=["nowhere"]) == ""
    everything = runlore.RunloreClient().find_runs("metrics.loss >= 3", order_by=["metrics.loss"])
    assert [runs[run.info.run_id] for run in everything if run.info.run_id in runs] == ["c", "d"]


@pytest.mark.parametrize("text", ["metrics.lss > 1 OR metrics.lss < 0", "metrics.lss > 1"], ids=["runlore's", "mlflow's"])
def test_a_key_that_no_run_has_is_named_in_a_warning(runs: dict[str, str], caplog: pytest.LogCaptureFixture, text: str) -> None:
    assert found(runs, text) == ""
    assert caplog.text.count("No run has metrics.lss. Did you mean metrics.loss?") == 1


def test_finding_nothing_is_no_reason_for_a_warning(runs: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    assert found(runs, "metrics.loss > 1e9") == ""
    assert caplog.text == ""


def test_a_script_for_mlflow_gets_mlflows_grammar_alone(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import mlflow\n"
        "mlflow.set_tracking_uri('store')\n"
        "try:\n"
        "    mlflow.search_runs(['0'], 'metrics.a = 1 OR metrics.a = 2', output_format='list')\n"
        "except mlflow.MlflowException as error:\n"
        "    print(error.message.splitlines()[0])\n"
    )
    command = [sys.executable, "-m", "runlore.cli.main", "run", "--as-mlflow", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Invalid clause(s) in filter string" in done.stdout, done.stderr
