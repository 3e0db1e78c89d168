"""Large files in parts, and addresses that are rights."""

from __future__ import annotations

import json
import os
import time
from urllib.parse import urlsplit

import pytest
from tests.server.live import House
from tests.server.wire import Answer

from runlore.blobs.digest import INDEX
from runlore.blobs.uploads import STALE_SECONDS
from runlore.server.signatures import Signatures, Signed

MPU = "/api/2.0/mlflow-artifacts/mpu"
PLACE = "7/run/artifacts/deep"
PARTS = [os.urandom(70_000), os.urandom(70_000), os.urandom(5)]


def post(house: House, path: str, body: object) -> Answer:
    return house.ask("POST", path, {"Content-Type": "application/json"}, json.dumps(body).encode())


def begin(house: House, name: str = "/home/me/big.bin", num_parts: int = 3) -> tuple[str, list[str]]:
    """The id of a new upload, and paths with queries for its parts."""
    reply = post(house, f"{MPU}/create/{PLACE}", {"path": name, "num_parts": num_parts}).json()
    assert [part["part_number"] for part in reply["credentials"]] == list(range(1, num_parts + 1))
    addresses = [urlsplit(part["url"]) for part in reply["credentials"]]
    assert {(address.scheme, address.netloc) for address in addresses} == {("http", f"127.0.0.1:{house.port}")}
    return reply["upload_id"], [f"{address.path}?{address.query}" for address in addresses]


def complete(house: House, upload: str, tags: list[str], name: str = "/home/me/big.bin") -> Answer:
    parts = [{"part_number": number, "etag": tag, "url": "x"} for number, tag in enumerate(tags, 1)]
    return post(house, f"{MPU}/complete/{PLACE}", {"path": name, "upload_id": upload, "parts": parts})


def send(house: House, address: str, body: bytes) -> str:
    answer = house.ask("PUT", address, body=body)
    assert answer.status == 200, answer.body
    return answer.headers["etag"]


def files(house: House) -> list[str]:
    found = (path for path in house.artifacts.rglob("*") if path.is_file() and path.name != INDEX)
    return sorted(str(path.relative_to(house.artifacts)) for path in found)


def test_a_file_of_parts(house: House) -> None:
    upload, addresses = begin(house)
    tags = [send(house, address, part) for address, part in reversed(list(zip(addresses, PARTS, strict=True)))][::-1]
    assert house.ask("GET", f"/api/2.0/mlflow-artifacts/artifacts?path={PLACE}").json() == {}
    assert house.ask("GET", "/api/2.0/mlflow-artifacts/artifacts").json() == {}
    assert complete(house, upload, tags).json() == {}
    assert house.ask("GET", f"/api/2.0/mlflow-artifacts/artifacts/{PLACE}/big.bin").body == b"".join(PARTS)
    assert complete(house, upload, tags).status == 200  # the answer was lost, the client asks again
    assert [name for name in files(house) if not name.endswith("/done")] == [f"{PLACE}/big.bin"]
    assert post(house, f"{MPU}/abort/{PLACE}", {"path": "big.bin", "upload_id": upload}).status == 200
    assert house.ask("GET", f"/api/2.0/mlflow-artifacts/artifacts/{PLACE}/big.bin").body == b"".join(PARTS)


def test_a_windows_client_names_the_file_its_way(house: House) -> None:
    name = "C:\\Users\\me\\big.bin"
    upload, (address,) = begin(house, name, 1)
    assert complete(house, upload, [send(house, address, b"x")], name).status == 200
    assert files(house)[-1] == f"{PLACE}/big.bin"


def test_a_part_may_come_twice_and_the_last_one_counts(house: House) -> None:
    upload, addresses = begin(house, num_parts=2)
    old, new = send(house, addresses[0], b"old"), send(house, addresses[0], b"new")
    last = send(house, addresses[1], b"!")
    answer = complete(house, upload, [old, last])
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")
    assert complete(house, upload, [new, last]).status == 200
    assert house.ask("GET", f"/api/2.0/mlflow-artifacts/artifacts/{PLACE}/big.bin").body == b"new!"


