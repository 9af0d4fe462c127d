"""docs/operating/operator-api.md lists every call of the operator API, and its curl commands work."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import requests
from docs.markdown import blocks, code, read_text, section, tables
from harness import SYS_ID, Relay, mapping, wait_until, write_mapping

from relay.core.outcomes import Dead
from relay.core.reasons import Reason
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.settlements import Settlement
from relay.web.openapi.openapi_document import make_document

PAGE = "docs/operating/operator-api.md"
TOKEN = "operator-token"
#: IEM is never called.
IEM = "http://127.0.0.1:9"
NUMBERS = count(1)


def commands() -> list[str]:
    """Return the curl commands of the page, in order."""
    text = "".join(block.text for block in blocks(read_text(PAGE)) if block.language == "sh").replace("\\\n", "")
    return [line for line in text.splitlines() if line.startswith("curl ")]


@pytest.fixture(scope="module")
def running_web(redis_url: str) -> Iterator[Relay]:
    with tempfile.TemporaryDirectory(prefix="relay-docs-") as folder:
        environ = {"RELAY_ADMIN_TOKEN": TOKEN, "RELAY_RELOAD_INTERVAL": "100ms"}
        relay = Relay(Path(folder), redis_url, environ)
        write_mapping(relay.mappings, "acme", mapping(IEM))
        relay.start_web(processes=1)
        yield relay
        relay.stop()


def call(line: str, replacements: dict[str, str]) -> requests.Response:
    """Send the request that a curl command sends."""
    for name, value in replacements.items():
        line = line.replace(name, value)
    words = iter(shlex.split(line.partition(" > ")[0])[1:])
    method, headers, url, body = "GET", {}, "", None
    for word in words:
        match word:
            case "-s":
                continue
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-X":
                method = next(words)
            case "-d":
                method, body = "POST", next(words)
            case _:
                url = word
    return requests.request(method, url, headers=headers, data=body, timeout=10)


def dead_letter(web: Relay, redis: Connection) -> str:
    """Return the id of a delivery that IEM refused."""
    delivery_id: str = web.post({"sys_id": SYS_ID, "state": "6"}).json()["delivery_id"]
    queue, now = DeliveryQueue(redis, "acme", retention=86400), 2_000_000_000_000
    [assignment] = queue.take("a test", 1, lease=1000, config="c", now=now).assignments
    queue.settle([Settlement(assignment, Dead(Reason.REFUSED), at=now, status=400)], now=now)
    return delivery_id


def rejection(web: Relay) -> str:
    """Return the id of a rejection that the mapping file, corrected since, accepts."""
    name, payload = f"corrected-{next(NUMBERS)}", {"sys_id": SYS_ID, "status": "6"}
    write_mapping(web.mappings, name, mapping(IEM))
    wait_until(lambda: web.post(payload, name=name).status_code == 422, "the mapping file is loaded")
    rejection_id: str = web.post(payload, name=name).json()["rejection_id"]
    write_mapping(web.mappings, name, mapping(IEM, fields={"state": "status"}))
    ignored = {**payload, "status": "2"}
    wait_until(lambda: web.post(ignored, name=name).status_code == 200, "the corrected mapping file is loaded")
    return rejection_id


@pytest.mark.parametrize("line", commands())
def test_a_curl_command_works(web: Relay, redis: Connection, line: str) -> None:
    replacements = {"$RELAY": web.url, "$AUTH": f"Authorization: Bearer {TOKEN}"}
    if "DELIVERY_ID" in line:
        replacements["DELIVERY_ID"] = dead_letter(web, redis)
    if "REJECTION_ID" in line:
        replacements["REJECTION_ID"] = rejection(web)
    if line.count("/resume"):
        call('curl -X POST -H "$AUTH" "$RELAY/api/v1/integrations/acme/park"', replacements)

    answer = call(line, replacements)

    assert answer.status_code in {200, 202}, answer.text


def documented_calls() -> set[str]:
    (table,) = tables(section("Calls", PAGE))
    return {code(row[0])[0] for row in table.rows}


def test_the_table_lists_every_call_and_no_other() -> None:
    operations = {
        (method.upper(), path.removeprefix("/api/v1/"))
        for path, item in make_document()["paths"].items()
        for method in item.keys() & {"get", "post"}
        if path.startswith("/api/v1/")
    }

    names = re.compile(r"{(?:[a-z]+_)?(name|id)}")
    assert documented_calls() == {f"{method} {names.sub(_in_brackets, path)}" for method, path in operations}


def _in_brackets(parameter: re.Match[str]) -> str:
    return f"<{parameter[1]}>"


def test_every_call_has_an_example() -> None:
    assert documented_calls() <= {shape_of(line) for line in commands()}


def shape_of(line: str) -> str:
    """Return the call of a curl command as the table writes it."""
    method = "POST" if " -X POST " in line or " -d " in line else "GET"
    (path,) = re.findall(r"/api/v1/([\w/-]+)", line) or [""]
    path = path.replace("integrations/acme", "integrations/<name>")
    return f"{method} {re.sub(r'(DELIVERY|REJECTION)_ID', '<id>', path)}"
