"""`relay doctor` and `relay healthcheck`, with real Redis, web and workers, and simulated IEM and Virima."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Result, run_relay
from harness import (
    IEM_PASSWORD,
    RedisServer,
    Relay,
    base_environ,
    mapping,
    private_certificate,
    simulated_iem,
    wait_until,
    write_mapping,
)
from virima.site import SERVICE

from relay.clock import now_ms
from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_virima import SimulatedVirima
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats
from relay.store.keys import key

SECRETS = (IEM_PASSWORD, SERVICE.password, "not-the-one", "sn-secret-pw", "admin-token-1")
Doctor = Callable[..., Result]


@pytest.fixture
def virima() -> Iterator[SimulatorServer]:
    """A simulated Virima."""
    with SimulatorServer(SimulatedVirima([SERVICE])) as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of mapping files."""
    return tmp_path / "mappings"


@pytest.fixture
def doctor(tmp_path: Path, folder: Path, redis_url: str, redis: Connection) -> Doctor:
    """A function that runs `relay doctor` while a worker sends heartbeats; keywords are added to its environment."""
    Heartbeats(redis).beat("a-worker-1-x", now_ms())

    def run(*arguments: str, **environ: str) -> Result:
        journal = tmp_path / "journal"
        journal.mkdir(exist_ok=True)
        settings = {
            "RELAY_REDIS_URL": redis_url,
            "RELAY_BIND": "127.0.0.1:9",
            "RELAY_MAPPINGS": str(folder),
            "RELAY_JOURNAL": str(journal),
            "RELAY_JOURNAL_MAX": "4MiB",
            "RELAY_ADMIN_TOKEN": "admin-token-1",
            "RELAY_AUDIT_KEY": "audit-key-1",
            "VIRIMA_PASSWORD": SERVICE.password,
            "WRONG_PASSWORD": "not-the-one",
        }
        result = run_relay("doctor", *arguments, environ={**base_environ(), **settings, **environ})
        assert "Traceback" not in result.stderr
        assert [secret for secret in SECRETS if secret in result.stdout + result.stderr] == []
        return result

    return run


def lines_of(result: Result, subject: str) -> list[str]:
    """Return the lines about a subject."""
    return [line for line in result.stdout.splitlines() if line[6:].startswith(f"{subject}:")]


def virima_block(server: SimulatorServer, **changes: Any) -> dict[str, Any]:
    block = {"url": f"{server.url}/www_em/", "username": SERVICE.email, "password": {"env": "VIRIMA_PASSWORD"}}
    return {**block, "lookup": "impersonate", "timeout": "2s", **changes}


def test_a_healthy_relay_passes_every_check_and_pushes_nothing(
    doctor: Doctor, folder: Path, iem: SimulatorServer, virima: SimulatorServer
) -> None:
    write_mapping(folder, "acme", mapping(iem.url, virima=virima_block(virima)))

    result = doctor()

    assert result.returncode == 0, result.stdout
    states = {line[6:].split(":")[0]: line[:4].strip() for line in result.stdout.splitlines()[:-1]}
    assert states == {
        "settings": "ok",
        "journal": "ok",
        "redis": "ok",
        "workers": "ok",
        "web": "warn",  # web is not running
        "deliveries acme": "ok",
        "mapping acme": "ok",
        "iem acme": "ok",
        "clock acme": "ok",
        "virima acme": "ok",
    }
    assert result.stdout.splitlines()[-1] == "0 failed, 1 warning, 9 passed"
    assert (iem.request_log.arrived, iem.request_log.count("/api/v1/user/token")) == (1, 1)
    assert isinstance(virima.service, SimulatedVirima)
    assert virima.service.sessions == {}


def test_a_shared_account_is_tried_once(doctor: Doctor, folder: Path, iem: SimulatorServer) -> None:
    wrong = {"password": {"env": "WRONG_PASSWORD"}}
    for name in ("acme", "globex"):
        write_mapping(folder, name, mapping(iem.url, iem=wrong))

    result = doctor()

    assert result.returncode == 1
    [line] = lines_of(result, "iem acme, globex")
    assert line.startswith("fail")
    assert "wrong_credentials (HTTP 401) → check iem.username and iem.password" in line
    assert iem.request_log.count("/api/v1/user/token") == 1


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("https://iem.invalid", "the name iem.invalid cannot be resolved"),
        ("http://127.0.0.1:9", "127.0.0.1:9 accepts no connection: Connection refused"),
        ("https://127.0.0.1:{port}", "127.0.0.1 does not speak TLS"),
    ],
)
def test_the_failing_connection_step_is_reported(
    doctor: Doctor, folder: Path, iem: SimulatorServer, url: str, sentence: str
) -> None:
    write_mapping(folder, "acme", mapping(url.format(port=iem.port)))

    result = doctor()

    [line] = lines_of(result, "iem acme")
    assert result.returncode == 1
    assert sentence in line
    assert "→ check the url" in line


