"""Baselines: who trains and who tests, and what the scores hold."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from camdenoise import WaferClassifier
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_wafer_maps, save_wafer_maps
from study.evaluate import baselines
from study.graph import read_facts

CLASSES = [*PATTERN_CLASSES, "none"]
TINY = {"width": 4, "input_size": 32, "batch_size": 16, "max_epochs": 1}
TINY |= {"learning_rate": 0.01, "random_state": 0}
SHAPES = [(20, 22), (22, 20), (24, 24), (26, 21), (18, 18), (19, 30), (28, 28), (16, 23)]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Simulated wafers, which in their order, not that of the rows, come product by product."""
    wafers = make_wafer_maps(420, classes=CLASSES, shapes=SHAPES, random_state=0)
    products = np.array([product(grid) for grid in wafers.maps])
    order = np.empty(len(products), int)
    order[np.lexsort(products.T)] = np.arange(len(products))
    path = tmp_path_factory.mktemp("baselines") / "wafers.npz"
    save_wafer_maps(path, wafers.maps, wafers.target, lot=wafers.groups, order=order)
    return path


@pytest.fixture(scope="module")
def splits(file):
    return list(baselines.make_splits(load_wafer_maps(file)))


def product(grid):
    return tuple(sorted(grid.shape))


def test_splits_share_no_group(file, splits):
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


def test_splits_test_the_six_classes(file, splits):
    wafers = load_wafer_maps(file)
    for split in splits:
        for rows in (split.train, split.test):
            assert set(wafers.target[rows]) <= set(PATTERN_CLASSES)
        assert set(wafers.target[split.other]) <= {"none"}


@pytest.mark.parametrize("protocol", ["lots", "products"])
def test_splits_test_each_wafer_once(file, splits, protocol):
    tested = np.concatenate([split.test for split in splits if split.protocol == protocol])
    six = np.isin(load_wafer_maps(file).target, PATTERN_CLASSES)
    np.testing.assert_array_equal(np.sort(tested), np.flatnonzero(six))


def test_later_split_tests_later_wafers(file, splits):
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


def score(table):
    about = {"protocol": "lots", "fold": "0", "classifier": "some", "wafer": np.arange(len(table))}
    found = baselines.score(table.assign(**about))
    return found.set_index("metric")


def test_score_agrees_with_scikit_learn():
    table = some_predictions()
    found = score(table)
    truth, predicted = table["label"], table["predicted"]
    by_class = f1_score(truth, predicted, labels=PATTERN_CLASSES, average=None)
    expected = dict(zip(PATTERN_CLASSES, by_class, strict=True))
    expected |= {"accuracy": accuracy_score(truth, predicted), "macro F1": by_class.mean()}
    assert found["mean"].to_dict() == pytest.approx(expected)
    assert ((found["low"] < found["mean"]) & (found["mean"] < found["high"])).all()
    assert found.loc["accuracy", "wafers"] == 300


def test_score_resamples_groups():
    table = some_predictions()
    ten_times = score(pd.concat([table] * 10))
    apart = score(pd.concat([table.assign(group=table["group"] + 30 * i) for i in range(10)]))
    once = score(table)
    # The same groups, ten times as large, tell no more; ten times as many do.
    pd.testing.assert_frame_equal(ten_times[["low", "high"]], once[["low", "high"]])
    width, usual = ((of["high"] - of["low"])["accuracy"] for of in (apart, once))
    assert width < 0.5 * usual


def run(file, out, *options):
    baselines.main(["--data", str(file), "--out", str(out), *options])
    return pd.read_csv(out / "scores.csv", dtype={"fold": str})


def test_command_scores_and_goes_on_where_it_was(file, tmp_path, capsys):
    products = ("--protocols", "products")
    few = run(file, tmp_path, "--classifiers", "majority", *products, "--folds", "0")
    assert set(few["fold"]) == {"0"}
    kept = tmp_path / "parts" / "baseline-products-0-majority" / "predictions.csv"
    was = kept.stat().st_mtime_ns
    both = (*products, "later")
    every = run(file, tmp_path, "--classifiers", "majority", "support vectors", *both)
    assert kept.stat().st_mtime_ns == was
    assert set(every["fold"]) == {"0", "1", "2", "3", "all"}
    accuracy = every[every["metric"] == "accuracy"].set_index(["protocol", "fold", "classifier"])
    accuracy = accuracy["mean"]
    for protocol, fold in [("products", "all"), ("later", "0")]:
        guess, learnt = (accuracy[protocol, fold, c] for c in ("majority", "support vectors"))
        assert learnt > 2 * guess
        pattern = f"parts/baseline-{protocol}-*-support_vectors/predictions.csv"
        predicted = pd.concat(pd.read_csv(path) for path in tmp_path.glob(pattern))
        assert learnt == pytest.approx((predicted["label"] == predicted["predicted"]).mean())
    assert "support vectors" in capsys.readouterr().out


def test_nets_take_the_same_splits(file, tmp_path, monkeypatch):
    def tiny(*arguments, **parameters):
        return WaferClassifier(*arguments, **(parameters | TINY))

    seen = {}

    def small_recipe(target, epochs, seed):
        seen["classes"], seen["epochs"] = set(target), epochs
        return tiny("wafer_unet", synthetic_ratio=0.1)

    monkeypatch.setattr(baselines, "WaferClassifier", tiny)
    monkeypatch.setattr(baselines, "make_classifier", small_recipe)
    nets = ("wafer_resnet", "wafer_unet")
    where = ("--protocols", "later", "--epochs", "2", "--classifiers")
    scores = run(file, tmp_path, *where, *nets)
    assert set(scores["classifier"]) == set(nets)
    assert seen == {"classes": set(CLASSES), "epochs": 2}
    file = tmp_path / "parts" / "baseline-later-0-wafer_unet" / "predictions.csv"
    assert set(pd.read_csv(file)["predicted"]) <= set(PATTERN_CLASSES)


def test_other_settings_are_run_again(file, tmp_path):
    majority = ("--classifiers", "majority", "--protocols", "later")
    run(file, tmp_path, *majority)
    folder = tmp_path / "parts" / "baseline-later-0-majority"
    before = read_facts(folder)["fingerprint"]
    run(file, tmp_path, *majority, "--seed", "1")
    assert read_facts(folder)["fingerprint"] != before
