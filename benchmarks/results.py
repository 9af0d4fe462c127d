"""The results as tables in Markdown: medians of the runs, with the lowest and the highest ratio."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from harness import redis_binary

_PACKAGES = ("flask", "gunicorn", "redis", "hiredis", "requests", "urllib3", "marshmallow")


@dataclass(frozen=True, slots=True)
class Row:
    """One measure: the figures of the relay and of the baseline, run by run, in `unit`.

    The goal is for the ratio, or without a baseline for the relay's figure.
    """

    measure: str
    unit: str
    relay: Sequence[float]
    baseline: Sequence[float] = ()
    goal: str = ""
    #: The goal as a number; None without a goal.
    bound: float | None = None
    more_is_better: bool = True
    #: An alternative goal for the relay's figure; None without one.
    relay_bound: float | None = None

    @property
    def ratios(self) -> list[float]:
        """The relay's figure divided by that of the baseline, run by run."""
        return (
            [figure / other for figure, other in zip(self.relay, self.baseline, strict=True)] if self.baseline else []
        )

    @property
    def verdict(self) -> str:
        """Whether the median reaches the goal."""
        if self.bound is None:
            return ""
        reached = median(self.ratios or self.relay)
        met = reached >= self.bound if self.more_is_better else reached <= self.bound
        if met or (self.relay_bound is not None and median(self.relay) <= self.relay_bound):
            return "reached"
        part = reached / self.bound if self.more_is_better else self.bound / reached
        return f"not reached: {part:.2f} of the goal"


@dataclass(frozen=True, slots=True)
class Section:
    """Measures that belong together, and the conditions under which they were taken."""

    title: str
    conditions: str
    rows: Sequence[Row]


def as_markdown(sections: Sequence[Section]) -> str:
    """Return the whole report."""
    parts = ["# What the relay costs", _machine()]
    for section in sections:
        parts += [f"## {section.title}", section.conditions, _table(section.rows)]
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row]) -> str:
    lines = ["| measure | relay | baseline | ratio (lowest–highest) | goal | |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratios = row.ratios
        ratio = f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else ""
        baseline = _number(median(row.baseline), row.unit) if row.baseline else ""
        cells = [row.measure, _number(median(row.relay), row.unit), baseline, ratio, row.goal, row.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def _machine() -> str:
    cpu = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    server = subprocess.run([str(redis_binary()), "--version"], capture_output=True, text=True, check=True).stdout
    facts = [
        f"{os.cpu_count()} × {cpu or platform.machine()}, {memory / 2**20:.0f} GiB, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}; {server.split('sha=')[0].strip()}",
        ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
    ]
    note = (
        "Written by `python -m benchmarks` on one machine, which may be shared: compare ratios within one run, not absolute "
        "numbers. Medians of the runs; the lowest and the highest in brackets."
    )
    return note + "\n\n" + "\n".join(f"- {fact}" for fact in facts)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8").splitlines() if Path(path).exists() else []
