"""Damaged npz, Parquet and model files are read or refused by name, whatever byte is wrong.

For longer: ``CAMDENOISE_FUZZ_SECONDS=600 python -m pytest -m slow -s`` and the name of this file.
"""

import io
import os
import random
import time
import zipfile

import numpy as np
import pytest
from lswmd_pickles import pickled, write_mir
from small_models import fitted_classifier

from camdenoise import load_model, save_model
from camdenoise.datasets import (
    load_mixed_wm38,
    load_wafer_maps,
    load_wm811k,
    make_wafer_maps,
    save_wafer_maps,
)

NUMBERS = [b"999999999", b"-1", b"2147483648", b"1e9", b"0", b"(", b"'", b"\0", b"\xff" * 8]


def write_wafers(file):
    wafers = make_wafer_maps(6, random_state=0)
    save_wafer_maps(file, wafers.maps, wafers.target, truth=wafers.truth, lot=wafers.groups)


def write_mixed(file):
    maps = np.random.default_rng(0).integers(0, 3, (3, 52, 52), dtype=np.uint8)
    np.savez(file.open("wb"), maps, np.eye(8, dtype=np.uint8)[:3])


def write_parquet(file):
    original = file.with_name("WM811K.pkl")
    original.write_bytes(pickled(write_mir))
    load_wm811k(original, progress=False)
    original.with_name("WM811K.pkl.camdenoise.parquet").rename(file)


def load_parquet(file):
    return load_wm811k(file, labeled=False, drop=())


def write_model(file):
    save_model(fitted_classifier(), file)


KINDS = {
    "wafers.npz": (write_wafers, load_wafer_maps),
    "mixed.npz": (write_mixed, load_mixed_wm38),
    "wafers.camdenoise.parquet": (write_parquet, load_parquet),
    "model.safetensors": (write_model, load_model),
}


def damage(content, rng):
    """Change, cut, repeat or insert some bytes."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        # Headers come first, and are where a wrong byte matters most.
        end = len(data) if rng.random() < 0.5 else min(len(data), 200)
        at = rng.randrange(max(1, end))
        kind = rng.randrange(5)
        if kind == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del data[at : at + rng.randint(1, 30)]
        elif kind == 2:
            data[at:at] = rng.choice(NUMBERS)
        elif kind == 3:
            data[at : at + rng.randint(1, 9)] = rng.choice(NUMBERS)
        elif rng.random() < 0.2:
            del data[at:]
    return bytes(data)


def damage_member(content, rng):
    """Damage one array inside an npz file and give it a checksum that fits."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        victim = rng.choice(old.namelist())
        for name in old.namelist():
            member = old.read(name)
            new.writestr(name, damage(member, rng) if name == victim else member)
    return made.getvalue()


def fuzz(name, folder, *, seed, files=None, seconds=None):
    """Read damaged files until there were so many or so much time is over."""
    write, load = KINDS[name]
    file = folder / name
    write(file)
    content, rng = file.read_bytes(), random.Random(seed)
    counts = {"read": 0, "refused": 0}
    start = time.monotonic()
    while sum(counts.values()) < files if files else time.monotonic() - start < seconds:
        inside = name.endswith(".npz") and rng.random() < 0.7
        file.write_bytes((damage_member if inside else damage)(content, rng))
        try:
            load(file)
            counts["read"] += 1
        except ValueError as error:
            assert name in str(error), error
            counts["refused"] += 1
    return counts


@pytest.mark.parametrize("name", KINDS)
def test_damaged_file_is_read_or_refused(name, tmp_path):
    counts = fuzz(name, tmp_path, seed=0, files=150)
    assert counts["refused"] > 20


def test_oversized_array_claim_is_refused(tmp_path):
    write_wafers(tmp_path / "wafers.npz")
    arrays = dict(np.load(tmp_path / "wafers.npz"))
    with zipfile.ZipFile(tmp_path / "claims.npz", "w") as new:
        for name, values in arrays.items():
            stream = io.BytesIO()
            np.save(stream, values)
            member = stream.getvalue()
            if name == "cells":
                claim = f"({values.size},)".encode()
                huge = b"(99999999999999,)"
                padding = len(huge) - len(claim)
                member = member.replace(claim + b", }" + b" " * padding, huge + b", }")
            new.writestr(f"{name}.npy", member)
    with pytest.raises(ValueError, match=r"array 'cells' of .*claims\.npz.*it claims uint8"):
        load_wafer_maps(tmp_path / "claims.npz")


def test_member_that_is_not_an_array_is_refused(tmp_path):
    write_wafers(tmp_path / "wafers.npz")
    with zipfile.ZipFile(tmp_path / "wafers.npz", "a") as archive:
        archive.writestr("note.txt", "hello")
    with pytest.raises(ValueError, match=r"array 'note\.txt' of .*wafers\.npz"):
        load_wafer_maps(tmp_path / "wafers.npz")


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_damaged_files_are_read_or_refused_for_long(name, tmp_path):
    seconds = float(os.environ.get("CAMDENOISE_FUZZ_SECONDS", 60))
    seed = int(os.environ.get("CAMDENOISE_FUZZ_SEED", 1))
    counts = fuzz(name, tmp_path, seed=seed, seconds=seconds)
    print(f"\n{name}: {counts}, {seconds:.0f} s, seed {seed}")
    assert counts["refused"]


def test_unsortable_header_keys_are_refused(tmp_path):
    write_mixed(tmp_path / "mixed.npz")
    with zipfile.ZipFile(tmp_path / "mixed.npz") as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(tmp_path / "mixed.npz", "w") as new:
        for name, member in members.items():
            new.writestr(name, member.replace(b"'shape'", b"1234567", 1))
    with pytest.raises(ValueError, match=r"mixed\.npz"):
        load_mixed_wm38(tmp_path / "mixed.npz")


@pytest.mark.parametrize("point", [0xD968, 0x110000])
def test_label_that_is_not_text_is_refused(point, tmp_path):
    write_wafers(tmp_path / "wafers.npz")
    arrays = dict(np.load(tmp_path / "wafers.npz"))
    arrays["label"].view(np.uint32)[2] = point
    np.savez(tmp_path / "wafers.npz", **arrays)
    with pytest.raises(ValueError, match=r"wafers\.npz: label holds what is not text"):
        load_wafer_maps(tmp_path / "wafers.npz")


def test_column_name_that_is_not_text_is_refused(tmp_path):
    file = tmp_path / "wafers.camdenoise.parquet"
    write_parquet(file)
    file.write_bytes(file.read_bytes().replace(b"split", b"spl\xbat"))
    with pytest.raises(ValueError, match=r"wafers\.camdenoise\.parquet is not a table of wafers"):
        load_parquet(file)
