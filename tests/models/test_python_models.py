"""Models that users write: type hints, streams, configurations, Python files instead of pickles, loaders of their own."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

import numpy as np
import pandas as pd
import pytest
import yaml

import runlore.pyfunc
from runlore.exceptions import InvalidParameter, NotFound, Untrusted
from runlore.models import ModelConfig, infer_signature, set_model
from runlore.models.manifest import MANIFEST_FILE
from runlore.pyfunc import PyFuncModel, PythonModel
from runlore.pyfunc.hints import TypeHints, UnsupportedHint, element_type, fit
from runlore.types import AnyType, Array, DataType, Map


def saved(model: Any, place: Path, **more: Any) -> PyFuncModel:
    """The model as it is after saving and loading."""
    runlore.pyfunc.save_model(place, python_model=model, **more)
    return runlore.pyfunc.load_model(place)


# -- type hints -----------------------------------------------------------------------------------------------------------


class Upper(PythonModel):
    """Shouts."""

    def predict(self, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]


def test_type_hints_are_the_signature_and_are_checked(tmp_path: Path) -> None:
    loaded = saved(Upper(), tmp_path / "model")
    signature = loaded.metadata.signature
    assert signature is not None
    assert signature.to_dict()["inputs"] == '[{"type": "string", "required": true}]'
    assert yaml.safe_load((tmp_path / "model/MLmodel").read_text())["is_signature_from_type_hint"] is True
    assert loaded.predict(["a", "b"]) == ["A", "B"]
    assert loaded.predict(pd.DataFrame({"text": ["a", "b"]})) == ["A", "B"]
    for wrong, why in ([[1], r"input\[0\] is 1 \(int, not str\)"], ["a", r"input is 'a' \(str, not list\)"]):
        with pytest.raises(InvalidParameter, match=why):
            loaded.predict(wrong)
    with pytest.raises(InvalidParameter, match="does not fit the type hint"):
        Upper().predict([1])  # type: ignore[list-item]
    assert Upper().predict_type_hints == TypeHints(list[str], list[str])


def test_hints_go_before_another_signature_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="the hints count"):
        loaded = saved(Upper(), tmp_path / "model", signature=infer_signature([1]))
    assert loaded.metadata.signature is not None
    assert loaded.metadata.signature.to_dict()["inputs"] == '[{"type": "string", "required": true}]'


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (list[int], DataType.long),
        (list[float], DataType.double),
        (list[bool], DataType.boolean),
        (list[bytes], DataType.binary),
        (list[dt.datetime], DataType.datetime),
        (list[list[int]], Array("long")),
        (list[dict[str, list[float]]], Map(Array("double"))),
        (list[Any], AnyType()),
        (list[int | str], AnyType()),
        (list[Union[int, str]], AnyType()),  # noqa: UP007
    ],
)
def test_hints_mean_types(hint: Any, kind: Any) -> None:
    assert element_type(hint) == kind


@pytest.mark.parametrize("hint", [str, list, list[int | None], list[dict], list[dict[int, str]], list[set[int]], list[object]])
def test_other_hints_mean_no_type(hint: Any) -> None:
    with pytest.raises(UnsupportedHint):
        element_type(hint)


@pytest.mark.parametrize(
    ("data", "hint", "why"),
    [
        ([1, 1.5], list[int], r"input\[1\] is 1.5 \(float, not int\)"),
        ([{"a": "x"}], list[dict[str, int]], r"input\[0\]\['a'\] is 'x'"),
        ([{1: 2}], list[dict[str, int]], "has the key 1"),
        ([[1, "a"]], list[list[int]], r"input\[0\]\[1\] is 'a'"),
        ((1,), list[int], r"\(tuple, not list\)"),
        ([None] * 9, list[int], "and 4 more"),
    ],
)
def test_what_does_not_fit_is_named(data: Any, hint: Any, why: str) -> None:
    with pytest.raises(InvalidParameter, match=why):
        fit(data, hint)


def test_a_hint_that_nothing_can_be_made_of_warns_and_checks_nothing(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"write list\[str\] instead of str"):

        class Odd(PythonModel):
            def predict(self, model_input: str) -> str:
                return model_input

    with pytest.warns(UserWarning, match="instead of str"):
        assert saved(Odd(), tmp_path / "model").predict(["x"]) == ["x"]


def test_hinted_tables_are_just_tables(tmp_path: Path) -> None:
    class Table(PythonModel):
        def predict(self, context: Any, model_input: pd.DataFrame) -> pd.DataFrame:
            return model_input

    loaded = saved(Table(), tmp_path / "model", input_example=pd.DataFrame({"a": [1]}))
    assert loaded.metadata.signature == infer_signature(pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}))
    assert loaded.metadata.signature is not None
    assert not loaded.metadata.signature.from_type_hint
    assert loaded.input_example.equals(pd.DataFrame({"a": [1]}))


def test_hinted_functions_are_models(tmp_path: Path) -> None:
    def longest(model_input: list[str]) -> str:
        return max(model_input, key=len)

    loaded = saved(longest, tmp_path / "model", input_example=["a", "bb"])
    assert loaded.predict(["a", "bbb", "c"]) == "bbb"
    with pytest.raises(InvalidParameter):
        loaded.predict([1])


# -- streams, params, configurations ----------------------------------------------------------------------------------------


class Echo(PythonModel):
    """Answers in parts."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> str:
        return "".join(self.predict_stream(context, model_input, params))

    def predict_stream(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Iterator[str]:
        yield from (str(model_input), "!" * (params or {}).get("times", 1))


def test_predictions_come_in_parts(tmp_path: Path) -> None:
    loaded = saved(Echo(), tmp_path / "model", signature=infer_signature("x", "x", params={"times": 1}))
    assert list(loaded.predict_stream("a", params={"times": 3})) == ["a", "!!!"]
    assert loaded.predict("a") == "a!"
    assert list(loaded.predict_stream("a")) == ["a", "!"]


def test_a_model_streams_only_if_it_can(tmp_path: Path) -> None:
    for number, model in enumerate([saved(Echo(), tmp_path / "a", streamable=False), saved(Upper(), tmp_path / "b")]):
        with pytest.raises(InvalidParameter, match="does not support predict_stream"):
            model.predict_stream(str(number))
    rows = saved(Echo(), tmp_path / "c")
    assert list(rows.predict_stream(pd.DataFrame({"a": [1]}))) == ["{'a': 1}", "!"]
    with pytest.raises(InvalidParameter, match="2 rows"):
        rows.predict_stream(pd.DataFrame({"a": [1, 2]}))


class Configured(PythonModel):
    """Answers its configuration."""

    def predict(self, context: Any, model_input: Any) -> Any:
        return context.model_config


def test_a_configuration_is_kept_and_replaced_at_loading(tmp_path: Path) -> None:
    (tmp_path / "other.yml").write_text("temperature: 9\nunknown: 1\n")
    assert saved(Configured(), tmp_path / "model", model_config={"temperature": 1, "top": 2}).predict("x") == {
        "temperature": 1, "top": 2,
    }  # fmt: skip
    loaded = runlore.pyfunc.load_model(tmp_path / "model", model_config=tmp_path / "other.yml")
    assert loaded.predict("x") == loaded.model_config == {"temperature": 9, "top": 2}
    assert runlore.pyfunc.load_model(tmp_path / "model", model_config={"top": 3}).model_config["top"] == 3
    with pytest.raises(NotFound, match="no configuration file"):
        runlore.pyfunc.load_model(tmp_path / "model", model_config="nowhere.yml")


# -- models from code -------------------------------------------------------------------------------------------------------

CODE = """
from runlore.models import ModelConfig, set_model
from runlore.pyfunc import PythonModel

config = ModelConfig(development_config={"factor": 2})


class Times(PythonModel):
    def predict(self, context, model_input, params=None):
        return [value * config.get("factor") for value in model_input]


set_model(Times())
"""


def test_a_python_file_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "times.py"
    script.write_text(CODE)
    info = runlore.pyfunc.log_model("times", python_model=str(script), model_config={"factor": 3})
    script.unlink()
    first = runlore.pyfunc.load_model(info.model_uri)
    second = runlore.pyfunc.load_model(info.model_uri, model_config={"factor": 5})
    assert (first.predict([1, 2]), second.predict([1, 2]), first.predict([1])) == ([3, 6], [5, 10], [3])
    assert info.flavors["python_function"]["model_code_path"] == "times.py"
    assert type(first.unwrap_python_model()).__name__ == "Times"
    with pytest.raises(InvalidParameter, match="model_config"):
        runlore.pyfunc.save_model(tmp_path / "bare", python_model=_written(tmp_path, CODE))


def test_the_code_of_a_stranger_is_not_run(tmp_path: Path) -> None:
    script = _written(tmp_path, f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).write_text('x')\n{CODE}")
    runlore.pyfunc.save_model(tmp_path / "model", python_model=script, model_config={"factor": 3})
    (tmp_path / "model" / MANIFEST_FILE).unlink()
    (tmp_path / "ran").unlink()
    with pytest.raises(Untrusted, match="allow_pickle=True"):
        runlore.pyfunc.load_model(tmp_path / "model")
    assert not (tmp_path / "ran").exists()
    assert runlore.pyfunc.load_model(tmp_path / "model", allow_pickle=True).predict([1]) == [3]
    assert (tmp_path / "ran").exists()


def test_the_code_lies_inside_the_model(tmp_path: Path) -> None:
    runlore.pyfunc.save_model(tmp_path / "model", python_model=_written(tmp_path, CODE), model_config={"factor": 3})
    content = yaml.safe_load((tmp_path / "model/MLmodel").read_text())
    content["flavors"]["python_function"]["model_code_path"] = str(tmp_path / "elsewhere.py")
    (tmp_path / "elsewhere.py").write_text(CODE)
    (tmp_path / "model/MLmodel").write_text(yaml.safe_dump(content))
    (tmp_path / "model" / MANIFEST_FILE).unlink()
    with pytest.raises(NotFound, match=r"elsewhere\.py"):
        runlore.pyfunc.load_model(tmp_path / "model", allow_pickle=True)


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [("x = 1\n", InvalidParameter, "sets no model"), ("1 / 0\n", ZeroDivisionError, "division by zero")],
)
def test_a_file_that_makes_no_model_is_refused(text: str, error: type[Exception], why: str, tmp_path: Path) -> None:
    modules = set(sys.modules)
    with pytest.raises(error, match=why):
        runlore.pyfunc.save_model(tmp_path / "model", python_model=_written(tmp_path, text))
    assert len({name for name in sys.modules if name.startswith("runlore_model_")} - modules) <= 1
    assert not (tmp_path / "model").exists()


