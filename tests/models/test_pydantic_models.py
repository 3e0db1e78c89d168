"""Type hints that are pydantic models, in an environment that has pydantic: Runlore itself does without."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venvs/boosters/bin/python"

PROGRAM = """
import datetime, json, warnings
from typing import Optional
import pandas as pd, pydantic
import runlore.pyfunc
from runlore.exceptions import InvalidParameter

class Message(pydantic.BaseModel):
    role: str
    n: Optional[int] = None
    tags: list[str] = []
    when: datetime.datetime | None = None
    counts: dict[str, int] | None = None

class Roles(runlore.pyfunc.PythonModel):
    def predict(self, model_input: list[Message]) -> list[str]:
        return [f"{message.role} {message.n}" for message in model_input]

runlore.pyfunc.save_model("model", python_model=Roles(), input_example=[Message(role="y", n=3)])
model = runlore.pyfunc.load_model("model")
refused = []
for wrong in ([{"rol": "x"}], [{"role": 1}], ["x"]):
    try:
        model.predict(wrong)
    except InvalidParameter as error:
        refused.append(error.message)

class Unclear(pydantic.BaseModel):
    a: Optional[int]

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")

    class Unchecked(runlore.pyfunc.PythonModel):
        def predict(self, model_input: list[Unclear]):
            return model_input

print(json.dumps({
    "signature": model.metadata.signature.to_dict(),
    "answers": [
        model.predict([{"role": "x"}]),
        model.predict(pd.DataFrame({"role": ["a", "b"], "n": [1, 2]})),
        Roles().predict([Message(role="z"), {"role": "d", "n": 4}]),
    ],
    "example": model.input_example,
    "refused": refused,
    "warned": [str(warning.message) for warning in caught],
}))
"""


def test_pydantic_models_are_objects_and_are_made_of_dictionaries(tmp_path: Path) -> None:
    if not PYTHON.is_file():
        pytest.skip(f"No pydantic: `make {PYTHON.parents[1].relative_to(ROOT)}/.ready` installs it.")
    environment = {**os.environ, "RUNLORE_CONFIG_DIR": str(tmp_path / "config"), "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    (column,) = json.loads(told["signature"]["inputs"])
    assert column == {
        "type": "object",
        "required": True,
        "properties": {
            "counts": {"type": "map", "values": {"type": "long"}, "required": False},
            "n": {"type": "long", "required": False},
            "role": {"type": "string", "required": True},
            "tags": {"type": "array", "items": {"type": "string"}, "required": True},
            "when": {"type": "datetime", "required": False},
        },
    }
    assert told["answers"] == [["x None"], ["a 1", "b 2"], ["z None", "d 4"]]
    assert told["example"] == [{"role": "y", "n": 3}]
    assert [reason.count("input[0]") for reason in told["refused"]] == [1, 1, 1]
    assert len(told["warned"]) == 1
    assert "Unclear.a may be None and needs a default" in told["warned"][0]
