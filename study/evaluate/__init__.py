"""Measure a saved model on wafers that it was not trained on: ``python -m study evaluate NAME``.

Each module has ``main(arguments)``. `baselines` trains what a model is compared with.
"""

from __future__ import annotations

import argparse
from importlib import import_module

#: What can be measured, and what it answers.
EVALUATIONS = {
    "held_out": "how well classes are named, patterns detected and dies kept",
    "calibration": "how far probabilities can be taken at their word",
    "out_of_distribution": "what is claimed on wafers unlike the training wafers",
    "retrieval": "whether a wafer's neighbors are of its class",
    "discovery": "whether real patterns are found again without labels",
    "mixed": "how well kept fails are divided among two patterns of a wafer",
    "baselines": "what hand-made features and our nets reach on other lots and products",
}


def main(arguments: list[str]) -> None:
    """Start the evaluation that the first argument names."""
    parser = argparse.ArgumentParser(
        prog="python -m study evaluate",
        description="Measure a saved model.",
        epilog="; ".join(f"{name}: {answer}" for name, answer in EVALUATIONS.items()),
    )
    parser.add_argument("name", choices=EVALUATIONS)
    name = parser.parse_args(arguments[:1]).name
    import_module(f"study.evaluate.{name}").main(arguments[1:])
