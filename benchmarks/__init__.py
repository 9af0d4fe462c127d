"""What the relay costs, measured: `python -m benchmarks` runs everything and writes `benchmarks/RESULTS.md`."""