@pytest.mark.parametrize(
    ("fault", "auth", "state", "sentence"),
    [
        (
            SimulatedFault(status=200, body="<html>login</html>"),
            "token",
            "fail",
            "unexpected_answer (HTTP 200) → the answer is not from IEM",
        ),
        (
            SimulatedFault(status=302, headers={"Location": "https://sso.example.com/"}),
            "token",
            "fail",
            "redirected (HTTP 302)",
        ),
        (SimulatedFault(status=500), "token", "fail", "server_error (HTTP 500) → IEM has a fault"),
        (
            SimulatedFault(status=403, body={"message": "Access denied"}),
            "token",
            "fail",
            "access_denied (HTTP 403) → ask the people who operate IEM to make",
        ),
        (SimulatedFault(drop="before"), "token", "fail", "unreachable"),
        (SimulatedFault(status=404), "basic", "warn", "`auth: basic` needs no token"),
        (SimulatedFault(status=401), "basic", "fail", "wrong_credentials"),
    ],
)
def test_each_answer_of_the_token_call_is_explained(
    doctor: Doctor, folder: Path, iem: SimulatorServer, fault: SimulatedFault, auth: str, state: str, sentence: str
) -> None:
    write_mapping(folder, "acme", mapping(iem.url, iem={"auth": auth}))
    iem.faults.add(fault)

    result = doctor()

    [line] = lines_of(result, "iem acme")
    assert line[:4] == state
    assert sentence in line
    assert result.returncode == (1 if state == "fail" else 0)


@pytest.mark.parametrize(
    ("ahead", "state", "says"),
    [(3, "ok", "agree"), (25, "warn", "s ahead of"), (-3600, "fail", "s behind")],
)
def test_a_clock_skew_is_reported(doctor: Doctor, folder: Path, ahead: int, state: str, says: str) -> None:
    with simulated_iem(clock=lambda: time.time() + ahead) as other:
        write_mapping(folder, "acme", mapping(other.url))

        result = doctor()

    [line] = lines_of(result, "clock acme")
    assert line[:4].strip() == state
    assert says in line


def test_a_private_ca_and_an_expiring_certificate_are_reported(
    doctor: Doctor, folder: Path, tmp_path: Path, iem: SimulatorServer
) -> None:
    context, certificate = tls_with_private_ca(tmp_path)
    assert iem._listener is not None
    iem._listener.socket = context.wrap_socket(iem._listener.socket, server_side=True)
    url = iem.url.replace("http:", "https:")
    write_mapping(folder, "acme", mapping(url, iem={"ca_file": str(certificate)}))
    write_mapping(folder, "globex", mapping(url))

    result = doctor()

    good, soon = lines_of(result, "iem acme")
    assert good.startswith("ok")
    assert "TLSv1.3, certificate valid for 2 days" in good
    assert soon.startswith("warn")
    assert "renew it" in soon
    [refused] = lines_of(result, "iem globex")
    assert "the certificate of 127.0.0.1 is not accepted: self-signed certificate" in refused
    assert "set ca_file" in refused


def tls_with_private_ca(folder: Path) -> tuple[ssl.SSLContext, Path]:
    key, certificate = private_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


def test_an_unavailable_redis_does_not_stop_other_checks(doctor: Doctor, folder: Path, iem: SimulatorServer) -> None:
    write_mapping(folder, "acme", mapping(iem.url))

    result = doctor(RELAY_REDIS_URL="redis://127.0.0.1:9/0")

    [line] = lines_of(result, "redis")
    assert result.returncode == 1
    assert "Connection refused" in line
    assert "→ check RELAY_REDIS_URL" in line
    assert lines_of(result, "iem acme")[0].startswith("ok")


