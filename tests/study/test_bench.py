"""The bench: a fair search, no wafer on both sides, and tables that say what was measured."""

import json

import numpy as np
import pandas as pd
import pytest
from study_runs import run_study

from camdenoise import WaferClassifier
from camdenoise.datasets import load_wafer_maps
from camdenoise.learned import UNetDenoiser
from camdenoise.metrics import die_report
from study.denoisers import (
    BENCH,
    BY_NAME,
    CAM,
    COMPONENTS,
    CONTENDERS,
    EVIDENCE,
    LARGEST,
    MEDIAN,
    NOTHING,
    UNET,
    KeepAll,
)
from study.graph import slug
from study.plan import bench_tasks
from study.profiles import load_profile
from study.report.bench import main_shown
from study.stages.bench import TRIALS, macro_f1, read_tuned
from study.stages.bench_nets import TRAINED_ON, load_trained
from study.stages.bench_wafers import KINDS, folds_of_roles, load_planted, planted_of_role
from study.stages.halving import draw_candidates, halve
from study.tables import bench as tables
from study.wafers import FILE, load

CLASSES = ["Center", "Edge-Ring", "Scratch"]
TINY = {"width": 4, "input_size": 32, "batch_size": 16, "max_epochs": 1, "random_state": 0}
DENOISERS = [NOTHING, MEDIAN, COMPONENTS, LARGEST, UNET, CAM, EVIDENCE]


def tiny_profile():
    """The bench's profile, but of a size that tells whether it runs, not what comes out."""
    profile = load_profile("bench")
    profile["wafers"] |= {"classes": CLASSES, "n_simulated": 900, "folds": 3}
    profile["classifier"] = {"width": 4, "input_size": 32, "batch_size": 16, "max_epochs": 1}
    profile["bench"] |= {"background_rates": [0.05, 0.2], "per_class": 20, "n_patternless": 12}
    profile["bench"] |= {"n_per_rate": {"training": 6, "validation": 9, "test": 12}, "n_timed": 6}
    profile["bench"] |= {"timing_rounds": 2, "denoisers": DENOISERS}
    profile["bench"]["learned"] = {"width": 4, "input_size": 24, "max_epochs": 1}
    evidence = {"backbone": "wafer_unet", "width": 4, "input_size": [24, 32], "max_epochs": 1}
    profile["bench"]["evidence"] = {"per_class": 20, "parameters": evidence}
    profile["bench"]["search"] = {"n_candidates": 5, "shares": [0.5, 1.0]}
    return profile


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    return run_study(tiny_profile(), out, name="bench")[1:]


@pytest.fixture(scope="module")
def table(finished):
    return read(finished, "scores")


def read(finished, name):
    file = finished[1].parent / "tables" / f"bench_{name}.csv"
    return pd.read_csv(file, keep_default_na=False, na_values=[""])


def parents(folder):
    frame = load_wafer_maps(folder / FILE).frame
    rows = frame[[name for name in frame if name.endswith("_row")]].to_numpy()
    return set(rows.ravel().tolist())


def test_roles_share_no_parent(finished):
    folders = finished[0]
    wafers = load(folders["bench-wafers"])
    trained_on = pd.read_csv(folders["bench-0-0-train-patterns"] / TRAINED_ON)
    used = {role: set() for role in folds_of_roles(3, 0)}
    for role in used:
        used[role] = set.union(
            *(parents(folders[f"bench-0-planted-{role}-{kind}"]) for kind in KINDS)
        )
    used["training"] |= set(trained_on["wafer"])
    assert all(len(rows) > 10 for rows in used.values())
    for role, folds in folds_of_roles(3, 0).items():
        assert set(wafers.fold[list(used[role])]) == set(folds)
    groups = [set(wafers.groups[list(rows)]) for rows in used.values()]
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_folds_of_roles_are_disjoint():
    assert folds_of_roles(4, 3) == {"training": [1, 2], "validation": [0], "test": [3]}


