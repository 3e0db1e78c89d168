"""Models written by hand: `write KIND…` saves them into this directory, `read KIND…` loads them; both print predictions."""

import json
import sys
from pathlib import Path

import mlflow.pyfunc
from mlflow.pyfunc import PythonModel

CODE = """
from mlflow.models import ModelConfig, set_model
from mlflow.pyfunc import PythonModel

config = ModelConfig(development_config={"word": "by hand"})


class FromCode(PythonModel):
    def predict(self, context, model_input, params=None):
        return [f"{text} {config.get('word')}" for text in model_input]


set_model(FromCode())
"""


class Hinted(PythonModel):
    def predict(self, model_input: list[str]) -> list[int]:
        return [len(text) for text in model_input]


class Configured(PythonModel):
    def load_context(self, context):
        self.text = Path(context.artifacts["text"]).read_text()

    def predict(self, context, model_input, params=None):
        return [f"{text} {context.model_config.get('word', self.text)}" for text in model_input]


class Streamed(PythonModel):
    def predict(self, context, model_input, params=None):
        return [text.upper() for text in model_input]

    def predict_stream(self, context, model_input, params=None):
        yield model_input
        yield "!"


def function(model_input):
    return [text[::-1] for text in model_input]


def write(kind):
    Path("text.txt").write_text("from the file")
    Path("code_of_model.py").write_text(CODE)
    model = {"hinted": Hinted(), "configured": Configured(), "streamed": Streamed(), "function": function}.get(kind)
    more = {"pip_requirements": ["cloudpickle"]}
    if kind in ("configured", "from code"):
        more["model_config"] = {"word": "configured"}
    if kind == "configured":
        more["artifacts"] = {"text": "text.txt"}
    mlflow.pyfunc.save_model(kind, python_model=model or "code_of_model.py", **more)


action, *kinds = sys.argv[1:]
if action == "write":
    for kind in kinds:
        write(kind)
print(json.dumps({kind: mlflow.pyfunc.load_model(kind).predict(["a", "bb"]) for kind in kinds}))
