"""Our scoring server beside MLflow's: the same requests, the same predictions, statuses and code words."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.serving.questions import QUESTIONS, Question, save_models

from runlore.pyfunc import load_model
from runlore.serving.app import ScoringApp, Service

ROOT = Path(__file__).parents[2]
VARIABLE = "RUNLORE_MLFLOW3_PYTHON"

ASK = """
import asyncio

async def asked(app, body, content_type, path="/invocations", method="POST"):
    messages, sent = [{"type": "http.request", "body": body, "more_body": False}], []

    async def receive():
        return messages.pop() if messages else await asyncio.sleep(3600)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
             "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": [(b"host", b"localhost"), (b"content-type", content_type.encode())],
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()
"""
THEIRS = """
import json, logging, sys, warnings
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
import mlflow.pyfunc
from mlflow.pyfunc import scoring_server

apps, answers = {}, []
for model, body, content_type in json.load(open("questions.json")):
    if model not in apps:
        apps[model] = scoring_server.init(mlflow.pyfunc.load_model(model))
    answers.append(asyncio.run(asked(apps[model], body.encode("latin-1"), content_type)))
json.dump(answers, open("theirs.json", "w"))
"""


class Answer(NamedTuple):
    """What counts of an answer: the status, and predictions or the code word."""

    status: int
    value: Any


def read(status: int, body: str) -> Answer:
    try:
        value = json.loads(body)
    except ValueError:
        return Answer(status, "BAD_REQUEST")  # MLflow says 415 in plain words
    if isinstance(value, dict) and "error_code" in value:
        assert status >= 400
        return Answer(status, value["error_code"])
    return Answer(status, json.dumps(value, sort_keys=True).replace("eA==\\n", "eA=="))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Question, Answer, Answer]]:
    """Each question with MLflow's answer and ours."""
    python = Path(os.environ.get(VARIABLE) or ROOT / ".venvs/mlflow3/bin/python")
    if not python.is_file():
        pytest.skip(f"No MLflow 3 at {python}. `make .venvs/mlflow3/.ready` installs it, or set {VARIABLE}.")
    folder = tmp_path_factory.mktemp("models")
    save_models(folder)
    (folder / "questions.json").write_text(json.dumps([question[:3] for question in QUESTIONS]))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))}
    done = subprocess.run(
        [str(python), "-c", ASK + THEIRS], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    theirs = [read(*answer) for answer in json.loads((folder / "theirs.json").read_text())]
    return list(zip(QUESTIONS, theirs, ours(folder), strict=True))


def ours(folder: Path) -> list[Answer]:
    space: dict[str, Any] = {}
    exec(ASK, space)
    apps = {
        name.name: ScoringApp(load_model(name, allow_pickle=True), Service(), name)
        for name in folder.iterdir()
        if name.is_dir()
    }

    async def all_of_them() -> list[Answer]:
        return [
            read(*await space["asked"](apps[question.model], question.body.encode("latin-1"), question.content_type))
            for question in QUESTIONS
        ]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn, about names of columns
        found = asyncio.run(all_of_them())
    for app in apps.values():
        app.predictions.close()
    return found


def test_answers_are_mlflows(answers: list[tuple[Question, Answer, Answer]]) -> None:
    wrong = [(question, theirs, mine) for question, theirs, mine in answers if not question.different and theirs != mine]
    assert wrong == []
    assert {theirs.status for _, theirs, _ in answers} == {200, 400, 415}
    assert len(answers) > 150


def test_where_answers_differ_there_is_a_reason(answers: list[tuple[Question, Answer, Answer]]) -> None:
    assert [question for question, theirs, mine in answers if question.different and theirs == mine] == []
    for question, _, mine in answers:
        assert question.different.startswith(("MLflow", "missing", "an array", "what means")) or not question.different
        assert (mine.status == 200) or "missing" not in question.different
