"""PyTorch models: save, log and load modules, exported graphs and state dictionaries; autologging of Lightning.

Names, arguments and defaults are those of `mlflow.pytorch`. Every form of a whole model can run code when it is loaded, the
exported graph included, so that models of others load only with consent: `load_model(uri, allow_pickle=True)`. A state
dictionary is weights alone and is always loaded as such.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from runlore.artifacts import download_artifacts
from runlore.autologging.checkpoints import CheckpointRule, fetch_checkpoint
from runlore.autologging.lightning_fits import FitWatcher, Pace, checkpoint_callback, watch_trainers
from runlore.autologging.patch import warn
from runlore.autologging.session import Options
from runlore.exceptions import InvalidParameter, MissingDependency, NotFound
from runlore.fluent.artifacts import log_artifacts
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, needed_by, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel, import_code, require_cloudpickle, require_consent
from runlore.pyfunc import add_to_model

if TYPE_CHECKING:
    from types import ModuleType

FLAVOR_NAME = "pytorch"
SERIALIZATION_FORMAT_PICKLE = "pickle"
SERIALIZATION_FORMAT_PT2 = "pt2"

_DATA = "data"
_MODULE_FILE, _GRAPH_FILE, _WEIGHTS_FILE = "model.pth", "model.pt2", "state_dict.pth"
_PICKLE_MODULE = "mlflow.pytorch.pickle_module"


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every PyTorch model."""
    return [pinned("torch"), pinned("cloudpickle"), pinned("numpy")]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    pytorch_model: Any,
    path: str | Path,
    conda_env: Any = None,
    mlflow_model: Model | None = None,
    code_paths: list[str] | None = None,
    pickle_module: Any = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    extra_files: list[str] | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    export_model: bool = False,
    serialization_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Save a module into the new or empty directory `path`.

    `serialization_format` is "pt2", the graph that `torch.export` finds with the input example (arrays or tensors), or
    "pickle". Left out, it is "pt2" where there is such an example and the module can be exported, else "pickle". Sizes of 1 in
    the example are fixed in the graph: give two rows for batches of any size. `kwargs` go to `torch.save`.
    """
    extras = Extras(
        signature, _plain(input_example), conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    chosen = SERIALIZATION_FORMAT_PT2 if export_model else serialization_format
    save(_Writer(pytorch_model, chosen, input_example, pickle_module, kwargs), path, extras, mlflow_model)


def log_model(
    pytorch_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    pickle_module: Any = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
    extra_files: list[str] | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    name: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    export_model: bool = False,
    serialization_format: str | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Log a module to the active run; without one, to the current experiment. See `save_model`."""
    extras = Extras(
        signature, _plain(input_example), conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    chosen = SERIALIZATION_FORMAT_PT2 if export_model else serialization_format
    return log(
        _Writer(pytorch_model, chosen, input_example, pickle_module, kwargs),
        extras,
        Destination(name or artifact_path, registered_model_name, params, tags, model_type, step, model_id),
    )


def load_model(model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False, **kwargs: Any) -> Any:
    """The module at a local path or a `models:/`, `runs:/` or artifact URI. `kwargs` go to `torch.load`: `map_location` …

    Models that this installation did not write need `allow_pickle=True`, which lets them run any code; `Untrusted` otherwise.
    """
    local = fetch(model_uri, dst_path, Consent(allow_pickle is True))
    return _load(local, **kwargs)


def save_state_dict(state_dict: dict[str, Any], path: str | Path, **kwargs: Any) -> None:
    """Write the weights of a module into the directory `path`. `kwargs` go to `torch.save`."""
    if not isinstance(state_dict, dict):
        raise InvalidParameter(f"state_dict must be a dictionary, got {type(state_dict).__name__}. hint: module.state_dict()")
    directory = Path(path)
    directory.mkdir(parents=True, exist_ok=True)
    _torch().save(state_dict, directory / _WEIGHTS_FILE, **kwargs)


def log_state_dict(state_dict: dict[str, Any], artifact_path: str, **kwargs: Any) -> None:
    """Store the weights of a module under the directory `artifact_path` of the active run; they are no model by themselves."""
    with TemporaryDirectory(prefix="runlore-state-") as directory:
        save_state_dict(state_dict, directory, **kwargs)
        log_artifacts(directory, artifact_path)


def load_state_dict(state_dict_uri: str | Path, **kwargs: Any) -> dict[str, Any]:
    """The weights at a local path or an artifact URI, read by an unpickler that makes nothing but tensors and plain values.

    `kwargs` go to `torch.load`, except `weights_only`, which stays true: use `torch.load` for files that need more.
    """
    if kwargs.pop("weights_only", True) is not True:
        raise InvalidParameter("load_state_dict reads weights alone; for other files: torch.load(path, weights_only=False).")
    place = Path(download_artifacts(str(state_dict_uri)))
    loaded: dict[str, Any] = _torch().load(place / _WEIGHTS_FILE if place.is_dir() else place, weights_only=True, **kwargs)
    return loaded


def load_checkpoint(
    model_class: Any,
    run_id: str | None = None,
    epoch: int | None = None,
    global_step: int | None = None,
    kwargs: dict[str, Any] | None = None,
) -> Any:
    """The Lightning module of a checkpoint that autologging kept: the last one of the run, or that of an epoch or step.

    `kwargs` go to `model_class.load_from_checkpoint`; `weights_only=True` unless they say otherwise.
    """
    with TemporaryDirectory(prefix="runlore-checkpoint-") as directory:
        path = fetch_checkpoint(run_id, epoch, global_step, directory)
        return model_class.load_from_checkpoint(path, **{"weights_only": True, **(kwargs or {})})


def _load(local: LocalModel, **kwargs: Any) -> Any:
    torch = _torch()
    configuration = local.model.flavor(FLAVOR_NAME)
    import_code(local, configuration)
    data = str(configuration.get("model_data", _DATA))
    try:
        path = local.file(f"{data}/{_GRAPH_FILE}")
    except NotFound:
        path = local.file(f"{data}/{_MODULE_FILE}")
    require_consent(local, f"{path.name}, a whole model of PyTorch")
    if path.name == _GRAPH_FILE:
        module = torch.export.load(path).module()
        place = kwargs.get("map_location")
        return module.to(place) if place is not None else module
    if _is_script(path):
        return torch.jit.load(path, map_location=kwargs.get("map_location"))
    return torch.load(path, **{"weights_only": False, **kwargs})


def _is_script(path: Path) -> bool:
    """True for a file that `torch.jit.save` wrote."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _load_pyfunc(local: LocalModel, model_config: dict[str, Any] | None = None) -> Any:
    """The model as `pyfunc.load_model` wants it; `model_config={"device": "cuda:1"}` chooses where it computes."""
    torch = _torch()
    chosen = (model_config or {}).get("device") or os.environ.get("MLFLOW_DEFAULT_PREDICTION_DEVICE")
    device = str(chosen or ("cuda:0" if torch.cuda.is_available() else "cpu"))
    return Predictor(_load(local, map_location=device), device)


class Predictor:
    """A module with `predict(data, params)`: tables and arrays in, the same out."""

    def __init__(self, module: Any, device: str = "cpu") -> None:
        self.module = module
        self.device = device
        if not _is_exported(module):
            module.eval()

    def get_raw_model(self) -> Any:
        """The module."""
        return self.module

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """The output of the module for a table or array, of a table as a table with its index. `params` go to `forward`."""
        import numpy as np

        torch = _torch()
        if not hasattr(data, "iloc") and not isinstance(data, np.ndarray | torch.Tensor):
            raise InvalidParameter(f"A PyTorch model predicts from a table or an array, got {type(data).__name__}.")
        array = data.to_numpy(dtype=np.float32) if hasattr(data, "iloc") else data
        array = np.require(array, requirements="W") if isinstance(array, np.ndarray) else array  # torch warns otherwise
        with torch.no_grad():
            found = self.module(torch.as_tensor(array).to(self.device), **(params or {}))
        if not isinstance(found, torch.Tensor):
            raise InvalidParameter(
                f"The model's output is no single tensor but {type(found).__name__}: pyfunc can not give it."
            )
        result = found.detach().cpu().numpy()
        if hasattr(data, "iloc"):
            import pandas as pd

            return pd.DataFrame(result, index=data.index)
        return result


def _is_exported(module: Any) -> bool:
    """Modules of exported graphs have no modes."""
    return type(module).__module__.startswith("torch.fx") or type(module).__name__ == "GraphModule"


class _Writer:
    """Writes one module."""

    def __init__(self, module: Any, format: str | None, example: Any, pickle_module: Any, options: dict[str, Any]) -> None:
        torch = _torch()
        if not isinstance(module, torch.nn.Module):
            raise InvalidParameter(f"pytorch_model must be a torch.nn.Module, got {type(module).__name__}.")
        if format not in (None, SERIALIZATION_FORMAT_PICKLE, SERIALIZATION_FORMAT_PT2):
            raise InvalidParameter(f"serialization_format must be 'pt2' or 'pickle', got {format!r}.")
        self.module, self.options, self.pickle_module = module, options, pickle_module
        self.inputs = _tensors(example)
        self.script = isinstance(module, torch.jit.ScriptModule)
        if format == SERIALIZATION_FORMAT_PT2 and (self.script or not self.inputs):
            what = "a TorchScript module" if self.script else "a module without an input_example of arrays or tensors"
            raise InvalidParameter(f"serialization_format='pt2' can not keep {what}. hint: serialization_format='pickle'")
        self.format = format

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        torch = _torch()
        data = directory / _DATA
        data.mkdir()
        pickled = _PICKLE_MODULE if self.pickle_module is None else self.pickle_module.__name__
        if not self._exported(data / _GRAPH_FILE):
            (data / "pickle_module_info.txt").write_text(pickled)
            if self.script:
                torch.jit.save(self.module, data / _MODULE_FILE)
            else:
                chosen = self.pickle_module or require_cloudpickle()
                torch.save(self.module, data / _MODULE_FILE, pickle_module=chosen, **self.options)
        add_to_model(model, loader_module="mlflow.pytorch", data=_DATA, pickle_module_name=pickled, config={"device": None})
        model.add_flavor(FLAVOR_NAME, model_data=_DATA, pytorch_version=str(torch.__version__), code=None)

    def requirements(self) -> list[str]:
        """See `Writer`."""
        return list(dict.fromkeys([*get_default_pip_requirements(), *needed_by(*self.module.modules())]))

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        training = self.module.training
        device = next((str(tensor.device) for tensor in self.module.parameters()), "cpu")
        try:
            return Predictor(self.module, device).predict(data, params)
        finally:
            self.module.train(training)

    def _exported(self, path: Path) -> bool:
        """Write the graph, where that is asked for or possible; False means: pickle it."""
        torch = _torch()
        if self.script or not self.inputs or self.format == SERIALIZATION_FORMAT_PICKLE:
            return False
        dynamic = tuple({0: torch.export.Dim.AUTO} if tensor.dim() and tensor.shape[0] > 1 else None for tensor in self.inputs)
        training = self.module.training
        try:
            graph = torch.export.export(self.module.eval(), self.inputs, dynamic_shapes=dynamic)
            torch.export.save(graph, path)
        except (RuntimeError, ValueError, TypeError, AssertionError, AttributeError, LookupError) as error:
            if self.format == SERIALIZATION_FORMAT_PT2:
                raise InvalidParameter(
                    f"torch.export can not keep this {type(self.module).__name__} ({str(error)[:300]}). hint: "
                    "serialization_format='pickle', which others load only with their consent"
                ) from error
            path.unlink(missing_ok=True)
            warnings.warn(f"The model is pickled, since torch.export can not keep it: {str(error)[:200]}", stacklevel=2)
            return False
        finally:
            self.module.train(training)
        return True


def _tensors(example: Any) -> tuple[Any, ...]:
    """The tensors of an input example for `torch.export`; none when it is of another kind."""
    import numpy as np

    torch = _torch()
    parts = example if isinstance(example, tuple | list) else (example,)
    if not all(isinstance(part, np.ndarray | torch.Tensor) for part in parts):
        return ()
    return tuple(torch.as_tensor(part) for part in parts)


def _plain(example: Any) -> Any:
    """An input example as it is kept: tensors become arrays."""
    if isinstance(example, tuple | list) and len(example) == 1:
        example = example[0]
    return example.detach().cpu().numpy() if hasattr(example, "detach") else example


def autolog(
    log_every_n_epoch: int = 1,
    log_every_n_step: int | None = None,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    extra_tags: dict[str, str] | None = None,
    checkpoint: bool = True,
    checkpoint_monitor: str = "val_loss",
    checkpoint_mode: str = "min",
    checkpoint_save_best_only: bool = True,
    checkpoint_save_weights_only: bool = False,
    checkpoint_save_freq: str | int = "epoch",
    log_model_signatures: bool = True,
) -> None:
    """Keep a run of every `Trainer.fit` of Lightning from now on: params, metrics, early stopping, checkpoints, the model.

    Metrics are those that the module logs, every `log_every_n_epoch` epochs with the epoch as the step, or every
    `log_every_n_step` batches too. The best checkpoint by `checkpoint_monitor` (or, with `checkpoint_save_best_only=False`,
    each of an epoch or of `checkpoint_save_freq` batches) is kept under `checkpoints/`; see `load_checkpoint`. `log_datasets`
    and `disable_for_unsupported_versions` change nothing. Training loops without Lightning are not seen.
    """
    warn(not silent)
    options = Options(False, log_model_signatures, log_models, log_datasets, exclusive, extra_tags, disable)
    rule = CheckpointRule(
        checkpoint_monitor, checkpoint_mode, checkpoint_save_best_only, checkpoint_save_weights_only, checkpoint_save_freq
    )

    def logged(module: Any, signature: ModelSignature | None, step: int) -> ModelInfo:
        return log_model(
            module, name="model", signature=signature, registered_model_name=registered_model_name, step=step,
            serialization_format=SERIALIZATION_FORMAT_PICKLE,
        )  # fmt: skip

    watch_trainers(FitWatcher(options, Pace(log_every_n_epoch, log_every_n_step), logged, rule if checkpoint else None))


def __getattr__(name: str) -> Any:
    if name == "MlflowModelCheckpointCallback":
        return checkpoint_callback()
    if name == "pickle_module":
        return require_cloudpickle()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _torch() -> ModuleType:
    try:
        import torch
    except ImportError:
        raise MissingDependency("PyTorch is not installed. hint: pip install torch") from None
    module: ModuleType = torch
    return module
