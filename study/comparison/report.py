"""The comparison's parts of the report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from study.comparison import figures, tables
from study.comparison.backbones import LITERAL, MAJORITY, PROTOCOLS
from study.comparison.cams import FREQUENCY, PLACES, USUAL
from study.comparison.resolution import RANDOM_CAM
from study.comparison.tables import ACCURACY, MACRO
from study.denoisers import OURS, RANDOM_NET
from study.graph import about
from study.section import Section, with_interval
from study.summary import RAW

_BARS = "95 % interval"

Made = tuple[Section | None, list[str]]


def backbones_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show what each net reaches under each protocol."""
    predictions = tables.backbone_predictions(folders)
    if predictions.empty:
        return None, []
    scores = tables.classification_table(predictions, ["protocol", "backbone"])
    sizes = tables.size_table(folders)
    found |= {"backbone_predictions": predictions, "backbones": scores, "backbone_sizes": sizes}
    used = [PROTOCOLS[name] for name in scores["protocol"].unique()]
    section = Section(
        "Architectures under the literal and the strict protocol",
        [
            *(f"{text[0].upper()}{text[1:]}." for text in used),
            *_pictures_note(folders),
            "VGG has a pooled linear head in place of timm's, which alone has 100 million "
            "parameters. Figures are pooled over folds and seeds; intervals are a bootstrap over "
            "lots (or what stands in for them), and do not hold what another seed would change. "
            "A net with one seed was too expensive for more.",
        ],
    )
    nets = scores[scores["metric"].isin([ACCURACY, MACRO])]
    section.add_figure(
        "backbones",
        figures.grouped_dots(nets, [ACCURACY, MACRO], row="backbone", kind="protocol", bars=_BARS),
        "Accuracy and macro F1 of each net under each protocol.",
    )
    section.add_table(_nets_shown(nets, sizes))
    classes = scores[~scores["metric"].isin([ACCURACY, MACRO])]
    section.add_figure("backbone_classes", figures.class_f1(classes), "F1 of each class.")
    section.add_table(_classes_shown(classes), "F1 of each class with its 95 % interval.")
    return section, _said_of_backbones(scores)


def _pictures_note(folders: dict[str, Path]) -> list[str]:
    """Tell the size of the literal protocol's pictures, which is not the original's."""
    literal = [name for name in folders if name.startswith(f"backbones-{LITERAL}-")]
    if not literal:
        return []
    size = about(folders[literal[0]])["parameters"]["image_size"]
    return [
        f"The literal protocol's pictures have {size} pixels a side, for the sake of time; the "
        "original's were probably 224."
    ]


def _nets_shown(nets: pd.DataFrame, sizes: pd.DataFrame) -> pd.DataFrame:
    """One row a protocol and net: both scores with intervals, size and time."""
    wide = _wide(nets).merge(sizes, on=["protocol", "backbone"])
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


def _said_of_backbones(scores: pd.DataFrame) -> list[str]:
    said = []
    for protocol, part in scores.groupby("protocol", sort=False):
        rows = part.set_index(["metric", "backbone"])
        macro = rows.loc[MACRO].drop(MAJORITY)
        best = macro["mean"].idxmax()
        f1, accuracy, guess = (
            with_interval(*rows.loc[key, ["mean", "low", "high"]])
            for key in ((MACRO, best), (ACCURACY, best), (ACCURACY, MAJORITY))
        )
        said.append(
            f"Architectures, {protocol} protocol: of {len(macro)} nets {best} has the highest "
            f"macro F1, {f1}; its accuracy is {accuracy}, that of a majority vote {guess}."
        )
    return said


def cams_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show net by net where each kind of defect sits, and what each CAM keeps of it."""
    places = tables.gather(folders, "cams", PLACES)
    if places.empty:
        return None, []
    found["cam_places"] = places
    section = Section(
        "Where each kind of defect sits, by net and CAM",
        [
            f"“{USUAL}” is the usual choice: one threshold on each die. The others are taken where "
            "the net still resolves dies, and keep whole components. Wafers of all sizes are "
            "brought to one grid for these pictures only; all fails and kept fails of a row share "
            "a colour scale. Every net is the strict protocol's, and has not seen these wafers. "
            "Pictures of single wafers, one a class, for every net and CAM lie in the folder "
            "figures: cams_NET_examples-METHOD.",
        ],
    )
    nets = {name[5:]: folder for name, folder in folders.items() if name.startswith("cams-")}
    for net, folder in nets.items():
        name = about(folder)["parameters"]["backbone"]
        section.add_saved_figure(
            f"cams_{net}_{FREQUENCY}", folder / FREQUENCY, f"{name}: where defects sit.", 1100
        )
    for net, folder in nets.items():
        for file in sorted(folder.glob("examples-*.png")):
            section.attached[f"cams_{net}_{file.stem}"] = file.with_suffix("")
    section.add_table(_places_shown(places), _PLACES)
    return section, []


_PLACES = (
    "Share of the dies that fail in the inner, middle and outer third of the wafer's radius, and "
    "share that still fails after denoising; means over the wafers of a class."
)


def _places_shown(places: pd.DataFrame) -> pd.DataFrame:
    """Show the usual CAM and the first of the others; the table beside the page has all."""
    shown = [USUAL, places.loc[places["method"] != USUAL, "method"].iloc[0]]
    part = places[places["method"].isin(shown)]
    wide = part.pivot(index=["backbone", "method", "class"], columns="zone", values="kept")
    fails = part.drop_duplicates(["class", "zone"]).assign(backbone="–", method="all fails")
    before = fails.pivot(index=["backbone", "method", "class"], columns="zone", values="fails")
    zones = part["zone"].drop_duplicates()
    return pd.concat([before, wide])[zones].rename_axis(columns=None).reset_index()


def learning_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show whether classifiers learn faster or from fewer wafers when these are denoised."""
    predictions = tables.learning_predictions(folders)
    if predictions.empty:
        return None, []
    curve = tables.curve_table(predictions, ["share", "epochs"])
    found["learning"] = curve
    section = Section(
        "Learning curves",
        [
            "The original claims that a classifier learns more efficiently from denoised wafers. "
            "Here it is trained on shares of the training wafers, and for fewer epochs on all of "
            "them, each time from scratch with a whole learning-rate cycle, and tested on wafers "
            "denoised in the same way.",
            "The nets that explain were trained on half of all training wafers, whatever the "
            "share: at small shares denoised wafers bring with them what those nets have learnt "
            "from other labels. A gain counts only where random weights do not reach it, and even "
            "then it may be that knowledge.",
        ],
    )
    accuracy = curve[curve["metric"] == ACCURACY]
    most = accuracy["epochs"].max()
    panels = {
        "by share of the training wafers": accuracy[accuracy["epochs"] == most],
        "by epochs": accuracy[accuracy["share"] == 1],
    }
    section.add_figure(
        "learning",
        figures.curves(panels, ["share", "epochs"], "denoiser", ACCURACY),
        f"Accuracy by training wafers ({most} epochs) and by epochs; bands: {_BARS}.",
    )
    section.add_table(_curve_shown(accuracy, ["share", "epochs"]), _GAIN)
    smallest = accuracy[accuracy["share"] == accuracy["share"].min()]
    shortest = accuracy[(accuracy["share"] == 1) & (accuracy["epochs"] == accuracy["epochs"].min())]
    said = [
        _gain_said(f"Learning from {smallest['share'].iloc[0]:.0%} of the wafers", smallest),
        _gain_said(f"Learning for {shortest['epochs'].iloc[0]} epoch(s)", shortest),
    ]
    return section, said


