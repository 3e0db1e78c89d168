"""Refusals as MLflow's server words them: status, error code and a phrase, recorded from MLflow 3.17 for the same requests.

The phrases are those that name the mistake; what follows them may say more. Where the two differ on purpose, the case is in
`OWN_WAYS` with the reason.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.server.live import House
from tests.server.wire import API, Answer

NOBODY = "0" * 32
INVALID, MISSING = (400, "INVALID_PARAMETER_VALUE"), (404, "RESOURCE_DOES_NOT_EXIST")


def required(name: str) -> str:
    return f"Missing value for required parameter '{name}'. See the API docs for more information about request parameters."


def points(count: int, **other: object) -> list[dict[str, object]]:
    return [{"key": f"m{i}", "value": 1, "timestamp": 1, "step": 0, **other} for i in range(count)]


def pairs(count: int) -> list[dict[str, str]]:
    return [{"key": f"k{i}", "value": "1"} for i in range(count)]


RUN: dict[str, Any] = {"run_id": "$run"}
POINT = {**RUN, "key": "m", "value": 1, "timestamp": 1}
AS_PATH = "Names may be treated as files in certain cases, and must not resolve to other names when treated as such."
CASES: list[tuple[str, str, dict[str, Any], tuple[int, str], str]] = [
    # -- what is required ----------------------------------------------------------------------------------------------
    ("GET", "runs/get", {}, INVALID, required("run_id")),
    ("GET", "experiments/get", {}, INVALID, required("experiment_id")),
    ("GET", "experiments/get-by-name", {}, INVALID, required("experiment_name")),
    ("POST", "experiments/create", {}, INVALID, required("name")),
    ("POST", "experiments/create", {"name": ""}, INVALID, required("name")),
    ("POST", "experiments/update", {"experiment_id": "0"}, INVALID, required("new_name")),
    ("POST", "experiments/set-experiment-tag", {"experiment_id": "0"}, INVALID, required("key")),
    ("POST", "runs/update", {}, INVALID, required("run_id")),
    ("POST", "runs/delete", {}, INVALID, required("run_id")),
    ("POST", "runs/delete-tag", RUN, INVALID, required("key")),
    ("POST", "runs/log-parameter", {}, INVALID, required("run_id")),
    ("POST", "runs/log-parameter", {**RUN, "value": "1"}, INVALID, required("key")),
    ("POST", "runs/log-parameter", {**RUN, "key": "", "value": "1"}, INVALID, required("key")),
    ("POST", "runs/log-metric", {**RUN, "value": 1, "timestamp": 1}, INVALID, required("key")),
    ("POST", "runs/log-metric", {**RUN, "key": "m", "timestamp": 1}, INVALID, required("value")),
    ("POST", "runs/log-metric", {**RUN, "key": "m", "value": 1}, INVALID, required("timestamp")),
    ("POST", "runs/set-tag", {**RUN, "value": "v"}, INVALID, required("key")),
    ("POST", "runs/log-batch", {}, INVALID, required("run_id")),
    ("POST", "runs/log-batch", {**RUN, "metrics": [{"key": "a", "value": 1}]}, INVALID, required("metrics[0].timestamp")),
    ("POST", "runs/log-batch", {**RUN, "metrics": [{"key": "a", "timestamp": 1}]}, INVALID, required("metrics[0].value")),
    ("POST", "runs/log-batch", {**RUN, "metrics": [{"value": 1, "timestamp": 1}]}, INVALID, required("metrics[0].key")),
    ("GET", "metrics/get-history", {}, INVALID, required("run_id")),
    ("GET", "metrics/get-history", RUN, INVALID, required("metric_key")),
    ("GET", "metrics/get-history-bulk-interval", {}, INVALID, required("run_ids")),
    ("GET", "metrics/get-history-bulk-interval", {"run_ids": ["$run"]}, INVALID, required("metric_key")),
    ("POST", "runs/log-inputs", {}, INVALID, required("run_id")),
    ("POST", "runs/outputs", {}, INVALID, required("run_id")),
    ("POST", "runs/log-model", RUN, INVALID, required("model_json")),
    ("POST", "logged-models", {}, INVALID, required("experiment_id")),
    ("POST", "registered-models/create", {"name": ""}, INVALID, required("name")),
    ("POST", "registered-models/rename", {"name": "$model"}, INVALID, required("new_name")),
    ("POST", "registered-models/set-tag", {"name": "$model"}, INVALID, required("key")),
    ("POST", "registered-models/alias", {"name": "$model"}, INVALID, required("alias")),
    ("DELETE", "registered-models/delete", {}, INVALID, required("name")),
    ("POST", "model-versions/create", {"name": "$model"}, INVALID, required("source")),
    ("POST", "model-versions/transition-stage", {"name": "$model", "version": "1"}, INVALID, required("stage")),
    ("GET", "artifacts/list", {}, INVALID, required("run_id")),
    # -- types ---------------------------------------------------------------------------------------------------------
    ("POST", "experiments/create", {"name": 5}, INVALID, "Invalid value 5 for parameter 'name' supplied: "),
    ("POST", "runs/log-parameter", {**RUN, "key": "a", "value": 5}, INVALID, "Hint: Value was of type 'int'."),
    ("POST", "runs/log-metric", POINT | {"value": "abc"}, INVALID, "Invalid value \"abc\" for parameter 'value' supplied: "),
    ("POST", "runs/log-metric", POINT | {"timestamp": "x"}, INVALID,
     "Invalid value \"x\" for parameter 'timestamp' supplied: "),
    ("POST", "runs/log-metric", POINT | {"step": "x"}, INVALID, "Invalid value \"x\" for parameter 'step' supplied: "),
    ("POST", "runs/log-batch", {**RUN, "metrics": "x"}, INVALID, "Invalid value \"x\" for parameter 'metrics' supplied: "),
    ("POST", "runs/search", {"experiment_ids": "x"}, INVALID, "Invalid value \"x\" for parameter 'experiment_ids' supplied: "),
    ("POST", "runs/search", {"max_results": "x"}, INVALID, "Hint: Value was of type 'str'."),
    ("GET", "registered-models/search", {"max_results": "x"}, INVALID,
     "Invalid value \"x\" for parameter 'max_results' supplied: "),
    # -- how many ------------------------------------------------------------------------------------------------------
    ("POST", "experiments/search", {"max_results": 0}, INVALID,
     "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer"),
    ("POST", "experiments/search", {"max_results": -1}, INVALID,
     "Invalid value -1 for parameter 'max_results' supplied. It must be a positive integer"),
    ("POST", "experiments/search", {"max_results": 50001}, INVALID,
     "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000"),
    ("POST", "runs/search", {"max_results": 0}, INVALID,
     "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer"),
    ("POST", "runs/search", {"max_results": 50001}, INVALID, "Invalid value 50001 for parameter 'max_results' supplied"),
    ("GET", "metrics/get-history", {**RUN, "metric_key": "m", "max_results": -1}, INVALID,
     "for parameter 'max_results' supplied. It must be a positive integer"),
    ("GET", "registered-models/search", {"max_results": 1001}, INVALID,
     "Invalid value \"1001\" for parameter 'max_results' supplied"),
    ("GET", "metrics/get-history-bulk-interval", {"run_ids": ["$run"] * 101, "metric_key": "m"}, INVALID,
     "must specify at most 100 run_ids. Received 101 run_ids."),
    ("POST", "runs/log-batch", {**RUN, "metrics": points(1001)}, INVALID,
     "A batch logging request can contain at most 1000 metrics. Got 1001 metrics. "
     "Please split up metrics across multiple requests and try again."),
    ("POST", "runs/log-batch", {**RUN, "params": pairs(101)}, INVALID,
     "A batch logging request can contain at most 100 params. Got 101 params."),
    ("POST", "runs/log-batch", {**RUN, "tags": pairs(101)}, INVALID,
     "A batch logging request can contain at most 100 tags. Got 101 tags."),
    # -- how long ------------------------------------------------------------------------------------------------------
    ("POST", "experiments/create", {"name": "x" * 501}, INVALID, "'name' exceeds the maximum length of 500 characters"),
    ("POST", "runs/log-parameter", {**RUN, "key": "q" * 251, "value": "x"}, INVALID,
     "exceeds the maximum length of 250 characters"),
    ("POST", "runs/log-metric", POINT | {"key": "q" * 251}, INVALID, "exceeds the maximum length of 250 characters"),
    ("POST", "runs/set-tag", {**RUN, "key": "q" * 251, "value": "x"}, INVALID,
     "'key' exceeds the maximum length of 250 characters"),
    ("POST", "registered-models/alias", {"name": "$model", "alias": "a" * 256, "version": "1"}, INVALID,
     "exceeds the maximum length of 255 characters"),
    # -- names ---------------------------------------------------------------------------------------------------------
    *((method, path, {**body, **more}, INVALID, f"{AS_PATH} This name would resolve to '{place}'")
      for name, place in (("../x", "../x"), ("./x", "x"), ("/x", "/x"), (".", "."), ("a//b", "a/b"), ("a/", "a"), ("..", ".."))
      for method, path, body, more in (
          ("POST", "runs/log-parameter", RUN, {"key": name, "value": "v"}),
          ("POST", "runs/set-tag", RUN, {"key": name, "value": "v"}),
          ("POST", "runs/log-metric", POINT, {"key": name}),
          ("POST", "experiments/set-experiment-tag", {"experiment_id": "0"}, {"key": name, "value": "v"}))),
    ("POST", "runs/log-batch", {**RUN, "metrics": points(1, key="../x")}, INVALID, AS_PATH),
    ("POST", "runs/set-tag", {**RUN, "key": "a\nb", "value": "v"}, INVALID, "for parameter 'key' supplied: Names may "),
    ("POST", "registered-models/create", {"name": "a/b"}, INVALID,
     "Invalid model name 'a/b'. Names cannot contain '/' or ':'."),
    ("POST", "logged-models", {"experiment_id": "0", "name": "a/b"}, INVALID, "Invalid model name ('a/b') provided."),
    ("POST", "registered-models/alias", {"name": "$model", "alias": "latest", "version": "1"}, INVALID,
     "'latest' alias name (case insensitive) is reserved."),
    ("POST", "registered-models/alias", {"name": "$model", "alias": "v1", "version": "1"}, INVALID,
     "Version alias name 'v1' is reserved."),
    # -- ids that name nothing -----------------------------------------------------------------------------------------
    ("GET", "runs/get", {"run_id": NOBODY}, MISSING, f"Run with id={NOBODY} not found"),
    ("GET", "runs/get", {"run_id": "xyz"}, MISSING, "Run with id=xyz not found"),
    ("POST", "runs/log-metric", POINT | {"run_id": "a b/../"}, MISSING, "Run with id=a b/../ not found"),
    ("GET", "artifacts/list", {"run_id": NOBODY}, MISSING, f"Run with id={NOBODY} not found"),
    ("GET", "experiments/get", {"experiment_id": "424242"}, MISSING, "No Experiment with id=424242 exists"),
    ("GET", "experiments/get", {"experiment_id": "abc"}, INVALID,
     "Invalid experiment ID 'abc'. Experiment ID must be a valid integer."),
    ("POST", "runs/create", {"experiment_id": "abc"}, INVALID,
     "Invalid experiment ID 'abc'. Experiment ID must be a valid integer."),
    ("GET", "experiments/get-by-name", {"experiment_name": "nope"}, MISSING, "Could not find experiment with name 'nope'"),
    ("GET", "registered-models/get", {"name": "zz"}, MISSING, "Registered Model with name=zz not found"),
    ("GET", "model-versions/get", {"name": "$model", "version": "99"}, MISSING, "version=99) not found"),
    ("GET", "model-versions/get", {"name": "$model", "version": "abc"}, INVALID,
     "Parameter 'version' must be an integer, got 'abc'."),
    ("GET", f"logged-models/m-{NOBODY}", {}, MISSING, f"Logged model with ID 'm-{NOBODY}' not found."),
    ("POST", "runs/delete-tag", {**RUN, "key": "zz"}, MISSING, "No tag with name: zz in run with id "),
    ("GET", "registered-models/alias", {"name": "$model", "alias": "zz"}, INVALID, "Registered model alias zz not found."),
    # -- what is there already -----------------------------------------------------------------------------------------
    ("POST", "experiments/create", {"name": "Default"}, (400, "RESOURCE_ALREADY_EXISTS"),
     "Experiment(name=Default) already exists."),
    ("POST", "registered-models/create", {"name": "$model"}, (400, "RESOURCE_ALREADY_EXISTS"), "already exists."),
    ("POST", "runs/log-parameter", {**RUN, "key": "p", "value": "2"}, INVALID,
     "Changing param values is not allowed. Param with key='p' was already logged with value='1' for run ID="),
    ("POST", "runs/log-batch", {**RUN, "params": [{"key": "d", "value": "1"}, {"key": "d", "value": "2"}]}, INVALID,
     "Duplicate parameter keys have been submitted: ['d']."),
    ("POST", "runs/log-metric", POINT | {"run_id": "$deleted"}, INVALID,
     "must be in the 'active' state. Current state is deleted."),
    # -- the rest ------------------------------------------------------------------------------------------------------
    ("GET", "metrics/get-history-bulk-interval", {"run_ids": ["$run"], "metric_key": "m", "start_step": 1}, INVALID,
     "If either start step or end step are specified, both must be specified."),
    ("GET", "metrics/get-history-bulk-interval",
     {"run_ids": ["$run"], "metric_key": "m", "start_step": 5, "end_step": 1}, INVALID,
     "end_step must be greater than start_step. Found start_step=5 and end_step=1."),
    ("POST", "registered-models/get-latest-versions", {"name": "$model", "stages": ["Foo"]}, INVALID,
     "Invalid Model Version stage: Foo. Value must be one of None, Staging, Production, Archived."),
    ("POST", "model-versions/create", {"name": "$model", "source": "file:///etc/passwd"}, INVALID,
     "Invalid model version source: 'file:///etc/passwd'."),
    ("POST", "runs/search", {"filter": "metrics.x ~ 3"}, INVALID, "Invalid comparator '~' not one of "),
    ("POST", "runs/search", {"filter": "foo.x = 3"}, INVALID, "Invalid entity type 'foo'. Valid values are "),
    ("POST", "runs/search", {"filter": "metrics.x = 'a'"}, INVALID, "Expected numeric value type for metric. Found 'a'"),
    ("POST", "runs/search", {"filter": "params.x = 3"}, INVALID,
     "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 3"),
    ("POST", "runs/search", {"filter": "params.x = 'a' OR params.y = 'b'"}, INVALID,
     "Invalid clause(s) in filter string: 'OR'"),
    ("POST", "runs/search", {"order_by": ["foo"]}, INVALID, "Invalid attribute key 'foo' specified. Valid keys are "),
    ("POST", "runs/search", {"page_token": "garbage"}, INVALID, "Invalid page token"),
]  # fmt: skip

OWN_WAYS: list[tuple[str, str, dict[str, Any], int, str]] = [
    # MLflow ignores words that it does not know, and finds other runs than were asked for.
    ("POST", "runs/search", {"experiment_ids": ["0"], "run_view_type": "NONSENSE"}, 400, "INVALID_PARAMETER_VALUE"),
    ("POST", "runs/update", {**RUN, "status": "NONSENSE"}, 400, "INVALID_PARAMETER_VALUE"),
    # MLflow answers that a run which does not exist has no points.
    ("GET", "metrics/get-history", {"run_id": NOBODY, "metric_key": "m"}, 404, "RESOURCE_DOES_NOT_EXIST"),
    # MLflow refuses most punctuation in names; these are among the most asked for.
    ("POST", "runs/log-metric", POINT | {"key": "recall@5"}, 200, ""),
    ("POST", "runs/log-parameter", {**RUN, "key": "model(1)[0]$%", "value": "v"}, 200, ""),
]


@pytest.fixture
def words(house: House) -> dict[str, str]:
    """What the placeholders in requests stand for."""
    run, deleted = house.new_run(), house.new_run()
    assert house.call("POST", "runs/delete", {"run_id": deleted}).status == 200
    assert house.call("POST", "runs/log-parameter", {"run_id": run, "key": "p", "value": "1"}).status == 200
    assert house.call("POST", "registered-models/create", {"name": "reg"}).status == 200
    return {"$run": run, "$deleted": deleted, "$model": "reg"}


def ask(house: House, words: dict[str, str], method: str, path: str, fields: dict[str, Any]) -> Answer:
    body = json.dumps(fields)
    for name, value in words.items():
        body = body.replace(f'"{name}"', f'"{value}"')
    if method == "GET":
        return house.ask("GET", f"{API}{path}?{urlencode(json.loads(body), doseq=True)}")
    return house.ask(method, API + path, {"Content-Type": "application/json"}, body.encode())


def test_refusals_say_what_mlflows_say(house: House, words: dict[str, str]) -> None:
    different = []
    for method, path, fields, expected, phrase in CASES:
        answer = ask(house, words, method, path, fields)
        found = answer.json()
        if (answer.status, found.get("error_code")) != expected or phrase not in found["message"]:
            different.append(
                f"{method} {path} {str(fields)[:100]}\n  expected {expected} {phrase}\n  got {answer.status} {found}"
            )
    assert different == [], "\n".join(different)


def test_where_runlore_goes_its_own_way(house: House, words: dict[str, str]) -> None:
    for method, path, fields, status, code in OWN_WAYS:
        answer = ask(house, words, method, path, fields)
        assert (answer.status, answer.json().get("error_code", "")) == (status, code), (path, fields, answer.body)


def test_each_case_is_there_once() -> None:
    keys = [(method, path, json.dumps(fields)) for method, path, fields, *_ in CASES]
    assert len(keys) == len(set(keys)) > 100
