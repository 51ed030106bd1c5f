"""``camdenoise classify``: a file of wafers in, a folder of classes out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from camdenoise.cli._into_parts import into_parts, run_into_parts


@click.command(
    short_help="Name the pattern of each wafer.",
    epilog="\b\nExamples:\n"
    "  camdenoise classify lots.parquet classes\n"
    "  camdenoise classify lot7/*.stdf.gz classes --model mine.safetensors",
)
@into_parts
def classify(sources: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Name the pattern of each wafer in the files IN; write folder OUT.

    IN is what denoise takes. OUT gets Parquet files with a row per wafer: its keys and map, the
    class that is predicted (none where there is no pattern) and its probability, the probability
    of every class, whether the wafer was tested in part only (partial), and why a wafer could not
    be read (column error). The last line on standard output is a summary in JSON.
    """

    def load() -> tuple[Any, dict[str, Any]]:
        from camdenoise.cli._models import load_classifier
        from camdenoise.stream import classify_batches

        classifier, digest = load_classifier(options["model"])
        transform = partial(classify_batches, classifier=classifier)
        return transform, {"command": "classify", "model": digest}

    run_into_parts(sources, out, load, options)
