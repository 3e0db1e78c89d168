"""An MLflow script as its users write it: nothing in it knows of Runlore."""

import lightgbm as lgb
import mlflow
import mlflow.lightgbm
import mlflow.xgboost
import xgboost as xgb
from mlflow.models import infer_signature
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

mlflow.set_experiment("boosters")
mlflow.xgboost.autolog()
mlflow.lightgbm.autolog()

X, y = load_diabetes(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

with mlflow.start_run(run_name="xgb"):
    train = xgb.DMatrix(X_train, label=y_train)
    test = xgb.DMatrix(X_test, label=y_test)
    booster = xgb.train({"max_depth": 3}, train, 5, evals=[(test, "test")], verbose_eval=False)
    signature = infer_signature(X_test, booster.predict(test))
    mlflow.xgboost.log_model(booster, name="by-hand", signature=signature, registered_model_name="diabetes")

lgb.LGBMRegressor(n_estimators=5, verbose=-1).fit(X_train, y_train, eval_set=[(X_test, y_test)])
loaded = mlflow.pyfunc.load_model("models:/diabetes/1")
print(mlflow.__name__, len(loaded.predict(X_test)), type(mlflow.xgboost.load_model("models:/diabetes/1")).__name__)
