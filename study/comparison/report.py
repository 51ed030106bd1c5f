"""The parts of the report that compare architectures and CAMs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from study.comparison import figures, tables
from study.comparison.backbones import BASELINES, FEATURES, LITERAL, MAJORITY, PROTOCOLS
from study.comparison.cams import FREQUENCY, PLACES, USUAL
from study.comparison.tables import ACCURACY, MACRO
from study.graph import about
from study.section import Made, Section, with_interval


def backbones_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show what each net reaches under each protocol."""
    predictions = tables.backbone_predictions(folders)
    if predictions.empty:
        return None, []
    scores = tables.classification_table(predictions, ["protocol", "backbone"])
    sizes, by_seed = tables.size_table(folders), tables.seed_table(predictions)
    found |= {"backbone_predictions": predictions, "backbones": scores}
    found |= {"backbone_sizes": sizes, "backbone_seeds": by_seed}
    used = [PROTOCOLS[name] for name in scores["protocol"].unique()]
    section = Section(
        "Architectures under the literal and the strict protocol",
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


def _said_of_backbones(scores: pd.DataFrame) -> list[str]:
    said = []
    for protocol, part in scores.groupby("protocol", sort=False):
        rows = part.set_index(["metric", "backbone"])
        macro = rows.loc[MACRO].drop([*BASELINES])
        best = macro["mean"].idxmax()
        shown = [(MACRO, best), (ACCURACY, best), (MACRO, FEATURES), (ACCURACY, FEATURES)]
        f1, accuracy, by_features, right, guess = (
            with_interval(*rows.loc[key, ["mean", "low", "high"]])
            for key in [*shown, (ACCURACY, MAJORITY)]
        )
        said.append(
            f"Architectures, {protocol} protocol: of {len(macro)} nets {best} has the highest "
            f"macro F1, {f1}; its accuracy is {accuracy}. Gradient boosting on {FEATURES} reaches "
            f"{by_features} and {right}, a majority vote an accuracy of {guess}."
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
