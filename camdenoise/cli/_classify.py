"""``camdenoise classify``: a file of wafers in, a folder of classes out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from camdenoise.cli._into_parts import into_parts, run_into_parts


@click.command(
    epilog="\b\nExamples:\n"
    "  camdenoise classify lots.parquet classes\n"
    "  camdenoise classify lot.stdf.gz classes --model mine.safetensors"
)
@into_parts
def classify(source: Path, out: Path, **options: Any) -> None:
    """Name the pattern of each wafer in file IN; write folder OUT.

    IN is what denoise takes. OUT gets Parquet files with a row per wafer: its keys, the class that
    is predicted (none where there is no pattern), the probability of every class, and why a wafer
    could not be read (column error). The last line on standard output is a summary in JSON.
    """

    def load() -> tuple[Any, dict[str, Any]]:
        from camdenoise.cli._models import load_classifier
        from camdenoise.stream import classify_batches

        classifier, digest = load_classifier(options["model"])
        transform = partial(classify_batches, classifier=classifier)
        return transform, {"command": "classify", "model": digest}

    run_into_parts(source, out, load, options)
