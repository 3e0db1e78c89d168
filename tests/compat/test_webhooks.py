"""MLflow 3's client makes webhooks on our server, and a receiver that was written for MLflow understands what comes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
from pathlib import Path

from tests.compat.conftest import mlflow_of
from tests.compat.test_mlflow_clients import SCRIPTS, environment_of
from tests.faults.served import serving
from tests.receiver import receiving

DATA = {
    "registered_model.created": {"name": "M", "tags": {"a": "1"}, "description": "desc"},
    "model_version.created": {
        "name": "M", "version": "1", "source": "s3://bucket/key", "run_id": None, "tags": {"t": "u"}, "description": "vd",
    },
    "model_version_tag.set": {"name": "M", "version": "1", "key": "k", "value": "v"},
    "model_version_tag.deleted": {"name": "M", "version": "1", "key": "k"},
    "model_version_alias.created": {"name": "M", "alias": "champion", "version": "1"},
    "model_version_alias.deleted": {"name": "M", "alias": "champion"},
}  # fmt: skip
"""What the server of MLflow 3.17 sent for the same calls."""


def test_mlflows_client_and_receivers(tmp_path: Path) -> None:
    python = mlflow_of(3)
    with (
        receiving() as receiver,
        serving(str(tmp_path / "store"), tmp_path, options=["--webhook-networks", "127.0.0.1"]) as served,
    ):
        done = subprocess.run(
            [str(python), "-W", "ignore", str(SCRIPTS / "webhooks.py"), receiver.url],
            cwd=tmp_path, env=environment_of(served.url, tmp_path), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        refused = ["RESOURCE_DOES_NOT_EXIST", *["INVALID_PARAMETER_VALUE"] * 3]
        assert done.stdout.splitlines() == [*(f"refused {code}" for code in refused), "done"], done.stdout + done.stderr
        test, *messages = receiver.wait_for(7)
        served.stop()
    assert test.body["data"]["name"] == "example_model"
    assert {f"{each.body['entity']}.{each.body['action']}": each.body["data"] for each in messages} == DATA
    for each in messages:
        id_, time_ = each.headers["X-MLflow-Delivery-Id"], each.headers["X-MLflow-Timestamp"]
        signed = hmac.new(b"hush", f"{id_}.{time_}.{each.raw.decode()}".encode(), hashlib.sha256).digest()
        assert each.headers["X-MLflow-Signature"] == "v1," + base64.b64encode(signed).decode()
