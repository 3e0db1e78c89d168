"""From a trained model to a registered one: the guide's script, written for MLflow.

`runlore run --as-mlflow examples/guide_mlflow.py` runs it as it is, with no MLflow installed. With MLflow installed it runs
against a Runlore server: `MLFLOW_TRACKING_URI=http://localhost:5000 python examples/guide_mlflow.py`.
"""

import mlflow
import mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

iris = load_iris()
X_train, X_test, y_train, y_test = train_test_split(iris.data, iris.target, test_size=0.2, random_state=42)

# Train a model and log what went in and what came out.
run = mlflow.start_run()
n_estimators = 100
mlflow.log_param("n_estimators", n_estimators)
model = RandomForestClassifier(n_estimators=n_estimators, random_state=42)
model.fit(X_train, y_train)
accuracy = accuracy_score(y_test, model.predict(X_test))
mlflow.log_metric("accuracy", accuracy)
mlflow.sklearn.log_model(model, "random_forest_model")
mlflow.end_run()
run_id = run.info.run_id
print(f"Run {run_id}: accuracy {accuracy:.3f}")

# Look at all runs as a table.
runs = mlflow.search_runs()
print(runs[["run_id", "status", "params.n_estimators", "metrics.accuracy"]])

# Register the model, load it by its name, predict.
version = mlflow.register_model(f"runs:/{run_id}/random_forest_model", "RandomForestModel")
print(f"Registered {version.name}, version {version.version}")
loaded = mlflow.sklearn.load_model(f"models:/RandomForestModel/{version.version}")
print("Predictions:", loaded.predict(X_test)[:10])
