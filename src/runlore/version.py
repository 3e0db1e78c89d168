"""Runlore's version, and the version of MLflow whose surface it speaks."""

__version__ = "0.1.0"
