"""Deploying models to a target by one interface, MLflow's: plugins of other tools, and model servers of this machine.

`get_deploy_client("local")` starts, lists, asks and stops servers here. Other targets come from packages with an entry point in
the group `mlflow.deployments`, those that were written for MLflow too.
"""

from __future__ import annotations

from runlore.deployments.base import BaseDeploymentClient, PredictionsResponse
from runlore.deployments.targets import get_deploy_client, get_deployments_target, run_local, set_deployments_target

__all__ = [
    "BaseDeploymentClient", "PredictionsResponse", "get_deploy_client", "get_deployments_target", "run_local",
    "set_deployments_target",
]  # fmt: skip
