"""ONNX models: save, log, load; predictions by ONNX Runtime.

Names, arguments and defaults are those of `mlflow.onnx`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter, Untrusted
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel
from runlore.pyfunc.native import NativeWriter, Predictor, library_version, model_name, opened, pinned_first, require

FLAVOR_NAME = "onnx"
ONNX_EXECUTION_PROVIDERS = ["CUDAExecutionProvider", "CPUExecutionProvider"]
"""Where predictions are made: by the first of these that is there."""

_OPTIONS = ("enable_cpu_mem_arena", "enable_mem_pattern", "enable_mem_reuse", "inter_op_num_threads", "intra_op_num_threads",
            "log_severity_level", "log_verbosity_level", "use_deterministic_compute")  # fmt: skip
"""Options of a session that a model's file may set: none of them names a file or a library."""
_LEVELS = {
    "disable_all": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_MODES = {"sequential": "ORT_SEQUENTIAL", "parallel": "ORT_PARALLEL"}
_NUMBERS = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32",
            "tensor(float16)": "float16", "tensor(bool)": "bool"}  # fmt: skip


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every ONNX model."""
    return [pinned("onnx"), pinned_first("onnxruntime", "onnxruntime-gpu")]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    onnx_model: Any,
    path: str | Path,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    onnx_execution_providers: list[Any] | None = None,
    onnx_session_options: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    save_as_external_data: bool = True,
    extra_files: list[str] | None = None,
    **kwargs: Any,
) -> None:
    """Save a model into the new or empty directory `path`.

    `onnx_execution_providers` (names, or pairs of name and options) and `onnx_session_options` say how predictions are made
    after `pyfunc.load_model`. With `save_as_external_data` large tensors lie in a file beside the model's, which may then
    grow beyond 2 GB. Other arguments go to `onnx.save_model`.
    """
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(
        _writer(onnx_model, onnx_execution_providers, onnx_session_options, save_as_external_data, kwargs),
        path,
        extras,
        mlflow_model,
    )


def log_model(
    onnx_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    onnx_execution_providers: list[Any] | None = None,
    onnx_session_options: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    save_as_external_data: bool = True,
    extra_files: list[str] | None = None,
    name: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Log a model to the active run; without one, to the current experiment. Arguments as in `runlore.sklearn.log_model`."""
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    destination = Destination(model_name(artifact_path, name), registered_model_name, params, tags, model_type, step, model_id)
    return log(
        _writer(onnx_model, onnx_execution_providers, onnx_session_options, save_as_external_data, kwargs), extras, destination
    )


def load_model(model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False) -> Any:
    """The `onnx.ModelProto` at a local path or a `models:/`, `runs:/` or artifact URI.

    A model with Python files of its own loads only with `allow_pickle=True`, unless this installation logged it.
    """
    local = fetch(model_uri, dst_path, Consent.of(allow_pickle, None))
    onnx = require("onnx")
    file, _ = opened(local, FLAVOR_NAME)
    model = onnx.load(str(file))
    onnx.checker.check_model(str(file))
    return model


def _load_pyfunc(local: LocalModel) -> Any:
    """The model with `predict(data, params)`, for `pyfunc.load_model`."""
    file, configuration = opened(local, FLAVOR_NAME)
    session = _session(file, configuration.get("providers"), configuration.get("onnx_session_options"), local.may_run_code)
    return Predictor(session, lambda data, params: _predict(session, data))


