"""A graph of tasks whose results stay on disk, so that a stopped run goes on where it was.

A task writes into a folder of its own, which appears once it is complete. Next to the results lies
``about.json``: the fingerprint of everything that they depend on (parameters, code, the
results that they were made from), the environment, and the time it took. A task whose folder has
the fingerprint of today is not run again.

The code of a task is the module of its function and all that this imports, as the syntax trees
tell. Comments and docstrings do not count, nor do other modules of its package.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

import camdenoise

# Folders of the code that a result may depend on.
_FOLDERS = {"camdenoise": Path(camdenoise.__file__).parent, "study": Path(__file__).parent}
_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "skorch", "timm", "pandas")


@dataclass(frozen=True)
class Task:
    """One piece of work.

    Attributes
    ----------
    name : str
        Names its folder; what comes before the first dash is its stage.
    run : callable
        ``run(folder, needed, **parameters)`` writes results into ``folder``; ``needed`` gives
        the folder of each task in `needs`.
    parameters : dict
        Of kinds that JSON holds.
    needs : tuple of str
        Names of the tasks whose results it reads.
    cost : float
        How long it takes compared with others, for the progress bar.
    """

    name: str
    run: Callable[..., None]
    parameters: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    cost: float = 1.0

    @property
    def stage(self) -> str:
        """What the task is a part of."""
        return self.name.split("-")[0]


def slug(name: str) -> str:
    """Turn a name into part of a task's name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _file_of(module: str) -> Path | None:
    """Find the file of a module of the study or the package; None for any other name."""
    root, *parts = module.split(".")
    if root not in _FOLDERS:
        return None
    place = _FOLDERS[root].joinpath(*parts)
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


@cache
def _tree_of(module: str) -> ast.Module:
    file = _file_of(module)
    return ast.parse(inspect.getsource(sys.modules[module]) if file is None else file.read_text())


def _imports_of(module: str) -> Iterator[tuple[str, str, str]]:
    """Give for each import of a module: from where, what, and the name that it gets."""
    for node in ast.walk(_tree_of(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, name.name, name.asname or name.name) for name in node.names)
        elif isinstance(node, ast.Import):
            yield from ((name.name, "", "") for name in node.names)


def _home_of(module: str, name: str) -> str | None:
    """Name the module that defines a name, where a package only passes it on."""
    if name and _file_of(f"{module}.{name}"):
        return f"{module}.{name}"
    file = _file_of(module)
    if file is not None and file.name == "__init__.py":
        for source, original, bound in _imports_of(module):
            if bound == name and source != module:
                return _home_of(source, original)
    return None if file is None else module


@cache
def code_of(module: str) -> frozenset[str]:
    """Name a module and all of the study and the package that it imports, directly or not."""
    found: set[str] = set()
    open_names = {module}
    while open_names:
        name = open_names.pop()
        found.add(name)
        homes = {_home_of(source, imported) for source, imported, _ in _imports_of(name)}
        open_names |= {home for home in homes if home is not None} - found
    return frozenset(found)


@cache
def _digest_of_module(module: str) -> str:
    """Digest a module's statements, without comments and docstrings."""
    tree = _tree_of(module)
    for node in ast.walk(tree):
        holds_text = isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        )
        if holds_text and ast.get_docstring(node, clean=False) is not None:  # type: ignore[arg-type]
            node.body = node.body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


@cache
def _digest_of_code(module: str) -> str:
    parts = (f"{name} {_digest_of_module(name)}" for name in sorted(code_of(module)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def fingerprints(tasks: Iterable[Task]) -> dict[str, str]:
    """Digest for each task all that its results depend on; `tasks` in order of need."""
    known: dict[str, str] = {}
    for task in tasks:
        parts = [
            task.name,
            json.dumps(task.parameters, sort_keys=True),
            _digest_of_code(task.run.__module__),
            *(known[name] for name in task.needs),
        ]
        known[task.name] = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return known


def environment() -> dict[str, str]:
    """Versions and machine, to be kept with every table."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "camdenoise": camdenoise.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        **versions,
    }


def read_facts(folder: Path) -> dict[str, Any]:
    """Read what is known of a finished task's folder; empty where it is not finished."""
    try:
        return json.loads((folder / "about.json").read_text())
    except (OSError, ValueError):
        return {}


def required(tasks: list[Task], wanted: Iterable[str]) -> list[Task]:
    """Choose the tasks of the wanted stages and all that they need, in order."""
    by_name = {task.name: task for task in tasks}
    stages = set(wanted)
    names: set[str] = set()
    open_names = [task.name for task in tasks if task.stage in stages]
    while open_names:
        name = open_names.pop()
        if name not in names:
            names.add(name)
            open_names += by_name[name].needs
    return [task for task in tasks if task.name in names]


def run_all(tasks: list[Task], out: Path) -> dict[str, Path]:
    """Run what is not there yet; return the folder of each task.

    Parameters
    ----------
    tasks : list of Task
        In order of need.
    out : Path
        Where the folders are.
    """
    out.mkdir(parents=True, exist_ok=True)
    current = fingerprints(tasks)
    folders = {task.name: out / task.name for task in tasks}
    todo = [t for t in tasks if read_facts(folders[t.name]).get("fingerprint") != current[t.name]]
    if len(todo) < len(tasks):
        print(f"{len(tasks) - len(todo)} of {len(tasks)} parts are done already.")
    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=sum(task.cost for task in todo), bar_format=form, leave=True) as bar:
        for task in todo:
            bar.set_description(task.name)
            _run(task, folders, current[task.name])
            bar.update(task.cost)
        bar.set_description("done")
    return folders


def _run(task: Task, folders: dict[str, Path], fingerprint: str) -> None:
    """Run one task in a folder next to its place, then move that folder there."""
    place = folders[task.name]
    part = place.with_name(f".{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    start = time.perf_counter()
    task.run(part, {name: folders[name] for name in task.needs}, **task.parameters)
    facts = {
        "fingerprint": fingerprint,
        "parameters": task.parameters,
        "seconds": round(time.perf_counter() - start, 2),
        "environment": environment(),
    }
    (part / "about.json").write_text(json.dumps(facts, indent=1))
    shutil.rmtree(place, ignore_errors=True)
    part.rename(place)
