"""The study: what it runs, what it does not run twice, and what it says of the results."""

import json

import lswmd_pickles
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from study_runs import run_study

from camdenoise import WaferClassifier
from camdenoise.datasets import load_wafer_maps, save_wafer_maps
from camdenoise.faithfulness import BETTER, RANDOM
from camdenoise.stream import wafer_batch
from study import __main__ as command
from study import graph, plan
from study.data import data_file
from study.denoisers import (
    CAM,
    CONTROLS,
    CONTROLS_TO_BEAT,
    DENOISERS,
    INDEPENDENT,
    MEDIAN,
    NOTHING,
    OURS,
    PLAIN,
    RAW,
    TRUE_CLASS,
)
from study.graph import Task, code_of, fingerprints, read_facts, required, run_all, slug
from study.profiles import load_profile, profile_names
from study.report.classes import describe_before_after
from study.report.dies import describe_dies
from study.report.page import write_report
from study.report.saliency import describe_faithfulness
from study.stages import before_after, models
from study.stages.denoise import load_masks
from study.stages.faithfulness import DEFAULT, USUAL
from study.stages.models import BACKGROUNDS, MORE, PARTS
from study.tables.classes import accuracy_table
from study.tables.common import interval
from study.tables.dies import die_f1_table
from study.tables.saliency import REFERENCES
from study.wafers import FILE, choose, halves, load

# Its nets both classify and explain, so that our denoiser is a CAM with components.
DENOISERS_OF_QUICK = set(DENOISERS) - {CAM}


def reduced_profile(**wafers):
    """The profile that tells whether the study runs."""
    profile = load_profile("smoke")
    profile["wafers"] |= wafers
    return profile


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run_study(reduced_profile(), tmp_path_factory.mktemp("study"))


def test_report_is_one_page(finished):
    tasks, folders, page = finished
    html = page.read_text()
    assert html.count("data:image/png;base64,") == 5
    assert "http" not in html.replace("http-equiv", "") and 'src="data:' in html
    for name in DENOISERS_OF_QUICK:
        assert name in html
    assert "control: wrong class" in html and "die by die" in html.lower()


def test_report_writes_tables_and_figures(finished):
    folder = finished[2].parent / "tables"
    pictures = {file.stem for file in (folder.parent / "figures").iterdir()}
    assert {"confusion", "die_f1_simulated", "before_after", "examples", "frequency"} == pictures
    scores = pd.read_csv(folder / "die_scores.csv")
    assert set(scores["denoiser"]) == set(DENOISERS_OF_QUICK)
    tested = (load(finished[1]["wafers"]).fold == 0).sum()
    assert (scores.groupby("denoiser").size() == tested).all()
    assert len(pd.read_csv(folder / "raw_predictions.csv")) == tested
    assert pd.read_csv(folder / "before_after.csv")["denoiser"].tolist()[0] == RAW


def test_task_keeps_its_facts(finished):
    for folder in finished[1].values():
        facts = read_facts(folder)
        assert {"fingerprint", "parameters", "seconds", "environment"} <= set(facts)
        assert "torch" in facts["environment"]


def test_finished_tasks_are_not_run_again(finished):
    tasks, folders, page = finished
    before = {folder: (folder / "about.json").stat().st_mtime_ns for folder in folders.values()}
    run_study(reduced_profile(), page.parent)
    assert before == {f: (f / "about.json").stat().st_mtime_ns for f in before}


def test_halves_share_no_group(finished):
    wafers = load(finished[1]["wafers"])
    part = halves(wafers, 0)
    assert ((part == -1) == (wafers.fold == 0)).all()
    by_part = [set(wafers.groups[part == number]) for number in (-1, 0, 1)]
    for one in range(3):
        for other in range(one):
            assert by_part[one] and not by_part[one] & by_part[other]


def test_study_runs_on_real_wafers(data_folder, tmp_path):
    data = data_folder / "wm811k_mini.npz"
    tasks, folders, page = run_study(reduced_profile(), tmp_path, data)
    html = page.read_text()
    assert "wm811k_mini.npz" in html and str(data_folder) not in html
    scores = pd.read_csv(tmp_path / "tables" / "die_scores.csv")
    assert set(scores["kind"]) <= {"planted", "two"} and len(scores)
    assert tasks[0].parameters["digest"] in html


