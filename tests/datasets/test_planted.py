import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold

from camdenoise.datasets import (
    PATTERN_CLASSES,
    load_wafer_maps,
    make_planted_wafers,
    make_wafer_maps,
    save_wafer_maps,
)
from camdenoise.datasets._planting import TURNS
from camdenoise.filters import ComponentSizeFilter
from camdenoise.metrics import die_scores

KINDS = ("planted", "two", "diffuse", "simulated")


@pytest.fixture(scope="module", params=["sources", "mini_wafers"], ids=["simulated", "real"])
def parents(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=KINDS)
def planted(request, parents):
    classes = plantable(parents, request.param)
    made = make_planted_wafers(parents, 40, kind=request.param, classes=classes, random_state=0)
    return request.param, parents, made


def plantable(parents, kind):
    """Classes that can be planted: the small file of real wafers is too small for all of them."""
    if "about" not in parents:
        return PATTERN_CLASSES
    return ["Center", "Loc", "Scratch"] if kind == "two" else ["Center", "Donut", "Loc", "Scratch"]


# --- what every kind promises ---------------------------------------------------------------------


def test_truth_is_among_the_fails(planted):
    _, _, made = planted
    for grid, truth in zip(made.maps, made.truth, strict=True):
        assert grid.dtype == np.uint8 and truth.dtype == bool and truth.shape == grid.shape
        assert truth.any() and (grid[truth] == 2).all()


def test_truth_is_the_union_of_the_patterns(planted):
    kind, _, made = planted
    for masks, truth in zip(made.pattern_truth, made.truth, strict=True):
        assert len(masks) == (2 if kind == "two" else 1) and masks.any(axis=(1, 2)).all()
        np.testing.assert_array_equal(masks.any(axis=0), truth)


def test_planted_wafers_have_the_backgrounds_dies(planted):
    _, parents, made = planted
    for grid, row in zip(made.maps, made.parents[:, 0], strict=True):
        np.testing.assert_array_equal(grid > 0, parents["maps"][row] > 0)


def test_background_is_unchanged_outside_the_pattern(planted):
    kind, parents, made = planted
    unchanged = [
        np.array_equal(grid[~truth], parents["maps"][row][~truth])
        for grid, truth, row in zip(made.maps, made.truth, made.parents[:, 0], strict=True)
    ]
    assert not any(unchanged) if kind == "simulated" else all(unchanged)


def test_rates_are_within_the_range(planted):
    _, parents, made = planted
    rates = made.frame["background_rate"]
    assert rates.between(0.02, 0.20).all()
    for rate, row in zip(rates, made.parents[:, 0], strict=True):
        assert rate == (parents["maps"][row] == 2).sum() / (parents["maps"][row] > 0).sum()


def test_groups_and_rows_match_the_source_wafers(planted):
    kind, parents, made = planted
    roles = {"planted": ["background", "pattern"], "two": ["background", "pattern", "second"]}
    roles = roles.get(kind, ["background"])
    np.testing.assert_array_equal(made.parents, made.frame[[f"{r}_row" for r in roles]])
    np.testing.assert_array_equal(made.groups, made.frame[[f"{r}_group" for r in roles]])
    np.testing.assert_array_equal(made.groups, np.asarray(parents["groups"])[made.parents])


def test_source_wafers_have_the_named_classes(planted):
    _, parents, made = planted
    for rows, target in zip(made.parents, made.target, strict=True):
        named = ["none", *target.split("+")]
        assert list(parents["target"][rows]) == named[: len(rows)]


def test_frame_describes_each_wafer(planted):
    kind, _, made = planted
    frame = made.frame
    assert (frame["label"] == made.target).all()
    assert frame["n_pattern"].tolist() == [truth.sum() for truth in made.truth]
    assert list(zip(frame["height"], frame["width"], strict=True)) == [g.shape for g in made.maps]
    turns = [name for name in frame if name.endswith("_turn")]
    assert len(turns) == {"planted": 1, "two": 2}.get(kind, 0)
    assert frame[turns].isin(list(TURNS)).all(axis=None)


@pytest.mark.parametrize("kind", KINDS)
def test_same_random_state_gives_same_planted_wafers(sources, kind):
    first, second = (make_planted_wafers(sources, 12, kind=kind, random_state=5) for _ in range(2))
    assert all(map(np.array_equal, first.maps, second.maps))
    assert all(map(np.array_equal, first.truth, second.truth))
    pd.testing.assert_frame_equal(first.frame, second.frame)
    other = make_planted_wafers(sources, 12, kind=kind, random_state=6)
    assert not all(map(np.array_equal, first.maps, other.maps))


