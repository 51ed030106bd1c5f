"""Model files of earlier formats: what their texts and tensors are called now.

Format 1 has no checksum and no versions of packages, format 2 no known wafers. Format 3 is the last
with the names of this table.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from camdenoise.datasets._patterns import PATTERN_CLASSES
from camdenoise.nets._checkpoint import SCHEMA, Checkpoint
from camdenoise.wafers._classes import ClassRoles

# Old name -> new name.
_TENSORS = {
    "head.weigh.weight": "head.classifier.weight",
    "head.weigh.bias": "head.classifier.bias",
    "novelty.references": "calibration.references",
    "novelty.distances": "calibration.distances",
}
_CLASSIFIER = {"practice": "synthetic_ratio"}
_DENOISER = {"refine": "aggregation", "calibration_fraction": "validation_fraction"}
_CURVE = {"retention": "recall", "removal": "specificity"}
# Parameters that are gone, and the only value that the file may have for each; None: any value, as
# it mattered in training only.
_GONE_OF_CLASSIFIER = {
    "fit_to_input": "stretch",
    "lr_schedule": None,
    "distributed": None,
    "early_stopping": None,
    "symmetries": None,
    "flip_rate": None,
}
_GONE_OF_DENOISER = {"target": "predicted", "min_probability": 0.0, "batch_size": None}


def upgrade(checkpoint: Checkpoint) -> Checkpoint:
    """Give the texts and tensors of a file of an earlier format their present names.

    Raises
    ------
    ValueError
        For a file that was saved with an option that no longer exists and that changes results.
    KeyError
        For a file without its texts.
    """
    if checkpoint.version == SCHEMA:
        return checkpoint
    texts = {"temperature": "1.0", "label_names": "null"} | checkpoint.texts
    tensors = {_TENSORS.get(name, name): value for name, value in checkpoint.tensors.items()}
    parameters = json.loads(texts["parameters"])
    if not parameters.get("early_stopping", False):
        parameters["n_iter_no_change"] = None
    varied = {name: parameters[name] for name in ("symmetries", "flip_rate") if name in parameters}
    if varied and varied != {"symmetries": True, "flip_rate": 0.0}:
        parameters["augmentation"] = varied
    texts["patterns"] = json.dumps(_patterns(json.loads(texts["classes"]), tensors))
    if "denoiser" in texts:
        record, of_classifier = _upgrade_denoiser(json.loads(texts["denoiser"]))
        texts["denoiser"], parameters = json.dumps(record), parameters | of_classifier
    texts["parameters"] = json.dumps(_rename(parameters, _CLASSIFIER, _GONE_OF_CLASSIFIER))
    return replace(checkpoint, texts=texts, tensors=tensors, version=SCHEMA)


def _patterns(classes: list, tensors: dict) -> list:
    """Return the patterns whose evidence maps were trained die by die."""
    if "head.evidence.weight" not in tensors or not set(PATTERN_CLASSES).intersection(classes):
        return []
    roles = ClassRoles(tuple(classes))
    return [label for label, yes in zip(classes, roles.has_pattern.tolist(), strict=True) if yes]


def _upgrade_denoiser(old: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the record of a denoiser, and the parameters that are its classifier's now."""
    parameters, curve = old["parameters"], old["calibration"]
    of_classifier = {
        name: parameters.pop(name) for name in ("precision", "progress") if name in parameters
    }
    for name, kind in (("target_retention", "recall"), ("target_removal", "specificity")):
        if (value := parameters.pop(name, None)) is not None:
            parameters["threshold"] = {kind: value}
    least = parameters.pop("min_pattern_probability", "auto")
    if least == 0:
        parameters["false_alarm_rate"] = None
    elif least != "auto":
        raise ValueError(f"min_pattern_probability={least} no longer exists; use false_alarm_rate.")
    if curve is not None:
        curve = {_CURVE.get(name, name): values for name, values in curve.items()}
    calibration = {
        "background_scores": old["background_claims"],
        "platt": old["platt"],
        "threshold_curve": curve,
    }
    renamed = _rename(parameters, _DENOISER, _GONE_OF_DENOISER)
    return {"parameters": renamed, "calibration": calibration}, of_classifier


def _rename(parameters: dict, names: dict[str, str], gone: dict[str, Any]) -> dict[str, Any]:
    for name, only in gone.items():
        if only is not None and parameters.get(name, only) != only:
            raise ValueError(
                f"{name}={parameters[name]!r} no longer exists. Train the model again, or use it "
                "with the camdenoise that saved it."
            )
    return {names.get(name, name): value for name, value in parameters.items() if name not in gone}
