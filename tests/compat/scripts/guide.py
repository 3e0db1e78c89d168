"""The guide's script, as a user of MLflow writes it."""

import mlflow
import mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

# MLflow 3's own default format, skops, refuses a random forest before any server is asked.
FORMAT = {} if mlflow.__version__.startswith("2.") else {"serialization_format": "cloudpickle"}

data = load_iris()
X_train, X_test, y_train, y_test = train_test_split(data.data, data.target, test_size=0.2, random_state=42)

mlflow.start_run()
model = RandomForestClassifier(n_estimators=20, random_state=42)
model.fit(X_train, y_train)
accuracy = accuracy_score(y_test, model.predict(X_test))
mlflow.log_param("n_estimators", 20)
mlflow.log_metric("accuracy", accuracy)
mlflow.sklearn.log_model(model, "random_forest_model", **FORMAT)
RUN_ID = mlflow.active_run().info.run_id
mlflow.end_run()

runs = mlflow.search_runs()
assert list(runs["run_id"]) == [RUN_ID]
assert runs["metrics.accuracy"][0] == accuracy
assert runs["params.n_estimators"][0] == "20"
assert runs["status"][0] == "FINISHED"

mlflow.register_model(f"runs:/{RUN_ID}/random_forest_model", "RandomForestModel")
loaded = mlflow.sklearn.load_model("models:/RandomForestModel/1")
assert (loaded.predict(X_test) == model.predict(X_test)).all()
print("done", RUN_ID)
