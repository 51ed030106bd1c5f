"""Tables of scores die by die: means over wafers and classes, with intervals over groups."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from study.denoisers import NOTHING, OURS
from study.stages.score_dies import SCORES
from study.tables.common import FOLD_AND_SEED, gather, in_order, interval, means

MACRO = "macro"
# One wafer, whoever denoised it.
_KEYS = ("fold", "seed", "kind", "label", "rate", "group", "wafer", "class")


def die_level(folders: dict[str, Path]) -> pd.DataFrame:
    """Die-level scores, one row per wafer and denoiser."""
    return gather(folders, f"score_dies-{FOLD_AND_SEED}-.*", SCORES)


def die_f1_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean die-level F1 of each kind, denoiser and class, and macro, with 95 % intervals."""
    by_class = scores.assign(**{"class": scores["label"]})
    single = means(by_class, "f1", ["kind", "denoiser", "class"])
    macro = means(scores, "f1", ["kind", "denoiser"]).assign(**{"class": MACRO})
    single = single.sort_values("class", kind="stable")
    columns = ["kind", "denoiser", "class", "wafers", "mean", "low", "high"]
    return in_order(pd.concat([single, macro])[columns].sort_values("kind", kind="stable"))


def die_rates_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Other die-level rates of each denoiser, averaged over wafers and then over classes."""
    rates = ["precision", "recall", "iou", "specificity", "average_precision"]
    by_class = scores.groupby(["kind", "denoiser", "label"])[rates].mean()
    return in_order(by_class.groupby(["kind", "denoiser"]).mean().reset_index())


def side_by_side(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per wafer (and class, where it has one), the F1 of each denoiser a column."""
    keys = [name for name in _KEYS if name in scores]
    return scores.pivot(index=keys, columns="denoiser", values="f1").reset_index()


def paired_gain(wide: pd.DataFrame, one: str, other: str) -> dict[str, float]:
    """Average the difference of two denoisers over wafers, then over classes."""
    paired = wide.assign(gain=wide[one] - wide[other]).dropna(subset="gain")
    return interval(paired, "gain", strata="label")


def compare_with_best(scores: pd.DataFrame) -> dict:
    """Compare our denoiser with the best of the others by macro F1, wafer by wafer.

    Parameters
    ----------
    scores : DataFrame
        Die-level scores of wafers of one kind.

    Returns
    -------
    dict
        ``best``, the macro F1 of both, and their mean difference with its paired interval.
    """
    wide = side_by_side(scores)
    names = scores["denoiser"].unique()
    macro = wide.groupby("label")[list(names)].mean().mean()
    best = macro.drop([OURS, NOTHING]).idxmax()
    both = {"best": best, "ours": macro[OURS], "best_f1": macro[best]}
    return both | paired_gain(wide, OURS, best)
