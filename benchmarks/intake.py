"""Intake: accepted webhooks a second, and the time of an acknowledgement, compared with the floor."""

from __future__ import annotations

from functools import partial

from benchmarks.results import Row, Section
from benchmarks.senders import Answers, in_turns, pace, saturate
from benchmarks.site import Setting, Site, resolutions

CONNECTIONS = 32
_KINDS = ("unique", "twice", "paced", "paced twice")
#: At the fixed rate, turns are longer by this factor: with few answers, the slowest hundredth is random.
_PACED_TURN = 3


def measure(*, runs: int, seconds: float) -> list[Section]:
    """Measure the relay and the floor."""
    return [_measure(fsync, runs, seconds) for fsync in ("always", "everysec")]


def _measure(fsync: str, runs: int, seconds: float) -> Section:
    with Site(Setting(fsync=fsync)) as site:
        ports = {"relay": site.start_web(), "floor": site.start_floor()}
        found: dict[tuple[str, str], list[Answers]] = {}
        for port in ports.values():
            saturate(port, resolutions(), connections=CONNECTIONS, seconds=1)
        for _ in range(runs):
            for kind in _KINDS:
                taken = in_turns(seconds, *(partial(_send, kind, port) for port in ports.values()))
                for program, answers in zip(ports, taken, strict=True):
                    assert set(answers.statuses) <= {200, 202}, answers.statuses
                    found.setdefault((kind, program), []).append(answers)

    def row(kind: str, measure: str, unit: str, figure: str, goal: str = "", bound: float | None = None) -> Row:
        figures = [[_figure(answers, figure) for answers in found[kind, program]] for program in ports]
        return Row(measure, unit, figures[0], figures[1], goal, bound, more_is_better=figure == "rate")

    rows = [
        row("unique", "webhooks a second at saturation", "/s", "rate", "≥ 0.85", 0.85),
        row("unique", "… their acknowledgement, p50", "ms", "p50"),
        row("unique", "… p99", "ms", "p99"),
        row("twice", "webhooks a second, half of them repeats", "/s", "rate"),
        row("twice", "… their acknowledgement, p50", "ms", "p50"),
        row("twice", "… p99", "ms", "p99"),
        row("paced", "acknowledgement at 200 a second, p50", "ms", "p50"),
        row("paced", "… p99", "ms", "p99", "≤ 1.5", 1.5),
        row("paced twice", "acknowledgement at 200 a second, half of them repeats, p50", "ms", "p50"),
        row("paced twice", "… p99", "ms", "p99"),
    ]
    conditions = (
        f"{CONNECTIONS} kept-alive connections, 2 processes × 4 threads, basic authentication, `appendfsync {fsync}`, no worker. "
        "Baseline: the floor, a bare Flask view with the same gunicorn settings that parses JSON and runs one script "
        "(SET NX + XADD). They take turns of one second (three at the fixed rate)."
    )
    return Section(f"Intake, `appendfsync {fsync}`", conditions, rows)


def _send(kind: str, port: int, seconds: float) -> Answers:
    webhooks = resolutions(twice=kind.endswith("twice"))
    if kind.startswith("paced"):
        return pace(port, webhooks, rate=200, seconds=_PACED_TURN * seconds)
    return saturate(port, webhooks, connections=CONNECTIONS, seconds=seconds)


def _figure(answers: Answers, name: str) -> float:
    return answers.rate if name == "rate" else answers.percentile({"p50": 0.5, "p99": 0.99}[name]) * 1000
