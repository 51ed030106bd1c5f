"""One page out of the results: it can be made again from them at any time, without a network."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, select_autoescape

from camdenoise import load_model
from camdenoise.faithfulness import BETTER
from camdenoise.io._atomic import atomic_write
from study import figures, findings, summary
from study.bench.entries import EVIDENCE
from study.bench.report import bench_section
from study.comparison.experiments import (
    discovery_section,
    learning_section,
    noise_section,
    resolution_section,
)
from study.comparison.report import backbones_section, cams_section
from study.denoise import load_masks, load_saliency
from study.denoisers import BEFORE_AFTER, CAM, COMPONENTS, CONTROLS, INDEPENDENT, OURS, denoiser
from study.faithfulness import DEFAULT, USUAL
from study.graph import Task, about
from study.models import MODEL
from study.plants import LEFT_OUT
from study.section import Section
from study.wafers import COUNTS, load, pick


def _write(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as stream:
        stream.write(content)
    return file


def _facts(tasks: list[Task], folders: dict[str, Path], data: Path | None) -> dict[str, str]:
    known = [about(folders[task.name]) for task in tasks]
    source = known[0]["parameters"]
    facts = {
        "wafers": "simulated by camdenoise.datasets.make_wafer_maps" if data is None else data.name,
        "sha256 of the data": source["digest"] or "–",
        "parts": f"{len(tasks)}, {sum(part['seconds'] for part in known):.0f} s of computing",
    }
    return facts | known[-1]["environment"]


def _classifier(folders, tables) -> tuple[Section | None, list[str]]:
    raw = summary.raw_predictions(folders)
    if raw.empty:
        return None, []
    accuracy = summary.accuracy_table(raw.assign(denoiser=summary.RAW))
    tables["raw_predictions"], tables["classes"] = raw, summary.class_table(raw)
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
    section.add_table(tables["classes"])
    return section, findings.of_classifier(accuracy, len(raw))


_KINDS = {
    "simulated": "Simulated: pattern and background.",
    "planted": "Planted: real patterns on real backgrounds, each read off another wafer.",
    "diffuse": "Diffuse: simulated patterns with thin, soft edges on real backgrounds.",
    "two": "Two: two real patterns on one real background; both are to be kept.",
}


def _dies(folders, tables) -> tuple[Section | None, list[str]]:
    scores = summary.die_level(folders)
    if scores.empty:
        return None, []
    f1, rates = summary.die_f1_table(scores), summary.die_rates_table(scores)
    tables |= {"die_scores": scores, "die_f1": f1, "die_rates": rates}
    section = Section(
        "Die by die: pattern or noise?",
        [
            "Wafers of which the cause of every fail is known. Only failing dies count; a kept "
            "fail is right where the pattern caused it. No denoiser was tuned for these wafers. "
            "Intervals are over lots; of planted wafers over the wafers that patterns, or else "
            "backgrounds, were taken from.",
            *_left_out(folders),
        ],
    )
    sentences = []
    for kind in [name for name in _KINDS if name in set(scores["kind"])]:
        of_kind = f1[f1["kind"] == kind]
        section.add_figure(f"die_f1_{kind}", figures.die_f1(of_kind), _KINDS[kind])
        section.add_table(_wide(of_kind))
        section.add_table(rates[rates["kind"] == kind].drop(columns="kind"))
        sentences.append(findings.of_dies(kind, scores[scores["kind"] == kind], of_kind))
    return section, sentences


def _wide(table: pd.DataFrame) -> pd.DataFrame:
    """One row a denoiser; of pairs of classes only the mean over all."""
    table = table[~table["class"].str.contains("+", regex=False)]
    wide = table.pivot(index="denoiser", columns="class", values="mean")
    return wide.loc[table["denoiser"].unique()].reset_index()


def _left_out(folders: dict[str, Path]) -> list[str]:
    """Tell which classes could not be planted, and why."""
    said = []
    for name, folder in folders.items():
        if name.startswith("plants-"):
            kind = name.split("-")[-1]
            reasons = json.loads((folder / LEFT_OUT).read_text())
            said += [f"Not among the {kind} wafers: {c} ({why})" for c, why in reasons.items()]
    return said


def _before_after(folders, tables) -> tuple[Section | None, list[str]]:
    predictions = summary.after_predictions(folders)
    # A later stage alone needs some of these nets only.
    complete = ({*BEFORE_AFTER} - {CAM}, CONTROLS.keys() - {INDEPENDENT})
    if predictions.empty or not any(map(set(predictions["denoiser"]).issuperset, complete)):
        return None, []
    tables["before_after"] = summary.accuracy_table(predictions)
    explained = "; ".join(
        f"{name.removeprefix('control: ')}: {why}" for name, why in CONTROLS.items()
    )
    section = Section(
        "Accuracy before and after denoising, beside its controls",
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
        figures.before_after(tables["before_after"]),
        "Accuracy on the test wafers after each denoising; controls in yellow.",
    )
    section.add_table(tables["before_after"])
    return section, findings.of_before_after(predictions, tables["before_after"])


def _faithfulness(folders, tables) -> tuple[Section | None, list[str]]:
    scores = summary.faithfulness_scores(folders, "curves", "pointing")
    if scores.empty:
        return None, []
    table = summary.faithfulness_table(scores)
    similarity = summary.similarity_table(summary.faithfulness_scores(folders, "weights"))
    tables |= {"faithfulness_scores": scores, "faithfulness": table, "similarity": similarity}
    section = Section(
        "Is the saliency faithful?",
        [
            "Dies are changed in the order of a saliency and the net is asked again. Deletion "
            "turns fails into passes, insertion puts them back, ROAD removes dies and guesses them "
            "from their neighbours (morf: most salient first, lerf: least). Figures are areas "
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
            summary.faithfulness_curves(folders),
            (USUAL, DEFAULT, COMPONENTS, *reversed(summary.REFERENCES)),
        ),
        "Mean probability of the predicted class; bands: 95 % interval over wafers.",
    )
    section.add_table(_metrics_wide(table, "mean"))
    for reference in summary.REFERENCES:
        section.add_table(_differences(table, reference))
    section.add_table(similarity)
    return section, findings.of_faithfulness(table)


def _metrics_wide(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row a method, one column a metric with an arrow where it improves."""
    wide = table.pivot(index="method", columns="metric", values=column)
    wide = wide.loc[table["method"].unique(), table["metric"].unique()]
    arrows = {"lower": "↓", "higher": "↑"}
    return wide.rename(columns=lambda name: f"{name} {arrows[BETTER[name]]}").reset_index()