@pytest.mark.parametrize("kind", KINDS)
def test_source_wafers_are_not_changed(sources, kind):
    before = [grid.copy() for grid in sources["maps"]]
    made = make_planted_wafers(sources, 12, kind=kind, random_state=0)
    for grid in made.maps:
        grid[:] = 0
    assert all(map(np.array_equal, sources["maps"], before))


# --- what is drawn --------------------------------------------------------------------------------


def test_classes_are_drawn_evenly(sources):
    made = make_planted_wafers(sources, 60, random_state=0)
    assert pd.Series(made.target).value_counts().to_dict() == dict.fromkeys(PATTERN_CLASSES, 10)


def test_pairs_are_of_different_places(sources):
    made = make_planted_wafers(sources, 26, kind="two", random_state=0)
    assert len(set(made.target)) == 13
    assert not {"Center+Donut", "Edge-Loc+Edge-Ring"} & set(made.target)


def test_rates_are_spread_over_the_range(sources):
    made = make_planted_wafers(sources, 100, classes=["Loc"], random_state=0)
    counts = np.histogram(made.frame["background_rate"], np.linspace(0.02, 0.20, 6))[0]
    assert (abs(counts - 20) <= 6).all()


def test_least_used_source_wafers_come_first(sources):
    made = make_planted_wafers(sources, 100, classes=["Donut"], random_state=0)
    uses = made.frame["pattern_row"].value_counts()
    assert len(uses) == made.available["Donut"] and uses.max() <= 100 / len(uses) + 3


def test_density_thins_the_patterns(sources):
    options = {"classes": ["Center"], "random_state": 0}
    full, thin = (
        make_planted_wafers(sources, 60, density=d, **options).frame["n_pattern"].mean()
        for d in (None, 0.5)
    )
    assert thin == pytest.approx(0.5 * full, rel=0.1)


def test_diffuse_patterns_have_smaller_components(sources):
    def retention(kind):
        made = make_planted_wafers(
            sources, 80, kind=kind, classes=["Donut", "Edge-Loc"], random_state=0
        )
        kept = [e.kept for e in ComponentSizeFilter(20).explain(made.maps)]
        return die_scores(made.maps, made.truth, kept)["recall"].mean()

    assert retention("diffuse") < retention("planted") - 0.05


def test_simulated_background_has_the_stated_fail_rate(sources):
    made = make_planted_wafers(sources, 150, kind="simulated", random_state=0)
    outside = [
        (grid[(grid > 0) & ~truth] == 2).mean()
        for grid, truth in zip(made.maps, made.truth, strict=True)
    ]
    assert np.mean(outside) == pytest.approx(made.frame["background_rate"].mean(), abs=0.01)


def test_clumping_reaches_the_simulated_background(sources):
    options = {"kind": "simulated", "classes": ["Scratch"], "random_state": 0}
    options |= {"background_rate": (0.1, 0.2), "edge_gradient": 1}

    def neighbors(clumping):
        made = make_planted_wafers(sources, 40, clumping=clumping, **options)
        noise = [(grid == 2) & ~truth for grid, truth in zip(made.maps, made.truth, strict=True)]
        return sum((n[1:] & n[:-1]).sum() for n in noise) / sum(n.sum() for n in noise)

    assert neighbors(2.0) > 1.3 * neighbors(0.0)


def test_planted_wafers_survive_save_and_load(sources, tmp_path):
    made = make_planted_wafers(sources, 12, random_state=0)
    columns = made.frame.drop(columns=["label", "height", "width"])
    save_wafer_maps(tmp_path / "p.npz", made.maps, made.target, truth=made.truth, **columns)
    again = load_wafer_maps(tmp_path / "p.npz")
    assert all(map(np.array_equal, again.truth, made.truth))
    assert again.frame["pattern_group"].tolist() == made.groups[:, 1].tolist()


# --- parents that are in nobody's training set ----------------------------------------------------


def split(parents):
    folds = GroupKFold(2, shuffle=True, random_state=0)
    return next(folds.split(parents["maps"], parents["target"], parents["groups"]))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_keep_sources_out_of_training_groups(parents, kind):
    train, test = split(parents)
    options = {"kind": kind, "classes": plantable(parents, kind), "random_state": 0}
    made = make_planted_wafers(parents, 20, rows=test, **options)
    assert np.isin(made.parents, test).all()
    assert not np.isin(made.groups, parents["groups"][train]).any()


def test_row_mask_equals_row_positions(sources):
    _, test = split(sources)
    mask = np.isin(np.arange(len(sources["maps"])), test)
    by_position, by_mask = (
        make_planted_wafers(sources, 12, rows=rows, random_state=0) for rows in (test, mask)
    )
    pd.testing.assert_frame_equal(by_position.frame, by_mask.frame)


