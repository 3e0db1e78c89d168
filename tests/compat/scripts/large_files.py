"""Files that are large by the settings of this test: the requests that they cause, and that they come back as they were."""

import os
from pathlib import Path

import mlflow
import requests
from mlflow import MlflowClient

sent = []
original = requests.Session.send


def recording(self, request, **keywords):
    sent.append((request.method, request.url.partition("?")[0].rpartition("/api/2.0/")[2].partition("/0/")[0]))
    return original(self, request, **keywords)


requests.Session.send = recording
client = MlflowClient()
run_id = client.create_run("0").info.run_id
large, exact, small = Path("large file ü.bin"), Path("exact.bin"), Path("small.bin")
large.write_bytes(os.urandom(1_234_567))
exact.write_bytes(os.urandom(400_000))
small.write_bytes(os.urandom(1_000))
for path in (large, exact, small):
    sent.clear()
    client.log_artifact(run_id, str(path), "models/deep")
    parts = sent.count(("PUT", "mlflow-artifacts/signed"))
    assert parts == {large: 7, exact: 2, small: 0}[path], sent
    assert sent.count(("POST", "mlflow-artifacts/mpu/complete")) == (1 if parts else 0)
found = {file.path: file.file_size for file in client.list_artifacts(run_id, "models/deep")}
assert found == {f"models/deep/{path}": path.stat().st_size for path in (large, exact, small)}
assert [file.path for file in client.list_artifacts(run_id)] == ["models"]
for path in (large, exact, small):
    sent.clear()
    Path("back").mkdir(exist_ok=True)
    back = client.download_artifacts(run_id, f"models/deep/{path}", "back")
    assert Path(back).read_bytes() == path.read_bytes()
    ranges = sent.count(("GET", "mlflow-artifacts/signed"))
    assert ranges == -(-path.stat().st_size // 150_000), sent
whole = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="models")
assert sorted(file.name for file in Path(whole).rglob("*.bin")) == sorted(path.name for path in (large, exact, small))
print("done")
