"""Load models by the URIs given as arguments, as sklearn models and as functions; print what they predict as JSON."""

import json
import sys

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
from sklearn.datasets import load_iris

X, _ = load_iris(return_X_y=True, as_frame=True)
answers = {}
for uri in sys.argv[1:]:
    info = mlflow.models.get_model_info(uri)
    answers[uri] = {
        "sklearn": mlflow.sklearn.load_model(uri).predict(X).tolist(),
        "pyfunc": mlflow.pyfunc.load_model(uri).predict(X).tolist(),
        "inputs": info.signature.inputs.to_dict(),
        "outputs": info.signature.outputs.to_dict(),
        "example": info.saved_input_example_info["type"],
    }
print(json.dumps(answers))