def test_a_missing_or_other_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notebook.ipynb").write_text("{}")
    with pytest.raises(NotFound, match=r"nowhere\.py"):
        runlore.pyfunc.save_model(tmp_path / "model", python_model=tmp_path / "nowhere.py")
    with pytest.raises(InvalidParameter, match="must be a Python file"):
        runlore.pyfunc.save_model(tmp_path / "model", python_model=tmp_path / "notebook.ipynb")


def test_the_file_of_a_model_runs_by_hand(tmp_path: Path) -> None:
    set_model(Upper())
    with pytest.raises(InvalidParameter, match="got int"):
        set_model(3)
    (tmp_path / "dev.yml").write_text("factor: 2\n")
    assert ModelConfig(development_config={"factor": 1}).get("factor") == 1
    assert ModelConfig(development_config=str(tmp_path / "dev.yml")).to_dict() == {"factor": 2}
    with pytest.raises(KeyError, match="factor"):
        ModelConfig(development_config={}).get("factor")
    with pytest.raises(InvalidParameter, match="development_config"):
        ModelConfig()


def _written(place: Path, text: str) -> Path:
    script = place / "model_code.py"
    script.write_text(text)
    return script


# -- loaders of the user ------------------------------------------------------------------------------------------------------

LOADER = """
import pathlib

import own_words


class Reader:
    def __init__(self, path):
        self.text = pathlib.Path(path).read_text()

    def predict(self, data, params=None):
        return own_words.join(self.text, data, params)


def _load_pyfunc(path):
    return Reader(path)
"""


