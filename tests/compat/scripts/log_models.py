"""Log and register a forest in the given format; print the URIs of the model, its predictions and signature as JSON."""

import json
import sys

import mlflow
import mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

X, y = load_iris(return_X_y=True, as_frame=True)
model = RandomForestClassifier(4, random_state=0).fit(X, y)
more = {"skops_trusted_types": ["sklearn.tree._tree.Tree"]} if sys.argv[1] == "skops" else {}
with mlflow.start_run() as run:
    info = mlflow.sklearn.log_model(
        model, "forest", serialization_format=sys.argv[1], registered_model_name="Forest", input_example=X.head(2), **more
    )
uris = [f"runs:/{run.info.run_id}/forest", "models:/Forest/1", info.model_uri]
signature = info.signature.to_dict()
print(json.dumps({"uris": uris, "predictions": model.predict(X).tolist(), "signature": signature}))
