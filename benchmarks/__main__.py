"""`python -m benchmarks [PART …]`: measure, and write `benchmarks/RESULTS.md`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

ROOT = Path(__file__).parent.parent
# The test harness starts the processes.
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


@click.command
@click.argument("parts", nargs=-1, type=click.Choice(["intake", "delivery", "growth", "start"]))
@click.option("--runs", default=3, show_default=True, help="Number of runs; the results are medians.")
@click.option("--seconds", default=5.0, show_default=True, help="Seconds for which a rate is measured.")
@click.option(
    "--million",
    is_flag=True,
    help="Measure growth up to a million stored deliveries; takes a long time and 3 GB of memory.",
)
def main(parts: tuple[str, ...], *, runs: int, seconds: float, million: bool) -> None:
    """Measure PARTS and their baselines; without PARTS measure everything and write RESULTS.md."""
    from benchmarks import delivery, growth, intake, start
    from benchmarks.results import Section, as_markdown

    measures: dict[str, Callable[[], list[Section]]] = {
        "intake": lambda: intake.measure(runs=runs, seconds=seconds),
        "delivery": lambda: delivery.measure(runs=runs, seconds=seconds),
        "growth": lambda: growth.measure(runs=runs, seconds=seconds, million=million),
        "start": lambda: start.measure(runs=runs),
    }
    sections = [section for name, run in measures.items() if not parts or name in parts for section in run()]
    report = as_markdown(sections)
    click.echo(report)
    if not parts:
        (ROOT / "benchmarks" / "RESULTS.md").write_text(report, "utf-8")


if __name__ == "__main__":
    main()
