"""The additions of `relay up --demo`: a simulated IEM and Virima, a demo integration, and one resolution shown step by step."""

from __future__ import annotations

import json
import secrets
import shlex
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from relay.cli.supervisor import say
from relay.simulators.iem_access import ApiUser, Installation
from relay.simulators.request_log import Exchange
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem
from relay.simulators.simulated_virima import SimulatedVirima
from relay.simulators.virima_people import Person

_SENDER, _API_USER, _RESOLVER = "servicenow", "relay@example.com", "ann@example.com"
_MAPPING = """\
# The mapping file of the demo. Each `relay up --demo` writes it again. See mappings/ for other examples.
source: servicenow
description: the demo
auth:
  - type: basic
    username: servicenow
    password: {env: DEMO_WEBHOOK_PASSWORD}
iem:
  url: {env: DEMO_IEM_URL}
  customer_id: DEMO
  integration_id: "1"
  username: relay@example.com
  password: {env: DEMO_IEM_PASSWORD}
virima:
  url: {env: DEMO_VIRIMA_URL}
  username: relay@example.com
  password: {env: DEMO_VIRIMA_PASSWORD}
  lookup: impersonate
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo's simulators, and the environment that the relay's processes need."""

    iem: SimulatorServer
    virima: SimulatorServer
    environ: dict[str, str]
    mappings: Path


def start_demo(folder: Path) -> Demo:
    """Start the simulators on free ports, and write the mapping file of the demo to `folder`."""
    password = secrets.token_hex(8)
    user = ApiUser(_API_USER, password, frozenset({"DEMO"}))
    iem = SimulatorServer(SimulatedIem(Installation((user,), {"DEMO": True}, frozenset({"1"})))).start()
    account = Person(_API_USER, "Relay Service Account", password, service=True)
    people = SimulatedVirima([account, Person(_RESOLVER, "Ann Example")])
    virima = SimulatorServer(people).start()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "demo.yaml").write_text(_MAPPING, "utf-8")
    environ = {
        "DEMO_WEBHOOK_PASSWORD": secrets.token_hex(8),
        "DEMO_IEM_URL": iem.url,
        "DEMO_IEM_PASSWORD": password,
        "DEMO_VIRIMA_URL": virima.url + people.base_path,
        "DEMO_VIRIMA_PASSWORD": password,
        "RELAY_MAPPINGS": str(folder),
    }
    return Demo(iem, virima, environ, folder)


def make_incident() -> dict[str, str]:
    """Return a resolved incident as a ServiceNow business rule sends it."""
    return {
        "sys_id": secrets.token_hex(16),
        "number": f"INC{secrets.randbelow(10**7):07d}",
        "sys_class_name": "incident",
        "state": "6",
        "sys_mod_count": "7",
        "sys_updated_on": "2026-11-22 10:20:30",
        "resolved_by": _RESOLVER,
        "short_description": "Disk full on db01",
    }


def run_demo(demo: Demo, base_url: str, wait_for: Callable[[Callable[[], bool]], bool]) -> bool:
    """Send one resolution to the relay at `base_url` and print each step. Returns whether IEM answered Success."""
    url = f"{base_url}/webhooks/demo"
    password = demo.environ["DEMO_WEBHOOK_PASSWORD"]
    credentials = b64encode(f"{_SENDER}:{password}".encode()).decode()
    incident = make_incident()
    say("demo", f"ServiceNow resolves {incident['number']} and posts it to {url}")
    answer = _request(url, credentials, incident)
    delivery = answer["delivery_id"]
    say("demo", f"1 accepted   stored, then answered: {json.dumps(answer)}")
    say("demo", f"2 mapped     by {demo.mappings / 'demo.yaml'}: ServiceNow state 6 (Resolved) maps to IEM state 6")

    def is_delivered() -> bool:
        pushed = demo.iem.request_log.count("/gbp/push/", 200) > 0
        return pushed and _request(f"{url}/deliveries/{delivery}", credentials)["delivery_status"] == "delivered"

    if not wait_for(is_delivered):
        say("demo", "  IEM did not answer Success: the log lines of the worker above show the reason")
        return False
    _print_requests(demo, incident["sys_id"])
    say("demo", f"5 delivered  the sender can ask for the status: GET {url}/deliveries/{delivery}")
    if wait_for(lambda: bool(_lookups(demo))):
        lookup = _lookups(demo)[0]
        say(
            "demo",
            f"6 resolver   looked up in Virima for the audit trail: {lookup.method} {lookup.target} → {lookup.status}",
        )
    body = json.dumps({**make_incident(), "resolved_by": _RESOLVER})
    say("demo", "Send another resolution:")
    say("demo", f"  curl -u {_SENDER}:{password} {url} -H 'Content-Type: application/json' -d {shlex.quote(body)}")
    say(
        "demo",
        f'Make IEM fail three times:  curl {demo.iem.url}/_simulator/faults -d \'{{"status": 503, "count": 3}}\'',
    )
    say("demo", f"Requests to IEM:  curl {demo.iem.url}/_simulator/requests    Health:  curl {base_url}/readyz")
    return True


def _print_requests(demo: Demo, sys_id: str) -> None:
    exchanges = demo.iem.request_log.exchanges
    token = next(exchange for exchange in exchanges if exchange.target.startswith("/api/v1/user/token"))
    pushes = (exchange for exchange in exchanges if exchange.target.startswith("/gbp/push/"))
    push = next(exchange for exchange in pushes if sys_id in str(exchange.body))
    say("demo", f"3 token      fetched once for all processes: {token.method} {token.target} → {token.status}")
    body = json.dumps({"state": 6, "sysid": sys_id}, separators=(",", ":"))
    say("demo", f"4 pushed     {push.method} {push.target} {body} → {push.status} Success")


def _lookups(demo: Demo) -> list[Exchange]:
    exchanges = demo.virima.request_log.exchanges
    return [exchange for exchange in exchanges if exchange.target.endswith("dologin-impersonate")]


def _request(url: str, credentials: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, headers), timeout=10) as answer:  # noqa: S310 - http on loopback  # nosec B310
        content: dict[str, Any] = json.load(answer)
        return content
