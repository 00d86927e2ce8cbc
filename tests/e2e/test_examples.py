"""Every example runs, against the fake provider that it starts itself, and prints what it says it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
INDEX = EXAMPLES[0].with_name("README.md")
MARK = "\n# Prints:\n"


def _promised(source: str) -> list[str]:
    """The lines after `# Prints:` at the end; `...` in them stands for anything."""
    _, _, end = source.partition(MARK)
    return [line.removeprefix("#").removeprefix(" ") for line in end.splitlines()]


def _pattern(line: str) -> str:
    return ".*".join(map(re.escape, line.split("...")))


def test_the_list_of_examples_says_what_each_of_them_says() -> None:
    rows = re.findall(r"^\| \[(\w+)\.py\]\(\1\.py\) \| (.*) \|$", INDEX.read_text(), re.MULTILINE)
    firsts = {path.stem: path.read_text().removeprefix('"""').partition("\n")[0] for path in EXAMPLES}
    assert dict(rows) == {name: first.removesuffix('"""') for name, first in firsts.items()}
    assert len(rows) == len(EXAMPLES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=60, check=False, cwd=path.parent
    )
    assert done.returncode == 0, done.stderr
    promised = _promised(path.read_text())
    printed = done.stdout.splitlines()
    if not promised:
        assert done.stdout + done.stderr != ""
        return
    assert done.stderr == ""
    assert len(printed) == len(promised), done.stdout
    for line, expected in zip(printed, promised, strict=True):
        assert re.fullmatch(_pattern(expected), line), (line, expected)
