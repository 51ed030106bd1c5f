"""Which tasks a profile asks for: those of its stages, or of the bench."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camdenoise.io import sha256
from study import wafers
from study.denoisers import (
    ALL_CLASSES,
    BEFORE_AFTER,
    BENCH,
    BY_NAME,
    CAM,
    COMPONENTS,
    CONTROLS,
    EXPLAINERS,
    INDEPENDENT,
    MEDIAN,
    MODELS,
    OURS,
    PATTERNS,
    PLAIN,
    RANDOM_NET,
    RAW,
    WITH_NONE,
    Entry,
    explainer_of,
    without_repeats,
)
from study.graph import Task, slug
from study.stages import (
    backbones,
    before_after,
    bench,
    bench_nets,
    bench_wafers,
    cams,
    controls,
    denoise,
    discovery,
    faithfulness,
    learning,
    models,
    noise,
    planted,
    resolution,
    score_dies,
)
from study.stages.backbones import BASELINES, FEATURES, MAJORITY, ORIGINAL, PRODUCTS, STRICT

#: Nets whose input is not three planes, which a color picture is.
_NOT_FOR_PICTURES = ("wafer_unet",)
#: What each experiment compares, a control among them.
LEARNING = (RAW, MEDIAN, OURS, RANDOM_NET)
#: Here a net of its own for each class left out explains, of the same kind as classifies.
DISCOVERY = (MEDIAN, CAM, RANDOM_NET)
NOISE = (MEDIAN, COMPONENTS, PLAIN, OURS, RANDOM_NET)


def make_plan(profile: dict[str, Any], data: Path | None) -> list[Task]:
    """List the tasks of a profile in order of need.

    Parameters
    ----------
    profile : dict
        As `study.profiles.load_profile` gives it.
    data : Path or None
        File of real wafers; simulated ones where None.
    """
    source = {"data": None if data is None else str(data), "digest": data and sha256(data)}
    chosen = profile["wafers"] | source
    if set(profile["stages"]) == {"bench"}:
        return bench_tasks(profile, chosen)
    tasks = [Task("wafers", wafers.choose, chosen, cost=2)]
    if explainer_of(profile) != MODELS and data is not None:
        tasks += _further(profile["explainer"], chosen)
    first = len(tasks)
    for fold in profile["test_folds"]:
        with_truth = {"score_dies", "faithfulness"} & set(profile["stages"])
        with_known = _planted(profile, chosen, fold) if with_truth else []
        tasks += with_known
        for seed in profile["seeds"]:
            tasks += _tasks_of_fold(profile, tasks[:first], with_known, fold, seed)
    return tasks + _comparison(profile, tasks[0])


def _further(explainer: dict[str, Any], chosen: dict[str, Any]) -> list[Task]:
    """Choose real wafers to train on that are not denoised: without a pattern, and with one."""
    bare = chosen | {"classes": ["none"], "per_class": explainer["n_backgrounds"]}
    tasks = [Task(models.BACKGROUNDS, wafers.choose, bare, cost=2)]
    if "per_class" in explainer:
        more = chosen | {"per_class": explainer["per_class"], "skip": chosen["per_class"]}
        tasks.append(Task(models.MORE, wafers.choose, more, cost=2))
    return tasks


def _planted(profile: dict[str, Any], chosen: dict[str, Any], fold: int) -> list[Task]:
    """Plant patterns on real wafers; simulated wafers need none, they know their truth."""
    if chosen["data"] is None:
        return []
    options = {name: chosen[name] for name in ("classes", "folds", "data", "digest")}
    options |= {"fold": fold, "n_planted": profile["planted"]["n_planted"]}
    kinds = profile["planted"]["kinds"]
    return [
        Task(f"planted-{fold}-{kind}", planted.plant, options | {"kind": kind}, cost=2)
        for kind in kinds
    ]


def _tasks_of_fold(
    profile: dict[str, Any], sources: list[Task], known: list[Task], fold: int, seed: int
) -> list[Task]:
    key, which = f"{fold}-{seed}", {"fold": fold, "seed": seed}
    training = which | {"classifier": profile["classifier"]}
    wanted, explainer = profile["stages"], explainer_of(profile)
    parts = models.PARTS if "denoise" in wanted else models.PARTS[:1]
    tasks = _nets(MODELS, training, sources[:1], parts)
    if explainer != MODELS and {"score_dies", "denoise"} & set(wanted):
        explaining = which | {"classifier": profile["explainer"]["classifier"]}
        tasks += _nets(EXPLAINERS, explaining, sources, parts)
    nets = tuple(task.name for task in tasks)
    around = which | {"explainer": explainer}
    if "score_dies" in wanted:
        tasks += _score_dies(known, key, around, nets[:: len(parts)])
    if "denoise" in wanted:
        tasks.append(Task(f"denoise-{key}", denoise.write_masks, around, ("wafers", *nets), 10))
    if "before_after" in wanted:
        names = without_repeats(BEFORE_AFTER, explainer)
        tasks += [_after("before_after", name, f"denoise-{key}", training) for name in names]
    if "controls" in wanted:
        tasks += _controls(profile, around, nets)
    if "faithfulness" in wanted:
        tasks += _faithfulness(profile["faithfulness"], known, key, which, nets[0])
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


def _score_dies(
    known: list[Task], key: str, around: dict[str, Any], nets: tuple[str, ...]
) -> list[Task]:
    sources = {task.name: task.parameters["kind"] for task in known} or {"wafers": "simulated"}
    return [
        Task(
            f"score_dies-{key}-{kind}",
            score_dies.score_dies,
            around | {"kind": kind, "source": source},
            (source, *nets),
            3,
        )
        for source, kind in sources.items()
    ]


def _faithfulness(
    sizes: dict[str, int], known: list[Task], key: str, which: dict[str, int], model: str
) -> list[Task]:
    source = known[0].name if known else "wafers"
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


def _comparison(profile: dict[str, Any], source: Task) -> list[Task]:
    """List the tasks of the comparison's stages, which come after all others."""
    wanted = profile["stages"]
    tasks: list[Task] = []
    if {"backbones", "cams"} & set(wanted):
        tasks += _backbones(profile, source)
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


