"""Tests lie where the package has what they test, under names that fit a line."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "camdenoise"
#: Folders of tests that belong to no room of the package.
APART = {"contract", "robustness", "study"}
#: Files that test several modules of their room at once.
SEVERAL = {"io/test_map_writers.py", "plotting/test_displays.py"}
FILES = sorted(TESTS.glob("*/**/test_*.py"))
LONGEST_NAME = 50  # characters; pytest's line of a failed test stays readable


@pytest.mark.parametrize("folder", sorted({file.parent.name for file in FILES}))
def test_names_are_at_most_50_characters(folder):
    for file in (file for file in FILES if file.parent.name == folder):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert len(node.name) <= LONGEST_NAME, f"{file.relative_to(TESTS)}: {node.name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_files_are_named_after_modules(file):
    room, name = file.parent.name, file.stem.removeprefix("test_")
    if room in APART or f"{room}/{file.name}" in SEVERAL:
        return
    modules = [module.stem.removeprefix("_") for module in (PACKAGE / room).rglob("*.py")]
    assert any(name == module or name.startswith(f"{module}_") for module in modules)