def test_faithfulness_is_compared_with_random(tmp_path):
    profile = reduced_profile() | {"stages": ["models", "faithfulness"]}
    profile["faithfulness"] = {"n_wafers": 12, "n_forgetting": 6, "n_steps": 2}
    _, folders, page = run_study(profile, tmp_path)
    table = pd.read_csv(tmp_path / "tables" / "faithfulness.csv")
    assert set(table["metric"]) == set(BETTER)
    assert (table.groupby("metric")["method"].last() == RANDOM).all()
    assert (table[table["method"] == RANDOM]["mean to random"] == 0).all()
    scores = pd.read_csv(folders["faithfulness-0-0-curves"] / "scores.csv")
    tested = load(folders["wafers"])
    assert (tested.fold[scores["wafer"]] == 0).all()
    assert (scores.drop_duplicates("wafer")["label"].value_counts() == 2).all()
    part = scores[scores["metric"] == "deletion"].set_index(["method", "wafer"])["value"].unstack(0)
    row = table.set_index(["metric", "method"]).loc[("deletion", DEFAULT)]
    assert row["mean"] == pytest.approx(part[DEFAULT].mean())
    for reference in REFERENCES:
        gain = (part[DEFAULT] - part[reference]).mean()
        assert row[f"mean to {reference}"] == pytest.approx(gain)
    similarity = pd.read_csv(tmp_path / "tables" / "similarity.csv")
    assert similarity.columns[1:].tolist() == [
        "head", "stage4", "stage3", "stage2", "stage1", "stem"
    ]  # fmt: skip
    html = page.read_text()
    assert "Faithfulness by deletion" in html and "energy ↑" in html
    assert (tmp_path / "figures" / "faithfulness.png").exists()


@pytest.mark.parametrize(
    ("metric", "low", "verdict"),
    [
        ("deletion", -0.3, "better than"),
        ("deletion", 0.1, "worse than"),
        ("insertion", 0.1, "better than"),
        ("insertion", -0.05, "not shown to differ from"),
    ],
)
def test_describe_faithfulness_verdict(metric, low, verdict):
    parts = {"mean": low + 0.1, "low": low, "high": low + 0.2}
    gain = {f"{part} to {name}": v for part, v in parts.items() for name in REFERENCES}
    rows = [
        {"metric": kind, "method": method, "mean": 0.5} | gain
        for kind in ("deletion", "insertion")
        for method in (USUAL, DEFAULT, RANDOM)
    ]
    said = describe_faithfulness(pd.DataFrame(rows))
    assert sum(said[metric == "insertion"].count(f"{verdict} {n}") for n in REFERENCES) == 4


def write_number(folder, needed, *, number):
    total = number + sum(int((place / "number").read_text()) for place in needed.values())
    (folder / "number").write_text(str(total))


def count_runs(folder, needed, *, log):
    with open(log, "a") as stream:
        stream.write(folder.name + "\n")


def interrupt(folder, needed):
    (folder / "half").write_text("...")
    raise KeyboardInterrupt


def test_task_reads_what_it_needs(tmp_path):
    tasks = [
        Task("first", write_number, {"number": 1}),
        Task("second", write_number, {"number": 2}, ("first",)),
    ]
    assert (run_all(tasks, tmp_path)["second"] / "number").read_text() == "3"


def test_interrupted_task_leaves_nothing(tmp_path):
    log = str(tmp_path / "log")
    first = Task("first", count_runs, {"log": log})
    with pytest.raises(KeyboardInterrupt):
        run_all([first, Task("second", interrupt, {}, ("first",))], tmp_path / "parts")
    assert not (tmp_path / "parts" / "second").exists()
    second = Task("second", count_runs, {"log": log}, ("first",))
    run_all([first, second], tmp_path / "parts")
    assert open(log).read().split() == [".first.part", ".second.part"]


def test_fingerprints_follow_parameters_and_needs():
    def tasks(number, other):
        return [
            Task("a", write_number, {"number": number}),
            Task("b", write_number, {"number": 0}, ("a",)),
            Task("c", write_number, {"number": other}),
        ]

    before, after = fingerprints(tasks(1, 5)), fingerprints(tasks(2, 5))
    assert before["a"] != after["a"] and before["b"] != after["b"] and before["c"] == after["c"]
    assert before == fingerprints(tasks(1, 5))


def test_fingerprint_covers_imported_modules_only():
    code = code_of("study.stages.score_dies")
    assert {"study.stages.models", "camdenoise.metrics._dies", "camdenoise.nets._inference"} < code
    assert not {name for name in code if name.startswith(("study.report", "study.tables"))}
    assert not {name for name in code if "plotting" in name or "stream" in name}


