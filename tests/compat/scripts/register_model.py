"""Register the model at the URI given as first argument under the name given as second."""

import sys

import mlflow

version = mlflow.register_model(sys.argv[1], sys.argv[2])
print(version.name, version.version)