def test_a_redis_that_evicts_is_reported_with_advice(
    doctor: Doctor, folder: Path, iem: SimulatorServer, tmp_path: Path
) -> None:
    write_mapping(folder, "acme", mapping(iem.url))
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis").start()
    try:
        Connection(server.url, timeout=5).call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

        result = doctor(RELAY_REDIS_URL=server.url)
    finally:
        server.stop()

    [line] = lines_of(result, "redis")
    assert line.startswith("fail")
    assert "set `maxmemory-policy noeviction`" in line


def test_a_faulty_mapping_file_does_not_stop_other_checks(doctor: Doctor, folder: Path, iem: SimulatorServer) -> None:
    write_mapping(folder, "acme", mapping(iem.url))
    write_mapping(folder, "broken", mapping(iem.url, stats={6: 6}))
    write_mapping(folder, "unset", mapping(iem.url, iem={"password": {"env": "NOT_SET"}}))

    result = doctor()

    [broken], [unset], [iem_unset] = (
        lines_of(result, name) for name in ("mapping broken", "mapping unset", "iem unset")
    )
    assert result.returncode == 1
    assert "unknown key 'stats'; did you mean 'states'?" in broken
    assert "NOT_SET is not set" in unset
    assert "not checked: the environment variable NOT_SET is not set" in iem_unset
    assert lines_of(result, "iem acme")[0].startswith("ok")


def test_a_web_machine_needs_no_worker_secrets_and_calls_no_service(
    doctor: Doctor, folder: Path, iem: SimulatorServer, tmp_path: Path, redis_url: str
) -> None:
    write_mapping(folder, "acme", mapping(iem.url, iem={"password": {"env": "NOT_SET"}}))
    relay = Relay(tmp_path, redis_url)
    relay.start_web(processes=1)
    try:
        result = doctor("--for", "web", RELAY_BIND=f"127.0.0.1:{relay.port}")
    finally:
        relay.stop()

    assert result.returncode == 0, result.stdout
    assert lines_of(result, "iem acme") == []
    assert iem.request_log.arrived == 0


def test_stopped_web_fails_the_check_on_a_web_machine_only(doctor: Doctor, folder: Path, iem: SimulatorServer) -> None:
    write_mapping(folder, "acme", mapping(iem.url))

    [of_web], [of_both] = (lines_of(doctor(*options), "web") for options in (("--for", "web"), ()))

    assert of_web == "fail  web: web does not answer at 127.0.0.1:9: Connection refused → " + of_web.partition("→ ")[2]
    assert of_both.startswith("warn")
    assert lines_of(doctor("--for", "worker"), "web") == []


def test_a_missing_worker_fails_the_check(
    doctor: Doctor, folder: Path, iem: SimulatorServer, redis: Connection
) -> None:
    write_mapping(folder, "acme", mapping(iem.url))
    Heartbeats(redis).retire("a-worker-1-x")

    result = doctor()

    assert result.returncode == 1
    assert "fail  workers: no worker is running: nothing is delivered → start `relay worker`" in result.stdout


def test_rejections_and_deliveries_of_a_removed_file_are_reported(
    doctor: Doctor, folder: Path, iem: SimulatorServer, redis: Connection, tmp_path: Path, redis_url: str
) -> None:
    for name in ("acme", "gone"):
        write_mapping(folder, name, mapping(iem.url))
    relay = Relay(tmp_path, redis_url)
    relay.start_web(processes=1)
    try:
        relay.post({"state": "6"})
        relay.post({"sys_id": "9d385017c611228701d22104cc95c371", "state": "6"}, name="gone")
    finally:
        relay.stop()
    (folder / "gone.yaml").unlink()

    result = doctor()

    assert (
        "acme: 0 pending, 0 dead letters, 1 rejection → some webhooks could not be mapped: see `relay rej"
        in result.stdout
    )
    assert "gone: 1 pending, 0 dead letters, 0 rejections; it has no mapping file → restore gone.yaml" in result.stdout


def test_corrected_credentials_lead_to_the_advice_to_resume(
    doctor: Doctor, folder: Path, iem: SimulatorServer, redis: Connection
) -> None:
    write_mapping(folder, "acme", mapping(iem.url))
    redis.call("HSET", key("acme", "circuit"), "reason", "wrong_credentials", "since", now_ms(), "probe_at", now_ms())

    [line] = lines_of(doctor(), "deliveries acme")

    assert "parked: wrong_credentials since" in line
    assert line.endswith("→ IEM accepts the credentials now: `relay integrations resume acme`")