def test_groups_show_what_was_seen_in_training(sources):
    train, test = split(sources)
    made = make_planted_wafers(sources, 60, random_state=0)
    unseen = ~np.isin(made.groups, sources["groups"][train]).any(axis=1)
    assert 0 < unseen.sum() < 60 and np.isin(made.parents[unseen], test).all()


# --- what is answered to unusable input -----------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples must be a whole number"),
        ({"kind": "three"}, "kind must be one of .*'two'.* got 'three'"),
        ({"classes": ["Centre"]}, r"classes must be some of .* got \['Centre'\]"),
        ({"classes": ["none"]}, r"got \['none'\]"),
        ({"classes": []}, "classes must be some of"),
        ({"kind": "two", "classes": ["Center", "Donut"]}, "no two patterns in different places"),
        ({"background_rate": None}, "background_rate must be a pair"),
        ({"background_rate": (0.2, 0.1)}, "background_rate must be a share"),
        ({"background_rate": (0.6, 0.9)}, "theirs are 0.0.* to 0.2.*Widen `background_rate`"),
        ({"density": 2}, "density must be a share"),
        ({"clumping": -1}, "clumping must be a number"),
        ({"rows": [0, 10_000]}, "rows must be positions from 0 to 609.* from 0 to 10000"),
        ({"rows": [-1]}, "rows must be positions"),
        ({"rows": [True, False]}, "bool mask of 610 wafers"),
        ({"rows": [0.5]}, "rows must be positions"),
        ({"rows": range(360)}, "no wafer of class 'none' among the rows, only .*'Center'"),
        ({"rows": range(355, 610)}, "class 'Center' has .*3 are needed.*leave the class out"),
    ],
)
def test_unusable_option_is_named(sources, options, message):
    with pytest.raises(ValueError, match=message):
        make_planted_wafers(sources, **options)


def test_missing_groups_error_names_the_argument(sources):
    without = {name: sources[name] for name in ("maps", "target")}
    with pytest.raises(ValueError, match=r"wafers has no \['groups'\].*lot of each wafer"):
        make_planted_wafers(without)
    with pytest.raises(ValueError, match="wafers has no .'maps', 'target', 'groups'"):
        make_planted_wafers(sources["maps"])


def test_mismatched_lengths_are_refused(sources):
    with pytest.raises(ValueError, match="610 maps, targets of shape .600"):
        make_planted_wafers(sources | {"target": sources["target"][:600]})


def test_grids_too_different_are_refused(sources):
    small = make_wafer_maps(
        40, classes=["none"], shapes=(20, 20), noise_rate=(0.05, 0.15), random_state=0
    )
    patterns = np.flatnonzero(sources["target"] != "none")
    mixed = {
        "maps": [sources["maps"][row] for row in patterns] + small.maps,
        "target": np.concatenate([sources["target"][patterns], small.target]),
        "groups": np.arange(len(patterns) + 40),
    }
    with pytest.raises(ValueError, match="no background has a grid similar .* 20 x 20 to 20 x 20"):
        make_planted_wafers(mixed, 5)
    assert len(make_planted_wafers(mixed, 5, kind="diffuse").maps) == 5


def of_two_grids(small, large):
    """Nearly clean patterns and backgrounds: classes `small` on coarse grids, `large` on fine."""
    parts = [
        make_wafer_maps(n, classes=classes, shapes=shape, noise_rate=rate, random_state=0)
        for shape, names in (((30, 30), small), ((60, 60), large))
        for n, classes, rate in ((40, names, (0, 0.005)), (20, ["none"], (0.02, 0.15)))
    ]
    target = np.concatenate([part.target for part in parts])
    maps = [grid for part in parts for grid in part.maps]
    return {"maps": maps, "target": target, "groups": np.arange(len(maps))}


def test_pairs_without_common_grid_are_skipped():
    wafers = of_two_grids(["Center", "Loc"], ["Edge-Ring"])
    options = {"kind": "two", "classes": ["Center", "Loc", "Edge-Ring"], "random_state": 0}
    with pytest.warns(UserWarning, match=r"Center\+Edge-Ring, Edge-Ring\+Loc; wafers are made of"):
        made = make_planted_wafers(wafers, 10, **options)
    assert set(made.target) == {"Center+Loc"}


def test_no_pair_of_source_wafers_is_an_error():
    wafers = of_two_grids(["Center"], ["Edge-Ring"])
    with pytest.raises(ValueError, match="takes any two patterns .Center.Edge-Ring"):
        make_planted_wafers(wafers, 10, kind="two", classes=["Center", "Edge-Ring"])


def test_unreadable_map_is_named(sources):
    maps = list(sources["maps"])
    maps[5] = np.full((4, 4), 7)
    with pytest.raises(ValueError, match="wafer map 5: value 7"):
        make_planted_wafers(sources | {"maps": maps}, 5)
