"""The files beside a model: MLmodel, input examples, requirements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.sparse import csr_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from runlore.exceptions import InvalidParameter, NotFound
from runlore.models import Model, convert_input_example_to_serving_input, infer_signature
from runlore.models.example import Example
from runlore.models.model import read_yaml
from runlore.models.requirements import needed_by, parse_requirements, pinned, write_requirements

FROM_MLFLOW = """
artifact_path: /x/models/m-0/artifacts
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.sklearn
  sklearn: {code: null, pickled_model: model.skops, serialization_format: skops}
is_signature_from_type_hint: false
mlflow_version: 3.17.2
model_id: m-0
model_uuid: m-0
prompts: null
run_id: r
signature:
  inputs: '[{"type": "double", "name": "a", "required": true}]'
  outputs: null
  params: null
type_hint_from_example: false
utc_time_created: '2026-11-23 11:57:29.671605'
"""


def test_a_file_of_mlflow_is_read_and_written_back_whole(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(FROM_MLFLOW)
    model = Model.load(tmp_path)
    assert model.flavor("sklearn")["pickled_model"] == "model.skops"
    assert model.signature is not None
    assert model.signature.inputs is not None
    assert model.signature.inputs.input_names() == ["a"]
    assert model.model_uri == "models:/m-0"
    model.save(tmp_path / "MLmodel")
    assert yaml.safe_load((tmp_path / "MLmodel").read_text()) == yaml.safe_load(FROM_MLFLOW)


def test_a_model_without_a_signature_has_no_key_for_it() -> None:
    form = Model(run_id="r", artifact_path="a").add_flavor("x", y=1).to_dict()
    assert "signature" not in form
    assert "mlflow_version" not in form
    assert form["flavors"] == {"x": {"y": 1}}
    assert Model.from_dict(form).to_dict() == form


def test_a_missing_flavor_is_named_with_those_that_there_are() -> None:
    with pytest.raises(NotFound, match=r'"keras" flavor\. It has: sklearn'):
        Model().add_flavor("sklearn").flavor("keras")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "flavors: 1",
        "flavors: {a: 1}",
        "1: 2",
        "flavors: {}\nsignature: {inputs: 'x'}",
        "flavors: !!python/object/apply:os.system ['true']",
        "flavors: {",
        "a: &a [x]\nb: [" + "*a, " * 20 + "]\nflavors: {}",
        "flavors: " + "[" * 5_000,
        "flavors: {}\nx: '" + "y" * (8 * 2**20) + "'",
    ],
    ids=range(10),
)
def test_what_is_no_model_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(InvalidParameter):
        Model.load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Could not find"):
        Model.load(tmp_path / "nowhere")


def test_yaml_keeps_its_few_aliases() -> None:
    assert read_yaml(b"a: &x [1]\nb: *x", "here") == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("given", "stored", "serving", "kind"),
    [
        (
            pd.DataFrame({"a": [1, 2], "b": [0.5, None]}),
            {"columns": ["a", "b"], "data": [[1, 0.5], [2, None]]},
            "dataframe_split",
            "dataframe",
        ),
        (pd.DataFrame([[1, 2]]), {"data": [[1, 2]]}, "dataframe_split", "dataframe"),
        (np.array([[1.0, np.nan]]), [[1.0, None]], "inputs", "ndarray"),
        ({"x": np.arange(2)}, {"x": [0, 1]}, "inputs", "ndarray"),
        ({"x": [1], "y": "z"}, {"x": [1], "y": "z"}, "inputs", "json_object"),
        (["a", "b"], ["a", "b"], "inputs", "json_object"),
        ("text", "text", "inputs", "json_object"),
        (pd.DataFrame({"t": pd.to_datetime(["2024-01-02"]), "r": [b"ab"]}),
         {"columns": ["t", "r"], "data": [["2024-01-02T00:00:00", "YWI=\n"]]}, "dataframe_split", "dataframe"),
    ],
    ids=range(8),
)  # fmt: skip
def test_an_example_is_stored_as_data_and_as_a_request(
    given: Any, stored: Any, serving: str, kind: str, tmp_path: Path
) -> None:
    example = Example(given)
    example.save(tmp_path)
    assert json.loads((tmp_path / "input_example.json").read_text()) == stored
    assert json.loads((tmp_path / "serving_input_example.json").read_text()) == {serving: stored}
    assert example.info["type"] == kind


def test_an_example_with_parameters() -> None:
    example = Example((["a"], {"temperature": 0.5}))
    assert json.loads(example.json) == {"data": ["a"], "params": {"temperature": 0.5}}
    assert json.loads(example.serving_json) == {"inputs": ["a"], "params": {"temperature": 0.5}}
    assert example.info["params"] == "true"


def test_sparse_examples_keep_their_parts() -> None:
    example = Example(csr_matrix(np.eye(2)))
    assert json.loads(example.json) == {"data": [1.0, 1.0], "indices": [0, 1], "indptr": [0, 1, 2], "shape": [2, 2]}
    assert convert_input_example_to_serving_input(None) is None


def test_what_is_no_example_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="mix"):
        Example({"a": np.zeros(2), "b": 1})
    with pytest.raises(InvalidParameter, match="not supported"):
        Example(object())


def test_requirements_are_pinned_to_what_is_installed(tmp_path: Path) -> None:
    write_requirements(tmp_path, [pinned("numpy"), pinned("scikit-learn")], extra=["left-pad >= 1.0 , < 2"])
    lines = (tmp_path / "requirements.txt").read_text().splitlines()
    assert lines[0] == f"numpy=={np.__version__}"
    assert lines[-1] == "left-pad>=1.0,<2"
    conda = yaml.safe_load((tmp_path / "conda.yaml").read_text())
    assert conda["dependencies"][-1] == {"pip": lines}
    assert yaml.safe_load((tmp_path / "python_env.yaml").read_text())["dependencies"] == ["-r requirements.txt"]


def test_a_conda_environment_replaces_all(tmp_path: Path) -> None:
    write_requirements(tmp_path, ["numpy"], conda_env={"name": "x", "dependencies": ["python=3.12", {"pip": ["scipy==1.0"]}]})
    assert (tmp_path / "requirements.txt").read_text() == "scipy==1.0"
    with pytest.raises(InvalidParameter, match="not both"):
        write_requirements(tmp_path, ["numpy"], ["scipy"], conda_env={})


@pytest.mark.parametrize(
    "text",
    ["-r other.txt", "--index-url x", "git+ssh://x", "numpy @ file:///x", "./here", "numpy; rm -rf /; x", "a b", "numpy\nscipy",
     "$(id)", "numpy==1 --hash=x", "-e ."],
)  # fmt: skip
def test_requirements_that_an_installer_would_obey_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="Not a plain requirement"):
        parse_requirements([text])


def test_plain_requirements_are_normalised(tmp_path: Path) -> None:
    file = tmp_path / "r.txt"
    file.write_text("# needed\nnumpy >=1.0  # for arrays\n\nuvicorn[standard]~=0.3\ntorch==2.1+cpu ; python_version < '3.13'\n")
    assert parse_requirements(file) == ["numpy>=1.0", "uvicorn[standard]~=0.3", "torch==2.1+cpu; python_version < '3.13'"]


def test_the_packages_of_a_models_parts_are_found() -> None:
    frame = make_pipeline(StandardScaler(), pd.DataFrame)
    assert needed_by(make_pipeline(StandardScaler())) == []
    assert needed_by(frame, pd.DataFrame()) == [pinned("pandas")]


def test_a_signature_is_kept_in_the_file(tmp_path: Path) -> None:
    signature = infer_signature(pd.DataFrame({"a": [1.0]}), np.zeros(1))
    Model(signature=signature).save(tmp_path / "MLmodel")
    assert Model.load(tmp_path).signature == signature
