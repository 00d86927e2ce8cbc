"""The tables of docs/performance.md, written between its markers from the kept results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _counts
from ._contenders import CONTENDERS
from ._count import OWNERS
from ._process import ROOT
from ._targets import targets
from ._timing import Figure, added, bare, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PAGE = ROOT / "docs" / "performance.md"
START, END = "<!-- benchmarks: start -->", "<!-- benchmarks: end -->"

Results = dict[str, Any]


def write(results: Results) -> None:
    """Put the tables between the page's markers."""
    page = PAGE.read_text()
    head, _, rest = page.partition(START)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{START}\n\n{render(results)}\n{END}{tail}")


def render(results: Results) -> str:
    """All sections for which there are results."""
    parts = [_machine(results)]
    for needs, section in _SECTIONS:
        if all(need in results for need in needs):
            parts.append(section(results))
    return "\n".join(parts)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """Three significant digits at most, and no more than two after the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _spread(figure: Figure, scale: float, sign: str = "+") -> str:
    low, middle, high = (_number(value * scale) for value in (figure.low, figure.median, figure.high))
    return f"{sign if figure.median >= 0 else ''}{middle} ({low} to {high})"


def _machine(results: Results) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [f"{machine['python']}, {machine['cpus']} CPUs; {versions}.\n"]
    lines += [f"`{name}` was left out: {reason}\n" for name, reason in results.get("absent", {}).items()]
    return "\n".join(lines)


def _targets(results: Results) -> str:
    rows = [
        (target.what, target.limit, target.found, {None: "", True: "yes", False: "**no**"}[target.met])
        for target in targets(results)
    ]
    return "### Targets\n\n" + _table(("what", "target", "measured", "met"), rows)


def _emitted(results: Results) -> str:
    rows = []
    for name, cases in results["emits"].items():
        row = [f"`{name}`"]
        for case in cases.values():
            spans = case["spans"]
            attributes, events = sum(span[1] for span in spans), sum(span[2] for span in spans)
            records = sum(case["metrics"].values())
            row.append(f"{len(spans)} / {attributes} / {events} / {records}")
        rows.append(row)
    head = ("", *next(iter(results["emits"].values())))
    return (
        "### What each leaves behind\n\n"
        "Per call: spans / span attributes / span events / metric measurements. "
        "Less work is no merit where less is told.\n\n" + _table(head, rows)
    )


def _counted(results: Results) -> str:
    counts = {name: _counts.Measured(found) for name, found in results["counts"].items()}
    none = counts.pop("none")
    cases = (
        "openai call",
        "anthropic call",
        "openai call, all told",
        "anthropic call, all told",
        "openai stream chunk",
        "anthropic stream chunk",
        "anthropic 100 KB prompt",
    )
    rows = [
        [f"`{name}`", *(_count_cell(found, none, case) for case in cases)] for name, found in counts.items()
    ]
    return (
        "### Python function calls and bytecodes added\n\n"
        "Deterministic. Calls / bytecodes beyond those of the call without instrumentation; capture off. "
        "A `call` is answered with what the floor reads; `all told` with all that the provider's own API tells: "
        "limits, ids, tiers, details of tokens.\n\n"
        + _table(("", *cases), rows)
        + "\nWhose the bytecodes of one OpenAI call are:\n\n"
        + _by_owner(counts, none)
    )


def _by_owner(counts: dict[str, _counts.Measured], none: _counts.Measured) -> str:
    names = (
        "instrumentation",
        "OpenTelemetry",
        "provider SDK and what it stands on",
        "standard library",
        "other",
    )
    rows = []
    for name, found in counts.items():
        more = _counts.added(found, none, "openai call")
        if more is not None and more["opcodes"]["total"]:
            rows.append([f"`{name}`", *(f"{more['opcodes'][owner]:,.0f}" for owner in OWNERS)])
    return _table(("", *names), rows)


def _count_cell(found: _counts.Measured, none: _counts.Measured, case: str) -> str:
    more = _counts.added(found, none, case)
    if more is None:
        return ""
    digits = 1 if case.endswith(" chunk") else 0
    return f"{more['calls']['total']:,.{digits}f} / {more['opcodes']['total']:,.{digits}f}"


def _states(results: Results) -> str:
    counts = {name: _counts.Measured(found) for name, found in results["counts"].items()}
    none = counts.pop("none")
    states = {"unsampled": "unsampled", "suppressed": "suppressed", "after uninstrument": "uninstrumented"}
    rows = []
    for name, mine in counts.items():
        if f"openai call, {_counts.STATES[0]}" not in mine.counts:
            continue
        row = [f"`{name}`"]
        for state, timed in states.items():
            for who in ("openai", "anthropic"):
                samples = results["time"].get(timed, {}).get(f"{who} call", {})
                time = f", {_spread(added(samples, name), 1e6)} µs" if name in samples else ""
                more = _counts.added(mine, none, f"{who} call, {state}")
                row.append(f"{more['calls']['total']:,.0f}{time}" if more else "")
        rows.append(row)
    head = ("", *(f"{state}, {who}" for state in states for who in ("OpenAI", "Anthropic")))
    return (
        "### Unsampled, suppressed, after `uninstrument()`\n\n"
        "Function calls and CPU time added to one call.\n\n" + _table(head, rows)
    )


def _time_table(
    times: dict[str, Any],
    columns: dict[str, str],
    cell: Callable[[dict[str, Any], str], str],
) -> str:
    columns = {label: key for label, key in columns.items() if key in times}
    first = ["no instrumentation"]
    first += [_bare_cell(times[key], _chunks(key)) for key in columns.values()]
    rows = [first]
    for name in CONTENDERS:
        cells = [cell(times[key], name) if name in times[key] else "" for key in columns.values()]
        if any(cells):
            rows.append([f"`{name}`", *cells])
    return _table(("", *columns), rows)


def _chunks(key: str) -> int:
    """What to divide the time of one call by: the chunks of a stream."""
    words = key.split()
    return int(words[words.index("stream") + 1]) if "stream" in words else 1


def _bare_cell(samples: dict[str, Any], chunks: int) -> str:
    figure = bare(samples)
    if chunks > 1:
        return f"{_spread(figure, 1e6 / chunks, '')} µs a chunk"
    if figure.median < 0.01:
        return f"{_spread(figure, 1e6, '')} µs"
    return f"{_spread(figure, 1e3, '')} ms"


def _call_cell(samples: dict[str, Any], name: str) -> str:
    mine = added(samples, name)
    text = _spread(mine, 1e6)
    if name not in {"floor", "floor_tpoc"} and "floor" in samples:
        text += f", {mine.median / added(samples, 'floor').median:.2f} x floor"
    return text


def _ratio_cell(samples: dict[str, Any], name: str) -> str:
    return _spread(ratio(samples, name), 1, "") + " x"


def _calls(results: Results) -> str:
    times = results["time"]["default"]
    calls = {
        "OpenAI": "openai call",
        "OpenAI async": "openai async call",
        "Anthropic": "anthropic call",
        "Anthropic async": "anthropic async call",
        "OpenAI, all told": "openai told",
        "Anthropic, all told": "anthropic told",
    }
    big = {
        "OpenAI, 100 KB prompt": "openai prompt",
        "Anthropic, 100 KB prompt": "anthropic prompt",
        "2,048 embeddings": "openai embeddings 2048",
        "2,048 embeddings, async": "openai async embeddings 2048",
    }
    many = {"OpenAI": "openai async call 500 at once", "Anthropic": "anthropic async call 500 at once"}
    return "\n".join(
        (
            "### CPU time added per call, capture off\n\nMicroseconds; medians, in brackets the quartiles.\n",
            _table_of_calls(times, calls),
            "Large requests and answers, as a multiple of the call without instrumentation:\n",
            _time_table(times, big, _ratio_cell),
            "Microseconds per call with 500 async calls in flight at once:\n",
            _table_of_calls(times, many),
        )
    )


def _table_of_calls(times: dict[str, Any], columns: dict[str, str]) -> str:
    return _time_table(times, columns, _call_cell)


def _streams(results: Results) -> str:
    times = results["time"]["default"]
    intro = "Microseconds: what a stream adds, by its chunks with text.\n"
    parts = [f"### CPU time added per chunk, capture off\n\n{intro}"]
    for title, who in (("OpenAI", "openai"), ("Anthropic", "anthropic")):
        columns = {
            f"{title}{mark}, {size:,} chunks": f"{who}{mark.replace(',', '')} stream {size}"
            for size in (500, 10_000)
            for mark in ("", ", async")
        }
        parts.append(_per_chunk(times, columns))
    first = {"OpenAI": "openai stream 20", "Anthropic": "anthropic stream 20"}
    parts.append("CPU microseconds added from the call to its first chunk:\n")
    rows = [
        [
            f"`{name}`",
            *(_spread(added(times[key], name, "first"), 1e6) for key in first.values() if name in times[key]),
        ]
        for name in CONTENDERS
        if name in times[first["Anthropic"]] and name in times[first["OpenAI"]]
    ]
    bare_row = [
        "no instrumentation",
        *(f"{_spread(bare(times[key], 'first'), 1e6, '')} µs" for key in first.values()),
    ]
    parts.append(_table(("", *first), [bare_row, *rows]))
    return "\n".join(parts)


def _per_chunk(times: dict[str, Any], columns: dict[str, str]) -> str:
    sizes = {id(times[key]): _chunks(key) for key in columns.values()}

    def cell(samples: dict[str, Any], name: str) -> str:
        return _spread(added(samples, name), 1e6 / sizes[id(samples)])

    return _time_table(times, columns, cell)


def _capture(results: Results) -> str:
    times = results["time"]["capture"]
    columns = {
        "OpenAI": "openai call",
        "Anthropic": "anthropic call",
        "OpenAI, 100 KB prompt": "openai prompt",
        "Anthropic, 100 KB prompt": "anthropic prompt",
        "OpenAI, 500 chunks": "openai stream 500",
        "Anthropic, 500 chunks": "anthropic stream 500",
        "2,048 embeddings": "openai embeddings 2048",
    }
    return (
        "### Content captured\n\nMultiples of the call without instrumentation. `none`, `floor` and "
        "`anthropic_native` capture nothing here.\n\n" + _time_table(times, columns, _ratio_cell)
    )


def _memory(results: Results) -> str:
    memory = dict(results["memory"])
    none = memory.pop("none")
    rows = []
    for name, found in memory.items():
        row = [f"`{name}`"]
        for what in ("open", "chunk", "finished"):
            row += [f"{found[who][what] - none[who][what]:+,.0f}" for who in ("openai", "anthropic")]
        rows.append(row)
    whats = ("open stream", "chunk of an open stream", "finished stream")
    head = ("", *(f"{what}, {who}" for what in whats for who in ("OpenAI", "Anthropic")))
    return (
        "### Bytes kept, capture off\n\nOn top of those without instrumentation (tracemalloc).\n\n"
        + _table(head, rows)
    )


def _imports(results: Results) -> str:
    rows = []
    for name, found in results["imports"].items():
        after, before = found["after"], found["before"]
        row = [f"`{name}`"]
        for runs in (after, before):
            row += [_spread(Figure.of([run["ms"] for run in runs]), 1, ""), f"{runs[0]['modules']:.0f}"]
        rows.append([*row, f"{before[0]['sdk_modules']:.0f}"])
    base = Figure.of([run["base_ms"] for found in results["imports"].values() for run in found["after"]])
    head = (
        "",
        "both SDKs loaded, ms",
        "modules",
        "no SDK loaded, ms",
        "modules",
        "modules of SDKs pulled in",
    )
    return (
        "### Import and `instrument()`\n\n"
        "CPU milliseconds on top of the OpenTelemetry SDK and the base class of all "
        f"instrumentors (`opentelemetry-instrumentation`; that one takes {_spread(base, 1, '')} ms).\n\n"
        + _table(head, rows)
    )


def _parts_alone(results: Results) -> str:
    rows = [(name, _spread(Figure(*found), 1, "")) for name, found in results["parts"].items()]
    return "### Parts by themselves\n\nCPU microseconds in a tight loop.\n\n" + _table(("", "µs"), rows)


def _price_list(results: Results) -> str:
    rows = [
        (name, f"{calls:,.0f}", f"{opcodes:,.0f}") for name, (calls, opcodes) in results["prices"].items()
    ]
    return (
        "### What the OpenTelemetry SDK asks for each step\n\n"
        "Deterministic, and the larger part of every figure above: the SDK alone, without a call.\n\n"
        + _table(("", "function calls", "bytecodes"), rows)
    )


_SECTIONS: tuple[tuple[tuple[str, ...], Callable[[Results], str]], ...] = (
    (("counts", "time", "memory", "imports", "parts"), _targets),
    (("counts",), _counted),
    (("prices",), _price_list),
    (("time",), _calls),
    (("time",), _streams),
    (("counts", "time"), _states),
    (("time",), _capture),
    (("memory",), _memory),
    (("imports",), _imports),
    (("emits",), _emitted),
    (("parts",), _parts_alone),
)