def test_fingerprint_ignores_comments_and_docstrings(tmp_path, monkeypatch):
    def digest_of(source):
        (tmp_path / "module.py").write_text(source)
        for cached in (graph._tree_of, graph._digest_of_module):
            cached.cache_clear()
        return graph._digest_of_module("fake.module")

    monkeypatch.setitem(graph._FOLDERS, "fake", tmp_path)
    before = digest_of('"""Text."""\n\n\ndef f():\n    return 1\n')
    assert digest_of("def f():\n    # A comment.\n    return 1\n") == before
    assert digest_of("def f(): return 2\n") != before
    assert digest_of('"""Other text."""\ndef f(): return 1  # why\n') == before


def test_required_keeps_only_what_a_stage_needs():
    tasks = plan.make_plan(load_profile("quick"), None)
    names = [task.name for task in required(tasks, ["score_dies"])]
    assert names == ["wafers", "models-0-0-all", "score_dies-0-0-simulated"]


@pytest.mark.parametrize("name", profile_names())
def test_make_plan_orders_tasks_by_need(name):
    seen = set()
    for task in plan.make_plan(load_profile(name), None):
        assert set(task.needs) <= seen and task.name not in seen
        json.dumps(task.parameters)
        seen.add(task.name)


@pytest.mark.parametrize("kind", ["kaggle", "mir", "parquet"])
def test_data_file_converts_other_kinds_once(kind, tmp_path):
    made = lswmd_pickles.some_wafers(40)
    file, out = tmp_path / f"wafers.{kind}", tmp_path / "out"
    if kind == "parquet":
        keys = pd.DataFrame({"label": made.label, "lot": made.lot})
        pq.write_table(pa.Table.from_batches([wafer_batch(made.maps, keys)]), file)
    else:
        write = {"kaggle": lswmd_pickles.write_kaggle, "mir": lswmd_pickles.write_mir}[kind]
        with open(file, "wb") as stream:
            write(stream, made)
    found = data_file(str(file), out)
    wafers = load_wafer_maps(found)
    rows = [row for row, label in enumerate(made.label) if label]
    assert wafers.target.tolist() == [made.label[row] for row in rows]
    for grid, row in zip(wafers.maps, rows, strict=True):
        np.testing.assert_array_equal(grid, made.maps[row])
    lots = pd.factorize(pd.Series([made.lot[row] for row in rows]))[0]
    assert pd.factorize(pd.Series(wafers.groups))[0].tolist() == lots.tolist()
    time = found.stat().st_mtime_ns
    assert data_file(str(file), out) == found and found.stat().st_mtime_ns == time


def test_command_refuses_other_files(capsys, tmp_path):
    (tmp_path / "text").write_text("hello")
    assert command.main(["--data", str(tmp_path / "text"), "--out", str(tmp_path)]) == 2
    assert "neither npz nor Parquet" in capsys.readouterr().err


