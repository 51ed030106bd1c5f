"""Models: load one, ``camdenoise train`` and ``camdenoise evaluate``."""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camdenoise.cli._messages import check_new, echo_notes, echo_summary, report_user_errors
from camdenoise.cli._sources import add_source_options, read_labeled_wafers

if TYPE_CHECKING:
    from camdenoise import CamDenoiser, WaferClassifier

# Share of wafers with known patterns that are taken for unlike them; as in the bundled model.
_NOVELTY_RATE = 0.02


def load_denoiser(model: str, **params: Any) -> tuple[CamDenoiser, str]:
    """Load a denoiser, and tell the SHA-256 of its file."""
    from camdenoise import CamDenoiser

    loaded, digest = load(model, **params)
    if not isinstance(loaded, CamDenoiser):
        raise ValueError(f"{model} holds a classifier. Fit a CamDenoiser around it and save that.")
    return loaded, digest


def load_classifier(model: str) -> tuple[WaferClassifier, str]:
    """Load a classifier, or the classifier of a denoiser; return the SHA-256 of its file, too."""
    from camdenoise import WaferClassifier

    loaded, digest = load(model)
    return loaded if isinstance(loaded, WaferClassifier) else loaded.estimator_, digest


def load(model: str, **params: Any) -> tuple[CamDenoiser | WaferClassifier, str]:
    """Load a model of any kind, and tell the SHA-256 of its file."""
    from camdenoise import CamDenoiser, load_model
    from camdenoise.io._atomic import sha256
    from camdenoise.nets._checkpoint import PRETRAINED, pretrained_file

    if model in PRETRAINED:
        with pretrained_file(model) as file:
            return CamDenoiser.from_pretrained(model, **params), sha256(file)
    if not Path(model).is_file():
        raise FileNotFoundError(
            f"no model {model!r}. Give {' or '.join(PRETRAINED)}, a model that comes with the "
            "package, or a file that camdenoise.save_model wrote."
        )
    return load_model(model, **params), sha256(model)


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
    click.echo(table.to_string(na_rep="", float_format="{:.3f}".format))
    click.echo("\n" + "\n".join(f"{name}: {value}" for name, value in facts.items()))
    echo_notes(notes)


def _score(sources: tuple[Path, ...], model: str, options: dict[str, Any]):
    import numpy as np

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


@click.command(
    short_help="Train a model on labeled wafers.",
    epilog="\b\nExamples:\n"
    "  camdenoise train labeled.parquet mine.safetensors\n"
    "  camdenoise train labeled.npz quick.safetensors --backbone wafer_resnet --epochs 3\n"
    "  camdenoise train fab.csv fab.safetensors --none-label good --everywhere-label dead",
)
@add_source_options
@click.argument("out", metavar="OUT", type=Path)
@click.option(
    "--backbone",
    default="wafer_unet",
    show_default=True,
    help="wafer_unet, wafer_resnet or a model of timm.",
)
@click.option("--epochs", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--none-label",
    "none_labels",
    multiple=True,
    default=("none",),
    show_default=True,
    help="Label of wafers without a pattern; can be given several times.",
)
@click.option(
    "--everywhere-label",
    "everywhere_labels",
    multiple=True,
    default=("Random", "Near-full"),
    show_default="Random, Near-full",
    help="Label of wafers that fail everywhere; can be given several times.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, ...")
@click.option("--threads", type=click.IntRange(1), help="Processor threads; all if not given.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def train(sources: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Train a denoiser on the labeled wafers in the files IN; write it to file OUT.

    IN is what denoise takes, with a column label; wafers without a label, or whose map cannot be
    read, are left out. With at least 20 wafers without a pattern (--none-label), some of each
    class, or of the lots where there is a column lot or chunk, are kept from training to calibrate.
    OUT must not be there; it is written whole or not at all, and never while training. The last
    line on standard output is a summary in JSON.
    """
    with report_user_errors("Nothing was written."):
        check_new(out)
        summary, notes = _train(sources, out, options)
    echo_summary(summary, notes, options["quiet"])


def _train(
    sources: tuple[Path, ...], out: Path, options: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    from collections import Counter

    import torch

    from camdenoise import CamDenoiser, WaferClassifier, save_model
    from camdenoise.io._atomic import sha256

    if options["threads"]:
        torch.set_num_threads(options["threads"])
    maps, target, lots, notes = read_labeled_wafers(sources, options)
    of_backbone = {"input_size": (48, 96)} if options["backbone"] == "wafer_unet" else {}
    classifier = WaferClassifier(
        options["backbone"],
        features="wafer",
        max_epochs=options["epochs"],
        device=options["device"],
        # A log file is not a place for a bar.
        progress=not options["quiet"] and sys.stderr.isatty(),
        none_labels=options["none_labels"],
        everywhere_labels=options["everywhere_labels"],
        random_state=options["seed"],
        **of_backbone,
    )
    start = time.perf_counter()
    groups = {} if lots is None else {"groups": lots}
    denoiser = CamDenoiser(classifier, novelty_rate=_NOVELTY_RATE, random_state=options["seed"])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        denoiser.fit(maps, target, **groups)
    notes = [*notes, *dict.fromkeys(str(w.message) for w in told if w.category is UserWarning)]
    out.parent.mkdir(parents=True, exist_ok=True)
    save_model(denoiser, out)
    summary = {
        "wafers": len(maps),
        "labels": dict(Counter(target.tolist()).most_common()),
        "patterns with evidence": list(map(str, denoiser.estimator_.patterns_)),
        "calibrated": denoiser.calibration_.platt is not None,
        "seconds": round(time.perf_counter() - start, 1),
        "sha256": sha256(out),
        "out": str(out),
    }
    return summary, notes