def test_backgrounds_fail_at_the_given_rates(finished):
    for kind in KINDS:
        frame = load_wafer_maps(finished[0][f"bench-0-planted-test-{kind}"] / FILE).frame
        assert sorted(set(frame["rate"])) == [0.05, 0.2]
        assert (frame.groupby("rate").size() == 12).all()


def test_tuning_has_one_budget_for_all(finished):
    tuning = read(finished, "tuning").set_index("denoiser")
    assert tuning.index.tolist() == DENOISERS
    full = tuning["evaluations"] == 5 + 3
    small = {NOTHING: 1 + 1, LARGEST: 3 + 2}
    assert set(tuning.index[~full]) == set(small)
    assert tuning.loc[list(small), "evaluations"].to_dict() == small
    assert tuning.loc[full, "wafers"].nunique() == 1
    assert (tuning["validation"] >= tuning["defaults"] - 0.1).all()


def test_tuned_parameters_win_the_last_round(finished):
    folders = [folder for name, folder in finished[0].items() if "-tune-" in name]
    for folder in folders:
        found, trials = read_tuned(folder), pd.read_csv(folder / TRIALS)
        last = trials[trials["share"] == 1].sort_values("score", kind="stable").iloc[-1]
        assert found["validation"] == last["score"]
        assert (
            last["score"]
            in trials.loc[
                trials["parameters"] == json.dumps(found["parameters"]), "score"
            ].to_numpy()
        )


def test_scores_follow_from_tuned_denoisers(finished, table):
    folders = {kind: finished[0][f"bench-0-planted-test-{kind}"] for kind in KINDS}
    plants = load_planted(folders)
    for name in (MEDIAN, COMPONENTS):
        found = read_tuned(
            next(f for n, f in finished[0].items() if n.endswith(f"-tune-{name.replace(' ', '_')}"))
        )
        why = BY_NAME[name].make_on_bench(None, found["parameters"]).explain(plants.maps)
        f1 = macro_f1(plants, why)
        report = tables.rate_table(table).query("denoiser == @name").groupby("kind")
        main = read(finished, "main").set_index("denoiser").loc[name]
        for kind in KINDS:
            rows = plants.about["kind"] == kind
            by_hand = die_report(
                [m for m, r in zip(plants.maps, rows, strict=True) if r],
                [t for t, r in zip(plants.truth, rows, strict=True) if r],
                [e.kept for e, r in zip(why, rows, strict=True) if r],
                plants.about.loc[rows, "label"],
            )
            assert (
                main[kind] == pytest.approx(by_hand.loc["macro", "f1"]) == pytest.approx(f1[kind])
            )
            assert len(report.get_group(kind)) == 2


def test_report_shows_numbers_of_tables(finished):
    html = finished[1].read_text()
    main = read(finished, "main")
    for row in main_shown(main).itertuples(index=False):
        cells = [f"{v:.3f}" if isinstance(v, float) and v == v else v for v in row]
        cells = ["–" if isinstance(v, float) else v for v in cells]
        assert "".join(f"<td>{cell}</td>" for cell in cells) in html
    assert html.count("data:image/png;base64,") == 3
    for name in ("f1", "rates", "densities", "patternless", "bar", "comparison", "curves", "times"):
        assert len(read(finished, name))


def test_keep_all_keeps_all_fails(finished, table):
    assert {e.kept.sum() for e in KeepAll().explain([[[2, 1, 2]]])} == {2}
    mine = table[table["denoiser"] == NOTHING]
    assert (mine["n_kept"] == mine["n_fail"]).all()
    main = read(finished, "main").set_index("denoiser").loc[NOTHING]
    assert main[["recall", "retention_weaker", "none_kept", "random_kept"]].tolist() == [1] * 4
    assert main["specificity"] == 0


def test_share_is_nested_and_stratified(finished):
    plants = planted_of_role(finished[0], "test")
    keys = ["kind", "wafer"]
    few, more = (set(map(tuple, plants.share(s).about[keys].to_numpy())) for s in (0.2, 0.5))
    assert few < more and len(plants.share(1.0).maps) == len(plants.maps) == 72
    strata = plants.share(0.2).about.groupby(["kind", "label", "rate"]).size()
    assert len(strata) == 3 * 2 * 3 and (strata == 1).all()


