import os
from pathlib import Path

import lswmd_pickles
import map_files
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from small_models import fitted_classifier, three_class_wafers

from camdenoise.datasets import load_wafer_maps

torch.set_num_threads(1)

# The same examples on every run: a test that fails, fails for everyone.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


@pytest.fixture
def wafers():
    return three_class_wafers()


@pytest.fixture
def classifier():
    return fitted_classifier()


@pytest.fixture
def ragged_maps():
    """Twelve wafers of different sizes, with labels of two classes."""
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 3, (8 + i, 10 + i % 3)).astype(np.uint8) for i in range(12)]
    return maps, np.array(["a", "b"] * 6)


@pytest.fixture(scope="session")
def data_folder():
    """Folder of the real wafers; the test is skipped where there is none."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CAMDENOISE_DATA", beside))
    if not (folder / "wm811k_mini.npz").exists():
        pytest.skip("no real wafers: set CAMDENOISE_DATA to the folder of wm811k_mini.npz")
    return folder


@pytest.fixture
def wafer_file(tmp_path):
    """Write a file of the given content; its name does not matter."""

    def writer(content, name="wafer.dat"):
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return writer


@pytest.fixture(params=sorted(map_files.SAMPLES))
def file_kind(request):
    if request.param == "stdf":
        pytest.importorskip("stdf_convert")
    return request.param


@pytest.fixture
def lswmd():
    """The columns of a few wafers as WM-811K has them."""
    return lswmd_pickles.some_wafers()


@pytest.fixture
def lswmd_file(tmp_path, lswmd):
    """A pickle of WM-811K's later era."""
    content = lswmd_pickles.pickled(lswmd_pickles.write_mir, lswmd)
    (tmp_path / "WM811K.pkl").write_bytes(content)
    return tmp_path / "WM811K.pkl"


@pytest.fixture(scope="session")
def mini_wafers(data_folder):
    """The real wafers of the small file; not to be changed."""
    return load_wafer_maps(data_folder / "wm811k_mini.npz")
