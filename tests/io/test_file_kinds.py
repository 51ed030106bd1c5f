"""A file of the wrong kind is called by its kind, and the function that reads it is named."""

import bz2
import gzip
import lzma
import pickle

import numpy as np
import pandas as pd
import pytest
from file_contents import npy, npz, parquet, zipped

from camdenoise import CamDenoiser, WaferClassifier, load_model
from camdenoise.datasets import load_mixed_wm38, load_wafer_maps, load_wm811k
from camdenoise.io import read_maps
from camdenoise.io._file_kinds import detect_kind

STDF = b"\x02\x00\x00\x0a\x02\x04" + bytes(60)
#: Content, what it is, and a word of the advice.
FILES = {
    "Parquet": (parquet(a=[1]), "a Parquet file", "camdenoise.io.read_maps"),
    "pickle": (pickle.dumps(pd.DataFrame({"a": [1]})), "a pickle", "load_wm811k"),
    "pickle of protocol 0": (pickle.dumps(("a", 1), protocol=0), "a pickle", "load_wm811k"),
    "STDF": (STDF, "an STDF file", "camdenoise.io.read_maps"),
    "big-endian STDF": (b"\x00\x02\x00\x0a\x01\x04", "an STDF file", "camdenoise.io.read_wafers"),
    "gzip": (gzip.compress(STDF), "a gzip file", "camdenoise.io.read_maps"),
    "bzip2": (bz2.compress(STDF), "a bzip2 file", "camdenoise.io.read_maps"),
    "xz": (lzma.compress(STDF), "an xz file", "camdenoise.io.read_maps"),
    "CSV": (b"x,y,bin\n1,1,1\n", "a text file of columns", "camdenoise.io.read_maps"),
    "CSV that begins as a pickle": (b"cols;rows\n1;1\n", "a text file of columns", "read_maps"),
    "SINF": (b"DEVICE:A\nLOT:B\n", "a text file", "camdenoise.io.read_maps"),
    "XML": (b"\xef\xbb\xbf<?xml version='1.0'?><Maps/>", "an XML file", "camdenoise.io.read_maps"),
    "UTF-16": ("x,y,bin\n".encode("utf-16"), "a text file in UTF-16", "camdenoise.io.read_maps"),
    "a page": (b"<!DOCTYPE html><html>Sign in", "a web page", "Fetch the file itself"),
    "array": (npy(np.zeros((2, 2))), "a numpy file of one bare array", "numpy.load"),
    "npz of wafers": (npz(cells=np.zeros(2)), "an npz file of wafer maps", "load_wafer_maps"),
    "npz of others": (npz(maps=np.zeros(2)), "an npz file of arrays", "numpy.load"),
    "MixedWM38": (npz(arr_0=np.ones(2), arr_1=np.ones(2)), "an npz file of", "load_mixed_wm38"),
    "zip": (zipped(**{"lot.csv": "x,y,bin"}), "a zip archive", "camdenoise.io.read_maps"),
    "half a zip": (zipped(**{"lot.csv": "x" * 99})[:60], "a damaged zip archive", "Fetch it again"),
    "Excel": (zipped(**{"[Content_Types].xml": "<Types/>"}), "an Excel workbook", "as CSV"),
    "torch": (zipped(**{"archive/data.pkl": "x"}), "a PyTorch checkpoint", "save_model"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file", "save_wafer_maps"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(20), "a PNG image", "save_wafer_maps"),
}


@pytest.mark.parametrize("name", FILES)
def test_file_kind_is_recognized_by_content(name, wafer_file):
    content, what, advice = FILES[name]
    kind = detect_kind(wafer_file(content, "lot.dat"))
    assert kind.what.startswith(what) and advice in kind.remedy


@pytest.mark.parametrize("content", [b"", b"\x07\x00\xff\xfe" * 99, bytes(50)])
def test_unknown_file_kind_is_not_guessed(content, wafer_file):
    assert detect_kind(wafer_file(content)) is None


#: What each loader is not for.
OTHERS = {
    load_wafer_maps: set(FILES) - {"npz of wafers", "npz of others", "half a zip"},
    load_wm811k: set(FILES) - {"pickle", "pickle of protocol 0", "SINF", "gzip", "bzip2", "xz"}
    - {"zip", "Parquet"},
    load_mixed_wm38: set(FILES) - {"MixedWM38", "npz of others", "npz of wafers", "half a zip"},
    load_model: set(FILES),
}  # fmt: skip


@pytest.mark.parametrize(
    ("load", "name"), [(load, name) for load, names in OTHERS.items() for name in sorted(names)]
)
def test_wrong_file_kind_error_names_the_reader(load, name, wafer_file):
    content, what, advice = FILES[name]
    file = wafer_file(content, "lot.dat")
    with pytest.raises(ValueError) as caught:
        load(file)
    said = str(caught.value)
    assert str(file) in said and advice in said
    assert what in said or name == "MixedWM38"


DIES = b"lot,wafer,x,y,bin\nA,1,0,0,1\nA,1,1,0,2\n"
NAMED = {
    "CSV": DIES,
    "gzip": gzip.compress(DIES),
    "zip": zipped(**{"lot.csv": DIES}),
    "Parquet": parquet(lot=["A", "A"], wafer=[1, 1], x=[0, 1], y=[0, 0], bin=[1, 2]),
}


@pytest.mark.parametrize("load", [load_wafer_maps, load_model])
@pytest.mark.parametrize("name", NAMED)
def test_named_reader_reads_the_file(name, load, wafer_file):
    file = wafer_file(NAMED[name], "lot.dat")
    with pytest.raises(ValueError, match=r"camdenoise\.io\.read_maps"):
        load(file)
    (grid,) = read_maps(file, pass_bins=[1]).maps
    assert grid.tolist() == [[1, 2]]


@pytest.mark.parametrize("name", FILES)
def test_errors_never_advise_allow_pickle(name, wafer_file):
    # https://github.com/automl/auto-sklearn/issues/673: numpy takes what it does not know for a
    # pickle, and says "load it unsafely using the allow_pickle= keyword".
    with pytest.raises(ValueError) as caught:
        load_wafer_maps(wafer_file(FILES[name][0], "lot.dat"))
    assert "allow_pickle" not in str(caught.value) and "unsafe" not in str(caught.value)


def test_unknown_bytes_are_not_called_a_pickle(wafer_file):
    with pytest.raises(ValueError, match="its first bytes are of no known kind") as caught:
        load_wafer_maps(wafer_file(b"\x07\x00\xff\xfe" * 99))
    assert "pickle" not in str(caught.value)


@pytest.mark.parametrize("kind", [CamDenoiser, WaferClassifier])
def test_from_pretrained_refuses_a_file_path(kind):
    message = r"no pretrained model 'mine\.safetensors'; .* use camdenoise\.load_model\(path\)"
    with pytest.raises(ValueError, match=message):
        kind.from_pretrained("mine.safetensors")


def test_load_model_refuses_a_pretrained_name():
    with pytest.raises(FileNotFoundError, match=r"by its name with CamDenoiser\.from_pretrained"):
        load_model("wm811k")
