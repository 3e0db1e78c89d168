"""Saved models: the `MLmodel` file, signatures, examples, requirements, and who may load what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runlore.models.example import convert_input_example_to_serving_input
from runlore.models.model import Model, ModelInfo
from runlore.models.signature import ModelSignature, infer_signature

if TYPE_CHECKING:
    from runlore.models.flavor import get_model_info, set_signature

__all__ = [
    "Model", "ModelInfo", "ModelSignature", "convert_input_example_to_serving_input", "get_model_info", "infer_signature",
    "set_signature",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("get_model_info", "set_signature"):
        from runlore.models import flavor

        return getattr(flavor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
