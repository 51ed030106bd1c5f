"""Training that several processes share."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import TINY, three_class_wafers
from torch import nn

from camdenoise import WaferClassifier
from camdenoise.nets._distributed_training import SharedBatches
from camdenoise.nets._training import EncodedWafers, OneCycle, WaferBatches, WaferNet

SCRIPT = """
import hashlib, json, sys, torch
torch.set_num_threads(1)
from camdenoise import WaferClassifier, save_model
from camdenoise.datasets import make_wafer_maps
from accelerate import PartialState

wafers = make_wafer_maps(120, classes=["Center", "Edge-Ring", "Scratch"], random_state=0)
clf = WaferClassifier(device="accelerate", **json.loads(sys.argv[1]))
clf.fit(wafers.maps, wafers.target)
state = b"".join(value.numpy().tobytes() for value in clf.module_.state_dict().values())
print(json.dumps({
    "processes": PartialState().num_processes,
    "net": hashlib.sha256(state).hexdigest(),
    "loss": clf.history_[-1]["train_loss"],
    "last_rate": clf.net_.history[-1, "batches", -1, "event_lr"],
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


@pytest.mark.parametrize(
    "share", [{"iterator_train": WaferBatches}, {"iterator_train__n_processes": 3}]
)
def test_learning_rate_falls_over_steps_of_one_process(share):
    net = WaferNet(
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 28)),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        max_epochs=4,
        batch_size=4,
        train_split=None,
        callbacks=[OneCycle(0.1)],
        callbacks__print_log=None,
        callbacks__valid_acc=None,
        **({"iterator_train": SharedBatches} | share),
    )
    net.fit(encoded(28), None)
    rates = [batch["event_lr"] for epoch in net.history for batch in epoch["batches"]]
    assert max(rates) > 0.05 and max(rates[-1], rates[0]) < 0.01


def test_single_process_trains_as_usual():
    wafers = three_class_wafers()
    clf = WaferClassifier(device="accelerate", **TINY).fit(wafers.maps, wafers.target)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict(wafers.maps), clf.predict(wafers.maps))
    assert clf.score(wafers.maps, wafers.target) > 0.9
    assert len(clf.history_) == TINY["max_epochs"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"backbone": "wafer_unet"}, "wafer_unet.*learns die by die"),
        ({"random_state": None}, "needs an int for random_state"),
        ({"n_iter_no_change": 2}, "cannot stop early"),
    ],
)
def test_unshareable_settings_are_refused(params, said):
    wafers = three_class_wafers()
    with pytest.raises(ValueError, match=said):
        WaferClassifier(device="accelerate", **(TINY | params)).fit(wafers.maps, wafers.target)


def test_missing_accelerate_error_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "camdenoise.nets._distributed_training")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    wafers = three_class_wafers()
    with pytest.raises(ImportError, match=r"pip install 'camdenoise\[gpu\]'"):
        WaferClassifier(device="accelerate", **TINY).fit(wafers.maps, wafers.target)


@pytest.mark.slow
def test_two_processes_end_with_one_net(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    params = json.dumps(TINY | {"batch_size": 8, "precision": "float32"})
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    # Of this checkout, not of an installed one.
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    out = subprocess.run(
        [*launch, str(script), params],
        capture_output=True, text=True, timeout=300, check=True, env=env,
    )  # fmt: skip
    # The two may print into one line.
    first, second = (json.loads("{" + text) for text in out.stdout.replace("\n", "").split("{")[1:])
    assert first["processes"] == 2 and first["net"] == second["net"]
    # Each has seen other wafers, and yet they agree.
    assert first["loss"] != second["loss"]
    assert first["right"] == second["right"] > 0.9
    # Each takes half of the steps, and the rate falls all the way in these.
    assert first["last_rate"] < 0.01 * TINY["learning_rate"]
