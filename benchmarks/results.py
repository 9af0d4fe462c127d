"""What was measured, as tables in Markdown: medians of the runs, with the least and the most of the ratios."""

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
    """One measure. `ours` and `theirs` of each run, in `unit`; without `theirs` the goal is for `ours`."""

    measure: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float] = ()
    goal: str = ""
    #: The goal as a number; None: there is none.
    bound: float | None = None
    more_is_better: bool = True
    #: Or else this bound on `ours`; None: there is none.
    or_ours: float | None = None

    @property
    def ratios(self) -> list[float]:
        """Ours by theirs, run by run."""
        return [mine / other for mine, other in zip(self.ours, self.theirs, strict=True)] if self.theirs else []

    @property
    def verdict(self) -> str:
        """Tell whether the median is within the goal."""
        if self.bound is None:
            return ""
        reached = median(self.ratios or self.ours)
        met = reached >= self.bound if self.more_is_better else reached <= self.bound
        if met or (self.or_ours is not None and median(self.ours) <= self.or_ours):
            return "reached"
        part = reached / self.bound if self.more_is_better else self.bound / reached
        return f"not reached: {part:.2f} of it"


@dataclass(frozen=True, slots=True)
class Section:
    """Measures that belong together, and under which conditions they were taken."""

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
    lines = ["| measure | relay | beside it | ratio (least–most) | goal | |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratios = row.ratios
        ratio = f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else ""
        theirs = _number(median(row.theirs), row.unit) if row.theirs else ""
        cells = [row.measure, _number(median(row.ours), row.unit), theirs, ratio, row.goal, row.verdict]
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
    told = (
        "Made by `python -m benchmarks`. Figures of one machine, which may be shared: compare ratios, which are of one run, "
        "not absolute numbers. Medians of the runs; in brackets the least and the most."
    )
    return told + "\n\n" + "\n".join(f"- {fact}" for fact in facts)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8").splitlines() if Path(path).exists() else []
