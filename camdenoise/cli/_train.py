"""``camdenoise train``: labelled wafers in, a model out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from camdenoise.cli._mistakes import Mistake, mistakes_told
from camdenoise.cli._sources import with_source_options

# That of the bundled model.
_NOVELTY_RATE = 0.02


@click.command(
    epilog="\b\nExamples:\n"
    "  camdenoise train labelled.parquet mine.safetensors\n"
    "  camdenoise train labelled.npz quick.safetensors --backbone wafer_resnet --epochs 3"
)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--backbone",
    default="wafer_unet",
    show_default=True,
    help="wafer_unet, wafer_resnet or a model of timm.",
)
@click.option("--epochs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, ...")
@click.option("--threads", type=click.IntRange(1), help="Processor threads; all if not given.")
@with_source_options
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def train(source: Path, out: Path, **options: Any) -> None:
    """Train a denoiser on the labelled wafers in file IN; write it to file OUT.

    IN is what denoise takes, with a column label; wafers without a label, or whose map cannot be
    read, are left out. With at least 20 wafers labelled none, some of each class, or of the lots
    where there is a column lot or chunk, are kept from training to calibrate. OUT must not be
    there; it is written whole or not at all, and never while training. The last line on standard
    output is a summary in JSON.
    """
    with mistakes_told("Nothing was written."):
        if out.exists():
            raise Mistake(f"{out} is there already. Choose another name.")
        summary = _train(source, out, options)
    click.echo(json.dumps(summary))


def _train(source: Path, out: Path, options: dict[str, Any]) -> dict[str, Any]:
    from collections import Counter

    import torch

    from camdenoise import CamDenoiser, WaferClassifier, save_model
    from camdenoise._files import digest
    from camdenoise.cli._labelled import labelled_wafers

    if options["threads"]:
        torch.set_num_threads(options["threads"])
    maps, target, lots = labelled_wafers(source, options)
    of_backbone = {"input_size": (48, 96)} if options["backbone"] == "wafer_unet" else {}
    classifier = WaferClassifier(
        options["backbone"],
        max_epochs=options["epochs"],
        device=options["device"],
        progress=not options["quiet"],
        random_state=options["seed"],
        **of_backbone,
    )
    start = time.perf_counter()
    groups = {} if lots is None else {"groups": lots}
    denoiser = CamDenoiser(
        classifier, novelty_rate=_NOVELTY_RATE, random_state=options["seed"]
    ).fit(maps, target, **groups)
    save_model(denoiser, out)
    return {
        "wafers": len(maps),
        "labels": dict(Counter(target.tolist()).most_common()),
        "calibrated": denoiser.platt_ is not None,
        "seconds": round(time.perf_counter() - start, 1),
        "sha256": digest(out),
        "out": str(out),
    }
