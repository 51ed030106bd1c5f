"""The parts of the report on experiments: flipped dies, learning, discovery."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from study.denoisers import CAM, OURS, RANDOM_NET, RAW
from study.figures import scores as figures
from study.report.section import Made, Section, with_interval
from study.stages.discovery import SCORES
from study.stages.models import PREDICTIONS
from study.tables import classes as tables
from study.tables.classes import ACCURACY, MACRO
from study.tables.common import gather

_BARS = "95 % interval"


def learning_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show whether classifiers learn faster or from fewer wafers when these are denoised."""
    predictions = gather(folders, "learning-.*", PREDICTIONS)
    if predictions.empty:
        return None, []
    curve = tables.curve_table(predictions, ["share", "epochs"])
    found["learning"] = curve
    section = Section(
        "Learning curves",
        [
            "The original claims that a classifier learns more efficiently from denoised wafers. "
            "Here it is trained on shares of the training wafers, for the same number of steps "
            "(so for more epochs on fewer wafers), and for fewer epochs on all of them; each time "
            "from scratch with a whole learning-rate cycle, and tested on wafers denoised in the "
            "same way.",
            "The nets that explain were trained on half of all training wafers, whatever the "
            "share: at small shares denoised wafers bring with them what those nets have learned "
            "from other labels. A gain counts only where random weights do not reach it, and even "
            "then it may be that knowledge.",
        ],
    )
    accuracy = curve[curve["metric"] == ACCURACY]
    of_all = accuracy[accuracy["share"] == 1]
    whole = (accuracy["share"] < 1) | (accuracy["epochs"] == of_all["epochs"].max())
    panels = {"the same number of steps": accuracy[whole], "all training wafers": of_all}
    section.add_figure(
        "learning",
        figures.curves(panels, ["share", "epochs"], "denoiser", ACCURACY),
        f"Accuracy by the share of the training wafers, and by epochs; bars: {_BARS}.",
    )
    section.add_table(_curve_shown(accuracy, ["share", "epochs"]), _GAIN)
    smallest = accuracy[accuracy["share"] == accuracy["share"].min()]
    shortest = of_all[of_all["epochs"] == of_all["epochs"].min()]
    sentences = [
        _describe_gain(f"Learning from {smallest['share'].iloc[0]:.0%} of the wafers", smallest),
        _describe_gain(f"Learning for {shortest['epochs'].iloc[0]} epoch(s)", shortest),
    ]
    return section, sentences


_GAIN = "Accuracy with its 95 % interval; gain: paired difference to raw wafers."


def _curve_shown(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    accuracy = [with_interval(*row) for row in table[["mean", "low", "high"]].to_numpy()]
    columns = ["gain", "gain_low", "gain_high"]
    gain = [with_interval(*row, sign="+") for row in table[columns].to_numpy()]
    return table[["denoiser", *by]].assign(accuracy=accuracy, gain=gain)


def _describe_gain(when: str, part: pd.DataFrame) -> str:
    """Write what denoising brings at one point of a curve, and what the control does."""
    rows = part.set_index("denoiser")
    ours, control = (
        with_interval(*rows.loc[name, ["gain", "gain_low", "gain_high"]], sign="+")
        for name in (OURS, RANDOM_NET)
    )
    raw = with_interval(*rows.loc[RAW, ["mean", "low", "high"]])
    return (
        f"{when}: accuracy on raw wafers {raw}; gain by {OURS} {ours}, by the control with random "
        f"weights {control}. {_verdict(rows)}"
    )


def _verdict(rows: pd.DataFrame) -> str:
    if rows.loc[OURS, "gain_high"] < 0:
        return "Denoising costs accuracy here."
    if not rows.loc[OURS, "gain_low"] > 0:
        return "No gain is shown."
    if rows.loc[RANDOM_NET, "mean"] >= rows.loc[OURS, "mean"]:
        return "The control gains as much, so this is not denoising."
    return "The control does not reach it."


def noise_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show what flipped dies do to the accuracy, with and without denoising."""
    predictions = gather(folders, "noise-.*", PREDICTIONS)
    if predictions.empty:
        return None, []
    curve = tables.curve_table(predictions, ["rate"])
    found["noise"] = curve
    section = Section(
        "Flipped dies",
        [
            "A share of the dies of the test wafers, drawn at random, is turned from pass to fail "
            "and from fail to pass. Nets were trained on wafers as they are, raw or denoised; a "
            "denoiser sees the flipped wafer only."
        ],
    )
    panels = {metric: curve[curve["metric"] == metric] for metric in (ACCURACY, MACRO)}
    section.add_figure(
        "noise",
        figures.curves(panels, ["rate", "rate"], "denoiser", "on the test wafers"),
        f"Accuracy and macro F1 by the share of dies flipped; bars: {_BARS}.",
    )
    accuracy = panels[ACCURACY]
    section.add_table(_curve_shown(accuracy, ["rate"]), _GAIN)
    worst = accuracy[accuracy["rate"] == accuracy["rate"].max()]
    return section, [_describe_gain(f"With {worst['rate'].iloc[0]:.0%} of the dies flipped", worst)]


def discovery_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show whether clusters of denoised maps agree better with classes, known and held out."""
    scores = gather(folders, "discovery-.*", SCORES)
    if scores.empty:
        return None, []
    table = tables.discovery_table(scores)
    found |= {"discovery_scores": scores, "discovery": table}
    section = Section(
        "Discovery of a class that nobody named",
        [
            "The original claims that denoised maps help to define new patterns. Each class in "
            "turn is left out of the classifier's training; then test wafers of all classes, the "
            "same number of each while they last, are clustered without labels. Features: dies, "
            "fails on a small grid; net, mean-pooled channels of the last stage; 20 principal "
            "components of either. k-means is told the number of classes, HDBSCAN is not.",
            "Purity: share of the wafers that are of the commonest class of their cluster. NMI: "
            "normalized mutual information. Recall: share of the class that was left out in "
            "clusters where it is the commonest. Figures are means over the classes left out "
            "(and seeds), bars and brackets from the smallest to the largest.",
        ],
    )
    rows = table.assign(how=table["features"] + ", " + table["clustering"])
    metrics = ["purity", "nmi", "recall"]
    section.add_figure(
        "discovery",
        figures.grouped_dots(rows, metrics, row="how", kind="denoiser", bars="range"),
        "How well clusters agree with the classes, by features and way to cluster.",
    )
    section.add_table(_discovery_shown(table))
    return section, [_describe_discovery(table)]


def _discovery_shown(table: pd.DataFrame) -> pd.DataFrame:
    text = [with_interval(*row) for row in table[["mean", "low", "high"]].to_numpy()]
    index = ["features", "clustering", "denoiser"]
    wide = table.assign(text=text).pivot(index=index, columns="metric", values="text")
    order = pd.MultiIndex.from_frame(table[index].drop_duplicates())
    return wide.loc[order, table["metric"].unique()].rename_axis(columns=None).reset_index()


def _describe_discovery(table: pd.DataFrame) -> str:
    wide = table.pivot(
        index=["features", "clustering"], columns=["metric", "denoiser"], values="mean"
    )
    parts = []
    for metric in ("nmi", "recall"):
        ours, raw, control = (wide[metric, name] for name in (CAM, RAW, RANDOM_NET))
        parts.append(
            f"{metric} with {CAM} {ours.mean():.3f}, raw {raw.mean():.3f}, random weights "
            f"{control.mean():.3f} (higher than raw in {(ours > raw).sum()} of {len(wide)} ways)"
        )
    return f"Discovery of a class that was left out: {'; '.join(parts)}."
