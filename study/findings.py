"""What the figures say, in sentences: each is worked out from the tables, whatever they hold."""

from __future__ import annotations

import pandas as pd

from camdenoise.faithfulness import BETTER
from study.denoisers import NOTHING, OURS, PLAIN, RIVALS, TRUE_CLASS
from study.faithfulness import DEFAULT, USUAL
from study.summary import RAW, REFERENCES, accuracy_gain, compare_with_best


def _percent(row: dict | pd.Series) -> str:
    if row["low"] != row["low"]:
        return f"{row['mean']:.1%} (too few lots for an interval)"
    return f"{row['mean']:.1%} ({row['low']:.1%} to {row['high']:.1%})"


def _points(row: dict) -> str:
    if row["low"] != row["low"]:
        return f"{row['mean']:+.3f} (too few lots for an interval)"
    return f"{row['mean']:+.3f} (95 % interval {row['low']:+.3f} to {row['high']:+.3f})"


def of_classifier(accuracy: pd.DataFrame, n_wafers: int) -> list[str]:
    """Say how well raw wafers are classified."""
    raw = accuracy.iloc[0]
    return [
        f"The classifier names the class of {_percent(raw)} of {n_wafers} test wafers; "
        f"macro F1 {raw['macro_f1']:.3f}."
    ]


def of_dies(kind: str, scores: pd.DataFrame, table: pd.DataFrame) -> str:
    """Say how our denoiser compares with the others die by die, on wafers of one kind."""
    gain = compare_with_best(scores)
    said = f"macro F1 {gain['ours']:.3f} against {gain['rival_f1']:.3f}, difference {_points(gain)}"
    if gain["low"] != gain["low"]:
        order = "higher" if gain["mean"] > 0 else "lower"
        verdict = f"{OURS} has a {order} mean than the best other, {gain['rival']}: {said}."
    elif gain["low"] > 0:
        verdict = f"{OURS} is better than the best of the others, {gain['rival']}: {said}."
    elif gain["high"] < 0:
        verdict = f"{OURS} is worse than the best of the others, {gain['rival']}: {said}."
    else:
        verdict = (
            f"no difference is shown between {OURS} and the best other, {gain['rival']}: {said}."
        )
    return f"Die by die, {kind} wafers: {verdict} {_by_class(table)} {_plain_cam(table)}"


def _by_class(table: pd.DataFrame) -> str:
    """Name the classes in which another denoiser has the higher mean."""
    means = table[table["class"] != "macro"].pivot(index="class", columns="denoiser", values="mean")
    others = means.drop(columns=[OURS, NOTHING])
    behind = means.index[others.max(axis=1) > means[OURS]]
    if len(behind) == 0:
        return "It has the highest mean in every class."
    if len(behind) > 6:
        return f"Another has the higher mean in {len(behind)} of {len(means)} classes."
    rivals = [
        f"{name} ({means.loc[name, OURS]:.3f}, {others.loc[name].idxmax()} "
        f"{others.loc[name].max():.3f})"
        for name in behind
    ]
    return f"Another has the higher mean in: {', '.join(rivals)}."


def _plain_cam(table: pd.DataFrame) -> str:
    macro = table[table["class"] == "macro"].set_index("denoiser")["mean"]
    compared = "less than" if macro[PLAIN] < macro[NOTHING] else "more than"
    return (
        f"A plain threshold on Grad-CAM at the last layer reaches {macro[PLAIN]:.3f}, {compared} "
        f"removing nothing ({macro[NOTHING]:.3f})."
    )


def of_before_after(predictions: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """Say what denoising does to the accuracy, beside the controls."""
    rows = table.set_index("denoiser")
    said = []
    if OURS in rows.index:
        gain = accuracy_gain(predictions, OURS)
        said.append(
            f"Accuracy on raw wafers {_percent(rows.loc[RAW])}, on wafers denoised by {OURS} "
            f"{_percent(rows.loc[OURS])}: {_points(gain)}. {_verdict(gain, rows)}"
        )
    if TRUE_CLASS in rows.index:
        said.append(_leak(rows, accuracy_gain(predictions, TRUE_CLASS)))
    return said


def _verdict(gain: dict, rows: pd.DataFrame) -> str:
    """Say whether there is a gain, and whether a control explains it."""
    if not gain["low"] > 0:
        costs = gain["high"] < 0
        return "Denoising costs accuracy here." if costs else "No gain in accuracy is shown here."
    beside = rows.loc[rows.index.isin(RIVALS), "mean"]
    if beside.empty:
        return "It stands beside no control, so it may be leakage."
    reached = beside.index[beside >= rows.loc[OURS, "mean"]]
    if len(reached):
        return f"But {', '.join(reached)} reaches as much, so the gain is leakage, not denoising."
    return "No control reaches as much."


def _leak(rows: pd.DataFrame, gain: dict) -> str:
    said = (
        f"With masks made for the true class, which no user has, the accuracy would be "
        f"{_percent(rows.loc[TRUE_CLASS])}, {_points(gain)} to raw wafers"
    )
    if gain["low"] > 0:
        return f"{said}: so much can come from what a mask tells about its class."
    return f"{said}: no leak of the class through the mask is shown."


def of_faithfulness(table: pd.DataFrame) -> list[str]:
    """Say whether deletion and insertion by the usual and by our CAM beat random saliencies."""
    rows = table.set_index(["metric", "method"])
    said = []
    for metric in ("deletion", "insertion"):
        both = [_against_random(rows.loc[(metric, name)]) for name in (USUAL, DEFAULT)]
        said.append(f"Faithfulness by {metric} ({BETTER[metric]} is better): {'; '.join(both)}.")
    return said


def _against_random(row: pd.Series) -> str:
    metric, method = row.name
    verdicts = []
    for reference in REFERENCES:
        gain = {part: row[f"{part} to {reference}"] for part in ("mean", "low", "high")}
        verdict = "not shown to differ from"
        if gain["low"] > 0 or gain["high"] < 0:
            good = (gain["mean"] < 0) == (BETTER[metric] == "lower")
            verdict = "better than" if good else "worse than"
        verdicts.append(f"{verdict} {reference}: {_points(gain)}")
    return f"{method} {row['mean']:.3f}, {' and '.join(verdicts)}"
