"""The study's comparison of architectures: each stage reduced, its tables against plain sums."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import colormaps
from sklearn.metrics import accuracy_score, f1_score
from study_runs import run_study, table

from camdenoise import load_model
from camdenoise.datasets import make_wafer_maps
from study.profiles import load_profile
from study.stages import backbones, cams
from study.stages.backbones import BASELINES, ORIGINAL, PRODUCTS, STRICT
from study.stages.models import MODEL
from study.stages.original_protocol import PictureClassifier, draw
from study.tables import classes as tables
from study.wafers import COUNTS, choose, load, without_copies

CLASSES = ["Center", "Edge-Ring", "Scratch"]
TINY = {"width": 4, "input_size": 32, "batch_size": 16, "max_epochs": 1}


def reduced_profile():
    """The paper profile, but of a size that tells whether it runs, not what comes out."""
    profile = load_profile("paper")
    profile["wafers"] |= {"n_simulated": 90, "folds": 2, "classes": CLASSES}
    profile["seeds"] = [0, 1]
    profile["classifier"] = TINY
    nets = {"test_resnet": 1, "wafer_unet": 1}
    profile["backbones"] |= {"nets": nets, "one_seed": ["wafer_unet"], "image_size": 16}
    profile["backbones"] |= {"classifier": TINY, "nets_on_products": ["test_resnet"]}
    profile["cams"] = {"methods": ["gradcam++"], "n_wafers": 12}
    profile["stages"] = ["backbones", "cams"]
    return profile


class Tables(HTMLParser):
    """The cells of each table of a page."""

    def __init__(self, html):
        super().__init__()
        self.tables, self.cell = [], None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell = ""

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[-1][-1].append(self.cell)
            self.cell = None


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("comparison")
    return run_study(reduced_profile(), out, name="paper")[1:]


def shown(finished, first):
    """The table of the page whose first columns have these names, and the same in Markdown."""
    (html,) = [t for t in Tables(finished[1].read_text()).tables if t[0][: len(first)] == first]
    lines = (finished[1].with_suffix(".md")).read_text().splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("| " + " | ".join(first)))
    rows = [lines[head], *lines[head + 2 : head + 1 + len(html)]]
    assert [line.strip("| ").split(" | ") for line in rows] == html
    return pd.DataFrame(html[1:], columns=html[0])


def test_backbones_are_tested_under_every_protocol(finished):
    nets = table(finished, "backbones")
    there = set(zip(nets["protocol"], nets["backbone"], strict=True))
    every = {*BASELINES, "test_resnet", "wafer_unet"}
    expected = {(protocol, name) for protocol in (STRICT, PRODUCTS, ORIGINAL) for name in every}
    assert there == expected - {(ORIGINAL, "wafer_unet"), (PRODUCTS, "wafer_unet")}
    sizes = table(finished, "backbone_sizes").set_index(["protocol", "backbone"])
    assert sizes.loc[(STRICT, "wafer_unet"), "seeds"] == 1
    assert sizes.loc[(STRICT, "test_resnet"), "seeds"] == 2
    assert sizes.loc[(PRODUCTS, "test_resnet"), "seeds"] == 1
    net = load_model(finished[0]["backbones-strict-0-0-test_resnet"] / MODEL).module_
    n_parameters = sum(p.numel() for p in net.parameters())
    assert sizes.loc[(STRICT, "test_resnet"), "parameters"] == n_parameters


def test_scores_follow_from_predictions(finished):
    scores = table(finished, "backbones").set_index(["protocol", "backbone", "metric"])
    scores = scores.sort_index()
    predictions = table(finished, "backbone_predictions")
    for (protocol, name), part in predictions.groupby(["protocol", "backbone"]):
        found = scores.loc[(protocol, name)]
        true, said = part["label"], part["predicted"]
        f1 = f1_score(true, said, labels=CLASSES, average=None, zero_division=0)
        assert found.loc["accuracy", "mean"] == pytest.approx(accuracy_score(true, said))
        assert found.loc["macro F1", "mean"] == pytest.approx(f1.mean())
        np.testing.assert_allclose(found.loc[CLASSES, "mean"], f1)
        wafers = part.drop_duplicates("wafer")["label"].value_counts()
        assert (found.loc[CLASSES, "wafers"] == wafers[CLASSES]).all()
        assert (found["low"] <= found["mean"] + 1e-12).all()
        assert (found["mean"] <= found["high"] + 1e-12).all()


def test_tested_wafers_follow_the_protocol(finished):
    wafers = load(finished[0]["wafers"])
    strict = backbones.tested_wafers(wafers, STRICT, 0, 0, 2)
    assert set(wafers.groups[strict]).isdisjoint(wafers.groups[~strict])
    products = backbones.tested_wafers(wafers, PRODUCTS, 0, 0, 2)
    grids = np.array([f"{grid.shape}" for grid in wafers.maps])
    assert set(grids[products]).isdisjoint(grids[~products])
    original = [backbones.tested_wafers(wafers, ORIGINAL, 0, seed, 2) for seed in (0, 1)]
    for name in CLASSES:
        of_class = wafers.target == name
        assert original[0][of_class].mean() == pytest.approx(0.3, abs=1 / of_class.sum())
    assert (original[0] != original[1]).any()


def test_report_shows_numbers_of_tables(finished):
    nets, scores = (
        shown(finished, ["protocol", "backbone", "accuracy"]),
        table(finished, "backbones"),
    )
    sizes = table(finished, "backbone_sizes").set_index(["protocol", "backbone"])
    by_metric = scores.set_index(["protocol", "backbone", "metric"])
    predictions = table(finished, "backbone_predictions")
    for _, row in nets.iterrows():
        key = (row["protocol"], row["backbone"])
        own = predictions[(predictions[["protocol", "backbone"]] == list(key)).all(axis=1)]
        by_seed = [
            f1_score(part["label"], part["predicted"], average="macro", zero_division=0)
            for _, part in own.groupby("seed")
        ]
        assert row["by seed"] == ", ".join(f"{score:.3f}" for score in by_seed)
        for metric in ("accuracy", "macro F1"):
            cell = by_metric.loc[(*key, metric)]
            numbers = f"{cell['mean']:.3f} ({cell['low']:.3f} to {cell['high']:.3f})"
            assert row[metric] == numbers
        assert row["parameters"] == str(sizes.loc[key, "parameters"])
        assert row["seconds"] == str(round(sizes.loc[key, "seconds"]))
    classes = shown(finished, ["protocol", "backbone", CLASSES[0]])
    for _, row in classes.iterrows():
        for name in CLASSES:
            if row["backbone"] == "test wafers":
                part = scores[(scores["protocol"] == row["protocol"]) & (scores["metric"] == name)]
                assert row[name] == str(part["wafers"].iloc[0])
            else:
                cell = by_metric.loc[(row["protocol"], row["backbone"], name)]
                assert row[name].startswith(f"{cell['mean']:.3f} ({cell['low']:.3f} to")


def test_sentences_hold_numbers_of_tables(finished):
    scores = table(finished, "backbones").set_index(["protocol", "backbone", "metric"])["mean"]
    said = re.findall(
        r"Architectures, (\w+) protocol: of \d nets (\w+) has the highest macro F1, ([\d.]+)",
        finished[1].read_text(),
    )
    assert [protocol for protocol, *_ in said] == [STRICT, PRODUCTS, ORIGINAL]
    for protocol, name, number in said:
        of_nets = scores.loc[protocol].unstack()["macro F1"].drop([*BASELINES])
        assert of_nets.idxmax() == name and f"{of_nets.max():.3f}" == number


def test_sections_tell_their_command(finished):
    html = finished[1].read_text()
    for stage in ("backbones", "cams"):
        assert f"python -m study --profile paper --only {stage}" in html
    assert "published no number" in html and "chunk stands in" in html
    assert "http" not in html.replace("http-equiv", "")


def test_figures_are_written_as_png_and_svg(finished):
    figures = finished[1].parent / "figures"
    names = {file.stem for file in figures.glob("*.png")}
    assert names == {file.stem for file in figures.glob("*.svg")}
    kinds = [
        "frequency",
        *(f"examples-{name}" for name in ("grad_cam_last_layer", "grad_cam_plus_plus")),
    ]
    for net in ("wafer_unet", "test_resnet"):
        assert {f"cams_{net}_{kind}" for kind in kinds} <= names
    assert "cams_wafer_unet_examples-evidence" in names


def test_places_are_means_over_dies(finished):
    places = table(finished, "cam_places")
    assert (places["kept"] <= places["fails"] + 1e-12).all()
    part = places[(places["backbone"] == "test_resnet") & (places["method"] == cams.USUAL)]
    wafers = load(finished[0]["wafers"])
    rows = cams.balanced(wafers, 0, 12)
    for (name, zone), row in part.set_index(["class", "zone"]).iterrows():
        shares = []
        for number in rows[wafers.target[rows] == name]:
            grid = wafers.maps[number]
            height, width = grid.shape
            dies = [
                grid[y, x] == 2
                for y in range(height)
                for x in range(width)
                if grid[y, x] and zone_of(y, x, height, width) == zone
            ]
            shares += [np.mean(dies)] if dies else []
        assert row["fails"] == pytest.approx(np.mean(shares)) and row["wafers"] == len(shares)


def zone_of(y, x, height, width):
    radius = np.hypot((2 * y + 1) / height - 1, (2 * x + 1) / width - 1)
    return "inner third" if radius < 1 / 3 else "middle third" if radius < 2 / 3 else "outer third"


def test_classification_table_resamples_groups():
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(30) < 0.7, 20)
    predictions = pd.DataFrame({"group": np.arange(600) // 20, "wafer": np.arange(600), "net": "n"})
    predictions["label"] = "a"
    predictions["predicted"] = np.where(right, "a", "b")
    found = tables.classification_table(predictions, ["net"]).set_index("metric").loc["accuracy"]
    error = np.sqrt(right.mean() * (1 - right.mean()) / 30)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * error, rel=0.15)
    alone = tables.classification_table(predictions.assign(group=0), ["net"])
    assert alone["low"].isna().all()


def test_draw_has_the_colors_of_viridis():
    codes = torch.tensor([[[0, 1], [2, 1]]], dtype=torch.uint8)
    expected = colormaps["viridis"](codes[0].numpy() / 2)[..., :3]
    np.testing.assert_allclose(draw(codes)[0].permute(1, 2, 0), expected, atol=1e-6)


def test_picture_classifier_learns_and_repeats(wafers):
    options = {"image_size": 16, "max_epochs": 20, "random_state": 0}
    maps, target = wafers.maps[:90], wafers.target[:90]
    clf = PictureClassifier("wafer_resnet", **options).fit(maps, target)
    again = PictureClassifier("wafer_resnet", **options).fit(maps, target)
    np.testing.assert_array_equal(clf.predict_proba(maps), again.predict_proba(maps))
    said = clf.classes_[clf.predict_proba(maps).argmax(axis=1)]
    assert (said == target).mean() > 0.9


def test_without_copies_keeps_the_first(tmp_path):
    wafers = make_wafer_maps(6, classes=["Center", "Scratch"], random_state=0)
    wafers.maps += [wafers.maps[0], wafers.maps[1]]
    other = "Scratch" if wafers.target[1] == "Center" else "Center"
    wafers.target = np.append(wafers.target, [wafers.target[0], other])
    # The second copy of row 0 goes; of row 1, whose labels differ, both.
    expected = [True, False, True, True, True, True, False, False]
    np.testing.assert_array_equal(without_copies(wafers), expected)


def test_choose_counts_wafers_used(tmp_path):
    source = {"data": None, "digest": None, "unique": True}
    choose(tmp_path, {}, classes=CLASSES, folds=2, n_simulated=30, **source)
    counts = pd.read_csv(tmp_path / COUNTS)
    assert counts["used"].sum() == len(load(tmp_path).maps)
    assert (counts["used"] == counts["without copies"]).all()
