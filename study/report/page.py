"""One page out of the results: it can be made again from them at any time, without a network."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, select_autoescape

from study.denoisers import EVIDENCE, OURS
from study.files import read_table, write, write_json, write_table
from study.graph import Task, read_facts
from study.report.bench import bench_section
from study.report.classes import backbones_section, before_after_section, classifier_section
from study.report.dies import dies_section
from study.report.experiments import discovery_section, learning_section, noise_section
from study.report.saliency import (
    cams_section,
    faithfulness_section,
    places_section,
    resolution_section,
)
from study.report.section import Section
from study.wafers import COUNTS


def _facts(tasks: list[Task], folders: dict[str, Path], data: Path | None) -> dict[str, str]:
    known = [read_facts(folders[task.name]) for task in tasks]
    source = known[0]["parameters"]
    facts = {
        "wafers": "simulated by camdenoise.datasets.make_wafer_maps" if data is None else data.name,
        "sha256 of the data": source["digest"] or "–",
        "parts": f"{len(tasks)}, {sum(part['seconds'] for part in known):.0f} s of computing",
    }
    return facts | known[-1]["environment"]


#: What makes each part, and the stage that it shows.
_SECTIONS = (
    (classifier_section, "models"),
    (backbones_section, "backbones"),
    (cams_section, "cams"),
    (dies_section, "score_dies"),
    (before_after_section, "before_after"),
    (noise_section, "noise"),
    (learning_section, "learning"),
    (discovery_section, "discovery"),
    (faithfulness_section, "faithfulness"),
    (resolution_section, "resolution"),
    (places_section, "denoise"),
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
    """Write ``report.html`` and ``report.md``, and their tables and figures next to them.

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
        section, text = make(folders, tables)
        if section is not None:
            section.stage = stage
            sections.append(section)
            sentences += text
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
        write_table(out / "tables" / f"{name}.csv", table)
    write_json(out / "tables" / "about.json", facts)
    for section in sections:
        _write_figures(section, out / "figures")
    write(out / "report.md", _render("report.md.j2", page).encode())
    return write(out / "report.html", _render("report.html.j2", page).encode())


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
    section.add_table(read_table(folders["wafers"] / COUNTS))
    return section


def _write_figures(section: Section, place: Path) -> None:
    """Write each figure as PNG and as SVG."""
    for item in (item for item in section.items if "png" in item):
        write(place / f"{item['name']}.png", base64.b64decode(item["png"]))
        write(place / f"{item['name']}.svg", item["svg"])
    for name, stem in section.attached.items():
        for suffix in (".png", ".svg"):
            write(place / f"{name}{suffix}", stem.with_suffix(suffix).read_bytes())
