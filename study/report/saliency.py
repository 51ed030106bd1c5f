"""The parts of the report on saliencies: whether they are faithful, and where they point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from camdenoise import load_model
from camdenoise.faithfulness import BETTER
from study.denoisers import COMPONENTS, OURS, explain
from study.figures import scores as figures
from study.figures.wafers import examples, frequency
from study.graph import read_facts
from study.report.section import Made, Section, points, with_interval
from study.stages import cams, resolution
from study.stages.denoise import load_masks, load_saliency
from study.stages.faithfulness import DEFAULT, USUAL
from study.stages.models import MODEL
from study.tables import saliency as tables
from study.tables.common import gather
from study.wafers import load, pick


def faithfulness_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show whether changes in the order of a saliency change the class, as random ones do not."""
    scores = tables.faithfulness_scores(folders, "curves", "pointing")
    if scores.empty:
        return None, []
    table = tables.faithfulness_table(scores)
    similarity = tables.similarity_table(tables.faithfulness_scores(folders, "weights"))
    found |= {"faithfulness_scores": scores, "faithfulness": table, "similarity": similarity}
    section = Section(
        "Is the saliency faithful?",
        [
            "Dies are changed in the order of a saliency and the net is asked again. Deletion "
            "turns fails into passes, insertion puts them back, ROAD removes dies and guesses them "
            "from their neighbors (morf: most salient first, lerf: least). Figures are areas "
            "under the curves. The pointing game (energy) is the share of the saliency on the "
            "dies of a known pattern, fail_energy the same among fails only.",
            "Each figure counts only beside those of random saliencies: dies in random order, and "
            "RandomCAM, which weights a layer's channels at random and so has regions, like any "
            "CAM. CAMs are named by method and target layer.",
            "First table: means. Second and third: paired difference to each random saliency, with "
            "its 95 % interval over lots. Last: rank correlation of each CAM with that of a net "
            "whose stages, from the head to the one named, have random weights.",
        ],
    )
    section.add_figure(
        "faithfulness",
        figures.faithfulness(
            tables.faithfulness_curves(folders),
            (USUAL, DEFAULT, COMPONENTS, *reversed(tables.REFERENCES)),
        ),
        "Mean probability of the predicted class; bands: 95 % interval over wafers.",
    )
    section.add_table(_metrics_wide(table, "mean"))
    for reference in tables.REFERENCES:
        section.add_table(_differences(table, reference))
    section.add_table(similarity)
    return section, describe_faithfulness(table)


