"""What the accuracies under all conditions say together: differences, intervals, a verdict."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.metrics import f1_score
from sklearn.utils import check_random_state

from camdenoise.leakage._controls import BLIND, CONTROLS, STAMPS
from camdenoise.metrics import bootstrap_interval, holm, sign_flip_test

#: Names of the conditions that are not controls.
RAW, DENOISED = "raw", "denoised"

_COLUMNS = ["condition", "accuracy", "macro_f1", "gain", "gain_low", "gain_high", "p"]
_COLUMNS += ["short", "short_low", "short_high"]


def fold_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score the predictions of each fold and condition, see `LeakageReport.folds`."""
    rows = [
        {
            "fold": fold,
            "condition": condition,
            "n_wafers": len(part),
            "accuracy": (part["label"] == part["predicted"]).mean(),
            "macro_f1": f1_score(
                part["label"], part["predicted"], average="macro", zero_division=0
            ),
            "marked": part["marked"].mean(),
        }
        for (fold, condition), part in predictions.groupby(["fold", "condition"], sort=False)
    ]
    return pd.DataFrame(rows)


def leakage_summary(predictions: pd.DataFrame, *, random_state: Any = 0) -> pd.DataFrame:
    """Compare the gain of denoising with the gains of the controls, wafer by wafer.

    Parameters
    ----------
    predictions : DataFrame
        One row per test wafer and condition, as `LeakageReport.predictions`. Needed are the
        columns ``fold``, ``wafer``, ``condition``, ``label`` and ``predicted``; wafers of a
        ``group`` are not taken as independent.
    random_state : int, RandomState instance or None, default=0
        For resamples.

    Returns
    -------
    DataFrame, one row per condition
        ``accuracy`` and ``macro_f1`` over all test wafers; ``gain``, accuracy less that on raw
        wafers, with its 95 % interval ``gain_low``, ``gain_high`` and ``p``, from a sign-flip
        test, adjusted for all conditions (Holm); ``short``, accuracy on denoised wafers less that
        under the control, with ``short_low`` and ``short_high``; and a ``verdict`` in words.

    Raises
    ------
    ValueError
        Without the conditions "raw" and "denoised", or with fewer than two groups.

    Notes
    -----
    Differences are paired: of the same wafer in the same fold. Intervals are from a bootstrap over
    groups, whole. A difference is called one only where its interval leaves out 0; "not shown" is
    what can be said of the others, and with few wafers it will be said of most.

    Examples
    --------
    >>> import pandas as pd
    >>> from camdenoise.leakage import leakage_summary
    >>> right = {"raw": 60, "denoised": 90, "equal area": 50, "class mean": 89}
    >>> predictions = pd.DataFrame(
    ...     [
    ...         {"fold": 0, "wafer": wafer, "condition": name, "label": "a",
    ...          "predicted": "a" if wafer < n else "b"}
    ...         for name, n in right.items()
    ...         for wafer in range(100)
    ...     ]
    ... )
    >>> summary = leakage_summary(predictions).set_index("condition")
    >>> summary.loc["denoised", "verdict"]
    'a gain, but not shown to be larger than that of: class mean. It may be leakage'
    """
    right, groups = _tabulate(predictions)
    rng = check_random_state(random_state)
    rows = []
    for condition, part in predictions.groupby("condition", sort=False):
        macro = f1_score(part["label"], part["predicted"], average="macro", zero_division=0)
        row = {"condition": condition, "accuracy": right[condition].mean(), "macro_f1": macro}
        if condition != RAW:
            gain = right[condition] - right[RAW]
            row |= _difference("gain", gain, groups, rng)
            row["p"] = sign_flip_test(gain.tolist(), groups=groups, random_state=rng)
        if condition not in (RAW, DENOISED):
            row |= _difference("short", right[DENOISED] - right[condition], groups, rng)
        rows.append(row)
    table = pd.DataFrame(rows).reindex(columns=_COLUMNS)
    tested = table["p"].notna()
    table.loc[tested, "p"] = holm(table.loc[tested, "p"].tolist())
    by_condition = table.set_index("condition")
    table["verdict"] = [_verdict(name, row, by_condition) for name, row in by_condition.iterrows()]
    return table


def _tabulate(predictions: pd.DataFrame) -> tuple[pd.DataFrame, list]:
    """Tell for each wafer, in rows, under which conditions it was named rightly; and its group."""
    conditions = predictions["condition"].unique().tolist()
    if not {RAW, DENOISED} <= set(conditions):
        raise ValueError(
            f"A gain is of {DENOISED!r} over {RAW!r}, and both are needed; the conditions are "
            f"{', '.join(conditions)}."
        )
    right = predictions.assign(right=(predictions["label"] == predictions["predicted"]) * 1.0)
    groups = right["group"] if "group" in right else right["wafer"]
    keyed = right.assign(group=groups).set_index(["fold", "wafer", "group", "condition"])["right"]
    table = keyed.unstack()[conditions]
    return table, table.index.get_level_values("group").tolist()


def _difference(name: str, values: pd.Series, groups: list, rng) -> dict[str, float]:
    """Average over wafers, with a bootstrap interval over groups, whole."""
    low, high = bootstrap_interval(values.tolist(), groups=groups, random_state=rng)
    return {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}


def _verdict(condition: str, row: pd.Series, rows: pd.DataFrame) -> str:
    if condition == RAW:
        return ""
    gain = _gain(row)
    if condition == DENOISED:
        return _verdict_on_gain(rows) if gain == "a gain" else gain
    if row["short_low"] > 0:
        return f"{gain}; less than denoised"
    text = "more than denoised" if row["short_high"] < 0 else "not told apart from denoised"
    if gain == "a gain" and condition in CONTROLS:
        text += f": {CONTROLS[condition].gain_means}"
    return f"{gain}; {text}"


def _gain(row: pd.Series) -> str:
    if row["gain_low"] > 0:
        return "a gain"
    return "a loss" if row["gain_high"] < 0 else "no gain shown"


def _verdict_on_gain(rows: pd.DataFrame) -> str:
    """Write whether a control explains a gain."""
    blind = rows.loc[rows.index.isin(BLIND)]
    if blind.empty:
        return "a gain, but compared with no control that could explain it"
    reached = blind.index[~(blind["short_low"] > 0)]
    if len(reached):
        leaks = reached.isin(STAMPS).any()
        doubt = "It may be leakage" if leaks else "It may not need the evidence for the class"
        return f"a gain, but not shown to be larger than that of: {', '.join(reached)}. {doubt}"
    text = "a gain larger than that of every mask made without evidence for the class"
    if "mask alone" in rows.index and not rows.loc["mask alone", "short_low"] > 0:
        text += "; the mask alone, without the fails, does as well"
    return text
