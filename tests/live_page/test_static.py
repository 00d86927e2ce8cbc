"""What holds for the page's files without a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "src/otel_llm/live/static"
OURS = [path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts]
MODULES = [path for path in OURS if path.suffix == ".js"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_is_short_and_never_makes_html_or_code_from_text(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 400
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|srcdoc", text
    )


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path: Path) -> None:
    urls = set(re.findall(r"(?:https?|wss?):?//[\w.-]+", path.read_text()))
    assert urls <= {"http://www.w3.org", "http://localhost"}


def test_the_page_has_no_inline_script_or_style() -> None:
    html = (STATIC / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", html) == []
    assert all(
        (STATIC.parent / address).is_file() for address in re.findall(r'(?:src|href)="(static/[^"]+)"', html)
    )


def test_every_module_is_used() -> None:
    imported = {
        (path.parent / target).resolve()
        for path in MODULES
        for target in re.findall(r'from "(\.[^"]+)"', path.read_text())
    }
    in_page = {
        (STATIC.parent / address).resolve()
        for address in re.findall(r'src="(static/[^"]+)"', (STATIC / "index.html").read_text())
    }
    assert {path.resolve() for path in MODULES} == {
        path for path in imported | in_page if "vendor" not in path.parts
    }


def test_what_is_vendored_has_its_licence() -> None:
    for package in (STATIC / "vendor").iterdir():
        assert "Permission is hereby granted" in (package / "LICENSE").read_text()