def _session(model: Path | bytes, providers: Any, options: Any, any_option: bool) -> Any:
    """A session of ONNX Runtime. `any_option` lets the model's file choose options that name files."""
    runtime = require("onnxruntime", "onnx")
    chosen = runtime.SessionOptions()
    for name, value in (options or {}).items():
        if name == "graph_optimization_level":
            chosen.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, _LEVELS[value])
        elif name == "execution_mode":
            chosen.execution_mode = getattr(runtime.ExecutionMode, _MODES[value])
        elif name == "extra_session_config" and any_option:
            for key, text in value.items():
                chosen.add_session_config_entry(str(key), str(text))
        elif name in _OPTIONS or (any_option and hasattr(chosen, name)):
            setattr(chosen, name, value)
        else:
            raise InvalidParameter(f"onnx_session_options of a model can not set {name!r} here.")
    there = runtime.get_available_providers()
    wanted = [tuple(item) if isinstance(item, list) else item for item in providers or ONNX_EXECUTION_PROVIDERS]
    found = [item for item in wanted if (item if isinstance(item, str) else item[0]) in there]
    if not any_option and any(not isinstance(item, str) for item in found):
        raise Untrusted(
            "Refused to load the model with the options that its file gives to execution providers: they can name libraries, "
            "and this installation did not write it. If you trust its author: load_model(model_uri, allow_pickle=True)."
        )
    return runtime.InferenceSession(str(model) if isinstance(model, Path) else model, chosen, providers=found or there)


def _predict(session: Any, data: Any) -> Any:
    """Outputs by name; a table of them when the data is a table. An array is the only input of a model that has one."""
    import numpy as np
    import pandas as pd

    inputs = session.get_inputs()
    names = [item.name for item in inputs]
    if isinstance(data, pd.DataFrame):
        given = {names[0]: data.to_numpy()} if len(names) == 1 else {name: data[name].to_numpy() for name in names}
    elif isinstance(data, dict):
        given = {name: np.asarray(value) for name, value in data.items()}
    elif isinstance(data, np.ndarray) and len(names) == 1:
        given = {names[0]: data}
    else:
        raise InvalidParameter(
            f"The model has the inputs {names}: give a dictionary or a table of them, not {type(data).__name__}."
        )
    kinds = {item.name: _NUMBERS.get(item.type) for item in inputs}
    fed = {name: value.astype(kinds[name]) if kinds.get(name) else value for name, value in given.items()}
    found = dict(zip((item.name for item in session.get_outputs()), _run(session, fed), strict=True))
    if not isinstance(data, pd.DataFrame):
        return found
    return pd.DataFrame({name: _column(value) for name, value in found.items()})


def _run(session: Any, fed: dict[str, Any]) -> list[Any]:
    """The outputs. What ONNX Runtime refuses is the caller's mistake."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    try:
        outputs: list[Any] = session.run(None, fed)
    except (state.InvalidArgument, state.Fail, state.RuntimeException) as error:
        raise InvalidParameter(f"The model refuses the data: {error}") from None
    return outputs


def _column(value: Any) -> Any:
    """An output as a column: one number a row, or a list of them."""
    rows = value.reshape(len(value), -1) if hasattr(value, "reshape") else value
    return list(value) if rows is value else rows[:, 0] if rows.shape[1] == 1 else rows.tolist()


def _writer(
    model: Any, providers: list[Any] | None, options: dict[str, Any] | None, external: bool, arguments: dict[str, Any]
) -> NativeWriter:
    onnx = require("onnx")

    def dump(path: Path) -> None:
        beside = {"location": f"{path.name}.data"} if external else {}
        copy = onnx.ModelProto()
        copy.CopyFrom(model)  # saving would take the large tensors out of the caller's model
        onnx.save_model(copy, str(path), save_as_external_data=external, **{**beside, **arguments})
        onnx.checker.check_model(str(path))

    def predict(data: Any, params: dict[str, Any] | None) -> Any:
        return _predict(_session(model.SerializeToString(), providers, options, any_option=True), data)

    return NativeWriter(
        FLAVOR_NAME,
        "model.onnx",
        dump=dump,
        prediction=predict,
        requires=get_default_pip_requirements(),
        configuration={
            "onnx_version": library_version("onnx"), "providers": providers or ONNX_EXECUTION_PROVIDERS,
            "onnx_session_options": options,
        },
    )  # fmt: skip