def test_weaker_pattern_has_fewer_fails(finished):
    folders = {kind: finished[0][f"bench-0-planted-test-{kind}"] for kind in KINDS}
    plants = load_planted(folders)
    for truth, weaker, kind in zip(plants.truth, plants.weaker, plants.about["kind"], strict=True):
        assert (weaker <= truth).all() and weaker.any()
        if kind == "two":
            assert 2 * weaker.sum() <= truth.sum() + (truth & weaker).sum()
        else:
            assert (weaker == truth).all()


def test_times_are_relative_to_the_median_filter(finished):
    times = read(finished, "times").set_index("denoiser")
    assert times.loc[MEDIAN, "ratio"] == 1 and (times["ms"] > 0).all()


def test_curves_hold_the_tuned_value(finished):
    curves = read(finished, "curves")
    assert set(curves["denoiser"]) == set(DENOISERS) - {NOTHING}
    tuned = curves[curves["tuned"]].groupby(["denoiser", "kind"]).size()
    assert (tuned == 1).all()
    # A threshold of each wafer's own is none of the curve's.
    assert set(curves["denoiser"]) - set(tuned.index.get_level_values(0)) <= {EVIDENCE}


def test_halve_finds_the_best_of_a_toy():
    rng = np.random.default_rng(0)
    quality = rng.permutation(50) / 50
    tried = []

    def score(candidate, share):
        tried.append(share)
        return quality[candidate["x"]] + (1 - share) * 0.1 * rng.normal()

    best, trials = halve([{"x": x} for x in range(50)], score, [0.1, 0.3, 1.0])
    assert quality[best["x"]] == quality.max()
    assert [tried.count(share) for share in (0.1, 0.3, 1.0)] == [50, 17, 6]
    assert trials["share"].tolist() == tried


def test_halve_takes_the_first_of_equals():
    assert halve([{}, {"a": 1}, {"a": 2}], lambda c, share: 0.5, [0.2, 1.0])[0] == {}


def test_draw_candidates_repeats_by_seed():
    space = BY_NAME[CAM].space
    first = draw_candidates(space, 10, seed=0)
    assert first == draw_candidates(space, 10, seed=0) != draw_candidates(space, 10, seed=1)
    assert first[0] == {} and len(first) == 10
    assert json.loads(json.dumps(first)) == first
    assert draw_candidates({"size": [3, 5]}, 10, seed=0)[1:] == [{"size": 3}, {"size": 5}]
    assert draw_candidates({}, 10, seed=0) == [{}]


def test_spaces_hold_valid_values(wafers):
    learned = UNetDenoiser(width=4, input_size=24, max_epochs=1)
    learned.fit(wafers.maps[:8], truth=wafers.truth[:8])
    classifier, evidence = (
        WaferClassifier(name, **TINY).fit(wafers.maps, wafers.target)
        for name in ("wafer_resnet", "wafer_unet")
    )
    for entry in BENCH:
        given = learned if entry.family == "learned" else classifier
        if entry.name == EVIDENCE:
            given = evidence
        for candidate in draw_candidates(entry.space, 4, seed=1):
            assert len(entry.make_on_bench(given, candidate).explain(wafers.maps[:2])) == 2
        for value in entry.values[:1] + entry.values[-1:]:
            entry.make_on_bench(given, {entry.main: value}).explain(wafers.maps[:2])
    assert learned.threshold == 0.5


def test_unet_is_read_back_as_trained(finished):
    folders = finished[0]
    folder = f"bench-0-0-train-{slug(UNET)}"
    again = load_trained(UNET, {folder: folders[folder]})
    training = planted_of_role(folders, "training")
    trained = type(again)(**again.get_params())
    trained.fit(training.maps, truth=training.truth)
    both = zip(again.explain(training.maps), trained.explain(training.maps), strict=True)
    for one, other in both:
        np.testing.assert_allclose(one.saliency, other.saliency, atol=1e-5)


