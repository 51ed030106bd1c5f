"""The part of the report that scores denoisers die by die."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from study.denoisers import NOTHING, OURS, PLAIN
from study.figures import scores as figures
from study.files import read_json
from study.report.section import Made, Section, points
from study.stages.planted import LEFT_OUT
from study.tables import dies as tables
from study.tables.dies import MACRO

_KINDS = {
    "simulated": "Simulated: pattern and background.",
    "planted": "Planted: real patterns on real backgrounds, each read off another wafer.",
    "diffuse": "Diffuse: simulated patterns with thin, soft edges on real backgrounds.",
    "two": "Two: two real patterns on one real background; both are to be kept.",
}


def dies_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show how well each denoiser tells the pattern from the rest."""
    scores = tables.die_level(folders)
    if scores.empty:
        return None, []
    f1, rates = tables.die_f1_table(scores), tables.die_rates_table(scores)
    found |= {"die_scores": scores, "die_f1": f1, "die_rates": rates}
    section = Section(
        "Die by die: pattern or noise?",
        [
            "Wafers of which the cause of every fail is known. Only failing dies count; a kept "
            "fail is right where the pattern caused it. No denoiser was tuned for these wafers. "
            "Intervals are over lots; of planted wafers over the wafers that patterns, or else "
            "backgrounds, were taken from.",
            *left_out_sentences(folders, r"planted-\d+-(?P<kind>\w+)"),
        ],
    )
    sentences = []
    for kind in [name for name in _KINDS if name in set(scores["kind"])]:
        of_kind = f1[f1["kind"] == kind]
        section.add_figure(f"die_f1_{kind}", figures.die_f1(of_kind), _KINDS[kind])
        section.add_table(_wide(of_kind))
        section.add_table(rates[rates["kind"] == kind].drop(columns="kind"))
        sentences.append(describe_dies(kind, scores[scores["kind"] == kind], of_kind))
    return section, sentences


def describe_dies(kind: str, scores: pd.DataFrame, table: pd.DataFrame) -> str:
    """Write how our denoiser compares with the others die by die, on wafers of one kind."""
    gain = tables.compare_with_best(scores)
    text = f"macro F1 {gain['ours']:.3f} against {gain['best_f1']:.3f}, difference {points(gain)}"
    if gain["low"] != gain["low"]:
        order = "higher" if gain["mean"] > 0 else "lower"
        verdict = f"{OURS} has a {order} mean than the best other, {gain['best']}: {text}."
    elif gain["low"] > 0:
        verdict = f"{OURS} is better than the best of the others, {gain['best']}: {text}."
    elif gain["high"] < 0:
        verdict = f"{OURS} is worse than the best of the others, {gain['best']}: {text}."
    else:
        verdict = (
            f"no difference is shown between {OURS} and the best other, {gain['best']}: {text}."
        )
    return f"Die by die, {kind} wafers: {verdict} {_by_class(table)} {_plain_cam(table)}"


def _by_class(table: pd.DataFrame) -> str:
    """Name the classes in which another denoiser has the higher mean."""
    means = table[table["class"] != MACRO].pivot(index="class", columns="denoiser", values="mean")
    others = means.drop(columns=[OURS, NOTHING])
    behind = means.index[others.max(axis=1) > means[OURS]]
    if len(behind) == 0:
        return "It has the highest mean in every class."
    if len(behind) > 6:
        return f"Another has the higher mean in {len(behind)} of {len(means)} classes."
    others_ahead = [
        f"{name} ({means.loc[name, OURS]:.3f}, {others.loc[name].idxmax()} "
        f"{others.loc[name].max():.3f})"
        for name in behind
    ]
    return f"Another has the higher mean in: {', '.join(others_ahead)}."


def _plain_cam(table: pd.DataFrame) -> str:
    macro = table[table["class"] == MACRO].set_index("denoiser")["mean"]
    compared = "less than" if macro[PLAIN] < macro[NOTHING] else "more than"
    return (
        f"A plain threshold on Grad-CAM at the last layer reaches {macro[PLAIN]:.3f}, {compared} "
        f"removing nothing ({macro[NOTHING]:.3f})."
    )


def _wide(table: pd.DataFrame) -> pd.DataFrame:
    """One row a denoiser; of pairs of classes only the mean over all."""
    table = table[~table["class"].str.contains("+", regex=False)]
    wide = table.pivot(index="denoiser", columns="class", values="mean")
    return wide.loc[table["denoiser"].unique()].reset_index()


def left_out_sentences(folders: dict[str, Path], pattern: str) -> list[str]:
    """Tell which classes could not be planted, and why.

    Parameters
    ----------
    folders : dict of str to Path
        The folder of each task.
    pattern : str
        Matches the names of the tasks that planted; its group "kind" names the wafers.
    """
    matches = {folder: re.fullmatch(pattern, name) for name, folder in folders.items()}
    return [
        f"Not among the {match['kind'].replace('-', ' ')} wafers: {name} ({reason})"
        for folder, match in matches.items()
        if match
        for name, reason in read_json(folder / LEFT_OUT).items()
    ]
