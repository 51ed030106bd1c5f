"""The parts of the report on predicted classes: raw wafers, nets, before and after denoising."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from study.denoisers import (
    BEFORE_AFTER,
    CAM,
    CONTROLS,
    CONTROLS_TO_BEAT,
    INDEPENDENT,
    OURS,
    RAW,
    TRUE_CLASS,
)
from study.figures import scores as figures
from study.graph import read_facts
from study.report.section import Made, Section, percent, points, with_interval
from study.stages.backbones import BASELINES, FEATURES, MAJORITY, ORIGINAL, PROTOCOLS
from study.stages.models import PREDICTIONS
from study.tables import classes as tables
from study.tables.classes import ACCURACY, MACRO
from study.tables.common import gather


def classifier_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show how well raw wafers are classified."""
    raw = tables.raw_predictions(folders)
    if raw.empty:
        return None, []
    accuracy = tables.accuracy_table(raw.assign(denoiser=RAW))
    found |= {"raw_predictions": raw, "classes": tables.class_table(raw)}
    section = Section(
        "The classifier on raw wafers",
        [
            "Trained on the other folds; lots (or what stands in for them) are never split "
            f"between training and test. Folds tested: {raw['fold'].nunique()}, seeds: "
            f"{raw['seed'].nunique()}."
        ],
    )
    section.add_figure(
        "confusion", figures.confusion(raw), "True and predicted classes of the test wafers."
    )
    section.add_table(found["classes"])
    return section, _describe_classifier(accuracy, len(raw))


def _describe_classifier(accuracy: pd.DataFrame, n_wafers: int) -> list[str]:
    """Write how well raw wafers are classified."""
    raw = accuracy.iloc[0]
    return [
        f"The classifier names the class of {percent(raw)} of {n_wafers} test wafers; "
        f"macro F1 {raw['macro_f1']:.3f}."
    ]


def before_after_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show the accuracy after each denoising, and that of the controls."""
    predictions = tables.after_predictions(folders)
    # A later stage alone needs some of these nets only.
    complete = ({*BEFORE_AFTER} - {CAM}, CONTROLS.keys() - {INDEPENDENT})
    if predictions.empty or not any(map(set(predictions["denoiser"]).issuperset, complete)):
        return None, []
    accuracy = tables.accuracy_table(predictions)
    found["before_after"] = accuracy
    explained = "; ".join(
        f"{name.removeprefix('control: ')}: {why}" for name, why in CONTROLS.items()
    )
    section = Section(
        "Accuracy before and after denoising, with its controls",
        [
            "A new classifier is trained on denoised wafers and tested on denoised wafers. Every "
            "wafer is denoised by a net that was not trained on it, for the class that the net "
            "predicts.",
            "Controls, and what it would mean if one of them gained as much: "
            f"{explained} (docs/leakage.md).",
        ],
    )
    section.add_figure(
        "before_after",
        figures.before_after(accuracy),
        "Accuracy on the test wafers after each denoising; controls in yellow.",
    )
    section.add_table(accuracy)
    return section, describe_before_after(predictions, accuracy)


def describe_before_after(predictions: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """Write what denoising does to the accuracy, and whether a control explains it."""
    rows = table.set_index("denoiser")
    sentences = []
    if OURS in rows.index:
        gain = tables.accuracy_gain(predictions, OURS)
        sentences.append(
            f"Accuracy on raw wafers {percent(rows.loc[RAW])}, on wafers denoised by {OURS} "
            f"{percent(rows.loc[OURS])}: {points(gain)}. {_verdict(gain, rows)}"
        )
    if TRUE_CLASS in rows.index:
        sentences.append(_leak(rows, tables.accuracy_gain(predictions, TRUE_CLASS)))
    return sentences


def _verdict(gain: dict, rows: pd.DataFrame) -> str:
    """Tell whether there is a gain, and whether a control explains it."""
    if not gain["low"] > 0:
        costs = gain["high"] < 0
        return "Denoising costs accuracy here." if costs else "No gain in accuracy is shown here."
    controls = rows.loc[rows.index.isin(CONTROLS_TO_BEAT), "mean"]
    if controls.empty:
        return "It stands controls no control, so it may be leakage."
    reached = controls.index[controls >= rows.loc[OURS, "mean"]]
    if len(reached):
        return f"But {', '.join(reached)} reaches as much, so the gain is leakage, not denoising."
    return "No control reaches as much."


def _leak(rows: pd.DataFrame, gain: dict) -> str:
    text = (
        f"With masks made for the true class, which no user has, the accuracy would be "
        f"{percent(rows.loc[TRUE_CLASS])}, {points(gain)} to raw wafers"
    )
    if gain["low"] > 0:
        return f"{text}: so much can come from what a mask tells about its class."
    return f"{text}: no leak of the class through the mask is shown."


def backbones_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show what each net reaches under each protocol."""
    predictions = gather(folders, "backbones-.*", PREDICTIONS)
    if predictions.empty:
        return None, []
    scores = tables.classification_table(predictions, ["protocol", "backbone"])
    sizes, by_seed = tables.size_table(folders), tables.seed_table(predictions)
    found |= {"backbone_predictions": predictions, "backbones": scores}
    found |= {"backbone_sizes": sizes, "backbone_seeds": by_seed}
    used = [PROTOCOLS[name] for name in scores["protocol"].unique()]
    section = Section(
        "Architectures under the original and the strict protocol",
        [
            *(f"{text[0].upper()}{text[1:]}." for text in used),
            *_pictures_note(folders),
            "VGG has a pooled linear head in place of timm's, which alone has 100 million "
            f"parameters. The {FEATURES} are Radon projections, geometry and zones, after Wu et "
            "al. 2015 (docs/features.md), under gradient boosting. Figures are pooled over folds "
            "and seeds; intervals are a bootstrap over lots (or what stands in for them), and do "
            "not hold what another seed would change. "
            "The protocol products has one seed.",
        ],
    )
    nets = scores[scores["metric"].isin([ACCURACY, MACRO])]
    section.add_figure(
        "backbones",
        figures.grouped_dots(
            nets, [ACCURACY, MACRO], row="backbone", kind="protocol", bars="95 % interval"
        ),
        "Accuracy and macro F1 of each net under each protocol.",
    )
    section.add_table(_nets_shown(nets, sizes, by_seed), _NETS)
    classes = scores[~scores["metric"].isin([ACCURACY, MACRO])]
    section.add_figure("backbone_classes", figures.class_f1(classes), "F1 of each class.")
    section.add_table(_classes_shown(classes), "F1 of each class with its 95 % interval.")
    return section, _describe_backbones(scores)


