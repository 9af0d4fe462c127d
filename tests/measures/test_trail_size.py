"""Exporting and verifying an audit trail takes the same memory for a long trail as for a short one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import base_environ, mapping, write_mapping

from relay.clock import now_ms
from relay.core.seals import SealingKey
from relay.store.connection import Connection
from relay.store.seal_chain import SealChain
from relay.store.trail import Trail
from relay.worker.sealing import Sealer

pytestmark = [pytest.mark.slow, pytest.mark.alone]

#: Ten times the records may take this much more memory, which the allocator keeps (MiB).
MAX_GROWTH = 8
FILL = """
for number = 1, tonumber(ARGV[1]) do
  redis.call('XADD', KEYS[1], '*', 'type', 'accepted', 'at', '1790000000000', 'delivery', '01M833CSKZ03Y65ZGKT8WRMZBJ',
    'sys_id', '9d385017c611228701d22104cc95c371', 'number', 'INC' .. number, 'actor', 'servicenow@10.0.0.1', 'more',
    '{"itsm_state":"6","iem_state":6,"resolved_by":"beth.anglin@example.com","mapping":"0123456789ab"}')
end
"""


def fill(redis: Connection, count: int) -> None:
    for _ in range(count // 1_000):
        redis.call("EVAL", FILL, 1, "relay:{acme}:audit", 1_000)
    redis.call("SADD", "relay:integrations", "acme")
    sealer = Sealer(Trail(redis), SealChain(redis), SealingKey(None), lambda: ["acme"], retention=86_400, now_ms=now_ms)
    while sealer.seal("acme"):
        pass


#: Runs a command and prints its own peak. The peak that wait4 returns includes the memory of the parent before exec.
RUN = """
import sys
from pathlib import Path
from relay.cli.main import relay
relay.main(["audit", *sys.argv[1:]], standalone_mode=False)
print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")), file=sys.stderr)
"""


def peak(environ: dict[str, str], *arguments: str) -> int:
    """Return the peak memory of a command (MiB)."""
    command = [sys.executable, "-c", RUN, *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    line = next(line for line in done.stderr.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def test_a_trail_ten_times_as_long_needs_no_more_memory(
    tmp_path: Path, redis: Connection, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mapping(tmp_path / "mappings", "acme", mapping("https://iem.example.com"))
    environ = {**base_environ(), "RELAY_MAPPINGS": str(tmp_path / "mappings"), "RELAY_REDIS_URL": redis_url}
    file = str(tmp_path / "trail.jsonl")
    peaks: dict[int, list[int]] = {}

    for count in (3_000, 30_000):
        redis.call("FLUSHALL")
        fill(redis, count)
        peaks[count] = [
            peak(environ, "export", "--output", file),
            peak(environ, "verify"),
            peak(environ, "verify", file),
        ]

    with capsys.disabled():
        print(f"\ntrail: peak MiB of export, verify, and verify of a file: {peaks}")
    assert all(long - short <= MAX_GROWTH for short, long in zip(peaks[3_000], peaks[30_000], strict=True))
