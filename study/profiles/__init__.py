"""Profiles: how much of the study to run, each a TOML file in this folder."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

#: What a profile can ask for, in order.
STAGES = (
    "models", "denoise", "score_dies", "before_after", "controls", "faithfulness", "backbones",
    "cams", "learning", "discovery", "noise", "resolution", "bench",
)  # fmt: skip


def load_profile(name: str) -> dict[str, Any]:
    """Read a profile by its name."""
    return tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text())


def profile_names() -> list[str]:
    """Names of the profiles there are."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.toml"))
