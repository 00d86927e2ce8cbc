"""`python -m benchmarks`: see `--help`."""

from __future__ import annotations

import argparse
import json
import sys
import time

from . import _counts, _full, _report
from ._contenders import CONTENDERS

_QUICK = ("none", "floor", "otel_llm", "otel_llm_no_chunks")


def main() -> int:
    options = _options()
    if options.where:
        print(_counts.where((options.contenders or ["otel_llm"])[0], options.where))
        return 0
    if options.counts:
        return _print_counts(options)
    if options.report:
        results = json.loads(_full.RESULTS.read_text())
    else:
        names = ["none", *[name for name in options.contenders or CONTENDERS if name != "none"]]
        results = _full.run(names, options.only)
    _report.write(results)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what instrumentation costs, and write the tables of docs/performance.md.",
    )
    add = parser.add_argument
    add("--counts", "--quick", action="store_true", help="print only counts, of none, floor and otel_llm")
    add("--json", action="store_true", help="with --counts: print them as JSON")
    add("--cases", nargs="*", default=list(_counts.CASES), help="with --counts: these cases only")
    add("--where", choices=list(_counts.CASES), help="print which functions cost what in this case")
    add("--contenders", nargs="*", choices=list(CONTENDERS), help="these instead of all")
    add("--only", nargs="*", choices=_full.SECTIONS, default=_full.SECTIONS, help="measure these parts again")
    add("--report", action="store_true", help="measure nothing, write the tables of the last run again")
    return parser.parse_args()


def _print_counts(options: argparse.Namespace) -> int:
    began = time.monotonic()
    names = ["none", *[name for name in options.contenders or _QUICK if name != "none"]]
    found = _counts.measure_all(_full.interpreters(names, {}), cases=options.cases)
    if options.json:
        json.dump(
            {name: {"counts": each.counts, "error": each.error} for name, each in found.items()}, sys.stdout
        )
    else:
        print(_counts.table(found))
        print(f"{time.monotonic() - began:.0f} s")
    return int(any(each.error for each in found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