def _metrics_wide(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row a method, one column a metric with an arrow where it improves."""
    wide = table.pivot(index="method", columns="metric", values=column)
    wide = wide.loc[table["method"].unique(), table["metric"].unique()]
    arrows = {"lower": "↓", "higher": "↑"}
    return wide.rename(columns=lambda name: f"{name} {arrows[BETTER[name]]}").reset_index()


def _differences(table: pd.DataFrame, reference: str) -> pd.DataFrame:
    """As `_metrics_wide`: the difference to the reference, with its interval."""
    parts = [table[f"{part} to {reference}"] for part in ("mean", "low", "high")]
    text = [
        f"{mean:+.3f}" + (f" ({low:+.3f} to {high:+.3f})" if low == low else "")
        for mean, low, high in zip(*parts, strict=True)
    ]
    others = table.assign(text=text)[table["method"] != reference]
    wide = _metrics_wide(others, "text")
    return wide.rename(columns={"method": f"less {reference}"})


def describe_faithfulness(table: pd.DataFrame) -> list[str]:
    """Write whether deletion and insertion by the usual and by our CAM beat random saliencies."""
    rows = table.set_index(["metric", "method"])
    sentences = []
    for metric in ("deletion", "insertion"):
        both = [_against_random(rows.loc[(metric, name)]) for name in (USUAL, DEFAULT)]
        sentences.append(
            f"Faithfulness by {metric} ({BETTER[metric]} is better): {'; '.join(both)}."
        )
    return sentences


def _against_random(row: pd.Series) -> str:
    metric, method = row.name
    verdicts = []
    for reference in tables.REFERENCES:
        gain = {part: row[f"{part} to {reference}"] for part in ("mean", "low", "high")}
        verdict = "not shown to differ from"
        if gain["low"] > 0 or gain["high"] < 0:
            good = (gain["mean"] < 0) == (BETTER[metric] == "lower")
            verdict = "better than" if good else "worse than"
        verdicts.append(f"{verdict} {reference}: {points(gain)}")
    return f"{method} {row['mean']:.3f}, {' and '.join(verdicts)}"


def cams_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show net by net where each kind of defect sits, and what each CAM keeps of it."""
    places = gather(folders, "cams-.*", cams.PLACES)
    if places.empty:
        return None, []
    found["cam_places"] = places
    section = Section(
        "Where each kind of defect sits, by net and CAM",
        [
            f"“{cams.USUAL}” is the usual choice: one threshold on each die. The others are taken "
            "where the net still resolves dies, and keep whole components. Wafers of all sizes are "
            "brought to one grid for these pictures only; all fails and kept fails of a row share "
            "a color scale. Every net is the strict protocol's, and has not seen these wafers. "
            "Pictures of single wafers, one a class, for every net and CAM lie in the folder "
            "figures: cams_NET_examples-METHOD.",
        ],
    )
    nets = {name[5:]: folder for name, folder in folders.items() if name.startswith("cams-")}
    for net, folder in nets.items():
        name = read_facts(folder)["parameters"]["backbone"]
        section.add_saved_figure(
            f"cams_{net}_{cams.FREQUENCY}",
            folder / cams.FREQUENCY,
            f"{name}: where defects sit.",
            1100,
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
    """Show the usual CAM and the first of the others; the table next to the page has all."""
    shown = [cams.USUAL, places.loc[places["method"] != cams.USUAL, "method"].iloc[0]]
    part = places[places["method"].isin(shown)]
    wide = part.pivot(index=["backbone", "method", "class"], columns="zone", values="kept")
    fails = part.drop_duplicates(["class", "zone"]).assign(backbone="–", method="all fails")
    before = fails.pivot(index=["backbone", "method", "class"], columns="zone", values="fails")
    zones = part["zone"].drop_duplicates()
    return pd.concat([before, wide])[zones].rename_axis(columns=None).reset_index()


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
            f"better); figures are areas under the curves. {resolution.RANDOM_CAM} weights the "
            "same layer's channels at random."
        ],
    )
    panels = {name: part for name, part in table.groupby("metric")}
    section.add_figure(
        "resolution",
        figures.curves(panels, ["grid"] * len(panels), "method", "area under the curve"),
        "Faithfulness by cells along a side of the CAM's grid; bars: 95 % interval.",
    )
    shown = table[["metric", "method", "grid"]].assign(
        area=[with_interval(*row) for row in table[["mean", "low", "high"]].to_numpy()],
        **{
            f"less {resolution.RANDOM_CAM}": [
                with_interval(*row, sign="+")
                for row in table[["gain_mean", "gain_low", "gain_high"]].to_numpy()
            ]
        },
    )
    section.add_table(shown[shown["method"] != resolution.RANDOM_CAM])
    return section, []


def places_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Show single wafers, and where the wafers of each class fail."""
    denoised = [name for name in folders if name.startswith("denoise-")]
    if not denoised:
        return None, []
    _, fold, seed = denoised[0].split("-")
    wafers = load(folders["wafers"])
    test = np.flatnonzero(wafers.fold == int(fold))
    maps, target = pick(wafers.maps, test), wafers.target[test]
    kept = pick(load_masks(folders[denoised[0]], OURS, wafers.maps), test)
    section = Section("Where defects sit")
    explainer = read_facts(folders[denoised[0]])["parameters"]["explainer"]
    clf = load_model(folders[f"{explainer}-{fold}-{seed}-all"] / MODEL)
    section.add_figure(
        "examples",
        examples(_first_of_each_class(clf, maps, target)),
        "The first test wafer of each class, not a chosen one: all fails, where the classifier "
        "looked, the fails kept as the pattern, and those removed (blue).",
    )
    section.add_figure(
        "frequency",
        frequency(maps, target, load_saliency(folders[denoised[0]], maps), kept),
        "Share of the test wafers that fail at each place, by class. All, kept and removed fails "
        "of a row share a color scale. Removed fails should look flat: what structure they have "
        "was missed.",
    )
    return section, []


def _first_of_each_class(clf, maps, target) -> list:
    rows = [int(np.flatnonzero(target == name)[0]) for name in sorted(set(target))]
    chosen = pick(maps, np.array(rows))
    return list(zip(target[rows], chosen, explain(OURS, clf, chosen), strict=True))
