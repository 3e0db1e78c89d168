"""Files in and out of the server."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.server.live import House
from tests.server.wire import API, FILES, Connection

from runlore.blobs.digest import INDEX

CONTENT = bytes(range(256)) * 10_000


@pytest.fixture
def stored(house: House) -> str:
    """The address of a file in the root."""
    assert house.ask("PUT", f"{FILES}/0/some/file.bin", body=CONTENT).status == 200
    return f"{FILES}/0/some/file.bin"


def staged(house: House) -> list[str]:
    """Files that lie under the artifact directory, finished or not."""
    found = (path for path in house.artifacts.rglob("*") if path.is_file() and path.name != INDEX)
    return sorted(str(path.relative_to(house.artifacts)) for path in found)


@pytest.mark.parametrize("prefix", ["/api/2.0/", "/ajax-api/2.0/"])
def test_what_goes_in_comes_out(house: House, prefix: str) -> None:
    address = f"{prefix}mlflow-artifacts/artifacts/0/run/artifacts/a%20b/%C3%BC.txt"
    answer = house.ask("PUT", address, {"Content-Type": "text/plain"}, CONTENT)
    assert (answer.status, answer.body) == (200, b"{}")
    assert house.ask("GET", address).body == CONTENT
    assert (house.artifacts / "0/run/artifacts/a b/ü.txt").read_bytes() == CONTENT


def test_an_empty_file_is_a_file(house: House) -> None:
    assert house.ask("PUT", f"{FILES}/0/empty", body=b"").status == 200
    answer = house.ask("GET", f"{FILES}/0/empty")
    assert (answer.status, answer.body) == (200, b"")


def test_what_comes_out_is_inert(house: House) -> None:
    house.ask("PUT", f"{FILES}/0/x/evil.html", {"Content-Type": "text/html"}, b"<script>alert(1)</script>")
    house.ask("PUT", f"{FILES}/0/x/evil.svg", {"Content-Type": "image/svg+xml"}, b"<svg onload='alert(1)'/>")
    house.ask("PUT", f"{FILES}/0/x/seen.png", body=b"\x89PNG")
    for name, kind in [
        ("evil.html", "application/octet-stream"),
        ("evil.svg", "application/octet-stream"),
        ("seen.png", "image/png"),
    ]:
        headers = house.ask("GET", f"{FILES}/0/x/{name}").headers
        assert headers["content-type"] == kind
        assert headers["content-disposition"].startswith("attachment;")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "sandbox" in headers["content-security-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "script-src" not in headers["content-security-policy"]


def test_file_names_can_not_break_out_of_their_header(house: House) -> None:
    house.ask("PUT", f"{FILES}/0/a%22;b='c.txt", body=b"x")
    answer = house.ask("GET", f"{FILES}/0/a%22;b='c.txt")
    assert answer.headers["content-disposition"] == "attachment; filename=\"a__b__c.txt\"; filename*=UTF-8''a%22%3Bb%3D%27c.txt"


@pytest.mark.parametrize(
    ("span", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=2559990-", 2559990, 2560000), ("bytes=-5", 2559995, 2560000),
     ("bytes=5-99999999", 5, 2560000), ("bytes=-99999999", 0, 2560000)],
)  # fmt: skip
def test_one_range_is_honoured(house: House, stored: str, span: str, start: int, end: int) -> None:
    answer = house.ask("GET", stored, {"Range": span})
    assert answer.status == 206
    assert answer.body == CONTENT[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


@pytest.mark.parametrize("span", ["bytes=2560000-", "bytes=9999999-99999999", "bytes=5-4", "bytes=-0"])
def test_ranges_outside_the_file_are_refused(house: House, stored: str, span: str) -> None:
    assert house.ask("GET", stored, {"Range": span}).status == 416


@pytest.mark.parametrize("span", ["bytes=0-1,3-4", "bytes=" + "0-1," * 500 + "1-2", "items=0-1", "bytes=-", "bytes=a-b"])
def test_other_ranges_get_the_whole_file(house: House, stored: str, span: str) -> None:
    answer = house.ask("GET", stored, {"Range": span})
    assert (answer.status, answer.body) == (200, CONTENT)


def test_a_tag_says_whether_the_file_is_still_the_same(house: House, stored: str) -> None:
    tag = house.ask("GET", stored).headers["etag"]
    assert house.ask("GET", stored, {"If-None-Match": tag}).status == 304
    assert house.ask("GET", stored, {"Range": "bytes=0-1", "If-Range": tag}).status == 206
    house.ask("PUT", stored, body=b"other content")
    assert house.ask("GET", stored, {"If-None-Match": tag}).body == b"other content"
    assert house.ask("GET", stored, {"Range": "bytes=0-1", "If-Range": tag}).body == b"other content"


def test_head_tells_the_size(house: House, stored: str) -> None:
    answer = house.ask("HEAD", stored)
    assert (answer.status, answer.headers["content-length"]) == (200, str(len(CONTENT)))


def test_listing(house: House, stored: str) -> None:
    house.ask("PUT", f"{FILES}/0/some/deep/er.txt", body=b"12345")
    listed = house.ask("GET", f"{FILES}?path=0/some").json()["files"]
    assert listed == [
        {"path": "deep", "is_dir": True},
        {"path": "file.bin", "is_dir": False, "file_size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()},
    ]
    assert house.ask("GET", FILES).json()["files"] == [{"path": "0", "is_dir": True}]
    for nothing in ("missing", "0/some/file.bin"):
        assert house.ask("GET", f"{FILES}?path={nothing}").json() == {}


def test_missing_files_and_directories_are_not_found(house: House, stored: str) -> None:
    for path in ("0/some", "0/other", "0/some/file.bin/x"):
        answer = house.ask("GET", f"{FILES}/{path}")
        assert (answer.status, answer.code) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_deleting_a_file_and_a_directory(house: House, stored: str) -> None:
    house.ask("PUT", f"{FILES}/0/some/other", body=b"x")
    assert house.ask("DELETE", stored).status == 200
    assert house.ask("GET", stored).status == 404
    assert house.ask("DELETE", f"{FILES}/0/some").status == 200
    assert staged(house) == []
    assert house.ask("DELETE", f"{FILES}/0/some").status == 404


def test_the_root_can_not_be_deleted(house: House, stored: str) -> None:
    for address in (FILES, FILES + "/", FILES + "/.", FILES + "//", FILES + "?path=0", FILES + "/%2e"):
        assert house.ask("DELETE", address).status in (400, 404, 405)
    assert house.ask("GET", stored).body == CONTENT


def test_an_upload_that_breaks_off_leaves_nothing(house: House, stored: str) -> None:
    with house.connect() as connection:
        connection.send(
            f"PUT {stored} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n".encode() + b"x" * 3_000_000
        )
        while len(staged(house)) < 2:  # the new file has begun to arrive
            time.sleep(0.01)
    while len(staged(house)) > 1:
        time.sleep(0.01)
    assert house.ask("GET", stored).body == CONTENT


def test_a_file_over_a_directory_is_refused(house: House, stored: str) -> None:
    answer = house.ask("PUT", f"{FILES}/0/some", body=b"x")
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")


def test_files_of_runs(house: House) -> None:
    run_id = house.new_run()
    house.ask("PUT", f"{FILES}/0/{run_id}/artifacts/model/MLmodel", body=b"flavors: {}")
    digest = hashlib.sha256(b"flavors: {}").hexdigest()
    listed = house.ask("GET", f"{API}artifacts/list?run_id={run_id}&run_uuid={run_id}").json()
    assert listed == {"root_uri": f"mlflow-artifacts:/0/{run_id}/artifacts", "files": [{"path": "model", "is_dir": True}]}
    listed = house.ask("GET", f"{API}artifacts/list?run_id={run_id}&path=model").json()
    assert listed["files"] == [{"path": "model/MLmodel", "is_dir": False, "file_size": 11, "sha256": digest}]
    for name in ("run_id", "run_uuid"):
        assert house.ask("GET", f"/get-artifact?{name}={run_id}&path=model/MLmodel").body == b"flavors: {}"
    assert house.ask("GET", f"/get-artifact?run_id={run_id}&run_uuid={'0' * 32}&path=model/MLmodel").status == 400
    assert house.ask("GET", f"/get-artifact?run_id={run_id}").status == 400
    assert house.ask("GET", f"/get-artifact?run_id={'0' * 32}&path=model/MLmodel").status == 404


def test_files_of_logged_models_and_model_versions(house: House) -> None:
    model = house.call("POST", "logged-models", {"experiment_id": "0", "name": "m"}).json()["model"]["info"]
    place = model["artifact_uri"].removeprefix("mlflow-artifacts:")
    house.ask("PUT", f"{FILES}{place}/MLmodel", body=b"flavors: {}")
    listed = house.ask("GET", f"{API}logged-models/{model['model_id']}/artifacts/directories").json()
    assert [file["path"] for file in listed["files"]] == ["MLmodel"]
    address = f"/ajax-api/2.0/mlflow/logged-models/{model['model_id']}/artifacts/files?artifact_file_path=MLmodel"
    assert house.ask("GET", address).body == b"flavors: {}"
    house.call("POST", "registered-models/create", {"name": "reg"})
    house.call("POST", "model-versions/create", {"name": "reg", "source": f"models:/{model['model_id']}"})
    assert house.ask("GET", "/model-versions/get-artifact?name=reg&version=1&path=MLmodel").body == b"flavors: {}"
    assert house.ask("GET", "/model-versions/get-artifact?name=reg&version=2&path=MLmodel").status == 404
    assert house.ask("GET", "/model-versions/get-artifact?name=reg&version=x&path=MLmodel").status == 400


def test_server_info_says_what_there_is(house: House) -> None:
    assert house.ask("GET", "/api/3.0/mlflow/server-info").json() == {
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": True,
        "multipart_downloads_enabled": True,
        "presigned_upload_run_id_supported": True,
        "presigned_upload_model_id_supported": True,
        "features_enabled": {"gateway": False},
    }


def test_the_upload_of_mlflows_dashboard(house: House) -> None:
    run_id = house.new_run()
    answer = house.ask("POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run_id}&path=a/b.txt", body=CONTENT)
    assert (answer.status, answer.body) == (200, b"{}")
    assert house.ask("GET", f"/get-artifact?run_id={run_id}&path=a/b.txt").body == CONTENT


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """48 MB go in and out of a server of its own; its peak memory grows by a few pieces at most."""
    command = [sys.executable, "-m", "runlore.cli.main", "server", "--port", "0", "--store", str(tmp_path / "store")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "MALLOC_ARENA_MAX": "2"}) as process:
        assert process.stderr is not None
        port = int(process.stderr.readline().rsplit(":", 1)[1])

        def peak() -> int:
            status = Path(f"/proc/{process.pid}/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) // 1024

        piece, count = b"x" * (1 << 20), 48
        with Connection(port) as connection:
            connection.request("PUT", f"{FILES}/0/small", body=piece * 2)
            assert connection.request("GET", f"{FILES}/0/small").body == piece * 2
            before = peak()
            head = f"PUT {FILES}/0/big HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(piece) * count}\r\n\r\n"
            connection.send(head.encode())
            for _ in range(count):
                connection.send(piece)
            assert connection.answer().status == 200
            assert len(connection.request("GET", f"{FILES}/0/big").body) == len(piece) * count
        grown = peak() - before
        process.terminate()
    assert grown < 24, f"{grown} MB for a file of {count} MB"