def scores(**f1):
    """Scores of 2 classes x 10 wafers, each denoiser the same from wafer to wafer but for a bit."""
    rows = [
        {"kind": "planted", "denoiser": name, "label": label, "rate": 0.1, "density": 1.0}
        | {"fold": 0, "seed": 0, "wafer": wafer, "group": wafer, "f1": value + 0.01 * (wafer % 3)}
        for name, value in f1.items()
        for label in ("Center", "Loc")
        for wafer in range(10)
    ]
    return pd.DataFrame(rows)


def test_best_filter_is_chosen_for_each_cell():
    ours, other, third = CONTENDERS[:3]
    table = scores(**{MEDIAN: 0.5, COMPONENTS: 0.6, ours: 0.8, other: 0.4, third: 0.6})
    better = (table["denoiser"] == MEDIAN) & (table["label"] == "Loc")
    table.loc[better, "f1"] += 0.2
    bar = tables.best_filter_table(table).set_index(["denoiser", "class", "rate"])
    assert bar.loc[(ours, "Center", 0.1), "best"] == COMPONENTS
    assert bar.loc[(ours, "Loc", 0.1), "best"] == MEDIAN
    assert bar.loc[(ours, "Loc", "all"), "difference"] == pytest.approx(0.1)
    assert bar.loc[(ours, "macro", "all"), "difference"] == pytest.approx(0.2)
    assert bar.xs(ours)["mark"].eq("+").all() and bar.xs(other)["mark"].eq("-").all()
    assert bar.loc[(third, "Center", 0.1), "mark"] == "="


def test_comparison_is_paired_and_adjusted():
    table = scores(**{MEDIAN: 0.5, COMPONENTS: 0.6, CONTENDERS[0]: 0.8})
    rows = tables.comparison(table, MEDIAN).set_index("denoiser")
    assert rows["difference"].round(9).to_dict() == {COMPONENTS: 0.1, CONTENDERS[0]: 0.3}
    assert (rows["p"] < 0.01).all() and (rows["p_holm"] == 2 * rows["p"].min()).all()


def test_f1_table_counts_pairs_for_both_classes():
    table = scores(**{MEDIAN: 0.5}).assign(label="Center+Loc", kind="two")
    f1 = tables.f1_table(table).set_index("class")
    assert f1["wafers"].to_dict() == {"Center": 20, "Loc": 20, "macro": 20}


def test_patternless_table_by_hand():
    table = scores(**{MEDIAN: 0.5}).assign(kind="none", label="none").iloc[:4]
    table = table.assign(n_fail=[10, 10, 10, 0], n_kept=[5, 0, 1, 0])
    row = tables.patternless_table(table).iloc[0]
    assert row["mean"] == pytest.approx((0.5 + 0 + 0.1) / 3)
    assert row["wafers_with_fails_kept"] == 2 / 4


def test_density_table_has_three_ranges():
    table = scores(**{MEDIAN: 0.5}).assign(kind="diffuse").iloc[:10]
    table = table.assign(density=[0.5, 0.6, 0.66, 0.67, 0.7, 0.8, 0.83, 0.84, 0.9, 1.0])
    sizes = tables.density_table(table).set_index("density")["wafers"]
    assert sizes.to_dict() == {"0.5 to 0.67": 3, "0.67 to 0.83": 4, "0.83 to 1": 3}


def test_bench_tasks_follow_the_profile():
    profile = tiny_profile()
    chosen = profile["wafers"] | {"data": None, "digest": None}
    names = " ".join(task.name for task in bench_tasks(profile, chosen))
    assert names.count("-0-tune-") == len(DENOISERS) and names.count("-0-train-") == 3
    del profile["bench"]["denoisers"]
    names = " ".join(task.name for task in bench_tasks(profile, chosen))
    assert names.count("-0-tune-") == len(BENCH) and names.count("-0-train-") == 4
