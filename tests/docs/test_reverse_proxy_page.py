"""docs/operating/reverse-proxy.md lists the health checks, the probes and the limits of the web server."""

from __future__ import annotations

import re

from docs.markdown import code, read_text, section, tables

from relay.web.openapi.health_operations import ChecksSchema
from relay.web.openapi.openapi_document import make_document

PAGE = "docs/operating/reverse-proxy.md"
HEALTH = "Health checks for a load balancer"


def test_every_health_check_is_documented_and_no_other() -> None:
    (checks,) = [table for table in tables(section(HEALTH, PAGE)) if table.header[0] == "check"]

    assert [code(row[0])[0] for row in checks.rows] == list(ChecksSchema().fields)


def test_the_probes_exist() -> None:
    (probes,) = [table for table in tables(section(HEALTH, PAGE)) if table.header[0] == "purpose"]
    named = {path for row in probes.rows for path in re.findall(r"/\w+", row[1])}

    assert named == {"/livez", "/readyz", "/healthz"}
    assert named <= set(make_document()["paths"])


def test_the_limits_are_those_of_gunicorn() -> None:
    (limits,) = tables(section("Limits of the web server", PAGE))
    shown = {row[0]: [int(number) for number in re.findall(r"\d+", row[1].replace(",", ""))] for row in limits.rows}
    settings = dict(re.findall(r"^(limit_\w+) = (\d+)$", read_text("relay/web/gunicorn_conf.py"), re.MULTILINE))

    assert shown["request line"] == [int(settings["limit_request_line"])]
    assert shown["header fields"] == [
        int(settings["limit_request_fields"]),
        int(settings["limit_request_field_size"]),
    ]
