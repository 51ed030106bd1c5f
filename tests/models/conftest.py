"""Fixtures of the tests of model files."""

import pytest

from camdenoise import save_model


@pytest.fixture
def file(classifier, tmp_path):
    """A saved classifier."""
    save_model(classifier, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"
