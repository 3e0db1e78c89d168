"""Saved models: the `MLmodel` file, signatures, examples, requirements, and who may load what."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runlore.models.code import ModelConfig, set_model
from runlore.models.example import ModelInputExample, convert_input_example_to_serving_input
from runlore.models.model import Model, ModelInfo
from runlore.models.signature import ModelSignature, infer_signature

if TYPE_CHECKING:
    from runlore.models.facts import get_model_info, set_signature, update_model_requirements

__all__ = [
    "EvaluationArtifact",
    "EvaluationMetric",
    "EvaluationResult",
    "MetricThreshold",
    "Model",
    "ModelConfig",
    "ModelInfo",
    "ModelInputExample",
    "ModelSignature",
    "build_docker",
    "convert_input_example_to_serving_input",
    "evaluate",
    "get_model_info",
    "infer_pip_requirements",
    "infer_signature",
    "list_evaluators",
    "make_metric",
    "predict",
    "set_model",
    "set_signature",
    "update_model_requirements",
    "validate_schema",
    "validate_serving_input",
]

_NAMES = {
    "models.facts": "get_model_info set_signature update_model_requirements",
    "evaluation": """EvaluationArtifact EvaluationMetric EvaluationResult MetricThreshold evaluate list_evaluators
        make_metric""",
    "models.enforce": "validate_schema",
    "models.imports": "infer_pip_requirements",
    "serving.docker": "build_docker",
    "serving.files": "predict",
    "serving.validation": "validate_serving_input",
}
_HOME = {name: f"runlore.{module}" for module, names in _NAMES.items() for name in names.split()}
"""Names that are imported when they are first used; evaluations stand above models, which they load, and so does serving."""


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
