"""Rooms of the package import downwards only, and no two files import each other in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "camdenoise"
#: Rooms by layer, the lowest first, as CONTRIBUTING.md shows them.
LAYERS = [
    {"_version", "_sklearn_compat"},
    {"wafers"},
    {"io", "metrics", "features", "similarity"},
    {"datasets"},
    {"nets"},
    {"cam", "classification"},
    {"denoising"},
    {"filters", "learned", "lots", "faithfulness", "leakage", "models", "onnx"},
    {"plotting"},
    {"stream", "report"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# The command line takes estimators by their public names.
ALLOWED = {("cli", "camdenoise")}


def name_of(file):
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imports_of(file):
    """Modules of the package that a file imports, wherever in it, but for type checkers only."""
    tree = ast.parse(file.read_text())
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


FILES = {name_of(file): file for file in PACKAGE.rglob("*.py")}


def module_of(imported):
    """The module that an import reads: the name itself, or the module that holds it."""
    return imported if imported in FILES else imported.rpartition(".")[0]


ARROWS = {
    name: {
        module_of(imported)
        for imported in imports_of(file)
        if imported.split(".")[0] == "camdenoise"
    }
    for name, file in FILES.items()
}


def room_of(module):
    return module.split(".")[1] if "." in module else module


@pytest.mark.parametrize("name", sorted(set(FILES) - {"camdenoise"}))
def test_imports_go_downwards(name):
    own = room_of(name)
    for module in ARROWS[name]:
        other = room_of(module)
        below = LEVEL.get(other, len(LAYERS)) < LEVEL[own]
        assert other == own or below or (own, other) in ALLOWED, f"{name} imports {module}"


def test_files_import_without_a_circle():
    inner = {name: arrows - {name, "camdenoise"} for name, arrows in ARROWS.items()}
    try:
        TopologicalSorter(inner).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_package_root_has_few_files():
    assert len(list(PACKAGE.glob("*.py"))) <= 10
