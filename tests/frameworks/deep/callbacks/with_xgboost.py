"""A training of XGBoost under MLflow's autologging, as its users write it."""

import mlflow
import mlflow.xgboost
import numpy as np
import xgboost

mlflow.set_experiment("boosting")
mlflow.xgboost.autolog()
generator = np.random.default_rng(0)
features = generator.normal(size=(64, 4))
table = xgboost.DMatrix(features, label=features.sum(1) > 0)
with mlflow.start_run(run_name="tiny"):
    xgboost.train(
        {"objective": "binary:logistic", "eval_metric": ["logloss", "error"], "max_depth": 2},
        table, num_boost_round=5, evals=[(table, "train")], verbose_eval=False,
    )  # fmt: skip
