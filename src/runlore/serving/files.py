"""Predictions from a file to a file: the answers of a scoring server, without one, in the model's environment if wanted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import msgspec

from runlore.environments import LOCAL
from runlore.exceptions import InvalidParameter, InvalidState, NotFound
from runlore.models.example import convert_input_example_to_serving_input
from runlore.models.flavor import fetch
from runlore.models.trust import Consent
from runlore.pyfunc import load_model
from runlore.serving.inputs import CSV, JSON, parse
from runlore.serving.outputs import encode
from runlore.serving.process import Tell, environment_of, run_in

_MEDIA = {"json": JSON, "csv": CSV}


class FileOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which model predicts what, and where to. `input_path` None reads standard input, `output_path` None writes to standard
    output; a name that ends in `.csv` gets a table."""

    model_uri: str
    input_path: str | None = None
    output_path: str | None = None
    content_type: str = "json"
    allow_pickle: bool = False
    trusted: tuple[str, ...] = ()


def predict(
    model_uri: str,
    input_data: Any = None,
    input_path: str | None = None,
    content_type: str = "json",
    output_path: str | None = None,
    env_manager: str = "virtualenv",
    install_mlflow: bool = False,
    pip_requirements_override: list[str] | None = None,
    extra_envs: dict[str, str] | None = None,
    *,
    allow_pickle: bool = False,
    trusted: list[str] | None = None,
) -> None:
    """Predict in an environment that holds what the model was made with, and write the answer of a scoring server.

    `input_data` is anything that the model's `predict` takes, or the text of a request (JSON, or CSV by `content_type`);
    `input_path` a file with such a text. The answer goes to `output_path` as JSON (as a table if it ends in `.csv`), else to
    standard output. `env_manager` is "virtualenv", "uv" or "local"; `pip_requirements_override` puts requirements in the place
    of the model's. Environments are kept: the second prediction starts at once. `install_mlflow` changes nothing: no MLflow is
    needed. Consent as in `runlore.pyfunc.load_model`. Raises `InvalidState` when it fails there.
    """
    if input_data is not None and input_path is not None:
        raise InvalidParameter("Give input_data or input_path, not both.")
    given = pip_requirements_override
    overrides = given.split(",") if isinstance(given, str) else given
    options = FileOptions(
        model_uri=str(model_uri), input_path=input_path, output_path=output_path, content_type=content_type,
        allow_pickle=allow_pickle, trusted=tuple(trusted or ()),
    )  # fmt: skip
    body = None if input_data is None else _request(input_data, content_type)
    predict_with(options, env_manager, body, overrides, extra_envs)


def predict_with(
    options: FileOptions,
    env_manager: str | None,
    body: bytes | None = None,
    overrides: list[str] | None = None,
    variables: dict[str, str] | None = None,
    tell: Tell = lambda line: None,
) -> None:
    """Predict in an environment. `body` is what is predicted, in the place of the input file. Raises `InvalidState`."""
    if overrides and env_manager == LOCAL:
        raise InvalidParameter("Other requirements need an environment of their own: env_manager must not be local.")
    if options.content_type not in _MEDIA:
        raise InvalidParameter(f"{options.content_type!r} is no content type. Expected one of {', '.join(_MEDIA)}.")
    if env_manager == LOCAL and not variables:
        predict_here(options, body)
        return
    body = _read(options.input_path) if body is None else body
    local = fetch(options.model_uri, consent=Consent.of(options.allow_pickle, options.trusted))
    environment = environment_of(local, env_manager, tell, overrides)
    there = msgspec.structs.replace(options, model_uri=str(local.path), input_path=None)
    if code := run_in(environment, "predict", there, body=body, further=variables):
        raise InvalidState(f"The prediction in {environment.root or 'another process'} ended with exit code {code}.")


def predict_here(options: FileOptions, body: bytes | None = None) -> int:
    """Predict in this process. Returns 0."""
    body = _read(options.input_path) if body is None else body
    model = load_model(options.model_uri, allow_pickle=options.allow_pickle, trusted=list(options.trusted))
    question = parse(body, _MEDIA[options.content_type], model.metadata.signature)
    predictions = model.predict(question.data, params=question.params)
    if options.output_path is None:
        sys.stdout.write(encode(predictions, bare=question.bare).decode() + "\n")
    elif options.output_path.lower().endswith(".csv"):
        Path(options.output_path).write_text(_table(predictions), "utf-8")
    else:
        Path(options.output_path).write_bytes(encode(predictions, bare=question.bare))
    return 0


def _read(path: str | None) -> bytes:
    if path is None:
        return sys.stdin.buffer.read()
    if not Path(path).is_file():
        raise NotFound(f"There is no file {path!r} to predict.")
    return Path(path).read_bytes()


def _request(data: Any, content_type: str) -> bytes:
    """The request that sends data to a scoring server."""
    if isinstance(data, str):
        return data.encode()
    if content_type == "csv":
        if not hasattr(data, "to_csv"):
            raise InvalidParameter(f"content_type 'csv' needs a pandas table or a text, got {type(data).__name__}.")
        return str(data.to_csv(index=False)).encode()
    return cast(str, convert_input_example_to_serving_input(data)).encode()


def _table(predictions: Any) -> str:
    import pandas as pd

    if isinstance(predictions, pd.Series):
        predictions = predictions.to_frame()
    if not isinstance(predictions, pd.DataFrame):
        many = getattr(predictions, "ndim", 1) > 1
        predictions = pd.DataFrame(predictions, columns=None if many else ["predictions"])
    return str(predictions.to_csv(index=False))
