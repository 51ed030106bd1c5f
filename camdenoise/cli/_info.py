"""``camdenoise info``: what a file or folder is."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click

from camdenoise.cli._messages import report_user_errors
from camdenoise.cli._sources import add_source_options, open_wafers

# How many grids, and how many values of a key, are listed; the rest is counted.
_LISTED = 10
# Counts that a reader keeps of each wafer, and how they are called here.
_COUNTS = {
    "n_retests": "tests of a die again",
    "n_unplaced": "dies without coordinates",
    "n_unplaced_fails": "of them fail",
    "n_missing": "declared and not there",
}


@click.command(
    short_help="Tell what a file or folder is.",
    epilog="\b\nExamples:\n"
    "  camdenoise info lots.parquet\n"
    "  camdenoise info wm811k\n"
    "  camdenoise info decided --json",
)
@add_source_options
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def info(sources: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Tell what IN is: files of wafers, a model (by name or file), or a folder of results."""
    with report_user_errors():
        facts = _describe(sources, options)
    click.echo(json.dumps(facts, ensure_ascii=False) if as_json else _format_lines(facts))


def _describe(sources: tuple[Path, ...], options: dict[str, Any]) -> dict[str, Any]:
    from camdenoise.io._results import RUN_KEY, list_parts, read_note
    from camdenoise.nets._checkpoint import PRETRAINED

    path, what = sources[0], str(sources[0])
    if len(sources) > 1:
        return _describe_wafers(sources, options)
    if what in PRETRAINED and not path.exists():
        return _describe_model(what)
    parts = list_parts(path) if path.is_dir() else []
    run = next((note for part in parts if (note := read_note(part, RUN_KEY)) is not None), None)
    if run is not None:
        return _describe_results(parts, run)
    if not path.exists() and not any(sign in what for sign in "*?["):
        raise FileNotFoundError(
            f"no file or folder {what}, and no model of that name; "
            f"{' and '.join(PRETRAINED)} comes with the package."
        )
    return _describe_model(what) if _is_safetensors(path) else _describe_wafers(sources, options)


def _is_safetensors(path: Path) -> bool:
    """Tell by the length of the header, which begins such a file, and by the header's brace."""
    from camdenoise.io._container import read_head

    if not path.is_file():
        return False
    head = read_head(path)
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**27


def _describe_model(what: str) -> dict[str, Any]:
    from camdenoise import CamDenoiser
    from camdenoise.cli._models import load

    model, digest = load(what)
    classifier = model.estimator_ if isinstance(model, CamDenoiser) else model
    facts = {
        "kind": f"model, {type(model).__name__}",
        "sha256": digest,
        "classes": classifier.classes_.tolist(),
        "backbone": classifier.backbone,
        "weights": sum(value.numel() for value in classifier.module_.parameters()),
        "input_size": classifier.input_size,
        "temperature": classifier.temperature_,
    }
    if isinstance(model, CamDenoiser):
        facts |= {
            "method": model.method_,
            "threshold": "each wafer's own" if model.threshold_ is None else model.threshold_,
            "no_pattern": model.no_pattern,
            "false_alarm_rate": model.false_alarm_rate,
            "calibrated": model.calibration_.platt is not None,
        }
    return facts


def _describe_results(parts: list[Path], run: dict[str, Any]) -> dict[str, Any]:
    from camdenoise.io._results import SUMMARY_KEY, read_note

    counts = read_note(parts[-1], SUMMARY_KEY)
    return {
        "kind": "results of a run that has not ended" if counts is None else "results",
        "parts there": len(parts),
        **(counts or {}),
        "of": run.get("about", {}),
    }


def _describe_wafers(sources: tuple[Path, ...], options: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    from camdenoise.io._wafer_table import MAP, wafers_of
    from camdenoise.wafers._coverage import is_partial

    stream, _ = open_wafers(sources, options)
    grids, codes, labels, counted = Counter[str](), Counter[int](), Counter[str](), Counter[str]()
    n_wafers = n_errors = n_partial = 0
    keys: list[str] = []
    for batch in stream.batches:
        maps, errors = wafers_of(batch)
        n_wafers += len(maps)
        n_errors += len(errors) - errors.count(None)
        for grid in (grid for grid in maps if grid is not None):
            grids[f"{len(grid)} x {len(grid[0])}"] += 1
            codes.update(dict(enumerate(np.bincount(grid.ravel()).tolist())))
            n_partial += is_partial(grid)
        keys = [name for name in batch.schema.names if name not in MAP]
        if "label" in keys:
            labels.update(batch.column("label").to_pylist())
        for name in _COUNTS:
            if name in keys:
                counted[name] += sum(n or 0 for n in batch.column(name).to_pylist())
    facts = {
        "kind": f"wafers: {stream.kind}",
        "wafers": n_wafers,
        "unreadable": n_errors,
        "grids": _list_most(grids),
        "dies that pass": codes[1],
        "dies that fail": codes[2],
        **{text: counted[name] for name, text in _COUNTS.items() if counted[name]},
        **({"wafers tested in part": n_partial} if n_partial else {}),
        "keys": keys,
    }
    if len(stream.files) > 1:
        facts = {"kind": facts.pop("kind"), "files": len(stream.files)} | facts
    if stream.notes:
        facts["notes"] = [note.rstrip(".") for note in stream.notes]
    if others := sum(n for code, n in codes.items() if code > 2):
        facts["cells with another code"] = others
    return facts | ({"labels": _list_most(labels)} if labels else {})


def _list_most(counted: Counter) -> dict[str, int]:
    """Give the most frequent by name, and how many others there are."""
    listed = {str(name): n for name, n in counted.most_common(_LISTED)}
    rest = len(counted) - len(listed)
    return listed | ({f"and {rest} others": counted.total() - sum(listed.values())} if rest else {})


def _format_lines(facts: dict[str, Any]) -> str:
    notes = facts.pop("notes", [])
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {_format_value(value)}" for name, value in facts.items()]
    return "\n".join([*lines, *(f"Note: {note}." for note in notes)])


def _format_value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_format_value(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