def test_command_reports_absent_data(capsys, tmp_path):
    assert command.main(["--data", str(tmp_path / "no.npz"), "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "no wafers at" in said and "leave out --data" in said


def test_command_refuses_stage_not_in_profile(capsys, tmp_path):
    assert command.main(["--profile", "folds", "--only", "cams", "--out", str(tmp_path)]) == 2
    assert "profile folds has no stage cams; it has models." in capsys.readouterr().err


def test_ctrl_c_tells_how_to_go_on(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "run", lambda options: interrupt(tmp_path, {}))
    assert command.main([]) == 130
    assert "goes on where it was" in capsys.readouterr().err


def test_denoised_removes_fails_only():
    grid = np.array([[0, 1, 2, 2]], np.uint8)
    kept = np.array([[False, False, True, False]])
    np.testing.assert_array_equal(before_after.denoised(grid, kept), [[0, 1, 2, 1]])
    region = np.array([[True, True, False, False]])
    blank = before_after.denoised(grid, region, on_blank=True)
    np.testing.assert_array_equal(blank, [[0, 2, 1, 1]])
    with pytest.raises(ValueError, match="can only remove"):
        before_after.denoised(grid, region)


def test_controls_have_masks_and_accuracies(finished):
    _, folders, page = finished
    wafers = load(folders["wafers"])
    ours = load_masks(folders["denoise-0-0"], OURS, wafers.maps)
    area = load_masks(folders["control_masks-0-0"], "control: equal area", wafers.maps)
    assert [mask.sum() for mask in area] == [mask.sum() for mask in ours]
    table = pd.read_csv(page.parent / "tables" / "before_after.csv")
    assert set(CONTROLS) < set(table["denoiser"])


@pytest.mark.parametrize("stage", ["before_after", "controls"])
def test_report_of_one_stage(finished, tmp_path, stage):
    tasks, folders, _ = finished
    chosen = required(tasks, [stage])
    some = {task.name: folders[task.name] for task in chosen}
    page = write_report(tmp_path, chosen, some, profile="quick", data=None)
    html = page.read_text()
    assert ("masks made for the true class" in html) == (stage == "controls")
    assert ("on wafers denoised by" in html) == (stage == "before_after")


def test_make_plan_adds_independent_architecture():
    profile = load_profile("quick")
    without = {task.name for task in plan.make_plan(profile | {"controls": {}}, None)}
    controls = {"independent_backbone": "resnet18"}
    extra = {task.name: task for task in plan.make_plan(profile | {"controls": controls}, None)}
    for name in without:
        del extra[name]
    assert set(extra) == {
        "independent-0-0-all", "independent-0-0-without0", "independent-0-0-without1",
        "controls-0-0-" + slug(INDEPENDENT),
    }  # fmt: skip
    assert extra["independent-0-0-all"].parameters["classifier"]["backbone"] == "resnet18"


def test_make_plan_adds_explainers():
    profile = load_profile("quick") | {"explainer": load_profile("paper")["explainer"]}
    tasks = {task.name: task for task in plan.make_plan(profile, None)}
    assert tasks["explainers-0-0-all"].parameters["classifier"]["backbone"] == "wafer_unet"
    assert tasks["score_dies-0-0-simulated"].needs == (
        "wafers",
        "models-0-0-all",
        "explainers-0-0-all",
    )
    assert {"before_after-0-0-" + slug(name) for name in (CAM, OURS)} < set(tasks)
    # The nets that classify are of an architecture of their own then.
    assert tasks["control_masks-0-0"].parameters["independent"] == "models"
    assert tasks["controls-0-0-" + slug(INDEPENDENT)].needs == ("wafers", "control_masks-0-0")


def test_backgrounds_have_no_pattern(data_folder, tmp_path):
    profile = reduced_profile() | {"explainer": {"n_backgrounds": 30, "classifier": {}}}
    tasks = plan.make_plan(profile, data_folder / "wm811k_mini.npz")
    (bare,) = [task for task in tasks if task.name == BACKGROUNDS]
    assert {t.name for t in tasks if BACKGROUNDS in t.needs} == {
        f"explainers-0-0-{part}" for part in PARTS
    }
    wafers = load(run_all([bare], tmp_path)[BACKGROUNDS])
    assert len(wafers.maps) == 30 and set(wafers.target) == {"none"}


def test_more_wafers_are_not_denoised_ones(data_folder, tmp_path):
    profile = reduced_profile() | {"explainer": {"n_backgrounds": 0, "per_class": 12}}
    profile["explainer"]["classifier"] = {}
    profile["wafers"] |= {"per_class": 5}
    tasks = plan.make_plan(profile, data_folder / "wm811k_mini.npz")
    chosen = [task for task in tasks if task.name in ("wafers", MORE)]
    first, more = (load(folder) for folder in run_all(chosen, tmp_path).values())
    assert pd.Series(first.target).value_counts().eq(5).all()
    assert pd.Series(more.target).value_counts().eq(7).all()
    assert not {grid.tobytes() for grid in first.maps} & {grid.tobytes() for grid in more.maps}


@pytest.mark.parametrize("part", PARTS)
def test_nets_do_not_see_groups_they_denoise(part, data_folder, tmp_path, monkeypatch):
    profile = reduced_profile() | {"explainer": {"n_backgrounds": 60, "per_class": 40}}
    profile["explainer"]["classifier"] = {}
    profile["wafers"] |= {"per_class": 20}
    data = data_folder / "wm811k_mini.npz"
    tasks = [t for t in plan.make_plan(profile, data) if t.name in ("wafers", BACKGROUNDS, MORE)]
    folders = run_all(tasks, tmp_path)
    seen: list[bytes] = []

    class Memory(WaferClassifier):
        def fit(self, X, y):
            seen.extend(grid.tobytes() for grid in X)
            return super().fit(X[:8], y[:8])

    monkeypatch.setattr(models, "WaferClassifier", Memory)
    tiny = {"width": 4, "input_size": 32, "max_epochs": 1}
    models.train(tmp_path, folders, fold=0, seed=0, part=part, classifier=tiny)
    groups_of: dict[bytes, set[int]] = {}
    for wafers in map(load, folders.values()):
        for grid, group in zip(wafers.maps, wafers.groups, strict=True):
            groups_of.setdefault(grid.tobytes(), set()).add(group)
    wafers = load(folders["wafers"])
    half = halves(wafers, 0)
    unseen = set(wafers.groups[(half == -1) | (half == PARTS.index(part) - 1)])
    assert len(seen) > (half >= 0).sum() / 2
    assert all(groups_of[grid] - unseen for grid in seen)


def test_choose_writes_no_file_without_wafers(tmp_path):
    file = tmp_path / "wafers.npz"
    save_wafer_maps(file, [np.ones((20, 20), np.uint8)] * 4, ["Loc"] * 4, fold=[0, 0, 1, 1])
    asked = {"classes": ["none"], "folds": 2, "n_simulated": 0, "data": str(file), "digest": ""}
    folders = run_all([Task("backgrounds", choose, asked)], tmp_path / "parts")
    assert not (folders["backgrounds"] / FILE).exists()


def test_interval_is_over_groups():
    rng = np.random.default_rng(0)
    shift = np.repeat(rng.normal(size=20), 50)
    part = pd.DataFrame({"x": shift + 0.1 * rng.normal(size=1000), "group": np.arange(1000) // 50})
    wide = interval(part, "x")
    narrow = interval(part.assign(group=np.arange(1000)), "x")
    assert wide["mean"] == narrow["mean"] == pytest.approx(part["x"].mean())
    assert wide["low"] < narrow["low"] < wide["mean"] < narrow["high"] < wide["high"]
    standard_error = shift[::50].std() / np.sqrt(20)
    assert (wide["high"] - wide["low"]) / 2 == pytest.approx(1.96 * standard_error, rel=0.15)
    assert np.isnan(interval(part.assign(group=0), "x")["low"])


def die_scores(ours, other):
    rows = [
        {"kind": "planted", "denoiser": name, "label": label, "f1": f1 + 0.01 * (wafer % 3)}
        | {"fold": 0, "seed": 0, "wafer": wafer, "group": wafer}
        for name, f1 in {OURS: ours, PLAIN: 0.4, MEDIAN: other, NOTHING: 0.5}.items()
        for label in ("Center", "Loc")
        for wafer in range(20)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("ours", "verdict"), [(0.8, "is better than the best"), (0.6, "is worse than the best")]
)
def test_describe_dies_verdict(ours, verdict):
    scores = die_scores(ours, other=0.7)
    said = describe_dies("planted", scores, die_f1_table(scores))
    assert verdict in said and MEDIAN in said and "less than removing nothing" in said


def test_describe_dies_without_difference():
    scores = die_scores(0.7, 0.7)
    said = describe_dies("planted", scores, die_f1_table(scores))
    assert "no difference is shown" in said


def predictions(**right):
    """Predictions of 100 wafers, the first so many of them right."""
    rows = [
        {"denoiser": name, "label": "a", "predicted": "a" if wafer < n else "b"}
        | {"fold": 0, "seed": 0, "wafer": wafer, "group": wafer}
        for name, n in right.items()
        for wafer in range(100)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("ours", "wrong", "verdict"),
    [
        (90, 70, "No control reaches as much."),
        (90, 92, "so the gain is leakage, not denoising"),
        (71, 70, "No gain in accuracy is shown"),
        (50, 40, "Denoising costs accuracy here."),
    ],
)
def test_gain_counts_only_beyond_controls(ours, wrong, verdict):
    others = dict.fromkeys(CONTROLS_TO_BEAT, 40) | {"control: wrong class": wrong, TRUE_CLASS: 95}
    table = predictions(**{RAW: 70, OURS: ours} | others)
    said = describe_before_after(table, accuracy_table(table))
    assert verdict in said[0]
    assert "so much can come from what a mask tells" in said[1]


def test_gain_without_controls_may_be_leakage():
    table = predictions(**{RAW: 70, OURS: 90})
    (said,) = describe_before_after(table, accuracy_table(table))
    assert "may be leakage" in said
