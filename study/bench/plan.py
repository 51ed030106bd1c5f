"""Which tasks the bench consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from study.bench.entries import (
    ALL_CLASSES,
    BY_NAME,
    ENTRIES,
    MEDIAN,
    PATTERNS,
    WITH_NONE,
    Entry,
)
from study.bench.nets import train_classifier, train_denoiser
from study.bench.runs import measure_time, test, tune, vary
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
            _plants(profile, fold, role, folds[role], kind) for role in folds for kind in KINDS
        ]
        for seed in profile["seeds"]:
            tasks += _Run(profile, fold, seed).tasks(folds["training"])
    return tasks


def chosen_entries(bench: dict[str, Any]) -> list[Entry]:
    """List the denoisers that a profile names, all where it names none.

    The median filter is always there: times are measured in its time.
    """
    names = {MEDIAN, *bench.get("denoisers", BY_NAME)}
    return [entry for entry in ENTRIES if entry.name in names]


def _plants_name(fold: int, role: str, kind: str) -> str:
    return f"bench-{fold}-plants-{role}-{kind}"


def _plants(profile: dict[str, Any], fold: int, role: str, folds: list[int], kind: str) -> Task:
    bench = profile["bench"]
    options = {"kind": kind, "folds": folds, "classes": profile["wafers"]["classes"]}
    options |= {"rates": bench["background_rates"], "n_per_rate": bench["n_per_rate"][role]}
    return Task(_plants_name(fold, role, kind), plant, options, ("bench-wafers",))


@dataclass(frozen=True)
class _Run:
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

    def _plants(self, role: str) -> tuple[str, ...]:
        return tuple(_plants_name(self.fold, role, kind) for kind in KINDS)

    def _given(self, entry: Entry) -> tuple[str, ...]:
        return () if entry.trained is None else (self._name("train", entry.trained),)

    def _train(self, wanted: str, folds: list[int]) -> Task:
        bench, name = self.profile["bench"], self._name("train", wanted)
        options: dict[str, Any] = {"wanted": wanted, "seed": self.seed}
        if wanted in (PATTERNS, WITH_NONE):
            options |= {"folds": folds, "per_class": bench["per_class"]}
            options |= {"parameters": self.profile["classifier"]}
            return Task(name, train_classifier, options, ("bench-wafers",), 10)
        if wanted == ALL_CLASSES:
            options |= {"folds": folds} | bench["evidence"]
            return Task(name, train_classifier, options, ("bench-wafers",), 40)
        options = {"seed": self.seed, "parameters": bench["learned"]}
        return Task(name, train_denoiser, options, self._plants("training"), 15)

    def _of_entry(self, entry: Entry) -> list[Task]:
        """Tune, test, and vary the main parameter."""
        bench, name = self.profile["bench"], {"name": entry.name}
        tuning, testing = self._name("tune", entry.name), self._name("test", entry.name)
        search = name | {"seed": self.seed} | bench["search"]
        asked = name | {"fold": self.fold, "n_patternless": bench["n_patternless"]}
        given = self._given(entry)
        needs = (tuning, *given, *self._plants("test"))
        tasks = [
            Task(tuning, tune, search, (*given, *self._plants("validation")), 4),
            Task(testing, test, asked, ("bench-wafers", *needs), 2),
        ]
        if entry.main is not None:
            options = name | {"share": bench["curve_share"]}
            tasks.append(Task(self._name("vary", entry.name), vary, options, needs, 3))
        return tasks

    def _time(self, entries: list[Entry]) -> Task:
        bench = self.profile["bench"]
        made_of = {
            entry.name: [self._name("tune", entry.name), *self._given(entry)]
            for entry in [BY_NAME[MEDIAN], *entries]
        }
        needs = dict.fromkeys(name for names in made_of.values() for name in names)
        options = {"names": made_of, "n_maps": bench["n_timed"], "rounds": bench["timing_rounds"]}
        name = f"bench-{self.fold}-{self.seed}-time"
        return Task(name, measure_time, options, (*needs, *self._plants("test")), 2)