def _differences(table: pd.DataFrame, reference: str) -> pd.DataFrame:
    """As `_metrics_wide`: the difference to the reference, with its interval."""
    parts = [table[f"{part} to {reference}"] for part in ("mean", "low", "high")]
    said = [
        f"{mean:+.3f}" + (f" ({low:+.3f} to {high:+.3f})" if low == low else "")
        for mean, low, high in zip(*parts, strict=True)
    ]
    others = table.assign(said=said)[table["method"] != reference]
    wide = _metrics_wide(others, "said")
    return wide.rename(columns={"method": f"less {reference}"})


def _pictures(folders, tables) -> tuple[Section | None, list[str]]:
    denoised = [name for name in folders if name.startswith("denoise-")]
    if not denoised:
        return None, []
    _, fold, seed = denoised[0].split("-")
    wafers = load(folders["wafers"])
    test = np.flatnonzero(wafers.fold == int(fold))
    maps, target = pick(wafers.maps, test), wafers.target[test]
    kept = pick(load_masks(folders[denoised[0]], OURS, wafers.maps), test)
    section = Section("Where defects sit")
    explainer = about(folders[denoised[0]])["parameters"]["explainer"]
    clf = load_model(folders[f"{explainer}-{fold}-{seed}-all"] / MODEL)
    section.add_figure(
        "examples",
        figures.examples(_first_of_each_class(clf, maps, target)),
        "The first test wafer of each class, not a chosen one: all fails, where the classifier "
        "looked, the fails kept as the pattern, and those removed (blue).",
    )
    section.add_figure(
        "frequency",
        figures.frequency(maps, target, load_saliency(folders[denoised[0]], maps), kept),
        "Share of the test wafers that fail at each place, by class. All, kept and removed fails "
        "of a row share a colour scale. Removed fails should look flat: what structure they have "
        "was missed.",
    )
    return section, []


def _first_of_each_class(clf, maps, target) -> list:
    rows = [int(np.flatnonzero(target == name)[0]) for name in sorted(set(target))]
    chosen = pick(maps, np.array(rows))
    method = denoiser(OURS, clf, chosen)
    method.estimator_.set_params(progress=False)
    return list(zip(target[rows], chosen, method.explain(chosen), strict=True))


