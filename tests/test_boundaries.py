"""Who may import what: the dependency direction of docs/architecture.md, read off the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import otel_llm

SRC = Path(otel_llm.__file__).parent
MODULES = sorted(SRC.rglob("*.py"))
PAGE = SRC.parents[1] / "docs" / "architecture.md"

SPEAKS_OPENTELEMETRY = {
    "_recorder",
    "_recording",
    "_metrics",
    "_options",
    "_upload",
    "helpers",
    "instrumentor",
    "sampling",
    "semconv",
    "statsd",
    "views",
    # Shipped beside the package's core: they receive, test or show telemetry and import lazily.
    "testing",
    "live",
    "cli",
    "_demo",
    "_doctor",
}
WRAPS = {"drivers", "instrumentor"}
PURE = {"_operation", "_guard", "_locks", "_listeners", "_config", "providers", "errors", "_failure"}
SDKS = {
    "anthropic",
    "cerebras",
    "fireworks",
    "groq",
    "httpx",
    "httpx2",
    "llama_api_client",
    "openai",
    "perplexity",
    "sambanova",
    "together",
    "writerai",
}
OPTIONAL = {"genai_prices", "grpc", "rich", "starlette", "tiktoken", "uvicorn", "websockets"}


def _room(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def _is_type_checking(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _imports(path: Path, *, everywhere: bool) -> set[tuple[str, int]]:
    """Absolute modules that `path` imports: at module level when it runs, or `everywhere`."""
    found: set[tuple[str, int]] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and _is_type_checking(child):
                continue
            if isinstance(child, ast.Import):
                found.update((alias.name, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
                found.add((child.module, child.lineno))
            if everywhere or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                visit(child)

    visit(ast.parse(path.read_text()))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_nobody_imports_an_sdk_or_an_extra_at_module_level(path: Path) -> None:
    if _room(path) == "live":
        return  # an extra of its own: everything it needs is installed where it is imported
    forbidden = {
        f"line {line}: {module}"
        for module, line in _imports(path, everywhere=False)
        if module.partition(".")[0] in SDKS | OPTIONAL
    }
    assert forbidden == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_only_drivers_wrap_and_only_some_speak_opentelemetry(path: Path) -> None:
    room = _room(path)
    for module, line in _imports(path, everywhere=True):
        top = module.partition(".")[0]
        if top == "wrapt":
            assert room in WRAPS, f"line {line}"
        if top == "opentelemetry":
            assert room in SPEAKS_OPENTELEMETRY, f"line {line}"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if _room(path) in PURE], ids=lambda path: str(path.relative_to(SRC))
)
def test_the_core_imports_only_the_core(path: Path) -> None:
    tree = ast.parse(path.read_text())
    allowed = {"_operation", "_guard", "_locks", "_failure", "errors", "providers", "_content", "_plain"}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level and node.module:
            inside = node.level == 1 and _room(path) == "providers"
            assert inside or node.module.partition(".")[0] in allowed, f"line {node.lineno}: {node.module}"


def test_importing_the_package_imports_no_sdk_and_no_extra() -> None:
    program = (
        "import sys, otel_llm, otel_llm.instrumentor\n"
        "otel_llm.instrumentor.LLMInstrumentor().instrument()\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert set(run.stdout.split()) & (SDKS | OPTIONAL) == set()


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not in this distribution")
def test_the_tree_of_the_architecture_names_every_room() -> None:
    tree = PAGE.read_text().partition("```\nsrc/otel_llm/\n")[2].partition("```")[0]
    words = set(re.findall(r"[\w.]+/?", tree))
    rooms = {path.name + "/" * path.is_dir() for path in SRC.iterdir()}
    assert rooms - words - {"_version.py", "py.typed", "__pycache__/"} == set()
    named = {word for word in words if re.fullmatch(r"_?[a-z_]+\.py", word)}
    there = {path.name for folder in (SRC, SRC.parents[1] / "tests") for path in folder.rglob("*.py")}
    assert named <= there
