"""Addresses that a server must not be talked into asking (CVE-2026-2393, CVE-2026-64849 and their relatives)."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.receiver import receiving

from runlore.exceptions import InvalidParameter
from runlore.server import outbound
from runlore.server.outbound import Outbound, Refused, Unreachable, networks_of

PRIVATE = [
    "127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.192", "168.63.129.16",
    "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fd12:3456::1]", "[fec0::1]", "[ff02::1]",
    "[2001:db8::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[::7f00:1]",
    "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::7f00:1]", "[100::1]",
]  # fmt: skip
OTHER_SPELLINGS = [
    "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7F.1", "0177.0.0.1", "017700000001", "127.0.0.01",
    "127.0.0.1.", "0", "00.0.0.0", "169.254.43518", "0xa9fea9fe", "1.2.3", "example.0x1", "example.1", "[0:0:0:0:0:0:0:1]",
    "[::1%25lo]", "[fe80::1%25eth0]", "[::FFFF:127.0.0.1]", "[0000::1]", "[v1.x]", "[::1", "\u2460\u2461\u2466.0.0.1",
    "127\u30020\u30020\u30021", "localhost\\@example.com", "exam ple.com", "example.com\t", "example.com\r\nHost: x",
    "ex\u00adample.com", "",
]  # fmt: skip
URLS = [
    "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "//example.com/x",
    "example.com", "https:example.com", "https:/example.com", "https://user@example.com/",
    "https://user:password@example.com/", "https://example.com@127.0.0.1/", "https://example.com:0/",
    "https://example.com:99999/", "https://example.com:x/", "https://[::1]x/", "javascript:alert(1)", "https://localhost/",
    "https://LOCALHOST/", "https://a.localhost/",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE + OTHER_SPELLINGS)
def test_addresses_that_are_not_public_are_refused(host: str) -> None:
    for way in (Outbound().check, lambda url: Outbound().post(url, {}, b"{}")):
        with pytest.raises(Refused):
            way(f"https://{host}/hook")


@pytest.mark.parametrize("url", URLS)
def test_urls_that_are_not_plain_are_refused(url: str) -> None:
    with pytest.raises(Refused):
        Outbound().check(url)


@pytest.mark.parametrize(
    "host", ["example.com", "8.8.8.8", "[2606:4700::1111]", "example.com:8443", "a-b.example.co.uk", "x1.example"]
)
def test_public_places_are_allowed(host: str) -> None:
    Outbound().check(f"https://{host}/hook?token=x")


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """The network's answer to a name, which an attacker may choose."""

    def answer(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(outbound.socket, "getaddrinfo", answer)


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("::ffff:10.0.0.1",), ("fe80::1%2",)])
def test_names_that_stand_for_private_addresses_are_refused(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    resolving(monkeypatch, *addresses)
    with pytest.raises(Refused):
        Outbound().post("https://rebinding.example.com/hook", {}, b"{}")


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is resolved twice may stand for two addresses."""
    asked: list[str] = []
    with receiving() as receiver:
        port = int(receiver.url.split(":")[2].split("/")[0])
        real = socket.getaddrinfo

        def answer(host: str, *rest: Any, **named: Any) -> Any:
            asked.append(host)
            return real("127.0.0.1", *rest, **named) if host == "name.example" else real(host, *rest, **named)

        monkeypatch.setattr(outbound.socket, "getaddrinfo", answer)
        assert Outbound(networks_of(["127.0.0.1"])).post(f"http://name.example:{port}/x", {}, b"{}").status == 200
        assert asked.count("name.example") == 1
        assert receiver.received[0].headers["Host"] == f"name.example:{port}"


def test_what_the_operator_allows_is_that_and_no_more() -> None:
    some = Outbound(networks_of(["10.1.0.0/16, 127.0.0.1", "fd00::/8"]))
    for url in (
        "http://10.1.2.3/",
        "https://10.1.2.3/",
        "http://127.0.0.1:80/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fd00::1]/",
    ):
        some.check(url)
    for url in ("http://10.2.0.1/", "https://127.0.0.2/", "http://8.8.8.8/", "https://[::1]/"):
        with pytest.raises(Refused):
            some.check(url)
    for text in ("10.0.0.1/8", "localhost", "x"):
        with pytest.raises(InvalidParameter):
            networks_of([text])


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver, receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/hook"))
        assert Outbound(networks_of(["127.0.0.1"])).post(receiver.url, {}, b"{}").status == 200
        assert (len(receiver.received), proxy.received) == (1, [])


def test_an_answer_that_trickles_in_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, but there are too many of them."""
    monkeypatch.setattr(outbound, "ANSWER_SECONDS", 0.5)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 2")
                    while not over.wait(0.05):
                        connection.sendall(b"x")
                except OSError:
                    pass

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(Unreachable):
            Outbound(networks_of(["127.0.0.1"])).post(f"http://127.0.0.1:{listener.getsockname()[1]}/", {}, b"{}")
        over.set()
        thread.join()


def test_what_is_found_at_an_address_is_not_told() -> None:
    """Nobody learns by a webhook whether a port is open, nor what speaks there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def speak() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"220 internal-mail.corp ESMTP\r\n")
            connection.close()

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(Unreachable) as told:
            Outbound(networks_of(["127.0.0.1"])).post(f"http://127.0.0.1:{port}/", {}, b"{}")
        thread.join()
    assert "internal-mail" not in told.value.reason


def test_every_special_network_is_known() -> None:
    for text in PRIVATE:
        address = ipaddress.ip_address(text.strip("[]"))
        assert not outbound._is_public(outbound._unwrapped(address)), text


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for `localhost` that nobody vouches for, with its key."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl is not installed")
    place = tmp_path / "certificate.pem"
    made = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(place),
        "-out",
        f"{place}.crt",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([openssl, "req", "-x509", *made, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    place.write_text(place.read_text() + Path(f"{place}.crt").read_text())
    return place


def test_https_is_asked_of_those_who_can_prove_their_name(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with receiving(context) as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        with pytest.raises(Unreachable, match="certificate of localhost is not valid"):
            Outbound(networks_of(["127.0.0.1", "::1"])).post(f"https://localhost:{port}/", {}, b"{}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert Outbound(networks_of(["127.0.0.1", "::1"])).post(f"https://localhost:{port}/", {}, b"{}").status == 200
        with pytest.raises(Unreachable, match="not valid"):
            Outbound(networks_of(["127.0.0.1"])).post(f"https://127.0.0.1:{port}/", {}, b"{}")
    assert len(receiver.received) == 1