def test_an_upload_that_lacks_a_part_is_not_a_file(house: House) -> None:
    upload, addresses = begin(house)
    tags = [send(house, addresses[0], PARTS[0]), send(house, addresses[2], PARTS[2])]
    answer = complete(house, upload, [tags[0], "", tags[1]])
    assert (answer.status, answer.json()["message"]) == (400, "Part 2 of the upload has not arrived.")
    gap = {"path": "big.bin", "upload_id": upload, "parts": [{"part_number": 1}, {"part_number": 3}]}
    assert post(house, f"{MPU}/complete/{PLACE}", gap).status == 400
    assert not (house.artifacts / "7").exists()


def test_a_part_that_breaks_off_is_not_there(house: House) -> None:
    upload, (address,) = begin(house, num_parts=1)
    with house.connect() as connection:
        connection.send(f"PUT {address} HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nContent-Length: 9000000\r\n\r\n".encode())
        connection.send(b"x" * 3_000_000)
        while not files(house):
            time.sleep(0.01)
    while files(house):
        time.sleep(0.01)
    assert complete(house, upload, [""]).status == 400


def test_giving_up_leaves_nothing(house: House) -> None:
    upload, addresses = begin(house)
    tag = send(house, addresses[0], PARTS[0])
    for _ in range(2):
        assert post(house, f"{MPU}/abort/{PLACE}", {"path": "/home/me/big.bin", "upload_id": upload}).status == 200
    assert files(house) == []
    assert complete(house, upload, [tag]).status == 400


def test_what_is_stale_is_swept_by_the_next_upload(house: House) -> None:
    for age in (STALE_SECONDS + 10, STALE_SECONDS - 1_000):
        folder = house.artifacts / ".uploads%" / f"{int(time.time()) - age:010x}{'a' * 32}"
        folder.mkdir(parents=True)
        (folder / "00001").write_bytes(b"x")
    begin(house)
    assert files(house) == [str((folder / "00001").relative_to(house.artifacts))]


def test_an_upload_belongs_to_one_file(house: House) -> None:
    upload, (address,) = begin(house, num_parts=1)
    tag = send(house, address, b"x")
    for wrong in ("/home/me/other.bin", "big.bin.bak"):
        answer = complete(house, upload, [tag], wrong)
        assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")
    elsewhere = {"path": "big.bin", "upload_id": upload, "parts": [{"part_number": 1, "etag": tag}]}
    assert post(house, f"{MPU}/complete/8/run/artifacts/deep", elsewhere).status == 400
    assert post(house, f"{MPU}/abort/8/run/artifacts/deep", elsewhere).status == 400
    for made_up in ("0" * 42 + "." + "0" * 32, "../../x", ""):
        assert complete(house, made_up, [tag]).status == 400
    assert complete(house, upload, [tag]).status == 200


@pytest.mark.parametrize("directory", ["7/../8", "7/.uploads%25", "7/a%2f..", "7/%2e%2e/x"])
def test_a_directory_can_not_lead_elsewhere(house: House, directory: str) -> None:
    answer = post(house, f"{MPU}/create/{directory}", {"path": "x", "num_parts": 1})
    assert answer.status in (400, 404)


@pytest.mark.parametrize("name", ["..", "a/..", "a/", "\\", "x\n", "y%2f", "z" * 300])
def test_a_file_needs_a_name(house: House, name: str) -> None:
    answer = post(house, f"{MPU}/create/{PLACE}", {"path": name, "num_parts": 1})
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("count", [0, -1, 10_001, "x"])
def test_the_number_of_parts_is_bounded(house: House, count: object) -> None:
    assert post(house, f"{MPU}/create/{PLACE}", {"path": "x", "num_parts": count}).status == 400


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("signature=", "signature=0"),
        ("part=1", "part=2"),
        ("expires=", "expires=9"),
        ("upload=0", "upload=1"),
        ("big.bin", "bog.bin"),
    ],
)
def test_an_address_is_good_for_what_was_signed_only(house: House, old: str, new: str) -> None:
    _, addresses = begin(house)
    assert old in addresses[0]
    answer = house.ask("PUT", addresses[0].replace(old, new), body=b"x")
    assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")
    assert house.ask("GET", addresses[0]).status == 403
    assert files(house) == []


def test_an_address_expires(house: House) -> None:
    signatures = Signatures(house.store.secret("addresses"))
    for seconds, status in ((60, 200), (-1, 403)):
        address = signatures.address("/api/2.0/mlflow-artifacts/signed", Signed("PUT", "7/f"), seconds)
        assert house.ask("PUT", address, body=b"x").status == status


