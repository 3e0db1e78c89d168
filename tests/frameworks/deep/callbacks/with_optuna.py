"""A study of Optuna with its MLflowCallback, as its users write it."""

import mlflow
import optuna
from optuna_integration.mlflow import MLflowCallback

callback = MLflowCallback(metric_name="square", mlflow_kwargs={"nested": True})


@callback.track_in_mlflow()
def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -1, 1)
    mlflow.log_metric("inside", x)
    return x * x


study = optuna.create_study(study_name="squares", sampler=optuna.samplers.RandomSampler(seed=1))
study.optimize(objective, n_trials=4, callbacks=[callback])