#: What makes each part, and the stage that it shows.
_SECTIONS = (
    (_classifier, "models"),
    (backbones_section, "backbones"),
    (cams_section, "cams"),
    (_dies, "truth"),
    (_before_after, "before_after"),
    (noise_section, "noise"),
    (learning_section, "learning"),
    (discovery_section, "discovery"),
    (_faithfulness, "faithfulness"),
    (resolution_section, "resolution"),
    (_pictures, "denoise"),
    (bench_section, "bench"),
)

_LIMITS = (
    "The project that this study follows published no number of its own (accuracy, threshold, "
    "layer or split): what is here is not compared with it, and stands for itself.",
    "Wafers without a label were dropped, and so were the classes none, Random and Near-full: a "
    "user's wafers are mostly without a pattern, and how often a classifier sees one there is not "
    "answered here.",
    "Lots decide what may be split. Where the file names none, chunk stands in: up to about 250 "
    "consecutive wafers with the same die grid.",
    "All wafers are of one file. How nets do on other products is asked only by the protocol "
    "products of the profiles paper and full, and how they do on later lots not at all.",
    "Figures are of few seeds, small pictures and few epochs, as the profile says; a net that is "
    "last here may be first when trained for longer.",
)


def write_report(
    out: Path,
    tasks: list[Task],
    folders: dict[str, Path],
    *,
    profile: str,
    data: Path | None,
    seeds: int | None = None,
) -> Path:
    """Write ``report.html`` and ``report.md``, and their tables and figures beside them.

    Parameters
    ----------
    out : Path
        Folder for all.
    tasks : list of Task
        What was run.
    folders : dict of str to Path
        Where the results are.
    profile : str
        Its name, for the title.
    data : Path or None
        File of real wafers; simulated where None.
    seeds : int or None, default=None
        How many were asked for on the command line.

    Returns
    -------
    Path
        The page.
    """
    tables: dict[str, pd.DataFrame] = {}
    sections, sentences = [], []
    for make, stage in _SECTIONS:
        section, said = make(folders, tables)
        if section is not None:
            section.stage = stage
            sections.append(section)
            sentences += said
    counts, command = _wafers_used(folders), _command(profile, data, seeds)
    facts = {"command": command} | _facts(tasks, folders, data)
    page = {
        "profile": profile,
        "command": command,
        "source": "simulated wafers" if data is None else f"real wafers ({data.name})",
        "findings": sentences,
        "sections": sections if counts is None else [counts, *sections],
        "limits": _LIMITS,
        "facts": facts,
        "ours": (OURS, EVIDENCE),
    }
    for name, table in tables.items():
        _write(out / "tables" / f"{name}.csv", table.to_csv(index=False).encode())
    _write(out / "tables" / "about.json", json.dumps(facts, indent=1).encode())
    for section in sections:
        _write_figures(section, out / "figures")
    _write(out / "report.md", _render("report.md.j2", page).encode())
    return _write(out / "report.html", _render("report.html.j2", page).encode())


def _render(template: str, page: dict[str, Any]) -> str:
    loader = FileSystemLoader(Path(__file__).parent)
    escape = select_autoescape(["html.j2"])
    return Environment(loader=loader, autoescape=escape).get_template(template).render(**page)


def _command(profile: str, data: Path | None, seeds: int | None) -> str:
    """Return what to type to make the page again; the place of the data is the reader's."""
    parts = ["python -m study", f"--profile {profile}"]
    parts += [] if data is None else [f"--data {data.name}"]
    parts += [] if seeds is None else [f"--seeds {seeds}"]
    return " ".join(parts)


def _wafers_used(folders: dict[str, Path]) -> Section | None:
    """Show how many wafers there are of each class, and how many were used."""
    if "wafers" not in folders:
        return None
    section = Section("Wafers")
    section.add_table(pd.read_csv(folders["wafers"] / COUNTS, keep_default_na=False))
    return section


def _write_figures(section: Section, place: Path) -> None:
    """Write each figure as PNG and as SVG."""
    for item in (item for item in section.items if "png" in item):
        _write(place / f"{item['name']}.png", base64.b64decode(item["png"]))
        _write(place / f"{item['name']}.svg", item["svg"])
    for name, stem in section.attached.items():
        for suffix in (".png", ".svg"):
            _write(place / f"{name}{suffix}", stem.with_suffix(suffix).read_bytes())
