"""Paths that try to leave the artifact root, in every spelling that a tracker has fallen for."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from tests.server.live import House
from tests.server.wire import API, FILES, Answer

SECRET = b"the secret outside"

CLIMBS = [
    "../secret", "../../secret", "0/../../secret", "0/x/../../../secret", "./secret", "0/./../../secret", "..", ".", "0/..",
    "..%2fsecret", "..%2Fsecret", "%2e%2e/secret", "%2e%2e%2fsecret", "%2E%2E%2Fsecret", "0/%2e%2e/%2e%2e/secret",
    "..%252fsecret", "%252e%252e%252fsecret", "%25252e%25252e/secret", "0/..%255c..%255csecret",
    "..%5csecret", "..\\secret", "0\\..\\..\\secret", "%5c..%5csecret", "\\\\host\\share", "C:\\Windows\\win.ini", "C:/secret",
    "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "%2Fetc/passwd", "0//../../secret", "0///../../secret",
    "....//secret", "..;/secret", "0/..;/..;/secret", ";/../secret", "..%00/secret", "0/x%00.txt", "%00", "..%0d%0a/secret",
    "%c0%ae%c0%ae/secret", "%c0%ae%c0%ae%c0%afsecret", "%e0%80%ae%e0%80%ae/secret", "%uff0e%uff0e/secret", "．．/secret",
    "..／secret", "..%ef%bc%8fsecret", "%ef%bc%8e%ef%bc%8e/secret", "..∕secret", "file:///etc/passwd", "file:/etc/passwd",
    "http://127.0.0.1/x", "s3://bucket/x", "dbfs:/x", "mlflow-artifacts:/x", "~/secret", "~root/secret", "0/%2e%2e", "0/..%2f",
    ".staging%/x", ".staging%25/x", "0/x/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "?/../../secret", "%3f/../../secret",
    "#/../../secret", "%23/../../secret", "0/x?../../secret", "0/" + "a/" * 600 + "x", "0/" + "x" * 256,
    "0/" + "%2e%2e/" * 50 + "etc/passwd",
    "0/a%CC%88", "0/x%7f", "0/%ff%fe", "0/%", "0/%zz",
]  # fmt: skip
"""Parts of a URL, as they go over the wire."""


@pytest.fixture
def guarded(house: House) -> House:
    """A server with a file outside its artifact root that nobody may see or change."""
    (house.artifacts.parent / "secret").write_bytes(SECRET)
    house.ask("PUT", f"{FILES}/0/x/known", body=b"known")
    return house


def everything(house: House) -> dict[str, bytes]:
    """All files around the artifact root, databases excepted."""
    top = house.artifacts.parent
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in sorted(top.parent.rglob("*"))
        if path.is_file() and path.is_relative_to(top) and not path.name.startswith("runlore.db")
    }


def inside_only(before: dict[str, bytes], after: dict[str, bytes]) -> bool:
    """True when all that changed lies under the artifact root."""
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return all(name.startswith("artifacts/") for name in changed)


def harmless(answer: Answer) -> bool:
    return answer.status in (400, 404, 405, 414) and SECRET not in answer.body and b"root:" not in answer.body


def listed_nothing(answer: Answer) -> bool:
    """True for the empty list of a directory that does not exist, as MLflow answers it."""
    return answer.status == 200 and answer.json().get("files", []) == []


@pytest.mark.parametrize("prefix", ["/api/2.0", "/ajax-api/2.0"])
@pytest.mark.parametrize("climb", CLIMBS)
def test_reading(guarded: House, prefix: str, climb: str) -> None:
    answer = guarded.ask("GET", f"{prefix}/mlflow-artifacts/artifacts/{climb}")
    if answer.status == 200:  # a "?" or "#" ends the path: what is left is a list of files, or a known file
        assert "?" in climb
        assert SECRET not in answer.body
    else:
        assert harmless(answer)


@pytest.mark.parametrize("climb", CLIMBS)
def test_writing_and_deleting(guarded: House, climb: str) -> None:
    before = everything(guarded)
    for method, body in (("PUT", b"overwritten"), ("DELETE", b"")):
        answer = guarded.ask(method, f"{FILES}/{climb}", {"Content-Type": "application/octet-stream"}, body)
        assert answer.status in (200, 400, 404, 405, 414)
        assert inside_only(before, everything(guarded))
    assert (guarded.artifacts.parent / "secret").read_bytes() == SECRET
    assert not Path("/etc/passwd").read_bytes().startswith(b"overwritten")


@pytest.mark.parametrize("climb", CLIMBS)
def test_paths_in_query_parameters(guarded: House, climb: str) -> None:
    run_id = guarded.new_run()
    model = guarded.call("POST", "logged-models", {"experiment_id": "0", "name": "m"}).json()["model"]["info"]["model_id"]
    for text in {climb, quote(climb, safe="")}:
        text = text.replace("#", "%23").replace(" ", "%20")
        for target in (
            f"{FILES}?path={text}",
            f"{API}artifacts/list?run_id={run_id}&path={text}",
            f"/get-artifact?run_id={run_id}&path={text}",
            f"/get-artifact?run_uuid={run_id}&path={text}",
            f"{API}logged-models/{model}/artifacts/directories?artifact_directory_path={text}",
            f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files?artifact_file_path={text}",
        ):
            answer = guarded.ask("GET", target)
            assert harmless(answer) or listed_nothing(answer), (target, answer)


@pytest.mark.parametrize(
    "run_id", ["..", "../..", "%2e%2e", "0/../..", "x" * 32, "", "*", "0" * 31 + "/", "0" * 32 + "%0a", "0" * 33]
)
def test_identifiers_that_are_no_identifiers(guarded: House, run_id: str) -> None:
    for target in (
        f"/get-artifact?run_id={run_id}&path=known",
        f"{API}artifacts/list?run_id={run_id}",
        f"{API}runs/get?run_id={run_id}",
        f"/api/v1/runs/{run_id}/overview",
        f"{API}logged-models/{run_id}/artifacts/directories",
        f"/model-versions/get-artifact?name={run_id}&version={run_id}&path=known",
    ):
        answer = guarded.ask("GET", target)
        assert answer.status in (400, 404)
        assert answer.headers["content-type"] == "application/json"


def test_links_inside_the_root_lead_nowhere(guarded: House) -> None:
    outside = guarded.artifacts.parent
    (guarded.artifacts / "0" / "link").symlink_to(outside / "secret")
    (guarded.artifacts / "0" / "folder").symlink_to(outside)
    before = everything(guarded)
    for path in ("0/link", "0/folder/secret", "0/folder"):
        assert guarded.ask("GET", f"{FILES}/{path}").status == 404
    assert guarded.ask("GET", f"{FILES}?path=0/folder").json() == {}
    assert guarded.ask("PUT", f"{FILES}/0/folder/new", body=b"x").status == 400
    guarded.ask("PUT", f"{FILES}/0/link", body=b"replaced")
    for path in ("0/folder/secret", "0/folder", "0/link"):
        guarded.ask("DELETE", f"{FILES}/{path}")
    assert inside_only(before, everything(guarded))
    assert (outside / "secret").read_bytes() == SECRET


@pytest.mark.parametrize(
    "source",
    ["file:///etc", "/etc", "../..", "mlflow-artifacts:/../..", "mlflow-artifacts:/0/%2e%2e/%2e%2e", "http://127.0.0.1/x",
     "http:///?/../../etc/", "http:///#/../../etc/", "dbfs:/x", "ftp://x/y", "models:/x/../..", "runs:/x/../..", "C:\\x",
     "\\\\h\\s"],
)  # fmt: skip
def test_stored_places_are_never_opened(guarded: House, source: str) -> None:
    """CVE-2023-1177 and its children: the place was stored first and read later."""
    guarded.call("POST", "registered-models/create", {"name": "m"})
    answer = guarded.call("POST", "model-versions/create", {"name": "m", "source": source})
    assert answer.status in (400, 404)
    tagged = {"name": "m", "source": source, "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}
    assert guarded.call("POST", "model-versions/create", tagged).status in (400, 404)
    assert guarded.ask("GET", "/model-versions/get-artifact?name=m&version=1&path=passwd").status == 404


@pytest.mark.parametrize("place", ["file:///etc", "/etc", "s3://bucket/x", "mlflow-artifacts:/../..", "http://127.0.0.1:1/x"])
def test_places_of_experiments_are_never_opened_by_the_server(guarded: House, place: str) -> None:
    made = guarded.call("POST", "experiments/create", {"name": "elsewhere", "artifact_location": place})
    if made.status == 400:
        return
    run = guarded.call("POST", "runs/create", made.json()).json()["run"]["info"]
    for target in (f"/get-artifact?run_id={run['run_id']}&path=passwd", f"{API}artifacts/list?run_id={run['run_id']}"):
        assert guarded.ask("GET", target).status == 400