_GAIN = "Accuracy with its 95 % interval; gain: paired difference to raw wafers."


def _curve_shown(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    accuracy = [with_interval(*row) for row in table[["mean", "low", "high"]].to_numpy()]
    columns = ["gain", "gain_low", "gain_high"]
    gain = [with_interval(*row, sign="+") for row in table[columns].to_numpy()]
    return table[["denoiser", *by]].assign(accuracy=accuracy, gain=gain)


def _gain_said(when: str, part: pd.DataFrame) -> str:
    """Say what denoising brings at one point of a curve, and what the control does."""
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
        return "The control gains as much, so this is no denoising."
    return "The control does not reach it."


def noise_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show what flipped dies do to the accuracy, with and without denoising."""
    predictions = tables.noise_predictions(folders)
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
        f"Accuracy and macro F1 by the share of dies flipped; bands: {_BARS}.",
    )
    accuracy = panels[ACCURACY]
    section.add_table(_curve_shown(accuracy, ["rate"]), _GAIN)
    worst = accuracy[accuracy["rate"] == accuracy["rate"].max()]
    return section, [_gain_said(f"With {worst['rate'].iloc[0]:.0%} of the dies flipped", worst)]


def discovery_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show whether clusters of denoised maps agree better with classes, known and held out."""
    scores = tables.discovery_scores(folders)
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
            "normalised mutual information. Recall: share of the class that was left out in "
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
    return section, [_discovery_said(table)]


def _discovery_shown(table: pd.DataFrame) -> pd.DataFrame:
    text = [with_interval(*row) for row in table[["mean", "low", "high"]].to_numpy()]
    index = ["features", "clustering", "denoiser"]
    wide = table.assign(text=text).pivot(index=index, columns="metric", values="text")
    order = pd.MultiIndex.from_frame(table[index].drop_duplicates())
    return wide.loc[order, table["metric"].unique()].rename_axis(columns=None).reset_index()


def _discovery_said(table: pd.DataFrame) -> str:
    wide = table.pivot(
        index=["features", "clustering"], columns=["metric", "denoiser"], values="mean"
    )
    parts = []
    for metric in ("nmi", "recall"):
        ours, raw, control = (wide[metric, name] for name in (OURS, RAW, RANDOM_NET))
        parts.append(
            f"{metric} with {OURS} {ours.mean():.3f}, raw {raw.mean():.3f}, random weights "
            f"{control.mean():.3f} (higher than raw in {(ours > raw).sum()} of {len(wide)} ways)"
        )
    return f"Discovery of a class that was left out: {'; '.join(parts)}."


def resolution_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show how faithful CAMs are by the size of their grid."""
    table = tables.resolution_table(folders)
    if table.empty:
        return None, []
    found["resolution"] = table
    section = Section(
        "How fine a grid does a CAM need?",
        [
            "One net, VGG-11, explained at each of its layers. Deletion turns the most salient "
            "fails into passes first (lower is better), insertion puts them back (higher is "
            f"better); figures are areas under the curves. {RANDOM_CAM} weights the same layer's "
            "channels at random."
        ],
    )
    panels = {name: part for name, part in table.groupby("metric")}
    section.add_figure(
        "resolution",
        figures.curves(panels, ["grid"] * len(panels), "method", "area under the curve"),
        f"Faithfulness by cells along a side of the CAM's grid; bands: {_BARS}.",
    )
    shown = table[["metric", "method", "grid"]].assign(
        area=[with_interval(*row) for row in table[["mean", "low", "high"]].to_numpy()],
        **{
            f"less {RANDOM_CAM}": [
                with_interval(*row, sign="+")
                for row in table[["gain_mean", "gain_low", "gain_high"]].to_numpy()
            ]
        },
    )
    section.add_table(shown[shown["method"] != RANDOM_CAM])
    return section, []
