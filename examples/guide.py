"""From a trained model to a registered one: the guide's script, on a local store, with no server.

Run it anywhere: `python examples/guide.py`. Runs and models land in the nearest `.runlore/` directory; `runlore ui` shows them.
`guide_mlflow.py` is the same script written for MLflow.
"""

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

import runlore
import runlore.sklearn

iris = load_iris()
X_train, X_test, y_train, y_test = train_test_split(iris.data, iris.target, test_size=0.2, random_state=42)

# Train a model and log what went in and what came out.
run = runlore.start_run()
n_estimators = 100
runlore.log_param("n_estimators", n_estimators)
model = RandomForestClassifier(n_estimators=n_estimators, random_state=42)
model.fit(X_train, y_train)
accuracy = accuracy_score(y_test, model.predict(X_test))
runlore.log_metric("accuracy", accuracy)
runlore.sklearn.log_model(model, "random_forest_model")
runlore.end_run()
run_id = run.info.run_id
print(f"Run {run_id}: accuracy {accuracy:.3f}")

# Look at all runs as a table.
runs = runlore.search_runs()
print(runs[["run_id", "status", "params.n_estimators", "metrics.accuracy"]])

# Register the model, load it by its name, predict.
version = runlore.register_model(f"runs:/{run_id}/random_forest_model", "RandomForestModel")
print(f"Registered {version.name}, version {version.version}")
loaded = runlore.sklearn.load_model(f"models:/RandomForestModel/{version.version}")
print("Predictions:", loaded.predict(X_test)[:10])
