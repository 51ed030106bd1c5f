"""The study's experiments around denoising, each reduced; its tables against plain sums."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score
from study_runs import run_study, table

from study import plan
from study.denoisers import MEDIAN, OURS, RANDOM_NET, RAW
from study.graph import required
from study.plan import DISCOVERY, LEARNING, NOISE
from study.profiles import load_profile
from study.report.page import write_report
from study.stages import discovery, learning, noise
from study.stages.resolution import RANDOM_CAM
from study.wafers import load

CLASSES = ["Center", "Edge-Ring", "Scratch"]
TINY = {"width": 4, "input_size": 32, "batch_size": 16, "max_epochs": 2}
#: What tells the rows of the table of discovery apart.
KINDS = ["features", "clustering", "denoiser"]
EXPERIMENTS = ["learning", "discovery", "noise", "resolution"]


def reduced_profile():
    """The paper profile, but of a size that tells whether it runs, not what comes out."""
    profile = load_profile("paper")
    profile["wafers"] |= {"n_simulated": 90, "folds": 2, "classes": CLASSES}
    profile["seeds"] = [0]
    profile["classifier"] = TINY
    explainer = TINY | {"backbone": "wafer_unet"}
    profile["explainer"] = {"n_backgrounds": 20, "classifier": explainer}
    profile["learning"] = {"shares": [0.3, 1.0], "epochs": [1], "n_seeds": 1}
    profile["discovery"] = {"n_wafers": 30}
    profile["noise"] = {"rates": [0.0, 0.2]}
    profile["resolution"] = {"classifier": TINY, "n_wafers": 6, "n_steps": 2}
    profile["stages"] = ["models", "denoise", "before_after", "controls", *EXPERIMENTS]
    return profile


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("experiments")
    return run_study(reduced_profile(), out, name="paper")[1:]


def assert_shown(finished, numbers):
    """The page and its Markdown hold these numbers, written with three digits."""
    pages = [finished[1].read_text(), finished[1].with_suffix(".md").read_text()]
    for number in numbers:
        assert all(number in page for page in pages), number


def written(rows, columns, sign=""):
    mean, low, high = (rows[name].map(f"{{:{sign}.3f}}".format) for name in columns)
    return mean + " (" + low + " to " + high + ")"


def test_report_has_a_section_per_experiment(finished):
    html = finished[1].read_text()
    figures = {file.name for file in (finished[1].parent / "figures").iterdir()}
    for stage in EXPERIMENTS:
        assert f"--only {stage}" in html
        assert {f"{stage}.png", f"{stage}.svg"} <= figures


@pytest.mark.parametrize("stage", EXPERIMENTS)
def test_report_of_one_experiment(finished, tmp_path, stage):
    tasks = required(plan.make_plan(reduced_profile(), None), [stage])
    folders = {task.name: finished[0][task.name] for task in tasks}
    html = write_report(tmp_path, tasks, folders, profile="paper", data=None).read_text()
    assert f"--only {stage}" in html
    assert not any(f"--only {other}<" in html for other in EXPERIMENTS if other != stage)


def test_learning_table_follows_from_predictions(finished):
    curve = table(finished, "learning")
    points = {(0.3, 7), (1.0, 2), (1.0, 1)}
    assert set(zip(curve["share"], curve["epochs"], strict=True)) == points
    assert set(curve["denoiser"]) == set(LEARNING)
    of = curve[curve["metric"] == "accuracy"].set_index(["denoiser", "share", "epochs"])
    means = {}
    for name, folder in finished[0].items():
        if name.startswith("learning-"):
            part = pd.read_csv(folder / "predictions.csv")
            key = tuple(part[["denoiser", "share", "epochs"]].iloc[0])
            means[key] = accuracy_score(part["label"], part["predicted"])
            assert of.loc[key, "mean"] == pytest.approx(means[key])
    for (name, *point), row in of.iterrows():
        assert row["gain"] == pytest.approx(means[name, *point] - means[RAW, *point])
    assert_shown(finished, written(of, ["mean", "low", "high"]))
    assert_shown(finished, written(of, ["gain", "gain_low", "gain_high"], "+"))


def test_share_of_is_nested_in_each_class():
    target = np.repeat(["a", "b"], [40, 7])
    rows = np.arange(1, 47)
    shares = [learning.share_of(target, rows, share, 0) for share in (0.05, 0.25, 1.0)]
    assert set(shares[0]) < set(shares[1]) < set(shares[2]) == set(rows)
    counts = [pd.Series(target[share]).value_counts().to_dict() for share in shares]
    assert counts == [{"a": 2, "b": 2}, {"a": 10, "b": 2}, {"a": 39, "b": 7}]


def test_noise_without_flips_changes_nothing(finished):
    flips = pd.read_csv(finished[0]["noise-0-0"] / "predictions.csv")
    before = pd.read_csv(finished[0]["models-0-0-all"] / "predictions.csv")
    raw = flips[(flips["denoiser"] == RAW) & (flips["rate"] == 0)]
    assert raw["predicted"].tolist() == before["predicted"].tolist()
    after = pd.read_csv(finished[0]["before_after-0-0-median"] / "predictions.csv")
    median = flips[(flips["denoiser"] == MEDIAN) & (flips["rate"] == 0)]
    np.testing.assert_allclose(median["p(Center)"], after["p(Center)"], atol=1e-6)


def test_noise_table_follows_from_predictions(finished):
    curve = table(finished, "noise")
    assert set(curve["denoiser"]) == {RAW, *NOISE}
    flips = pd.read_csv(finished[0]["noise-0-0"] / "predictions.csv")
    of = curve[curve["metric"] == "accuracy"].set_index(["denoiser", "rate"])
    for key, part in flips.groupby(["denoiser", "rate"]):
        right = accuracy_score(part["label"], part["predicted"])
        assert of.loc[key, "mean"] == pytest.approx(right)
    assert_shown(finished, written(of, ["mean", "low", "high"]))


def test_flipped_turns_a_share_of_the_dies():
    rng = np.random.default_rng(0)
    grid = rng.integers(0, 3, (200, 200)).astype(np.uint8)
    found = noise.flipped(grid, 0.2, rng)
    assert ((found == 0) == (grid == 0)).all() and found.dtype == np.uint8
    assert (found != grid)[grid == 1].mean() == pytest.approx(0.2, abs=0.01)
    assert (found != grid)[grid == 2].mean() == pytest.approx(0.2, abs=0.01)
    np.testing.assert_array_equal(noise.flipped(grid, 0.0, rng), grid)


def test_discovery_table_follows_from_scores(finished):
    found = table(finished, "discovery")
    scores = table(finished, "discovery_scores")
    assert set(scores["held out"]) == set(CLASSES)
    assert set(scores["denoiser"]) == {RAW, *DISCOVERY}
    for _, row in found.iterrows():
        same = (scores[KINDS] == row[KINDS]).all(axis=1)
        values = scores.loc[same, row["metric"]]
        assert len(values) == len(CLASSES)
        extremes = [values.mean(), values.min(), values.max()]
        np.testing.assert_allclose(row[["mean", "low", "high"]].astype(float), extremes)
    assert_shown(finished, written(found, ["mean", "low", "high"]))


def test_scores_of_clusters_by_hand():
    target = np.array(list("aaabbbcc"))
    found = np.array([0, 0, 1, 1, 1, -1, 1, 2])
    said = discovery.scores(target, found, "c")
    # Commonest: a in 0 (2 wafers), b in 1 (2), c in 2 (1); one wafer is in no cluster.
    assert said["clusters"] == 3 and said["purity"] == 5 / 8 and said["recall"] == 1 / 2
    assert discovery.scores(target, np.full(8, -1), "c")["recall"] == 0
    assert discovery.scores(target, np.array([5, 5, 5, 7, 7, 7, 9, 9]), "c")["nmi"] == 1


def test_of_dies_gives_shares_of_fails():
    grid = np.ones((16, 16), np.uint8)
    grid[0, 3] = 2
    values = discovery.of_dies([grid])[0].reshape(16, 16)
    assert values[0, 3] == 1 and values.sum() == 1


def test_cluster_trains_without_held_out_class(finished):
    wafers = load(finished[0]["wafers"])
    clf = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discovery, "WaferClassifier", lambda **options: clf)
        with pytest.raises(StopIteration):
            discovery.cluster(
                None, {"wafers": finished[0]["wafers"]}, fold=0, seed=0, held_out="Center",
                names=[], n_wafers=30, classifier={},
            )  # fmt: skip
    assert set(clf.target) == set(CLASSES) - {"Center"}
    assert len(clf.target) == ((wafers.fold != 0) & (wafers.target != "Center")).sum()


class Recorder:
    """A classifier that remembers what it was to be trained on."""

    def fit(self, maps, target):
        self.target = target
        raise StopIteration


def test_resolution_table_follows_from_scores(finished):
    found = table(finished, "resolution")
    scores = pd.read_csv(finished[0]["resolution-0-0-curves"] / "scores.csv")
    assert sorted(set(found["grid"])) == [4, 8, 16, 32]
    means = scores.groupby(["metric", "method", "grid"])["value"].mean()
    rows = found.set_index(["metric", "method", "grid"])
    for (metric, method, grid), row in rows.iterrows():
        assert row["mean"] == pytest.approx(means[metric, method, grid])
        gain = means[metric, method, grid] - means[metric, RANDOM_CAM, grid]
        assert row["gain_mean"] == pytest.approx(gain)
    shown = found[found["method"] != RANDOM_CAM]
    assert_shown(finished, written(shown, ["mean", "low", "high"]))


def test_sentences_name_the_control(finished):
    html = finished[1].read_text()
    for start in ("Learning from 30% of the wafers", "With 20% of the dies flipped"):
        (said,) = [line for line in html.splitlines() if start in line]
        assert OURS in said and "control with random weights" in said
    rows = table(finished, "noise").set_index(["denoiser", "metric", "rate"])
    gain = rows.loc[(RANDOM_NET, "accuracy", 0.2), "gain"]
    assert f"{gain:+.3f}" in said
