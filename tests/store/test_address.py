"""RELAY_REDIS_URL: a valid address can be called; an invalid one is reported without its password."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.errors import ConfigurationError, StoreUnavailableError
from relay.store.address import MultiHostAddress, read_address
from relay.store.connection import Connection

PASSWORD = "pa55-word"
SCHEMES = st.sampled_from(
    ["redis://", "rediss://", "unix://", "redis+sentinel://", "redis+cluster://", "redis:", "http://", ""]
)
USERS = st.sampled_from(
    ["", "", f":{PASSWORD}@", f"relay:{PASSWORD}@", f":{PASSWORD}/x@", f":{PASSWORD}#@", f"{PASSWORD}:a:b@", "@@"]
)
#: No server listens on port 1, and no name has to be resolved.
HOSTS = st.sampled_from(
    ["127.0.0.1:1", "127.0.0.1:1,127.0.0.1:1", "[::1]:1", "127.0.0.1:abc", "127.0.0.1:99999", "127.0.0.1:-1", "[::1:1", ",", ":1",
     "127.0.0.1:１", "127.0.0.1:" + "9" * 5_000, "127.0.0.1:1:1", "/nowhere.sock"]
)  # fmt: skip
ENDS = st.sampled_from(
    ["", "/", "/0", "/99", "/x", "/-1", "/main/2", "/main/x", "/main/" + "9" * 5_000, "?db=a", "?db=1", "?socket_timeout=x",
     f"?password={PASSWORD}", f"?unknown={PASSWORD}", "?health_check_interval=x", "?ssl_cert_reqs=x", "?max_connections=x",
     "\x00", "#"]
)  # fmt: skip
URLS = st.tuples(SCHEMES, USERS, HOSTS, ENDS).map("".join)


@settings(max_examples=examples(200), deadline=None)
@given(URLS | st.text(st.characters(), max_size=40).map("redis://{}".format))
def test_an_invalid_address_is_reported_without_its_password(url: str) -> None:
    try:
        read_address(url)
    except ConfigurationError as error:
        problem = str(error)
    else:
        problem = ""

    assert PASSWORD not in problem
    assert not problem or problem.startswith(
        "RELAY_REDIS_URL: invalid Redis address: expected a host, then a port up to 65535"
    )


@settings(deadline=None)
@given(URLS.filter(lambda url: "cluster" not in url))
def test_a_valid_address_without_a_server_is_only_unavailable(url: str) -> None:
    try:
        connection = Connection(url, timeout=0.2, connect_timeout=0.2)
    except ConfigurationError:
        return

    with pytest.raises(StoreUnavailableError) as raised:
        connection.call("PING")

    assert PASSWORD not in str(raised.value)
    connection.close()


@given(
    st.sampled_from(["sentinel", "cluster"]),
    st.lists(
        st.tuples(st.sampled_from(["a.example", "127.0.0.1", "::1"]), st.integers(1, 65535)), min_size=1, max_size=3
    ),
    st.integers(0, 99),
)
def test_all_hosts_of_an_address_are_read(kind: str, hosts: list[tuple[str, int]], database: int) -> None:
    written = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in hosts)

    address = read_address(f"redis+{kind}://relay:p%40ss@{written}/main/{database}")

    assert address == MultiHostAddress(kind, tuple(hosts), "relay", "p@ss", "main", database)  # type: ignore[arg-type] # one of the two
    assert "p@ss" not in repr(address)