def _pictures_note(folders: dict[str, Path]) -> list[str]:
    """Tell the size of the original protocol's pictures, which is not the original's."""
    original = [name for name in folders if name.startswith(f"backbones-{ORIGINAL}-")]
    if not original:
        return []
    size = read_facts(folders[original[0]])["parameters"]["image_size"]
    return [
        f"The original protocol's pictures have {size} pixels a side, for the sake of time; the "
        "original's were probably 224."
    ]


_NETS = "Scores with 95 % intervals, macro F1 of each seed, size, seconds of training."


def _nets_shown(nets: pd.DataFrame, sizes: pd.DataFrame, by_seed: pd.DataFrame) -> pd.DataFrame:
    """One row a protocol and net: both scores with intervals, each seed's, size and time."""
    keys = ["protocol", "backbone"]
    seeds = by_seed.assign(seeds=by_seed[MACRO].map("{:.3f}".format))
    seeds = seeds.groupby(keys)["seeds"].agg(", ".join).rename("by seed").reset_index()
    wide = _wide(nets).merge(seeds, on=keys).merge(sizes.drop(columns="seeds"), on=keys)
    return wide.assign(seconds=wide["seconds"].round().astype(int))


def _classes_shown(classes: pd.DataFrame) -> pd.DataFrame:
    supports = classes.drop_duplicates(["protocol", "metric"])[["protocol", "metric", "wafers"]]
    return _wide(classes, supports.assign(backbone="test wafers"))


def _wide(table: pd.DataFrame, supports: pd.DataFrame | None = None) -> pd.DataFrame:
    """Write each metric of a net and its interval into one column, in the order of `table`.

    The numbers of wafers come first, where they are given.
    """
    text = [with_interval(*row) for row in table[["mean", "low", "high"]].itertuples(index=False)]
    cells = table.assign(text=text)
    if supports is not None:
        cells = pd.concat([supports.assign(text=supports["wafers"].astype(str)), cells])
    index = ["protocol", "backbone"]
    wide = cells.pivot(index=index, columns="metric", values="text")
    protocols = table["protocol"].unique().tolist()
    order = cells.drop_duplicates(index).sort_values(
        "protocol", key=lambda names: names.map(protocols.index), kind="stable"
    )
    wide = wide.loc[pd.MultiIndex.from_frame(order[index]), table["metric"].unique()]
    return wide.rename_axis(columns=None).reset_index()


def _describe_backbones(scores: pd.DataFrame) -> list[str]:
    sentences = []
    for protocol, part in scores.groupby("protocol", sort=False):
        rows = part.set_index(["metric", "backbone"])
        macro = rows.loc[MACRO].drop([*BASELINES])
        best = macro["mean"].idxmax()
        shown = [(MACRO, best), (ACCURACY, best), (MACRO, FEATURES), (ACCURACY, FEATURES)]
        f1, accuracy, by_features, right, guess = (
            with_interval(*rows.loc[key, ["mean", "low", "high"]])
            for key in [*shown, (ACCURACY, MAJORITY)]
        )
        sentences.append(
            f"Architectures, {protocol} protocol: of {len(macro)} nets {best} has the highest "
            f"macro F1, {f1}; its accuracy is {accuracy}. Gradient boosting on {FEATURES} reaches "
            f"{by_features} and {right}, a majority vote an accuracy of {guess}."
        )
    return sentences
