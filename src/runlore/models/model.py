"""The `MLmodel` file: what a saved model is made of, in MLflow's keys, so that either side loads what the other saved."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runlore.entities import LoggedModel
from runlore.exceptions import InvalidParameter, NotFound
from runlore.models.signature import ModelSignature

MLMODEL_FILE_NAME = "MLmodel"
MAX_BYTES = 8 * 2**20
MAX_ALIASES = 16
MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_NUMBER = 1_000
_OPTIONAL = ("artifact_path", "run_id", "mlflow_version", "signature", "saved_input_example_info", "metadata",
             "model_size_bytes", "model_id", "resources", "env_vars", "auth_policy")  # fmt: skip
_KNOWN = (*_OPTIONAL, "utc_time_created", "flavors", "model_uuid", "prompts")
_MANY_DIGITS = re.compile(rf"[-+0-9A-Fa-fox_:.]{{{MAX_NUMBER + 1},}}")
_FROM_HINTS = ("is_signature_from_type_hint", "type_hint_from_example")


class ModelInfo:
    """What `log_model` and `get_model_info` answer: where the model is and what it is made of."""

    def __init__(
        self, model: Model, registered_model_version: int | None = None, logged_model: LoggedModel | None = None
    ) -> None:
        self.artifact_path = model.artifact_path
        self.flavors = model.flavors
        self.model_id = model.model_id
        self.model_uri = model.model_uri
        self.model_uuid = model.model_uuid
        self.run_id = model.run_id
        self.saved_input_example_info = model.saved_input_example_info
        self.signature = model.signature
        self.utc_time_created = model.utc_time_created
        self.mlflow_version = model.mlflow_version
        self.metadata = model.metadata
        self.name = model.name
        self.registered_model_version = registered_model_version
        self.prompts = model.prompts
        self.env_vars = model.env_vars
        self.params = logged_model.params if logged_model else None
        self.tags = logged_model.tags if logged_model else None
        self.metrics = logged_model.metrics if logged_model else None
        self.creation_timestamp = logged_model.creation_timestamp if logged_model else None

    def __repr__(self) -> str:
        return f"ModelInfo(model_uri={self.model_uri!r}, run_id={self.run_id!r}, flavors={list(self.flavors)})"


class Model:
    """The content of one `MLmodel` file. Keys that Runlore does not know are kept as they were read."""

    def __init__(
        self,
        artifact_path: str | None = None,
        run_id: str | None = None,
        utc_time_created: object = None,
        flavors: dict[str, dict[str, Any]] | None = None,
        signature: ModelSignature | None = None,
        saved_input_example_info: dict[str, Any] | None = None,
        model_uuid: str | None = None,
        mlflow_version: str | None = None,
        metadata: dict[str, Any] | None = None,
        model_size_bytes: int | None = None,
        resources: Any = None,
        env_vars: list[str] | None = None,
        auth_policy: Any = None,
        model_id: str | None = None,
        prompts: list[str] | None = None,
        **others: Any,
    ) -> None:
        self.artifact_path = artifact_path
        self.run_id = run_id
        self.utc_time_created = str(utc_time_created or datetime.now(UTC).replace(tzinfo=None))
        self.flavors: dict[str, dict[str, Any]] = flavors if flavors is not None else {}
        self.signature = signature
        self.saved_input_example_info = saved_input_example_info
        self.model_uuid = model_uuid or uuid.uuid4().hex
        self.mlflow_version = mlflow_version
        self.metadata = metadata
        self.model_size_bytes = model_size_bytes
        self.resources = resources_form(resources)
        self.env_vars = env_vars
        self.auth_policy = auth_policy.to_dict() if hasattr(auth_policy, "to_dict") else auth_policy
        self.model_id = model_id
        self.prompts = prompts
        self.name: str | None = None
        self.others = others

    @property
    def model_uri(self) -> str:
        """`models:/<model id>`, or the path under the run for models without an id of their own."""
        return f"models:/{self.model_id}" if self.model_id else f"runs:/{self.run_id}/{self.artifact_path}"

    def add_flavor(self, name: str, **params: Any) -> Model:
        """Add or replace one flavor's configuration; returns self."""
        self.flavors[name] = params
        return self

    def flavor(self, name: str) -> dict[str, Any]:
        """One flavor's configuration. Raises `NotFound` naming the flavors that there are."""
        if name not in self.flavors:
            raise NotFound(f'Model does not have the "{name}" flavor. It has: {", ".join(map(str, self.flavors)) or "none"}.')
        return self.flavors[name]

    def get_input_schema(self) -> Any:
        """The schema of inputs, if the model has a signature."""
        return self.signature.inputs if self.signature else None

    def get_output_schema(self) -> Any:
        """The schema of predictions, if the model has a signature."""
        return self.signature.outputs if self.signature else None

    def get_params_schema(self) -> Any:
        """The schema of prediction parameters, if the model has a signature."""
        return self.signature.params if self.signature else None

    def get_model_info(self, logged_model: LoggedModel | None = None) -> ModelInfo:
        """The same facts as a `ModelInfo`; with its logged model, its params, tags and metrics too."""
        return ModelInfo(self, logged_model=logged_model)

    def get_tags_dict(self) -> dict[str, Any]:
        """What MLflow 2 keeps of a model in a tag of its run: everything that is not long."""
        form = self.to_dict()
        tags = {key: value for key, value in form.items() if key not in ("signature", "metadata", *_FROM_HINTS)}
        tags["flavors"] = {
            name: {key: value for key, value in facts.items() if key != "config"} for name, facts in tags["flavors"].items()
        }
        return tags

    def load_input_example(self, path: str | None = None) -> Any:
        """The input example beside the model at a local path or URI (by default, at its own); None without one."""
        from runlore.models.facts import load_example

        return load_example(self, path)[0]

    def load_input_example_params(self, path: str) -> dict[str, Any] | None:
        """The params of the input example; None without one."""
        from runlore.models.facts import load_example

        return load_example(self, path)[1]

    def get_serving_input(self, path: str) -> str | None:
        """The JSON body that sends the input example to a scoring server; None without one."""
        from runlore.models.facts import load_serving_example

        return load_serving_example(self, path)

    @classmethod
    def log(
        cls,
        artifact_path: str | None,
        flavor: Any,
        registered_model_name: str | None = None,
        await_registration_for: int | None = 300,
        metadata: dict[str, Any] | None = None,
        run_id: str | None = None,
        resources: Any = None,
        auth_policy: Any = None,
        prompts: Any = None,
        name: str | None = None,
        model_type: str | None = None,
        params: dict[str, Any] | None = None,
        tags: dict[str, Any] | None = None,
        step: int = 0,
        model_id: str | None = None,
        **kwargs: Any,
    ) -> ModelInfo:
        """Log a model of any module with `save_model(path=…, mlflow_model=…, **kwargs)`: the flavors of other libraries."""
        from runlore.models.flavor import Destination, log_by_module

        model = cls(run_id=run_id, metadata=metadata, resources=resources, auth_policy=auth_policy, prompts=prompts)
        destination = Destination(name or artifact_path, registered_model_name, params, tags, model_type, step, model_id)
        return log_by_module(flavor, model, destination, kwargs)

    def to_dict(self) -> dict[str, Any]:
        """The content of the file as Python values."""
        fields = {key: getattr(self, key) for key in _KNOWN}
        form = {key: value for key, value in fields.items() if value is not None or key not in _OPTIONAL}
        if self.signature is not None:
            form["signature"] = self.signature.to_dict()
            form |= {"is_signature_from_type_hint": self.signature.from_type_hint, "type_hint_from_example": False}
        return {**form, **self.others}

    def to_yaml(self, stream: Any = None) -> Any:
        """The text of the file; written into `stream` if one is given."""
        import yaml

        return yaml.safe_dump(self.to_dict(), stream=stream, default_flow_style=False, allow_unicode=True)

    def to_json(self) -> str:
        """The content of the file as JSON."""
        return json.dumps(self.to_dict())

    def save(self, path: str | Path) -> None:
        """Write the file at `path`."""
        Path(path).write_text(self.to_yaml(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Read an `MLmodel` file, or the one in a directory."""
        file = Path(str(path).removeprefix("file://"))
        file = file / MLMODEL_FILE_NAME if file.is_dir() else file
        if not file.is_file():
            raise NotFound(f'Could not find an "{MLMODEL_FILE_NAME}" configuration file at "{path}"')
        with file.open("rb") as stream:
            return cls.from_dict(read_yaml(stream.read(MAX_BYTES + 1), str(file)))

    @classmethod
    def from_dict(cls, model_dict: Any) -> Model:
        """The model that the content of a file means. Raises `InvalidParameter` when it means none."""
        if not isinstance(model_dict, dict) or not all(isinstance(key, str) for key in model_dict):
            raise InvalidParameter("An MLmodel file must be a mapping with text keys.")
        form = dict(model_dict)
        flavors = form.get("flavors")
        if not isinstance(flavors, dict) or not all(isinstance(item, dict) for item in flavors.values()):
            raise InvalidParameter(f"The flavors of an MLmodel file must be a mapping of mappings, got {str(flavors)[:200]}.")
        if isinstance(form.get("signature"), dict):
            form["signature"] = ModelSignature.from_dict(form["signature"])
            form["signature"].from_type_hint = form.get("is_signature_from_type_hint") is True
            for key in _FROM_HINTS:
                form.pop(key, None)
        form.pop("name", None)
        if "self" in form:
            raise InvalidParameter("An MLmodel file can not have the key 'self'.")
        return cls(**form)


def resources_form(given: Any) -> Any:
    """Resources that a model depends on, in the form of the file: from objects with `type` and `to_dict()`, or a YAML file."""
    if given is None or isinstance(given, dict):
        return given
    if isinstance(given, str | Path):
        return read_yaml(Path(given).read_bytes(), str(given))
    kinds: dict[str, list[Any]] = {}
    for resource in given:
        for kind, entries in resource.to_dict().items():
            kinds.setdefault(kind, []).extend(entries)
    return {"api_version": "1", "databricks": kinds} if kinds else None


def read_yaml(raw: bytes, where: str) -> Any:
    """YAML by the safe loader: no Python objects, at most 8 MiB, 16 aliases, 64 levels, 100,000 values. `where` is for error
    messages. Long bare words are refused: YAML reads `1:2:3` as one number, in a time that grows with the square of it."""
    import yaml

    if len(raw) > MAX_BYTES:
        raise InvalidParameter(f"{where} is larger than {MAX_BYTES} bytes.")
    try:
        aliases = depth = nodes = 0
        for event in yaml.parse(raw, Loader=yaml.SafeLoader):
            nodes += isinstance(event, yaml.NodeEvent)
            if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and _MANY_DIGITS.fullmatch(event.value):
                raise InvalidParameter(f"{where} holds a number of more than {MAX_NUMBER} characters.")
            aliases += isinstance(event, yaml.AliasEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if aliases > MAX_ALIASES or depth > MAX_DEPTH or nodes > MAX_NODES:
                raise InvalidParameter(
                    f"{where} has more than {MAX_ALIASES} YAML aliases, {MAX_DEPTH} levels or {MAX_NODES} values."
                )
        return yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidParameter(f"{where} is not valid YAML: {str(error)[:500]}.") from None
