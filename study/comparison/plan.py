"""Which tasks the comparison consists of."""

from __future__ import annotations

from typing import Any

from study import models
from study.comparison import backbones, cams, discovery, learning, noise, resolution
from study.comparison.backbones import BASELINES, FEATURES, LITERAL, MAJORITY, PRODUCTS, STRICT
from study.denoisers import CAM, COMPONENTS, MEDIAN, OURS, PLAIN, RANDOM_NET, explainer_of
from study.graph import Task, slug
from study.summary import RAW

#: Nets whose input is not three planes, which a colour picture is.
_NOT_FOR_PICTURES = ("wafer_unet",)
#: What each experiment compares, a control among them.
LEARNING = (RAW, MEDIAN, OURS, RANDOM_NET)
#: Here a net of its own for each class left out explains, of the same kind as classifies.
DISCOVERY = (MEDIAN, CAM, RANDOM_NET)
NOISE = (MEDIAN, COMPONENTS, PLAIN, OURS, RANDOM_NET)


def comparison_tasks(profile: dict[str, Any], wafers: Task) -> list[Task]:
    """List the tasks of the comparison's stages, which come after all others.

    Parameters
    ----------
    profile : dict
        As `study.profiles.load_profile` gives it.
    wafers : Task
        Chooses the wafers.
    """
    wanted = profile["stages"]
    tasks: list[Task] = []
    if {"backbones", "cams"} & set(wanted):
        tasks += _backbones(profile, wafers)
    if "cams" in wanted:
        tasks += [_cams(profile, name) for name in profile["backbones"]["nets"]]
    for stage, list_tasks in _EXPERIMENTS.items():
        if stage in wanted:
            for fold in profile["test_folds"]:
                for seed in profile["seeds"]:
                    tasks += list_tasks(profile, {"fold": fold, "seed": seed}, f"{fold}-{seed}")
    return tasks


def backbone_task(protocol: str, fold: int, seed: int, name: str) -> str:
    """Name the task that trains a net."""
    return f"backbones-{protocol}-{fold}-{seed}-{slug(name)}"


def _backbones(profile: dict[str, Any], wafers: Task) -> list[Task]:
    """Train every net under every protocol; the literal one has copies of maps among its wafers."""
    source = dict.fromkeys((STRICT, PRODUCTS), wafers.name) | {LITERAL: "wafers-copies"}
    protocols = profile["backbones"]["protocols"]
    tasks = []
    if LITERAL in protocols:
        tasks.append(Task(source[LITERAL], wafers.run, wafers.parameters | {"unique": False}))
    for protocol in protocols:
        for name, cost in ({MAJORITY: 0.1, FEATURES: 3} | profile["backbones"]["nets"]).items():
            if _is_compared(profile, protocol, name):
                tasks += _trainings(profile, protocol, source[protocol], name, cost)
    return tasks


def _is_compared(profile: dict[str, Any], protocol: str, name: str) -> bool:
    if protocol == PRODUCTS:
        return name in (*BASELINES, *profile["backbones"]["nets_on_products"])
    return protocol != LITERAL or name not in _NOT_FOR_PICTURES


def _trainings(profile, protocol: str, source: str, name: str, cost: float) -> list[Task]:
    asked = profile["backbones"]
    given = {"protocol": protocol, "backbone": name, "folds": profile["wafers"]["folds"]}
    given |= {"classifier": asked["classifier"], "image_size": asked["image_size"]}
    # Products are a third view only, and the seed draws the literal protocol's test wafers.
    folds = profile["test_folds"] if protocol == STRICT else profile["test_folds"][:1]
    once = protocol == PRODUCTS or name in asked["one_seed"]
    seeds = profile["seeds"][:1] if once else profile["seeds"]
    tasks = []
    for fold in folds:
        for seed in seeds:
            task = backbone_task(protocol, fold, seed, name)
            which = {"fold": fold, "seed": seed, "keep": task == _explained(profile, name)}
            tasks.append(Task(task, backbones.train, given | which, (source,), cost))
    return tasks


def _explained(profile: dict[str, Any], name: str) -> str | None:
    """Name the task whose net is explained."""
    fold, seed = profile["test_folds"][0], profile["seeds"][0]
    return None if name in BASELINES else backbone_task(STRICT, fold, seed, name)


def _cams(profile: dict[str, Any], name: str) -> Task:
    options = profile["cams"] | {"fold": profile["test_folds"][0], "backbone": name}
    needs = ("wafers", _explained(profile, name))
    return Task(f"cams-{slug(name)}", cams.explain, options, needs, 10)


def _learning(profile: dict[str, Any], which: dict[str, int], key: str) -> list[Task]:
    asked, most = profile["learning"], profile["classifier"]["max_epochs"]
    if which["seed"] not in profile["seeds"][: asked["n_seeds"]]:
        return []
    # The same number of steps for every share, lest few wafers be a short training, too.
    points = [(share, round(most / share)) for share in asked["shares"]]
    points += [(1.0, fewer) for fewer in asked["epochs"]]
    tasks = []
    for name in LEARNING:
        source = f"control_masks-{key}" if name == RANDOM_NET else f"denoise-{key}"
        for share, epochs in points:
            options = {"name": name, "source": source, "share": share, "epochs": epochs}
            options |= which | {"classifier": profile["classifier"]}
            task = f"learning-{key}-{slug(name)}-{share:.0%}-{epochs}".replace("%", "")
            needs = ("wafers", source)
            cost = 10 * share * epochs / most
            tasks.append(Task(task, learning.train, options, needs, cost))
    return tasks


def _discovery(profile: dict[str, Any], which: dict[str, int], key: str) -> list[Task]:
    options = which | profile["discovery"] | {"names": list(DISCOVERY)}
    options |= {"classifier": profile["classifier"]}
    return [
        Task(
            f"discovery-{key}-{slug(name)}",
            discovery.cluster,
            options | {"held_out": name},
            ("wafers",),
            10,
        )
        for name in profile["wafers"]["classes"]
    ]


def _noise(profile: dict[str, Any], which: dict[str, int], key: str) -> list[Task]:
    stages = {name: "controls" if name == RANDOM_NET else "before_after" for name in NOISE}
    nets = {name: f"{stage}-{key}-{slug(name)}" for name, stage in stages.items()}
    explainer = explainer_of(profile)
    explaining = [f"{stage}-{key}-all" for stage in dict.fromkeys(("models", explainer))]
    needs = ("wafers", *explaining, *nets.values())
    options = which | profile["noise"] | {"nets": nets, "explainer": explainer}
    return [Task(f"noise-{key}", noise.predict_flipped, options, needs, 10)]


def _resolution(profile: dict[str, Any], which: dict[str, int], key: str) -> list[Task]:
    if which["seed"] != profile["seeds"][0]:
        return []
    asked = profile["resolution"]
    net = f"resolution-{key}-net"
    training = which | {"part": "all", "classifier": asked["classifier"]}
    options = which | {name: asked[name] for name in ("n_wafers", "n_steps")}
    return [
        Task(net, models.train, training, ("wafers",), 30),
        Task(f"resolution-{key}-curves", resolution.measure, options, ("wafers", net), 10),
    ]


_EXPERIMENTS = {
    "learning": _learning,
    "discovery": _discovery,
    "noise": _noise,
    "resolution": _resolution,
}