def test_a_module_of_the_user_loads_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "own_loader.py").write_text(LOADER)
    (project / "own_words.py").write_text("import json\n\ndef join(*parts):\n    return [*parts]\n")
    (project / "unused.py").write_text("raise RuntimeError\n")
    (project / "data.txt").write_text("hello")
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", [str(project), *sys.path])
    arguments = {"loader_module": "own_loader", "data_path": "data.txt"}
    runlore.pyfunc.save_model(tmp_path / "model", **arguments, infer_code_paths=True)  # type: ignore[arg-type]
    assert sorted(path.name for path in (tmp_path / "model/code").iterdir()) == ["own_loader.py", "own_words.py"]
    for name in ("own_loader.py", "own_words.py", "data.txt"):
        (project / name).unlink()
    assert runlore.pyfunc.load_model(tmp_path / "model").predict(1) == ["hello", 1, None]
    (tmp_path / "model" / MANIFEST_FILE).unlink()
    with pytest.raises(Untrusted, match="own_loader"):
        runlore.pyfunc.load_model(tmp_path / "model")
    for name in ("own_loader", "own_words"):
        del sys.modules[name]


def test_what_is_left_out_or_too_much_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="Give either a python_model"):
        runlore.pyfunc.save_model(tmp_path / "model")
    with pytest.raises(InvalidParameter, match="not both"):
        runlore.pyfunc.save_model(tmp_path / "model", python_model=Upper(), loader_module="json")
    with pytest.raises(InvalidParameter, match="not both"):
        runlore.pyfunc.save_model(tmp_path / "model", python_model=Upper(), infer_code_paths=True, code_paths=["x"])
    with pytest.raises(InvalidParameter, match="can not be pickled"):
        runlore.pyfunc.save_model(tmp_path / "model", python_model=lambda data, file=sys.stderr: data)


