"""Outbound calls through a proxy: only if a setting says so, and TLS still ends at the service."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness import (
    ROOT,
    Relay,
    base_environ,
    mapping,
    private_certificate,
    simulated_iem,
    sys_id,
    wait_until,
    write_mapping,
)

from relay.http.caller import Caller, Reply
from relay.http.proxies import proxy_of_environment
from relay.simulators.server import SimulatorServer
from relay.store.connection import Connection

PASSWORD = "pr0xy-s3cret"


@dataclass
class Proxy:
    """A proxy with one user that implements only CONNECT (RFC 9110 section 9.3.6)."""

    answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    drips: bool = False
    heads: list[str] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    open_ones: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"http://clerk:{PASSWORD}@127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        """Serve connections one after another until the listener is closed."""
        while True:
            try:
                client = self.open_ones.enter_context(self.listener.accept()[0])
            except OSError:
                return
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client: socket.socket) -> None:
        """Serve a client."""
        with suppress(OSError), client.makefile("rb", buffering=0) as file:
            lines = list(iter(file.readline, b"\r\n"))
            self.heads.append(b"".join(lines).decode())
            while self.drips:
                client.send(b"H")
                time.sleep(0.05)
            client.sendall(self.answer)
            if b" 200 " in self.answer:
                host, _, port = self.heads[-1].split()[1].partition(":")
                server = self.open_ones.enter_context(socket.create_connection((host, int(port))))
                threading.Thread(target=pump, args=(server, client), daemon=True).start()
                pump(client, server)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copy data until the end."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    threading.Thread(target=made.serve, daemon=True).start()
    yield made
    made.listener.shutdown(socket.SHUT_RDWR)
    made.listener.close()
    made.open_ones.close()


@dataclass(frozen=True)
class SecureIem:
    """A simulated IEM with a certificate of a private CA."""

    server: SimulatorServer
    port: int
    certificate: str

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@pytest.fixture
def iem(tmp_path: Path) -> Iterator[SecureIem]:
    key, certificate = private_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with simulated_iem() as server, ExitStack() as stack:
        front = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=terminate_tls, args=(front, context, server, stack), daemon=True).start()
        yield SecureIem(server, front.getsockname()[1], str(certificate))


def terminate_tls(front: socket.socket, context: ssl.SSLContext, server: SimulatorServer, stack: ExitStack) -> None:
    """Forward connections to the simulator, as a load balancer with a certificate does."""
    port = int(server.url.rsplit(":", 1)[1])
    while True:
        try:
            client = stack.enter_context(context.wrap_socket(front.accept()[0], server_side=True))
        except ssl.SSLError:
            continue
        except OSError:
            return
        back = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        threading.Thread(target=pump, args=(client, back), daemon=True).start()
        threading.Thread(target=pump, args=(back, client), daemon=True).start()


def call(iem: SecureIem, proxy: str | None, timeout: float = 5) -> Reply:
    caller = Caller(iem.url, ca_file=iem.certificate, connections=1, proxy=proxy)
    try:
        return caller.exchange("POST", "/token/generate", headers={}, body=b"{}", timeout=timeout)
    finally:
        caller.close()


def test_tls_ends_at_the_service_and_only_the_proxy_gets_its_password(iem: SecureIem, proxy: Proxy) -> None:
    reply = call(iem, proxy.url)

    assert reply.status is not None
    assert [head.splitlines()[0] for head in proxy.heads] == [f"CONNECT 127.0.0.1:{iem.port} HTTP/1.0"]
    assert "proxy-authorization: basic " in proxy.heads[0].lower()
    assert not any(
        "proxy" in name.lower() for exchange in iem.server.request_log.exchanges for name in exchange.headers
    )


def test_a_refusal_by_the_proxy_is_in_the_reply(iem: SecureIem, proxy: Proxy) -> None:
    proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"

    assert call(iem, proxy.url) == Reply(None, fault="ProxyError: the proxy refused with HTTP 407")


def test_a_proxy_that_drips_cannot_exceed_the_deadline(iem: SecureIem, proxy: Proxy) -> None:
    proxy.drips = True
    began = time.monotonic()

    assert call(iem, proxy.url, timeout=0.5).status is None
    assert time.monotonic() - began < 2


def test_a_proxy_in_the_environment_is_ignored_by_default(
    iem: SecureIem, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)

    assert call(iem, None).status is not None
    assert proxy.heads == []


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://iem.example.com", "http://proxy:3128"),
        ("https://iem.inside.example.com", None),
        ("https://10.1.2.3:8443", None),
        ("http://127.0.0.1:8080", None),
    ],
)
def test_the_environment_names_a_proxy_for_some_urls(
    url: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "proxy:3128")
    monkeypatch.setenv("http_proxy", "proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example.com,10.0.0.0/8")

    assert proxy_of_environment(url) == found


@pytest.mark.parametrize("proxies", ["environment", "none"])
def test_the_setting_uses_the_proxy_of_the_environment(
    iem: SecureIem, proxy: Proxy, tmp_path: Path, redis: Connection, redis_url: str, proxies: str
) -> None:
    relay = Relay(tmp_path, redis_url)
    relay.environ |= {"RELAY_PROXIES": proxies, "https_proxy": proxy.url, "no_proxy": "", "PYTHONPATH": str(ROOT)}
    write_mapping(relay.mappings, "acme", mapping(iem.url, iem={"ca_file": iem.certificate}))
    relay.start_web(processes=1)
    worker = relay.start_worker()
    try:
        delivery = relay.post({"sys_id": sys_id(1), "state": "6"}).json()["delivery_id"]
        wait_until(lambda: relay.delivery_status(delivery) == "delivered", "it is delivered")
    finally:
        relay.stop()
    environ = {**base_environ(), "RELAY_REDIS_URL": redis_url, "RELAY_MAPPINGS": str(relay.mappings), **relay.environ}
    command = [sys.executable, "-m", "relay", "iem", "ping", "acme"]
    ping = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)

    assert ping.returncode == 0, ping.stdout + ping.stderr
    assert ("through the proxy 127.0.0.1:" in ping.stdout) == (proxies == "environment")
    assert bool(proxy.heads) == (proxies == "environment")
    assert PASSWORD not in ping.stdout + ping.stderr + worker.log
