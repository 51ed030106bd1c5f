"""``camdenoise evaluate``: how well a model does on labeled wafers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from camdenoise.cli._messages import echo_notes, echo_summary, report_user_errors
from camdenoise.cli._sources import add_source_options


@click.command(
    short_help="Score a model on labeled wafers.",
    epilog="\b\nExamples:\n"
    "  camdenoise evaluate labeled.parquet\n"
    "  camdenoise evaluate labeled.npz --model mine.safetensors --json",
)
@click.option("--model", default="wm811k", show_default=True, help="Name, or file of save_model.")
@add_source_options
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def evaluate(sources: tuple[Path, ...], model: str, as_json: bool, **options: Any) -> None:
    """Score the classes that a model gives the labeled wafers in the files IN.

    IN is what denoise takes, with a column label. Wafers without a label, or whose map cannot be
    read, are left out. Intervals (95 %) are a bootstrap over lots, where there is a column lot or
    chunk. On wafers that the model was trained on it does better than on others.
    """
    with report_user_errors():
        facts, table, notes = _score(sources, model, options)
    if as_json:
        rows = json.loads(table.to_json(orient="index"))
        echo_summary(facts | {"classes": rows}, notes)
        return
    click.echo(table.round(3).to_string(na_rep=""))
    click.echo("\n" + "\n".join(f"{name}: {value}" for name, value in facts.items()))
    echo_notes(notes)


def _score(sources: tuple[Path, ...], model: str, options: dict[str, Any]):
    import numpy as np

    from camdenoise.cli._models import load_classifier
    from camdenoise.cli._sources import read_labeled_wafers
    from camdenoise.metrics import class_report

    maps, target, lots, notes = read_labeled_wafers(sources, options)
    classifier, digest = load_classifier(model)
    best = classifier.predict_proba(maps).argmax(axis=1)
    predicted = classifier.classes_[best].astype(str)
    none = list(map(str, classifier.class_roles().none))
    facts: dict[str, Any] = {"wafers": len(maps), "model": digest}
    if lots is not None:
        facts["lots"] = len(set(lots.tolist()))
    if unknown := sorted(set(target) - set(classifier.classes_.astype(str))):
        facts["classes that the model does not know"] = ", ".join(unknown)
    bare = np.isin(target, none)
    if bare.any():
        share = float(np.mean(~np.isin(predicted[bare], none)))
        facts["share of none wafers that get a pattern"] = round(share, 4)
    return facts, class_report(target, predicted, lots), notes
