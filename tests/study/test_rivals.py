"""Nets beside hand-made features: who trains and who tests, and what the scores say."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import TINY
from sklearn.metrics import accuracy_score, f1_score

from camdenoise import WaferClassifier
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_wafer_maps, save_wafer_maps
from study import rivals

CLASSES = [*PATTERN_CLASSES, "none"]
SHAPES = [(20, 22), (22, 20), (24, 24), (26, 21), (18, 18), (19, 30), (28, 28), (16, 23)]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Simulated wafers, which in their order, not that of the rows, come product by product."""
    wafers = make_wafer_maps(420, classes=CLASSES, shapes=SHAPES, random_state=0)
    products = np.array([product(grid) for grid in wafers.maps])
    order = np.empty(len(products), int)
    order[np.lexsort(products.T)] = np.arange(len(products))
    path = tmp_path_factory.mktemp("rivals") / "wafers.npz"
    save_wafer_maps(path, wafers.maps, wafers.target, lot=wafers.groups, order=order)
    return path


@pytest.fixture(scope="module")
def splits(file):
    return list(rivals.splits(load_wafer_maps(file)))


def product(grid):
    return tuple(sorted(grid.shape))


def test_no_group_is_on_both_sides(file, splits):
    wafers = load_wafer_maps(file)
    assert [(s.protocol, s.fold) for s in splits] == [
        *(("lots", fold) for fold in range(4)),
        *(("products", fold) for fold in range(4)),
        ("later", 0),
    ]
    for split in splits:
        learnt = np.concatenate([split.train, split.other])
        assert len(split.train) and len(split.test)
        assert not set(split.group[learnt]) & set(split.group[split.test])
        if split.protocol == "lots":
            assert not set(wafers.groups[learnt]) & set(wafers.groups[split.test])
        else:
            products = [
                {product(wafers.maps[row]) for row in rows} for rows in (learnt, split.test)
            ]
            assert not products[0] & products[1]


def test_the_six_classes_test_and_others_are_kept_apart(file, splits):
    wafers = load_wafer_maps(file)
    for split in splits:
        for rows in (split.train, split.test):
            assert set(wafers.target[rows]) <= set(PATTERN_CLASSES)
        assert set(wafers.target[split.other]) <= {"none"}


@pytest.mark.parametrize("protocol", ["lots", "products"])
def test_each_wafer_with_a_pattern_is_tested_once(file, splits, protocol):
    tested = np.concatenate([split.test for split in splits if split.protocol == protocol])
    six = np.isin(load_wafer_maps(file).target, PATTERN_CLASSES)
    np.testing.assert_array_equal(np.sort(tested), np.flatnonzero(six))


def test_later_wafers_come_after_all_that_were_learnt_from(file, splits):
    wafers, later = load_wafer_maps(file), splits[-1]
    order = wafers.frame["order"].to_numpy()
    learnt = np.concatenate([later.train, later.other])
    assert order[learnt].max() < order[later.test].min()
    assert len(later.train) == (np.isin(wafers.target, PATTERN_CLASSES).sum() + 1) // 2


def some_predictions():
    rng = np.random.default_rng(0)
    label = rng.choice(PATTERN_CLASSES, 300)
    predicted = np.where(rng.random(300) < 0.7, label, rng.choice(PATTERN_CLASSES, 300))
    group = rng.integers(0, 30, 300)
    return pd.DataFrame({"group": group, "label": label, "predicted": predicted})


def test_scores_are_those_of_scikit_learn_within_their_intervals():
    table = some_predictions()
    found = rivals.score(table).set_index("score")
    truth, predicted = table["label"], table["predicted"]
    by_class = f1_score(truth, predicted, labels=PATTERN_CLASSES, average=None)
    expected = dict(zip(PATTERN_CLASSES, by_class, strict=True))
    expected |= {"accuracy": accuracy_score(truth, predicted), "macro F1": by_class.mean()}
    assert found["value"].to_dict() == pytest.approx(expected)
    assert ((found["low"] < found["value"]) & (found["value"] < found["high"])).all()
    assert (found["n_wafers"] == 300).all() and (found["n_groups"] == 30).all()


def test_intervals_are_over_groups():
    table = some_predictions()
    ten_times = rivals.score(pd.concat([table] * 10)).set_index("score")
    apart = pd.concat([table.assign(group=table["group"] + 30 * i) for i in range(10)])
    apart = rivals.score(apart).set_index("score")
    once = rivals.score(table).set_index("score")
    # The same groups, ten times as large, tell no more; ten times as many do.
    pd.testing.assert_frame_equal(ten_times[["low", "high"]], once[["low", "high"]])
    assert (apart["high"] - apart["low"])["accuracy"] < 0.5 * (once["high"] - once["low"])[
        "accuracy"
    ]


def run(file, out, *options):
    rivals.main(["--data", str(file), "--out", str(out), *options])
    return pd.read_csv(out / "scores.csv", dtype={"fold": str})


def test_the_command_scores_what_is_there_and_goes_on_where_it_was(file, tmp_path, capsys):
    few = run(
        file, tmp_path, "--classifiers", "majority", "--protocols", "products", "--folds", "0"
    )
    assert set(few["fold"]) == {"0"}
    kept = tmp_path / "predictions" / "products-0-majority.csv"
    was = kept.stat().st_mtime_ns
    both = ("--protocols", "products", "later")
    every = run(file, tmp_path, "--classifiers", "majority", "support vectors", *both)
    assert kept.stat().st_mtime_ns == was
    assert set(every["fold"]) == {"0", "1", "2", "3", "all"}
    accuracy = every[every["score"] == "accuracy"].set_index(["protocol", "fold", "classifier"])
    accuracy = accuracy["value"]
    for protocol, fold in [("products", "all"), ("later", "0")]:
        guess, learnt = (accuracy[protocol, fold, c] for c in ("majority", "support vectors"))
        assert learnt > 2 * guess
        predicted = pd.concat(
            pd.read_csv(path)
            for path in tmp_path.glob(f"predictions/{protocol}-*-support_vectors.csv")
        )
        assert learnt == pytest.approx((predicted["label"] == predicted["predicted"]).mean())
    assert "support vectors" in capsys.readouterr().out


def test_nets_take_the_same_splits(file, tmp_path, monkeypatch):
    def tiny(*arguments, **parameters):
        return WaferClassifier(*arguments, **(parameters | TINY | {"max_epochs": 1}))

    seen = {}

    def small_recipe(target, epochs, seed):
        seen["classes"], seen["epochs"] = set(target), epochs
        return tiny("wafer_unet", synthetic_ratio=0.1)

    monkeypatch.setattr(rivals, "WaferClassifier", tiny)
    monkeypatch.setattr(rivals, "recipe", small_recipe)
    nets = ("wafer_resnet", "wafer_unet")
    where = ("--protocols", "later", "--epochs", "2", "--classifiers")
    scores = run(file, tmp_path, *where, *nets)
    assert set(scores["classifier"]) == set(nets)
    assert seen == {"classes": set(CLASSES), "epochs": 2}
    predicted = pd.read_csv(tmp_path / "predictions" / "later-0-wafer_unet.csv")["predicted"]
    assert set(predicted) <= set(PATTERN_CLASSES)


def test_a_folder_holds_the_results_of_one_setting(file, tmp_path):
    majority = ("--classifiers", "majority", "--protocols", "later")
    run(file, tmp_path, *majority)
    assert json.loads((tmp_path / "settings.json").read_text())["seed"] == 0
    with pytest.raises(SystemExit, match="Choose another --out"):
        run(file, tmp_path, *majority, "--seed", "1")