def _backbones(profile: dict[str, Any], chosen: Task) -> list[Task]:
    """Train every net under every protocol; copies of a map stay in for the original one."""
    source = dict.fromkeys((STRICT, PRODUCTS), chosen.name) | {ORIGINAL: "wafers-copies"}
    protocols = profile["backbones"]["protocols"]
    tasks = []
    if ORIGINAL in protocols:
        tasks.append(Task(source[ORIGINAL], chosen.run, chosen.parameters | {"unique": False}))
    for protocol in protocols:
        for name, cost in ({MAJORITY: 0.1, FEATURES: 3} | profile["backbones"]["nets"]).items():
            if _is_compared(profile, protocol, name):
                tasks += _trainings(profile, protocol, source[protocol], name, cost)
    return tasks


def _is_compared(profile: dict[str, Any], protocol: str, name: str) -> bool:
    if protocol == PRODUCTS:
        return name in (*BASELINES, *profile["backbones"]["nets_on_products"])
    return protocol != ORIGINAL or name not in _NOT_FOR_PICTURES


def _trainings(profile, protocol: str, source: str, name: str, cost: float) -> list[Task]:
    asked = profile["backbones"]
    given = {"protocol": protocol, "backbone": name, "folds": profile["wafers"]["folds"]}
    given |= {"classifier": asked["classifier"], "image_size": asked["image_size"]}
    # Products are a third view only, and the seed draws the original protocol's test wafers.
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
    # The same number of steps for every share, so that few wafers do not mean a short training.
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


def bench_tasks(profile: dict[str, Any], chosen: dict[str, Any]) -> list[Task]:
    """List the tasks of the bench in order of need.

    Parameters
    ----------
    profile : dict
        As `study.profiles.load_profile` gives it.
    chosen : dict
        Its wafers and where they come from, as for `study.stages.bench_wafers.choose`.
    """
    tasks = [Task("bench-wafers", bench_wafers.choose, chosen, cost=2)]
    for fold in profile["test_folds"]:
        folds = bench_wafers.folds_of_roles(chosen["folds"], fold)
        tasks += [
            _bench_planted(profile, fold, role, folds[role], kind)
            for role in folds
            for kind in bench_wafers.KINDS
        ]
        for seed in profile["seeds"]:
            tasks += _BenchRun(profile, fold, seed).tasks(folds["training"])
    return tasks


