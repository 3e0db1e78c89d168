"""What a model takes and gives: the signature, and how it is found from data."""

from __future__ import annotations

from typing import Any

from runlore.exceptions import InvalidParameter
from runlore.types.infer import infer_param_schema, infer_schema
from runlore.types.schema import ParamSchema, Schema


class ModelSignature:
    """Inputs, outputs and parameters of a model; at least one of the three."""

    def __init__(self, inputs: Schema | None = None, outputs: Schema | None = None, params: ParamSchema | None = None) -> None:
        for name, value, kind in (("inputs", inputs, Schema), ("outputs", outputs, Schema), ("params", params, ParamSchema)):
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"{name} must be a {kind.__name__} or None, got {type(value).__name__}.")
        if inputs is None and outputs is None and params is None:
            raise ValueError("A signature needs at least one of inputs, outputs and params.")
        self.inputs = inputs
        self.outputs = outputs
        self.params = params
        self.from_type_hint = False
        """True when the type hints of a hand-written prediction say the same: they check its inputs, then."""

    def to_dict(self) -> dict[str, Any]:
        """Each part as a JSON text, as in an `MLmodel` file."""
        return {
            "inputs": self.inputs.to_json() if self.inputs else None,
            "outputs": self.outputs.to_json() if self.outputs else None,
            "params": self.params.to_json() if self.params else None,
        }

    @classmethod
    def from_dict(cls, signature_dict: dict[str, Any]) -> ModelSignature:
        """The signature that an `MLmodel` file means."""
        inputs, outputs, params = (signature_dict.get(key) for key in ("inputs", "outputs", "params"))
        return cls(
            Schema.from_json(inputs) if inputs else None,
            Schema.from_json(outputs) if outputs else None,
            ParamSchema.from_json(params) if params else None,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelSignature) and self.to_dict() == other.to_dict()

    def __repr__(self) -> str:
        return f"inputs: \n  {self.inputs!r}\noutputs: \n  {self.outputs!r}\nparams: \n  {self.params!r}\n"


def infer_signature(model_input: Any = None, model_output: Any = None, params: dict[str, Any] | None = None) -> ModelSignature:
    """The signature of given inputs, predictions and parameters.

    Takes pandas tables and columns, numpy arrays, dictionaries of arrays, scipy's csr and csc matrices, and JSON-like lists
    and dictionaries. Data that no schema can describe raises `InvalidParameter`: a signature never vanishes silently.
    """
    inputs = None if model_input is None else infer_schema(model_input)
    outputs = None if model_output is None else infer_schema(model_output)
    if inputs is None and outputs is None and not params:
        raise InvalidParameter("infer_signature needs model_input, model_output or params.")
    return ModelSignature(inputs, outputs, infer_param_schema(params) if params else None)


def __getattr__(name: str) -> Any:
    if name == "set_signature":  # scripts written for MLflow import it from here
        from runlore.models.facts import set_signature

        return set_signature
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
