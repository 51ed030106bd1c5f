"""Fixtures of the tests of files."""

import pytest


@pytest.fixture
def formats(data_folder):
    """Folder of real files of several formats; the test is skipped where there is none."""
    if not (data_folder / "formats").is_dir():
        pytest.skip("no real files: the data folder has no folder 'formats'")
    return data_folder / "formats"
