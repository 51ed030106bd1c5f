"""Training that several processes share."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import TINY, three_class_wafers

from camdenoise import WaferClassifier
from camdenoise._distributed_training import SharedBatches
from camdenoise._training import EncodedWafers

SCRIPT = """
import hashlib, json, sys, torch
torch.set_num_threads(1)
from camdenoise import WaferClassifier, save_model
from camdenoise.datasets import make_wafer_maps
from accelerate import PartialState

wafers = make_wafer_maps(120, classes=["Center", "Edge-Ring", "Scratch"], random_state=0)
clf = WaferClassifier(distributed=True, **json.loads(sys.argv[1]))
clf.fit(wafers.maps, wafers.target)
state = b"".join(value.numpy().tobytes() for value in clf.module_.state_dict().values())
print(json.dumps({
    "processes": PartialState().num_processes,
    "net": hashlib.sha256(state).hexdigest(),
    "loss": clf.history_[-1]["train_loss"],
    "right": float((clf.predict(wafers.maps) == wafers.target).mean()),
}), flush=True)
"""


def encoded(n):
    codes = torch.ones(n, 8, 8, dtype=torch.uint8)
    labels = torch.arange(n)
    return EncodedWafers(codes, torch.zeros(n, 2, 8), labels, torch.ones(n))


def labels_of(batches):
    return [labels.tolist() for _, labels in batches]


@pytest.mark.parametrize(("n_wafers", "n_processes"), [(24, 2), (24, 3), (28, 2), (4, 3)])
def test_processes_share_the_batches_in_every_epoch(n_wafers, n_processes):
    shares = [
        SharedBatches(encoded(n_wafers), 4, True, 7, process, n_processes)
        for process in range(n_processes)
    ]
    orders = []
    for _ in range(3):
        given = [labels_of(share) for share in shares]
        assert {len(batches) for batches in given} == {len(shares[0])}
        wafers = [wafer for batches in given for batch in batches for wafer in batch]
        assert set(wafers) == set(range(n_wafers))
        # None is given twice but to make all shares equal.
        n_batches = sum(map(len, given))
        assert n_batches - len({tuple(b) for batches in given for b in batches}) < n_processes
        orders.append(wafers)
    assert orders[0] != orders[1] != orders[2]


def test_one_process_trains_as_usual():
    wafers = three_class_wafers()
    clf = WaferClassifier(distributed=True, **TINY).fit(wafers.maps, wafers.target)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict(wafers.maps), clf.predict(wafers.maps))
    assert clf.score(wafers.maps, wafers.target) > 0.9
    assert len(clf.history_) == TINY["max_epochs"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"backbone": "wafer_unet"}, "wafer_unet.*learns die by die"),
        ({"random_state": None}, "needs an int for random_state"),
        ({"early_stopping": True}, "cannot stop early"),
    ],
)
def test_what_processes_cannot_share_is_refused(params, said):
    wafers = three_class_wafers()
    with pytest.raises(ValueError, match=said):
        WaferClassifier(distributed=True, **(TINY | params)).fit(wafers.maps, wafers.target)


@pytest.mark.slow
def test_two_processes_end_with_one_net(tmp_path):
    import json

    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    params = json.dumps(TINY | {"batch_size": 8, "precision": "float32"})
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    out = subprocess.run(
        [*launch, str(script), params], capture_output=True, text=True, timeout=300, check=True
    )
    # The two may print into one line.
    first, second = (json.loads("{" + text) for text in out.stdout.replace("\n", "").split("{")[1:])
    assert first["processes"] == 2 and first["net"] == second["net"]
    # Each has seen other wafers, and yet they agree.
    assert first["loss"] != second["loss"]
    assert first["right"] == second["right"] > 0.9
