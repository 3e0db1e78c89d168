"""Does a model understand a request? Asked before it is served, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runlore import pyfunc
from runlore.serving.inputs import JSON, parse, parse_document


def validate_serving_input(
    model_uri: str | Path,
    serving_input: str | dict[str, Any],
    *,
    allow_pickle: bool = False,
    trusted: list[str] | None = None,
) -> Any:
    """The model's prediction for the JSON body of a request to a scoring server, as text or as a dictionary.

    What the server would refuse is refused here in the same words. Consent as in `pyfunc.load_model`.
    """
    model = pyfunc.load_model(model_uri, allow_pickle=allow_pickle, trusted=trusted)
    signature = model.metadata.signature
    if isinstance(serving_input, str):
        question = parse(serving_input.encode(), JSON, signature)
    else:
        question = parse_document(json.loads(json.dumps(serving_input)), signature)
    return model.predict(question.data, params=question.params)
