"""Which tasks the bench consists of."""

from __future__ import annotations

from typing import Any

from study.bench.entries import BY_NAME, ENTRIES, MEDIAN, Entry
from study.bench.runs import measure_time, test, train, tune, vary
from study.bench.wafers import KINDS, choose, plant, roles
from study.graph import Task, slug


def bench_tasks(profile: dict[str, Any], chosen: dict[str, Any]) -> list[Task]:
    """List the tasks of the bench in order of need.

    Parameters
    ----------
    profile : dict
        As `study.profiles.load_profile` gives it.
    chosen : dict
        Its wafers and where they come from, as for `study.bench.wafers.choose`.
    """
    tasks = [Task("bench-wafers", choose, chosen, cost=2)]
    for fold in profile["test_folds"]:
        folds = roles(chosen["folds"], fold)
        tasks += [
            _plants(profile, fold, role, folds[role], kind)
            for role in ("validation", "test")
            for kind in KINDS
        ]
        for seed in profile["seeds"]:
            tasks += _of_seed(profile, fold, folds["training"], seed)
    return tasks


def _plants(profile: dict[str, Any], fold: int, role: str, folds: list[int], kind: str) -> Task:
    bench = profile["bench"]
    options = {"kind": kind, "folds": folds, "classes": profile["wafers"]["classes"]}
    options |= {"rates": bench["background_rates"], "n_per_rate": bench["n_per_rate"][role]}
    return Task(_plants_name(fold, role, kind), plant, options, ("bench-wafers",))


def _plants_name(fold: int, role: str, kind: str) -> str:
    return f"bench-{fold}-plants-{role}-{kind}"


def chosen_entries(bench: dict[str, Any]) -> list[Entry]:
    """List the denoisers that a profile names, all where it names none.

    The median filter is always there: times are measured in its time.
    """
    names = {MEDIAN, *bench.get("denoisers", BY_NAME)}
    return [entry for entry in ENTRIES if entry.name in names]


def _of_seed(profile: dict[str, Any], fold: int, training: list[int], seed: int) -> list[Task]:
    """List the tasks of one test fold and seed: training, then each denoiser, then the times."""
    bench, key = profile["bench"], f"bench-{fold}-{seed}"
    options = {"folds": training, "seed": seed, "per_class": bench["per_class"]}
    options |= {"classifier": profile["classifier"]}
    entries = chosen_entries(bench)
    wanted_by_any = dict.fromkeys(entry.trained for entry in entries if entry.trained)
    trained = {wanted: f"{key}-train-{slug(wanted)}" for wanted in wanted_by_any}
    tasks = [
        Task(name, train, options | {"wanted": wanted}, ("bench-wafers",), 10)
        for wanted, name in trained.items()
    ]
    made_of = {}
    for entry in entries:
        needs = () if entry.trained is None else (trained[entry.trained],)
        of_entry = _of_entry(bench, entry, fold, seed, needs)
        tasks += of_entry
        made_of[entry.name] = [of_entry[0].name, *needs]
    timing = {"names": {MEDIAN: made_of[MEDIAN]} | made_of}
    timing |= {"n_maps": bench["n_timed"], "rounds": bench["timing_rounds"]}
    needs = {need for names in made_of.values() for need in names}
    needs |= {_plants_name(fold, "test", kind) for kind in KINDS}
    return [*tasks, Task(f"{key}-time", measure_time, timing, tuple(sorted(needs)), 2)]


def _of_entry(
    bench: dict[str, Any], entry: Entry, fold: int, seed: int, trained: tuple[str, ...]
) -> list[Task]:
    """List the tasks of one denoiser: tune, test, and vary its main parameter."""
    name = {"name": entry.name}
    validation, testing = (
        tuple(_plants_name(fold, role, kind) for kind in KINDS) for role in ("validation", "test")
    )
    tune_name, test_name, vary_name = (
        f"bench-{fold}-{seed}-{step}-{slug(entry.name)}" for step in ("tune", "test", "vary")
    )
    search = name | {"seed": seed} | bench["search"]
    asked = name | {"fold": fold, "n_patternless": bench["n_patternless"]}
    needs = (tune_name, *trained, *testing)
    tasks = [
        Task(tune_name, tune, search, (*trained, *validation), 4),
        Task(test_name, test, asked, ("bench-wafers", *needs), 2),
    ]
    if entry.main is not None:
        tasks.append(Task(vary_name, vary, name | {"share": bench["curve_share"]}, needs, 3))
    return tasks
