"""`runlore webhooks`: make, list, test and delete them, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result
from tests.receiver import receiving

from runlore.api.registry import CreateRegisteredModel
from runlore.cli.main import group
from runlore.store.base import open_store


def ask(place: Path, *arguments: str, code: int = 0, given: str | None = None) -> Result:
    result = CliRunner().invoke(group, ["webhooks", *arguments, "--store", str(place)], input=given)
    assert result.exit_code == code, result.output
    return result


def test_the_life_of_webhooks(tmp_path: Path) -> None:
    place = tmp_path / "store"
    open_store(str(place)).close()
    with receiving() as receiver:
        hook = ask(
            place, "create", "deploy", receiver.url, "-e", "registered_model.created", "--secret-file", "-", given="hush\n"
        )
        created = ["-e", "run.failed", "-e", "metrics.loss is nan", "--experiment", "Default", "--json"]
        alert = json.loads(ask(place, "create", "team", receiver.url, *created).stdout)
        assert (alert["name"], alert["events"], alert["experiment_ids"]) == (
            "team",
            ["run.failed", "metrics.loss is nan"],
            ["0"],
        )
        webhook_id = hook.stdout.strip()

        store = open_store(str(place))
        store.call(CreateRegisteredModel(name="M"))
        store.close()
        (waiting,) = json.loads(ask(place, "deliveries", webhook_id, "--json").stdout)
        assert (waiting["event"], waiting["status"]) == ("registered_model.created", "PENDING")
        listed = {item["name"]: item for item in json.loads(ask(place, "list", "--json").stdout)}
        assert (listed["deploy"]["pending"], listed["deploy"]["has_secret"]) == (1, True)
        table = ask(place, "list").stdout
        assert "metrics.loss is nan" in table
        assert "hush" not in table

        done = json.loads(ask(place, "test", webhook_id, "--webhook-networks", "127.0.0.1", "--json").stdout)
        assert done == {"success": True, "response_status": 200}
        assert "X-MLflow-Signature" in receiver.received[0].headers
        ask(place, "test", alert["webhook_id"], "--webhook-networks", "127.0.0.1")
        assert receiver.received[1].body["data"]["run_name"] == "example-run"
        assert "no public address" in ask(place, "test", webhook_id, code=1).stdout
        assert len(receiver.received) == 2

        ask(place, "delete", webhook_id, alert["webhook_id"])
        assert json.loads(ask(place, "list", "--json").stdout) == []
