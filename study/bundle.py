"""Train the model that the package brings along, and measure the same recipe on held-out wafers.

    python -m study bundle --data DATA.npz --out FOLDER

It trains without a fold, scores and calibrates on that fold, trains the same on all wafers, and
writes ``wm811k.safetensors``: the weights of the latter net with the former's calibration, which no
wafer of its own could give, and features of wafers that it was trained on, to tell which others are
unlike them; and ``wm811k.json``, which tells how it was made and what was measured. Each net is a
task, so an interrupted run goes on; copies lie in FOLDER as ``without-fold-0.safetensors`` and
``all.safetensors``.
"""

from __future__ import annotations

import argparse
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from camdenoise import CamDenoiser, WaferClassifier, load_model, save_model
from camdenoise.datasets import load_wafer_maps
from camdenoise.denoising import DenoiserCalibration
from camdenoise.io import sha256
from study.evaluate.common import FoldPart, rows_of_fold
from study.evaluate.held_out import (
    FALSE_ALARMS,
    NOVELTY,
    known_to,
    measure,
    save_scores,
    summary,
    summary_of_none,
    with_known,
)
from study.files import write, write_json
from study.graph import Task, environment, run_all
from study.stages.bundled_net import SHOWN_AT, make_classifier, train
from study.stages.models import MODEL


def train_both(options: argparse.Namespace) -> list[WaferClassifier]:
    """Train without the fold and on all wafers, what is there already not again."""
    source = {"data": str(options.data), "digest": sha256(options.data)}
    source |= {"epochs": options.epochs, "seed": options.seed}
    names = {f"without-fold-{options.fold}": options.fold, "all": None}
    tasks = [Task(name, train, source | {"left_out": fold}) for name, fold in names.items()]
    folders = run_all(tasks, options.out / "parts")
    for name in names:
        write(options.out / f"{name}.safetensors", (folders[name] / MODEL).read_bytes())
    return [load_model(folders[name] / MODEL).set_params(input_size=SHOWN_AT) for name in names]


def bundle(
    clf: WaferClassifier, model: CamDenoiser, known: DenoiserCalibration | None
) -> CamDenoiser:
    """Put the weights of another net under a calibration, with the wafers that this net knows."""
    # The calibrated classifier keeps its temperatures; the other nets' weights go into it.
    calibrated = deepcopy(model.estimator_)
    calibrated.module_.load_state_dict(clf.module_.state_dict())
    if calibrated.feature_net_ is not None:
        temperature = calibrated.feature_net_.joint_temperature.clone()
        calibrated.feature_net_.load_state_dict(clf.feature_net_.state_dict())
        calibrated.feature_net_.joint_temperature.copy_(temperature)
    return CamDenoiser.from_calibration(
        calibrated,
        with_known(model.calibration_, known),
        false_alarm_rate=FALSE_ALARMS,
        novelty_rate=NOVELTY,
        random_state=0,
    )


def parameters_of(clf: WaferClassifier) -> dict[str, Any]:
    """Give the parameters that differ from the defaults."""
    usual = WaferClassifier().get_params() | {"progress": clf.progress}
    return {name: value for name, value in clf.get_params().items() if value != usual[name]}


def calibration_of(model: CamDenoiser) -> dict[str, Any]:
    """Give the few numbers that were fitted to wafers which the net had not seen."""
    return {
        "temperature": model.estimator_.temperature_,
        "joint temperature": None
        if model.estimator_.feature_net_ is None
        else float(model.estimator_.feature_net_.joint_temperature),
        "platt": None if model.calibration_.platt is None else list(model.calibration_.platt),
        "false_alarm_rate": model.false_alarm_rate,
        "detection_threshold": model.detection_threshold_,
        "novelty_rate": model.novelty_rate,
    }


def figures_of(found: Bunch) -> dict[str, Any]:
    """Give what was measured, in a form that JSON holds."""
    tables = {"classes": found.classes.reset_index(), "dies": summary(found.dies)}
    as_rows = {
        name: json.loads(table.round(4).to_json(orient="records")) for name, table in tables.items()
    }
    return as_rows | {"none": summary_of_none(found.none).round(4).to_dict()}


def main(arguments: list[str] | None = None) -> None:
    """Train, score what was held out, train on all, write the model."""
    lines = (__doc__ or "").splitlines()
    parser = argparse.ArgumentParser("python -m study bundle", description=lines[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fold", type=int, default=0, help="which one is held out")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--planted", type=int, default=480, help="wafers of each kind")
    options = parser.parse_args(arguments)
    data = load_wafer_maps(options.data)
    without, everything = train_both(options)
    held_out = FoldPart.of(data, rows_of_fold(data, options.fold))
    without.calibrate(held_out.maps, held_out.target)
    found = measure(without, data, options.fold, options.planted, FALSE_ALARMS)
    save_scores(found, options.out)
    known = known_to(everything, data, np.arange(len(data.maps)))
    model, file = bundle(everything, found.denoiser, known), options.out / "wm811k.safetensors"
    save_model(model, file)
    how = {"epochs": options.epochs, "seed": options.seed}
    parameters = parameters_of(make_classifier(data.target, **how))
    facts = {
        "model": file.stem,
        "command": f"python -m study bundle --data {options.data.name} --out FOLDER",
        "recipe": how | {"parameters": parameters, "shown_at": SHOWN_AT},
        "data": {
            "file": options.data.name,
            "sha256": sha256(options.data),
            "wafers": pd.Series(data.target).value_counts().to_dict(),
        },
        "weights sha256": sha256(file),
        "calibration": calibration_of(model),
        "held out": {"fold": options.fold} | figures_of(found),
        "environment": environment(),
    }
    write_json(options.out / "wm811k.json", facts)
