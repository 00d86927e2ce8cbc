"""`python -m benchmarks`: see `--help`."""

from __future__ import annotations

import argparse
import json
import sys
import time

from . import _counts
from ._contenders import CONTENDERS

_QUICK = ("none", "floor", "otel_llm", "otel_llm_no_chunks")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What instrumentation costs.")
    parser.add_argument(
        "--counts", "--quick", action="store_true", help="only counts, of none, floor and otel_llm"
    )
    parser.add_argument("--json", action="store_true", help="with --counts: print what was counted as JSON")
    parser.add_argument(
        "--cases", nargs="*", default=list(_counts.CASES), help="with --counts: these cases only"
    )
    parser.add_argument("--contenders", nargs="*", choices=list(CONTENDERS), help="instead of all")
    parser.add_argument("--where", choices=list(_counts.CASES), help="which functions cost what in this case")
    options = parser.parse_args()
    if options.where:
        print(_counts.where((options.contenders or ["otel_llm"])[0], options.where))
        return 0
    if options.counts:
        return _print_counts(options)
    return 0


def _print_counts(options: argparse.Namespace) -> int:
    began = time.monotonic()
    names = ["none", *[name for name in options.contenders or _QUICK if name != "none"]]
    found = _counts.measure_all(names, cases=options.cases)
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