def test_commands_find_the_redis_of_relay_up_in_the_same_folder(tmp_path: Path, folder: Path) -> None:
    folder.mkdir()
    (tmp_path / ".relay" / "redis").mkdir(parents=True)
    server = RedisServer(tmp_path / ".relay" / "redis").start()
    try:
        result = run_relay("integrations", "list", "--json", environ=base_environ(), folder=tmp_path)
    finally:
        server.stop()

    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr


def test_an_unknown_setting_is_reported_with_a_suggestion(doctor: Doctor, folder: Path) -> None:
    folder.mkdir()

    result = doctor(RELAY_JORNAL="/var/lib/relay")

    assert (
        "warn  settings: RELAY_JORNAL is not a setting of the relay and has no effect → did you mean RELAY_JOURNAL?"
        in result.stdout
    )
    assert "mappings has no mapping file → create one: `relay mappings new NAME`" in result.stdout


def test_wrong_settings_are_exit_status_78(doctor: Doctor) -> None:
    result = doctor(RELAY_MAX_BODY="big", RELAY_REDIS_URL="http://redis")

    assert result.returncode == 78
    assert len(result.stderr.splitlines()) == 2


def test_an_unwritable_journal_fails_the_check(doctor: Doctor, folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (tmp_path / "file").write_text("")

    [line] = lines_of(doctor(RELAY_JOURNAL=str(tmp_path / "file")), "journal")

    assert line.startswith("fail")
    assert "create it" in line


def test_a_refused_virima_account_is_reported_with_advice(
    doctor: Doctor, folder: Path, iem: SimulatorServer, virima: SimulatorServer
) -> None:
    block = virima_block(virima, password={"env": "WRONG_PASSWORD"})
    write_mapping(folder, "acme", mapping(iem.url, virima=block))

    result = doctor()

    [line] = lines_of(result, "virima acme")
    assert result.returncode == 1
    assert "wrong_credentials" in line
    assert "check virima.username and virima.password" in line


def test_a_parked_integration_is_reported_with_advice(
    doctor: Doctor, folder: Path, iem: SimulatorServer, tmp_path: Path, redis: Connection, redis_url: str
) -> None:
    write_mapping(folder, "acme", mapping(iem.url))
    relay = Relay(tmp_path, redis_url)
    relay.start_web(processes=1)
    relay.start_worker()
    try:
        iem.faults.add(SimulatedFault(status=401, path="/api/v1/user/token"))
        relay.post({"sys_id": "9d385017c611228701d22104cc95c371", "state": "6"})
        wait_until(lambda: "parked: wrong_credentials" in doctor().stdout, "the integration is parked")
        iem.faults.clear()
        Heartbeats(redis).beat("a-worker-1-x", now_ms())  # the first one can be too old on a slow machine

        result = doctor("--json")
        checks = {kind: healthcheck(relay, kind) for kind in ("web", "worker")}
    finally:
        relay.stop()

    found = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert found["deliveries acme"]["state"] == "fail"
    assert "relay integrations resume acme" in found["deliveries acme"]["advice"]
    assert found["workers"]["says"] == "2 running"
    assert {kind: check.returncode for kind, check in checks.items()} == {"web": 0, "worker": 0}
    assert "acme is parked: wrong_credentials" in checks["web"].stdout
    wait_until(lambda: healthcheck(relay, "web").returncode == 1, "the health check of killed web fails")


def healthcheck(relay: Relay, kind: str, **environ: str) -> Result:
    settings = {"RELAY_REDIS_URL": relay.redis_url, "RELAY_BIND": f"127.0.0.1:{relay.port}"}
    return run_relay("healthcheck", kind, environ={**base_environ(), **settings, **environ})


def test_the_health_check_fails_on_a_host_without_a_worker(tmp_path: Path, redis: object, redis_url: str) -> None:
    result = healthcheck(Relay(tmp_path, redis_url), "worker")

    assert result.returncode == 1
    assert "no worker of" in result.stderr


def test_the_health_check_reports_an_unavailable_redis(tmp_path: Path) -> None:
    result = healthcheck(Relay(tmp_path, "redis://127.0.0.1:9/0"), "worker")

    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)


def test_the_health_check_of_web_uses_its_unix_socket(tmp_path: Path) -> None:
    result = healthcheck(Relay(tmp_path, "redis://127.0.0.1:9/0"), "web", RELAY_BIND=f"unix:{tmp_path}/no.sock")

    assert result.returncode == 1
    assert "web does not answer at unix:" in result.stderr
