"""What instrumentation costs: this package beside none, a hand-written floor, and other packages.

`python -m benchmarks --counts` prints deterministic counts (for tuning).
`python -m benchmarks` measures everything and writes the tables of docs/performance.md.
Each contender, this package too, is only ever imported in a process of its own.
"""
