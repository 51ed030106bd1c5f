"""Which tasks a profile asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from camdenoise.io._atomic import digest
from study import before_after, controls, denoise, faithfulness, models, plants, truth, wafers
from study.bench.plan import bench_tasks
from study.comparison.plan import comparison_tasks
from study.denoisers import (
    BEFORE_AFTER,
    CONTROLS,
    EXPLAINERS,
    INDEPENDENT,
    MODELS,
    explainer_of,
    without_repeats,
)
from study.graph import Task, slug


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
    chosen = profile["wafers"] | source
    if set(profile["stages"]) == {"bench"}:
        return bench_tasks(profile, chosen)
    tasks = [Task("wafers", wafers.choose, chosen, cost=2)]
    if explainer_of(profile) != MODELS and data is not None:
        tasks += _beside(profile["explainer"], chosen)
    first = len(tasks)
    for fold in profile["test_folds"]:
        with_truth = {"truth", "faithfulness"} & set(profile["stages"])
        planted = _plants(profile, chosen, fold) if with_truth else []
        tasks += planted
        for seed in profile["seeds"]:
            tasks += _tasks_of_fold(profile, tasks[:first], planted, fold, seed)
    return tasks + comparison_tasks(profile, tasks[0])


def _beside(explainer: dict[str, Any], chosen: dict[str, Any]) -> list[Task]:
    """Choose real wafers to train on that are not denoised: without a pattern, and with one."""
    bare = chosen | {"classes": ["none"], "per_class": explainer["n_backgrounds"]}
    tasks = [Task(models.BACKGROUNDS, wafers.choose, bare, cost=2)]
    if "per_class" in explainer:
        more = chosen | {"per_class": explainer["per_class"], "skip": chosen["per_class"]}
        tasks.append(Task(models.MORE, wafers.choose, more, cost=2))
    return tasks


def _plants(profile: dict[str, Any], chosen: dict[str, Any], fold: int) -> list[Task]:
    """Plant patterns on real wafers; simulated wafers need none, they know their truth."""
    if chosen["data"] is None:
        return []
    options = {name: chosen[name] for name in ("classes", "folds", "data", "digest")}
    options |= {"fold": fold, "n_planted": profile["truth"]["n_planted"]}
    kinds = profile["truth"]["kinds"]
    return [
        Task(f"plants-{fold}-{kind}", plants.plant, options | {"kind": kind}, cost=2)
        for kind in kinds
    ]


def _tasks_of_fold(
    profile: dict[str, Any], sources: list[Task], planted: list[Task], fold: int, seed: int
) -> list[Task]:
    key, which = f"{fold}-{seed}", {"fold": fold, "seed": seed}
    training = which | {"classifier": profile["classifier"]}
    wanted, explainer = profile["stages"], explainer_of(profile)
    parts = models.PARTS if "denoise" in wanted else models.PARTS[:1]
    tasks = _nets(MODELS, training, sources[:1], parts)
    if explainer != MODELS and {"truth", "denoise"} & set(wanted):
        explaining = which | {"classifier": profile["explainer"]["classifier"]}
        tasks += _nets(EXPLAINERS, explaining, sources, parts)
    nets = tuple(task.name for task in tasks)
    around = which | {"explainer": explainer}
    if "truth" in wanted:
        tasks += _truth(planted, key, around, nets[:: len(parts)])
    if "denoise" in wanted:
        tasks.append(Task(f"denoise-{key}", denoise.run, around, ("wafers", *nets), 10))
    if "before_after" in wanted:
        names = without_repeats(BEFORE_AFTER, explainer)
        tasks += [_after("before_after", name, f"denoise-{key}", training) for name in names]
    if "controls" in wanted:
        tasks += _controls(profile, around, nets)
    if "faithfulness" in wanted:
        tasks += _faithfulness(profile["faithfulness"], planted, key, which, nets[0])
    return tasks


def _nets(
    stage: str, training: dict[str, Any], sources: list[Task], parts: tuple[str, ...]
) -> list[Task]:
    """Train a net on each part of the training wafers; the first part is all of them."""
    needs = tuple(task.name for task in sources)
    return [
        Task(
            f"{stage}-{training['fold']}-{training['seed']}-{part}",
            models.train,
            training | {"part": part},
            needs,
            10 if part == "all" else 5,
        )
        for part in parts
    ]


def _after(stage: str, name: str, source: str, training: dict[str, Any]) -> Task:
    """Train on wafers with the masks of a denoiser or control, which the task `source` made."""
    task = f"{stage}-{training['fold']}-{training['seed']}-{slug(name)}"
    parameters = training | {"name": name, "source": source}
    return Task(task, before_after.train, parameters, ("wafers", source), 10)


def _controls(
    profile: dict[str, Any], around: dict[str, Any], explaining: tuple[str, ...]
) -> list[Task]:
    """Make the masks of the controls and train on each.

    The independent architecture is that of the nets that classify, where others explain; else the
    profile may name one, whose nets are trained for it.
    """
    which = {name: around[name] for name in ("fold", "seed")}
    training = which | {"classifier": profile["classifier"]}
    backbone = profile.get("controls", {}).get("independent_backbone")
    names, nets, independent = list(CONTROLS), [], None
    if around["explainer"] != MODELS:
        independent = MODELS
    elif backbone:
        other = which | {"classifier": profile["classifier"] | {"backbone": backbone}}
        independent = "independent"
        nets = _nets(independent, other, [Task("wafers", wafers.choose)], models.PARTS)
    else:
        names.remove(INDEPENDENT)
    source = f"control_masks-{which['fold']}-{which['seed']}"
    needs = ("wafers", *explaining, *(net.name for net in nets))
    masks = Task(source, controls.make_masks, around | {"independent": independent}, needs, 5)
    return [*nets, masks, *(_after("controls", name, source, training) for name in names)]


def _truth(
    planted: list[Task], key: str, around: dict[str, Any], nets: tuple[str, ...]
) -> list[Task]:
    sources = {task.name: task.parameters["kind"] for task in planted} or {"wafers": "simulated"}
    return [
        Task(
            f"truth-{key}-{kind}",
            truth.score,
            around | {"kind": kind, "source": source},
            (source, *nets),
            3,
        )
        for source, kind in sources.items()
    ]


def _faithfulness(
    sizes: dict[str, int], planted: list[Task], key: str, which: dict[str, int], model: str
) -> list[Task]:
    source = planted[0].name if planted else "wafers"
    stage = f"faithfulness-{key}"
    curves = which | {name: sizes[name] for name in ("n_wafers", "n_steps")}
    forgetting = which | {"n_wafers": sizes["n_forgetting"]}
    needs = ("wafers", model)
    return [
        Task(f"{stage}-curves", faithfulness.draw_curves, curves, needs, 60),
        Task(
            f"{stage}-pointing", faithfulness.point, which | {"source": source}, (source, model), 5
        ),
        Task(f"{stage}-weights", faithfulness.forget, forgetting, needs, 10),
    ]