# -- what stands beside a model -----------------------------------------------------------------------------------------------


def test_dependencies_and_examples_are_read_without_loading(tmp_path: Path) -> None:
    example = (np.array([[1.0, 2.0]], dtype="float32"), {"times": 2})
    info = runlore.pyfunc.log_model(
        "echo", python_model=Echo(), input_example=example, pip_requirements=["numpy>=1", "cloudpickle"]
    )
    text = Path(runlore.pyfunc.get_model_dependencies(info.model_uri)).read_text()
    assert text.splitlines() == ["numpy>=1", "cloudpickle"]
    assert "numpy>=1" in Path(runlore.pyfunc.get_model_dependencies(info.model_uri, "conda")).read_text()
    with pytest.raises(InvalidParameter, match="'pip' or 'conda'"):
        runlore.pyfunc.get_model_dependencies(info.model_uri, "poetry")
    loaded = runlore.pyfunc.load_model(info.model_uri)
    assert loaded.input_example.dtype == np.float32
    model = loaded.metadata
    assert model.load_input_example(info.model_uri).tolist() == [[1.0, 2.0]]
    assert model.load_input_example_params(info.model_uri) == {"times": 2}
    assert '"times": 2' in str(model.get_serving_input(info.model_uri))
    assert model.model_id == loaded.model_id == info.model_id