def chosen_entries(options: dict[str, Any]) -> list[Entry]:
    """List the denoisers that a profile names, all where it names none.

    The median filter is always there: times are measured in its time.
    """
    names = {MEDIAN, *options.get("denoisers", BY_NAME)}
    return [entry for entry in BENCH if entry.name in names]


def _bench_planted_name(fold: int, role: str, kind: str) -> str:
    return f"bench-{fold}-planted-{role}-{kind}"


def _bench_planted(
    profile: dict[str, Any], fold: int, role: str, folds: list[int], kind: str
) -> Task:
    sizes = profile["bench"]
    options = {"kind": kind, "folds": folds, "classes": profile["wafers"]["classes"]}
    options |= {"rates": sizes["background_rates"], "n_per_rate": sizes["n_per_rate"][role]}
    return Task(
        _bench_planted_name(fold, role, kind), bench_wafers.plant, options, ("bench-wafers",)
    )


@dataclass(frozen=True)
class _BenchRun:
    """The tasks of one test fold and seed."""

    profile: dict[str, Any]
    fold: int
    seed: int

    def tasks(self, training_folds: list[int]) -> list[Task]:
        """List them: what the denoisers are given, each denoiser's, and the times."""
        entries = chosen_entries(self.profile["bench"])
        given = dict.fromkeys(entry.trained for entry in entries if entry.trained)
        tasks = [self._train(wanted, training_folds) for wanted in given]
        for entry in entries:
            tasks += self._of_entry(entry)
        return [*tasks, self._time(entries)]

    def _name(self, step: str, of: str) -> str:
        return f"bench-{self.fold}-{self.seed}-{step}-{slug(of)}"

    def _planted(self, role: str) -> tuple[str, ...]:
        return tuple(_bench_planted_name(self.fold, role, kind) for kind in bench_wafers.KINDS)

    def _given(self, entry: Entry) -> tuple[str, ...]:
        return () if entry.trained is None else (self._name("train", entry.trained),)

    def _train(self, wanted: str, folds: list[int]) -> Task:
        sizes, name = self.profile["bench"], self._name("train", wanted)
        options: dict[str, Any] = {"wanted": wanted, "seed": self.seed}
        if wanted in (PATTERNS, WITH_NONE):
            options |= {"folds": folds, "per_class": sizes["per_class"]}
            options |= {"parameters": self.profile["classifier"]}
            return Task(name, bench_nets.train_classifier, options, ("bench-wafers",), 10)
        if wanted == ALL_CLASSES:
            options |= {"folds": folds} | sizes["evidence"]
            return Task(name, bench_nets.train_classifier, options, ("bench-wafers",), 40)
        options = {"seed": self.seed, "parameters": sizes["learned"]}
        return Task(name, bench_nets.train_denoiser, options, self._planted("training"), 15)

    def _of_entry(self, entry: Entry) -> list[Task]:
        """Tune, test, and vary the main parameter."""
        sizes, name = self.profile["bench"], {"name": entry.name}
        tuning, testing = self._name("tune", entry.name), self._name("test", entry.name)
        search = name | {"seed": self.seed} | sizes["search"]
        asked = name | {"fold": self.fold, "n_patternless": sizes["n_patternless"]}
        given = self._given(entry)
        needs = (tuning, *given, *self._planted("test"))
        tasks = [
            Task(tuning, bench.tune, search, (*given, *self._planted("validation")), 4),
            Task(testing, bench.test, asked, ("bench-wafers", *needs), 2),
        ]
        if entry.main is not None:
            options = name | {"share": sizes["curve_share"]}
            tasks.append(Task(self._name("vary", entry.name), bench.vary, options, needs, 3))
        return tasks

    def _time(self, entries: list[Entry]) -> Task:
        sizes = self.profile["bench"]
        made_of = {
            entry.name: [self._name("tune", entry.name), *self._given(entry)]
            for entry in [BY_NAME[MEDIAN], *entries]
        }
        needs = dict.fromkeys(name for names in made_of.values() for name in names)
        options = {"names": made_of, "n_maps": sizes["n_timed"], "rounds": sizes["timing_rounds"]}
        name = f"bench-{self.fold}-{self.seed}-time"
        return Task(name, bench.measure_time, options, (*needs, *self._planted("test")), 2)
