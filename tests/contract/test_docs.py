"""What the documentation refers to is there."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += [
    ROOT / "study" / "results" / "README.md",
    ROOT / "camdenoise" / "pretrained" / "README.md",
]
MODULES = [
    "camdenoise", "camdenoise.datasets", "camdenoise.faithfulness", "camdenoise.features",
    "camdenoise.filters", "camdenoise.io", "camdenoise.leakage", "camdenoise.learned",
    "camdenoise.lots", "camdenoise.metrics", "camdenoise.plotting",
    "camdenoise.onnx", "camdenoise.report", "camdenoise.similarity", "camdenoise.stream",
    "camdenoise.nets", "camdenoise.wafers",
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_in_pages_lead_to_files(page):
    text = page.read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for link in links:
        target = link.split("#")[0]
        if target and not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_in_the_reference(module):
    reference = (ROOT / "docs" / "api.rst").read_text()
    section = reference.split(f".. currentmodule:: {module}\n")[1].split("currentmodule")[0]
    listed = set(re.findall(r"^   (\w+)$", section, re.MULTILINE))
    loaded = importlib.import_module(module)
    functions = {name for name in loaded.__all__ if callable(getattr(loaded, name))}
    assert listed == functions
