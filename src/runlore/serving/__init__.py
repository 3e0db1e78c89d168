"""Saved models behind HTTP: MLflow's scoring protocol, requests batched by choice, Docker images, one more local deployment."""
