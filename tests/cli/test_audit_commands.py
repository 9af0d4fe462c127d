"""`relay audit list|export|verify`, with a real Redis."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from commands import Result, run_relay
from harness import base_environ, mapping, write_mapping
from store.bench import DELIVERED, REFUSED, Bench, resolution

from relay.clock import now_ms
from relay.core.seals import SealingKey, id_order
from relay.core.values import format_time
from relay.store.connection import Connection
from relay.store.seal_chain import SealChain
from relay.store.trail import Trail
from relay.worker.sealing import Sealer

KEY, OLD_KEY = "the key of the auditors", "the previous key"
Run = Callable[..., Result]


@pytest.fixture
def bench(redis: Connection) -> Bench:
    """Two tickets, one delivered and one dead. All records are sealed, those of the first ticket with the previous key."""
    bench = Bench(redis)
    bench.accept(resolution("1", ticket=1))
    bench.attempt(DELIVERED)
    seal(redis, OLD_KEY)
    bench.accept(resolution("1", ticket=2))
    bench.attempt(REFUSED)
    seal(redis, KEY)
    return bench


def seal(redis: Connection, key: str) -> None:
    Sealer(
        Trail(redis), SealChain(redis), SealingKey(key), lambda: ["acme"], retention=86_400, now_ms=now_ms
    ).seal_all()


@pytest.fixture
def run(tmp_path: Path, redis_url: str) -> Run:
    write_mapping(tmp_path / "mappings", "acme", mapping("https://iem.example.com"))
    (tmp_path / "old.key").write_text(OLD_KEY + "\n")
    environ = {**base_environ(), "RELAY_MAPPINGS": str(tmp_path / "mappings"), "RELAY_REDIS_URL": redis_url}

    def relay(*arguments: str, key: str = KEY) -> Result:
        return run_relay("audit", *arguments, environ={**environ, "RELAY_AUDIT_KEY": key}, folder=tmp_path)

    return relay


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_records_are_listed_newest_first(run: Run, bench: Bench) -> None:
    table = run("list").stdout.splitlines()
    dead: list[dict[str, Any]] = json.loads(run("list", "--type", "dead", "--json").stdout)

    assert table[0].split()[:2] == ["at", "type"]
    assert [line.split()[1] for line in table[1:]] == ["dead", "accepted", "delivered", "accepted"]
    assert [(record["number"], record["reason"]) for record in dead] == [("INC0000002", "refused")]
    assert bench.listed("dead") == [dead[0]["delivery_id"]]


def test_the_trail_in_redis_is_verified(run: Run, bench: Bench) -> None:
    good = run("verify", "--key-file", "old.key")
    unknown = run("verify")
    bench.redis.call("XDEL", bench.key("audit"), list(Trail(bench.redis).walk("acme"))[1]["id"])
    bad = run("verify", "--key-file", "old.key", "--json")

    assert (good.returncode, good.stdout) == (0, "acme: 4 records in 2 seals verified\n")
    assert unknown.returncode == 1
    assert "which was not given" in unknown.stdout
    assert bad.returncode == 1
    [report] = json.loads(bad.stdout)
    assert (report["good"], report["kind"]) == (False, "removed")


def test_an_export_is_verified_without_redis(run: Run, bench: Bench, tmp_path: Path) -> None:
    exported = run("export", "--output", "trail.jsonl")
    bench.redis.call("FLUSHALL")
    good = run("verify", "trail.jsonl", "--key-file", "old.key")
    edit(tmp_path / "trail.jsonl", '"reason":"refused"', '"reason":"not_found"')
    bad = run("verify", "trail.jsonl", "--key-file", "old.key")

    assert exported.returncode == 0, exported.stderr
    assert (good.returncode, good.stdout) == (0, "acme: 4 records in 2 seals verified\n")
    assert bad.returncode == 1
    assert "was edited after it had been sealed (seal 2)" in bad.stdout


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (1, "was removed"),
        (2, "was removed"),
        (3, "seal 1 is missing"),
        (6, None),
        (7, "the file is incomplete"),
    ],
)
def test_a_missing_line_of_an_export_is_detected(
    run: Run, bench: Bench, tmp_path: Path, line: int, sentence: str | None
) -> None:
    path = tmp_path / "trail.jsonl"
    path.write_text(run("export").stdout, "utf-8")
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:line], *lines[line + 1 :]]) + "\n", "utf-8")

    checked = run("verify", str(path), "--key-file", "old.key")

    assert len(lines) == 8
    assert checked.returncode == (1 if sentence else 0)
    assert (sentence or "2 newer records not sealed yet") in checked.stdout


def test_an_excerpt_by_time_has_whole_seals(run: Run, bench: Bench, tmp_path: Path) -> None:
    second = list(SealChain(bench.redis).seals("acme"))[1]
    since = format_time(id_order(second.last)[0])

    exported = run("export", "--since", since, "--output", "excerpt.jsonl")
    checked = run("verify", "excerpt.jsonl", "--key-file", "old.key")

    assert exported.returncode == 0, exported.stderr
    assert (tmp_path / "excerpt.jsonl").read_text("utf-8").count('"record"') in {2, 4}
    assert checked.returncode == 0
    assert "verified" in checked.stdout


def reseal(redis: Connection, key: SealingKey) -> None:
    """Seal the trail again, as an attacker with access to Redis can, with another key or none."""
    redis.call("DEL", "relay:{acme}:seals")
    Sealer(Trail(redis), SealChain(redis), key, lambda: ["acme"], retention=86_400, now_ms=now_ms).seal_all()


def test_a_chain_sealed_again_without_a_key_is_refused(run: Run, bench: Bench) -> None:
    reseal(bench.redis, SealingKey(None))

    checked = run("verify", "--key-file", "old.key")
    allowed = run("verify", "--key-file", "old.key", "--allow-unkeyed")
    keyless = run("verify", key="")

    assert checked.returncode == 1
    assert "made without a key" in checked.stdout
    assert (allowed.returncode, "without a key, which anyone could have made" in allowed.stdout) == (0, True)
    assert keyless.returncode == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"integration":"acme","delivery_id"', '"integration":"globex","delivery_id"'),
        ('{"export":{"version":1,"integration":"acme"', '{"export":{"version":1,"integration":"globex"'),
        ('"mac":"', '"mac":null,"x":"'),
        ('{"seal":{"integration":"acme","number":1', '{"seal":{"integration":"acme","number":"1"'),
        ('"records":[[', '"records":[],"x":[['),
        ('{"record":{"id":"', '{"record":{"id":"\u0661'),
        ('{"record":{', '{"record":null,"x":{'),
        ('{"end":"acme"}', "[" * 100_000),
    ],
)
def test_a_manipulated_file_is_never_verified(run: Run, bench: Bench, tmp_path: Path, old: str, new: str) -> None:
    run("export", "--output", "trail.jsonl")
    edit(tmp_path / "trail.jsonl", old, new)

    checked = run("verify", "trail.jsonl", "--key-file", "old.key")

    assert checked.returncode == 1
    assert "Traceback" not in checked.stderr


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("forged", [True, False])
def test_a_second_record_with_the_same_id_is_named(
    run: Run, bench: Bench, tmp_path: Path, where: str, *, forged: bool
) -> None:
    path = tmp_path / "trail.jsonl"
    run("export", "--output", "trail.jsonl")
    lines = path.read_text("utf-8").splitlines()
    again = lines[1].replace("accepted", "dead") if forged else lines[1]
    lines.insert(1 if where == "before" else 2, again)
    path.write_text("\n".join(lines) + "\n", "utf-8")

    checked = run("verify", "trail.jsonl", "--key-file", "old.key")

    assert checked.returncode == 1
    assert "was added" in checked.stdout


@pytest.mark.parametrize(
    "entry", [("foo", "bar"), ("type", "accepted", "at", "x", "more", "["), ("type", "dead", "at", "1e300")]
)
def test_a_foreign_stream_entry_is_listed_and_sealed(run: Run, bench: Bench, entry: tuple[str, ...]) -> None:
    bench.redis.call("XADD", bench.key("audit"), "*", *entry)
    seal(bench.redis, KEY)

    listed, checked = run("list"), run("verify", "--key-file", "old.key")

    assert (listed.returncode, checked.returncode) == (0, 0), "it was there before it was sealed"
    assert "the relay did not write this record" in listed.stdout


def test_control_sequences_in_records_are_escaped(run: Run, bench: Bench) -> None:
    text = "INC\x1b]0;owned\x07\x1b[2J\u009b31m\u202e"
    bench.redis.call(
        "XADD", bench.key("audit"), "*", "type", "accepted", "at", "1", "delivery", "", "sys_id", "", "number", text,
        "actor", text, "more", "",
    )  # fmt: skip

    outputs = [
        run(*arguments).stdout
        for arguments in (["list"], ["list", "--json"], ["export"], ["export", "--format", "csv"])
    ]

    for output in outputs:
        assert not set(output) & set("\x1b\x07\u009b\u202e")
        assert "u001b" in output


def test_a_filtered_export_has_no_seals(run: Run, bench: Bench, tmp_path: Path) -> None:
    run("export", "--number", "INC0000001", "--output", "one.jsonl")

    checked = run("verify", "one.jsonl")

    lines = [json.loads(line) for line in (tmp_path / "one.jsonl").read_text("utf-8").splitlines()]
    assert [line["record"]["type"] for line in lines[1:]] == ["accepted", "delivered"]
    assert checked.returncode == 1
    assert "export without a filter" in checked.stdout


def test_a_csv_export_contains_no_formula(run: Run, bench: Bench, tmp_path: Path) -> None:
    bench.redis.call(
        "XADD", bench.key("audit"), "*", "type", "accepted", "at", "1", "delivery", "", "sys_id", "", "number",
        '=HYPERLINK("http://evil.example.com")', "actor", "@cmd", "more", "",
    )  # fmt: skip

    exported = run("export", "--format", "csv", "--output", "trail.csv")

    assert exported.returncode == 0, exported.stderr
    rows = list(csv.reader(StringIO((tmp_path / "trail.csv").read_text("utf-8"))))
    assert rows[0][:4] == ["id", "at", "type", "integration"]
    assert [row[2] for row in rows[1:]] == ["accepted", "delivered", "accepted", "dead", "accepted"]
    assert (rows[-1][6], rows[-1][7]) == ('\'=HYPERLINK("http://evil.example.com")', "'@cmd")
    assert json.loads(rows[4][8])["reason"] == "refused"


@pytest.mark.parametrize("content", ["not JSON\n", "[1]\n", '{"some": "object"}\n', ""])
def test_a_file_that_is_not_an_export_is_reported(run: Run, redis: Connection, tmp_path: Path, content: str) -> None:
    (tmp_path / "other.jsonl").write_text(content)

    checked = run("verify", "other.jsonl")

    assert "Traceback" not in checked.stderr
    assert checked.returncode == 1
    assert "not an export of an audit trail" in checked.stderr
