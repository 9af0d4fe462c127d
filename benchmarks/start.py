"""Start: the time until the relay is ready, the time of an import, and the memory of each process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from harness import ROOT, base_environ, free_port, wait_until

from benchmarks.results import Row, Section
from benchmarks.site import Setting, Site


def measure(*, runs: int) -> list[Section]:
    """Start everything, one after the other."""
    demo, ready = zip(*[_up() for _ in range(runs)], strict=True)
    rows = [
        Row("`relay up --demo` to ready", "s", ready),
        Row("`relay up --demo` to Success", "s", demo, goal="≤ 5 s", bound=5, more_is_better=False),
        Row(
            "`relay --help`",
            "s",
            _times(runs, "-m", "relay", "--help"),
            goal="≤ 0.3 s",
            bound=0.3,
            more_is_better=False,
        ),
        Row("Python alone", "s", _times(runs, "-c", "")),
        Row("import of web", "s", _times(runs, "-c", "import relay.web.wsgi")),
        Row("import of the worker", "s", _times(runs, "-c", "import relay.cli.worker")),
        *(Row(f"memory of {name} (its share of pages, PSS)", "MiB", [size]) for name, size in _memory().items()),
    ]
    return [
        Section("Start", "An installed relay, its byte code compiled, its files in the cache of the machine.", rows)
    ]


def _times(runs: int, *arguments: str) -> list[float]:
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True, cwd=ROOT)
    return [median(_time(*arguments) for _ in range(3)) for _ in range(runs)]


def _time(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True, cwd=ROOT)
    return time.perf_counter() - began


def _up() -> tuple[float, float]:
    """Return the seconds until `relay up --demo` has delivered, and until it is ready."""
    with tempfile.TemporaryDirectory(prefix="relay-benchmark-") as name:
        folder = Path(name)
        environ = {**base_environ(), "PYTHONPATH": str(ROOT), "RELAY_BIND": f"127.0.0.1:{free_port()}"}
        log = folder / "up.log"
        began = time.perf_counter()
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "relay", "up", "--demo"], cwd=folder, env=environ, stdout=file, stderr=file
            )
        try:
            wait_until(lambda: "ready: webhooks go to" in log.read_text("utf-8"), "it is ready")
            ready = time.perf_counter() - began
            wait_until(lambda: "5 delivered" in log.read_text("utf-8"), "the demo is delivered")
            return time.perf_counter() - began, ready
        finally:
            process.terminate()
            process.wait(60)


def _memory() -> dict[str, float]:
    """Return the proportional share of memory (MiB) of each kind of process."""
    with Site(Setting("everysec")) as site:
        web = site.relay.start_web(processes=2).popen.pid
        worker = site.relay.start_worker()
        wait_until(lambda: "worker started" in worker.log, "the worker has started")
        children = Path(f"/proc/{web}/task/{web}/children").read_text("ascii").split()
        return {
            "the gunicorn master": _pss(web),
            "each web process": sum(_pss(int(pid)) for pid in children) / len(children),
            "the worker": _pss(worker.popen.pid),
        }


def _pss(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    return int(text.partition("\nPss:")[2].split()[0]) / 1024
