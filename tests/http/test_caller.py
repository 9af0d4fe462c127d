"""HTTP exchanges: the caller's cookies, methods, sizes, TLS."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from harness import private_certificate

from relay.http.caller import MAX_ANSWER, Caller, Reply
from relay.http.cookies import SessionCookies


class _Echo(BaseHTTPRequestHandler):
    """Records its requests, and sets the cookie in `X-Set`."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str, str | None, bytes]] = []  # noqa: RUF012 - emptied by the fixture

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.command, self.path, self.headers["Cookie"], body))
        body = gzip.compress(b'{"ok": "' + b"x" * int(self.headers.get("X-Size", 0)) + b'"}')
        self.send_response(int(self.headers.get("X-Status", 200)))
        for name in ("X-Set", "X-Retry"):
            if value := self.headers[name]:
                self.send_header({"X-Set": "Set-Cookie", "X-Retry": "Retry-After"}[name], value)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the base class looks for

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A server on a free port."""
    _Echo.asked.clear()
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def caller(server: ThreadingHTTPServer) -> Iterator[Caller]:
    """A caller of the server."""
    made = Caller(f"http://127.0.0.1:{server.server_port}/base/", ca_file=None, connections=2)
    yield made
    made.close()


def call(
    caller: Caller, *, cookies: SessionCookies | None = None, keep_in: SessionCookies | None = None, **headers: str
) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.exchange("GET", "/a", headers=sent, body=None, timeout=2, cookies=cookies, keep_in=keep_in)


def test_get_and_post_use_paths_below_the_base_url(caller: Caller) -> None:
    call(caller)
    caller.exchange("POST", "/b", headers={}, body=b"{}", timeout=2)

    assert _Echo.asked == [("GET", "/base/a", None, b""), ("POST", "/base/b", None, b"{}")]


def test_cookies_are_not_kept_by_default(caller: Caller) -> None:
    call(caller, X_Set="a=1; Path=/")
    call(caller)

    assert [cookie for _, _, cookie, _ in _Echo.asked] == [None, None]


def test_cookies_of_one_session_are_sent_and_of_another_are_stored(caller: Caller) -> None:
    first, second = SessionCookies(), SessionCookies()
    call(caller, keep_in=first, X_Set="a=1; Path=/")
    call(caller, cookies=first, keep_in=second, X_Set="b=2; Path=/")
    call(caller, cookies=first)
    call(caller, cookies=second)

    assert [cookie for _, _, cookie, _ in _Echo.asked] == [None, "a=1", "a=1", "b=2"]
    assert (repr(first), repr(second)) == ("SessionCookies(1 cookies)", "SessionCookies(1 cookies)")


def test_an_expired_cookie_is_no_longer_sent(caller: Caller) -> None:
    cookies = SessionCookies()
    call(caller, keep_in=cookies, X_Set="a=1; Path=/")
    assert caller.has_cookies_for("/a", cookies)

    call(caller, cookies=cookies, keep_in=cookies, X_Set="a=; Path=/; Max-Age=0")

    assert not caller.has_cookies_for("/a", cookies)


def test_cookies_of_a_refusal_are_stored_too(caller: Caller) -> None:
    cookies = SessionCookies()

    assert call(caller, keep_in=cookies, X_Set="a=1; Path=/", X_Status="500").status == 500
    assert caller.has_cookies_for("/a", cookies)


def test_cookies_of_another_session_are_removed(caller: Caller) -> None:
    first, second = SessionCookies(), SessionCookies()
    for cookies, values in ((first, ("a=1", "b=1")), (second, ("a=1", "b=2", "c=3"))):
        for value in values:
            call(caller, keep_in=cookies, X_Set=f"{value}; Path=/")

    second.drop_those_of(first)
    call(caller, cookies=second)

    assert _Echo.asked[-1][2] == "b=2; c=3"


def test_an_answer_that_decompresses_to_too_much_is_refused(caller: Caller) -> None:
    assert call(caller, X_Size=str(MAX_ANSWER)) == Reply(200, fault="an answer of more than 1 MiB")
    assert call(caller, X_Size="9") == Reply(200, {"ok": "x" * 9})


def test_retry_after_is_in_the_reply(caller: Caller) -> None:
    assert call(caller, X_Status="503", X_Retry="7").retry_after == 7


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_before_1_2_is_refused(server: ThreadingHTTPServer, tmp_path: Path, version: ssl.TLSVersion) -> None:
    key, certificate = private_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    server.socket = context.wrap_socket(server.socket, server_side=True)
    anything = ssl.create_default_context(cafile=str(certificate))
    anything.set_ciphers("ALL:@SECLEVEL=0")
    anything.minimum_version = ssl.TLSVersion.TLSv1_1
    caller = Caller(f"https://127.0.0.1:{server.server_port}", ca_file=str(certificate), connections=1)

    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        spoken = anything.wrap_socket(connection, server_hostname="127.0.0.1")
        assert spoken.version() == version.name.replace("_", "."), "who takes anything is served"
        spoken.close()
    reply = call(caller)
    caller.close()

    if version >= ssl.TLSVersion.TLSv1_2:
        assert reply.status == 200
    else:
        assert "SSL" in (reply.fault or "")


@pytest.mark.parametrize("trusts", [True, False])
def test_a_private_ca_is_trusted_only_with_its_file(
    server: ThreadingHTTPServer, tmp_path: Path, *, trusts: bool
) -> None:
    key, certificate = private_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://127.0.0.1:{server.server_port}"
    caller = Caller(url, ca_file=str(certificate) if trusts else None, connections=1)

    reply = call(caller)

    assert reply.status == (200 if trusts else None)
    assert trusts or "SSL" in (reply.fault or "")
    caller.close()


def test_data_after_an_answer_is_not_the_next_answer(tmp_path: Path) -> None:
    key, certificate = private_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    own, stale = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + body for body in (b'{"own": true}', b'{"own":false}')
    )

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                    connection.recv(1 << 16)
                    # In one TLS record; the first read ends before `stale`.
                    connection.sendall(own.ljust(8192) + stale)
                    while connection.recv(1 << 16):
                        connection.sendall(own)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        caller = Caller(f"https://127.0.0.1:{listener.getsockname()[1]}", ca_file=str(certificate), connections=1)
        found = [call(caller).content for _ in range(3)]
        caller.close()
        listener.shutdown(socket.SHUT_RDWR)

    assert found == [{"own": True}] * 3
