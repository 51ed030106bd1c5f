"""A graph of tasks whose results stay on disk, so that a stopped run goes on where it was.

A task writes into a folder of its own, which appears once it is complete. Beside the results lies
``about.json``: the fingerprint of everything that they depend on (parameters, code, the
results that they were made from), the environment, and the time it took. A task whose folder has
the fingerprint of today is not run again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

import camdenoise

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
    """Turn a name into part of a task's."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


@cache
def _source_of_package() -> str:
    """Digest the library's code: a result may depend on all of it."""
    folder = Path(camdenoise.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def _source_of(module: str) -> str:
    """Return the code of a module of the study and of those that it imports from there."""
    code = inspect.getsource(importlib.import_module(module))
    imported = re.findall(r"^from (study[.\w]*) import", code, re.MULTILINE)
    return code + "".join(_source_of(name) for name in imported)


def fingerprints(tasks: Iterable[Task]) -> dict[str, str]:
    """Digest for each task all that its results depend on; `tasks` in order of need."""
    known: dict[str, str] = {}
    for task in tasks:
        parts = [
            task.name,
            json.dumps(task.parameters, sort_keys=True),
            _source_of(task.run.__module__),
            _source_of_package(),
            *(known[name] for name in task.needs),
        ]
        known[task.name] = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return known


def environment() -> dict[str, str]:
    """Versions and machine, to be kept beside every table."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "camdenoise": camdenoise.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        **versions,
    }


def about(folder: Path) -> dict[str, Any]:
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
    todo = [t for t in tasks if about(folders[t.name]).get("fingerprint") != current[t.name]]
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
    """Run one task beside its place, then put the whole of it there."""
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