def test_a_key_belongs_to_its_store(house: House) -> None:
    address = Signatures(b"another store's key").address("/api/2.0/mlflow-artifacts/signed", Signed("PUT", "7/f"), 60)
    assert house.ask("PUT", address, body=b"x").status == 403
    assert house.store.secret("addresses") == house.store.secret("addresses")
    assert len(house.store.secret("addresses")) == 32


@pytest.mark.parametrize("path", ["../f", "7/.uploads%/x", "/etc/passwd", "7/\0"])
def test_even_a_signed_path_is_checked(house: House, path: str) -> None:
    signed = Signatures(house.store.secret("addresses")).address("/api/2.0/mlflow-artifacts/signed", Signed("PUT", path), 60)
    assert house.ask("PUT", signed, body=b"x").status in (400, 404)
    assert files(house) == []


def test_an_address_to_download(house: House) -> None:
    house.ask("PUT", "/api/2.0/mlflow-artifacts/artifacts/7/r/a%20%C3%BC.bin", body=PARTS[0])
    reply = house.ask("GET", "/api/2.0/mlflow-artifacts/presigned/7/r/a%20%C3%BC.bin").json()
    assert (reply["headers"], reply["file_size"]) == ({}, len(PARTS[0]))
    address = urlsplit(reply["url"])
    target = f"{address.path}?{address.query}"
    assert house.ask("GET", target).body == PARTS[0]
    part = house.ask("GET", target, {"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, PARTS[0][10:20])
    assert house.ask("PUT", target, body=b"x").status == 403
    for missing in ("7/r/other", "7/r"):
        assert house.ask("GET", f"/api/2.0/mlflow-artifacts/presigned/{missing}").status == 404


def test_addresses_are_those_under_which_the_client_asked(house: House) -> None:
    house.ask("PUT", "/api/2.0/mlflow-artifacts/artifacts/7/f", body=b"x")
    for headers, base in [
        ({"Host": "localhost:80"}, "http://localhost:80/api/"),
        ({"Host": "localhost", "X-Forwarded-Proto": "https"}, "http://localhost/api/"),  # nobody said that it is a proxy
    ]:
        reply = house.ask("GET", "/api/2.0/mlflow-artifacts/presigned/7/f", headers).json()
        assert reply["url"].startswith(base), reply


def test_addresses_of_runs_and_logged_models(house: House) -> None:
    run_id = house.new_run()
    model = house.call("POST", "logged-models", {"experiment_id": "0", "name": "m"}).json()["model"]["info"]
    for owner in ({"run_id": run_id}, {"model_id": model["model_id"]}):
        reply = house.call("POST", "artifacts/presigned-upload-url", {**owner, "path": "d/f.bin", "expiration": 60}).json()
        address = urlsplit(reply["presigned_url"])
        send(house, f"{address.path}?{address.query}", PARTS[0])
    listed = house.ask("GET", f"/api/2.0/mlflow/logged-models/{model['model_id']}/artifacts/directories").json()
    assert [file["path"] for file in listed["files"]] == ["d"]
    reply = house.call("POST", "artifacts/presigned-download-url", {"run_id": run_id, "path": "d/f.bin"}).json()
    assert reply["file_size"] == len(PARTS[0])
    address = urlsplit(reply["presigned_url"])
    assert house.ask("GET", f"{address.path}?{address.query}").body == PARTS[0]


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("presigned-upload-url", {"path": "f"}, 400),
        ("presigned-upload-url", {"path": "f", "run_id": "$run", "model_id": "m-" + "0" * 32}, 400),
        ("presigned-upload-url", {"path": "", "run_id": "$run"}, 400),
        ("presigned-upload-url", {"path": "../f", "run_id": "$run"}, 400),
        ("presigned-upload-url", {"path": "f", "run_id": "$run", "expiration": 0}, 400),
        ("presigned-upload-url", {"path": "f", "run_id": "$run", "expiration": 604_801}, 400),
        ("presigned-upload-url", {"path": "f", "run_id": "0" * 32}, 404),
        ("presigned-upload-url", {"path": "f", "model_id": "m-" + "0" * 32}, 404),
        ("presigned-download-url", {"path": "missing", "run_id": "$run"}, 404),
        ("presigned-download-url", {"path": "f"}, 400),
    ],
)
def test_addresses_that_are_refused(house: House, path: str, fields: dict[str, object], status: int) -> None:
    body = {name: house.new_run() if value == "$run" else value for name, value in fields.items()}
    assert house.call("POST", f"artifacts/{path}", body).status == status
