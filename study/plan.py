"""Which tasks a profile asks for."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from study import before_after, denoise, models, truth, wafers
from study.denoisers import COMPONENTS, CONTROLS, MEDIAN, OURS, PLAIN
from study.graph import Task

#: What a classifier is trained on after denoising. Raw wafers are those of the models stage.
BEFORE_AFTER = (MEDIAN, COMPONENTS, PLAIN, OURS, *CONTROLS)


def digest(file: Path) -> str:
    """Hash a file's content."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def slug(name: str) -> str:
    """Turn a denoiser's name into part of a folder's."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def make_plan(profile: dict[str, Any], data: Path | None) -> list[Task]:
    """List the tasks of a profile in order of need.

    Parameters
    ----------
    profile : dict
        As `study.profiles.load_profile` gives it.
    data : Path or None
        File of real wafers; simulated ones where None.
    """
    source = {"data": None if data is None else str(data), "digest": data and digest(data)}
    tasks = [Task("wafers", wafers.choose, profile["wafers"] | source, cost=2)]
    for seed in profile["seeds"]:
        for fold in profile["test_folds"]:
            tasks += _tasks_of_fold(profile, fold, seed)
    return tasks


def _tasks_of_fold(profile: dict[str, Any], fold: int, seed: int) -> list[Task]:
    which = {"fold": fold, "seed": seed}
    training = which | {"classifier": profile["classifier"]}
    key = f"{fold}-{seed}"
    parts = [f"models-{key}-{part}" for part in models.PARTS]
    tasks = [Task(parts[0], models.train, training | {"part": "all"}, ("wafers",), 10)]
    wanted = profile["stages"]
    if "truth" in wanted:
        tasks.append(Task(f"truth-{key}", truth.score, which, ("wafers", parts[0]), 3))
    if "denoise" in wanted:
        for part, name in zip(models.PARTS[1:], parts[1:], strict=True):
            tasks.append(Task(name, models.train, training | {"part": part}, ("wafers",), 5))
        tasks.append(Task(f"denoise-{key}", denoise.run, which, ("wafers", *parts), 10))
    if "before_after" in wanted:
        needs = ("wafers", f"denoise-{key}")
        for name in BEFORE_AFTER:
            parameters = training | {"name": name}
            task = f"before_after-{key}-{slug(name)}"
            tasks.append(Task(task, before_after.train, parameters, needs, 10))
    return tasks
