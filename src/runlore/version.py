"""Runlore's version, and the version of MLflow whose surface it speaks."""

__version__ = "0.1.0"
MLFLOW_VERSION = "3.17.2"
"""What `GET /version` answers: MLflow clients parse it to learn which requests they may send."""
