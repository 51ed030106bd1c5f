"""Every bad input in every place that takes its kind: an error that names it, or a result.

Nothing is left behind, nothing takes long or much memory.
"""

import time
import tracemalloc
from contextlib import contextmanager

import bad_inputs
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.utils._param_validation import InvalidParameterError, make_constraint
from small_models import fitted_classifier

from camdenoise import (
    CamDenoiser,
    WaferClassifier,
    WaferMapError,
    filters,
    learned,
    load_model,
    save_model,
)
from camdenoise.cli import main
from camdenoise.datasets import make_wafer_maps, save_wafer_maps
from camdenoise.features import WaferFeatures
from camdenoise.filters import ComponentSizeFilter, MedianFilter
from camdenoise.lots import lot_summary
from camdenoise.onnx import graph_inputs
from camdenoise.similarity import WaferEmbedding, discover_patterns

_SECONDS, _BYTES = 20, 300 * 2**20

ESTIMATORS = [
    WaferClassifier,
    CamDenoiser,
    WaferFeatures,
    WaferEmbedding,
    *(getattr(filters, name) for name in filters.__all__ if name.endswith("Filter")),
    *(getattr(learned, name) for name in learned.__all__ if name.endswith("Denoiser")),
]


@contextmanager
def bounded():
    """See that the block takes neither long nor much memory."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.monotonic() - began < _SECONDS
    assert peak < _BYTES, peak


def bundled():
    return CamDenoiser.from_pretrained("wm811k")


#: Each takes a collection of maps, and must name the map that is none.
TAKE_MAPS = {
    "CamDenoiser.transform": lambda maps: bundled().transform(maps),
    "CamDenoiser.explain": lambda maps: bundled().explain(maps),
    "WaferClassifier.predict": lambda maps: fitted_classifier().predict(maps),
    "WaferClassifier.fit": lambda maps: fitted_classifier().fit(maps, ["a"] * len(maps)),
    "WaferClassifier.calibrate": lambda maps: fitted_classifier().calibrate(
        maps, ["Center"] * len(maps)
    ),
    "MedianFilter.transform": lambda maps: MedianFilter().fit([bad_inputs.GOOD]).transform(maps),
    "ComponentSizeFilter.fit": lambda maps: ComponentSizeFilter().fit(maps),
    "WaferFeatures.transform": lambda maps: WaferFeatures().fit([bad_inputs.GOOD]).transform(maps),
    "WaferEmbedding.fit": lambda maps: WaferEmbedding().fit(maps),
    "WaferEmbedding.transform": lambda maps: (
        WaferEmbedding().fit([bad_inputs.GOOD]).transform(maps)
    ),
    "discover_patterns": discover_patterns,
    "graph_inputs": lambda maps: graph_inputs(maps, 32),
}


@pytest.mark.parametrize("place", TAKE_MAPS)
@pytest.mark.parametrize("name", bad_inputs.MAPS)
def test_bad_map_is_named(name, place):
    maps = [bad_inputs.GOOD, bad_inputs.MAPS[name]]
    with bounded(), pytest.raises(WaferMapError, match="wafer map 1: "):
        TAKE_MAPS[place](maps)


@pytest.mark.parametrize("name", bad_inputs.MAPS)
def test_bad_map_costs_only_its_own_row(name):
    maps = [bad_inputs.GOOD, bad_inputs.MAPS[name], bad_inputs.GOOD]
    denoiser = CamDenoiser.from_pretrained("wm811k", on_error="keep")
    with bounded():
        one, bad, two = denoiser.explain(maps)
        _, kept, _ = denoiser.transform(maps)
        summary = lot_summary(denoiser, maps)
    assert bad.verdict == "error" and bad.patterns == {}
    assert one.error is None and two.error is None and bad.error
    assert kept is bad_inputs.MAPS[name]
    assert summary["error"].notna().tolist() == [False, True, False]
    np.testing.assert_array_equal(one.kept, two.kept)


@pytest.mark.parametrize("place", [*TAKE_MAPS, "lot_summary"])
@pytest.mark.parametrize("name", bad_inputs.COLLECTIONS)
def test_bad_collection_is_refused(name, place):
    take = TAKE_MAPS.get(place, lambda maps: lot_summary(bundled(), maps))
    with bounded(), pytest.raises((ValueError, TypeError)) as caught:
        take(bad_inputs.COLLECTIONS[name])
    assert len(str(caught.value)) > 15


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(fitted_classifier(), path)
    return path


#: Commands, with a file in and another out.
COMMANDS = {
    "denoise": ["denoise", "IN", "OUT", "-q"],
    "classify": ["classify", "IN", "OUT", "-q"],
    "convert": ["convert", "IN", "OUT.parquet"],
    "convert to npz": ["convert", "IN", "OUT.npz"],
    "train": ["train", "IN", "OUT", "-q"],
    "evaluate": ["evaluate", "IN"],
    "info": ["info", "IN"],
    "report": ["report", "IN", "-o", "OUT.html"],
}


def run(arguments, source, out):
    told = {"IN": str(source), "OUT": str(out)}
    told |= {f"OUT.{end}": f"{out}.{end}" for end in ("parquet", "npz", "html")}
    return CliRunner().invoke(main, [told.get(word, word) for word in arguments])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", bad_inputs.FILES)
def test_bad_file_is_named_and_nothing_is_written(name, command, tmp_path):
    source = tmp_path / "lot"
    source.write_bytes(bad_inputs.FILES[name])
    with bounded():
        result = run(COMMANDS[command], source, tmp_path / "out")
    assert result.exit_code == 2, (result.exit_code, result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    said = result.stderr.strip().splitlines()
    assert len(said) == 1 and said[0].startswith("Error: ") and len(said[0]) > 30, said
    assert [path.name for path in tmp_path.rglob("*") if path.suffix != ".json"] in (
        ["lot"],
        ["lot", "out"],
        ["out", "lot"],
    )
    assert not list(tmp_path.rglob("*.parquet")) and not (tmp_path.parent / "escape.csv").exists()


def bad_parameters():
    """Every parameter of every estimator, with each odd value that it does not take."""
    for estimator in ESTIMATORS:
        for parameter, allowed in estimator._parameter_constraints.items():
            if allowed == "no_validation":
                continue
            constraints = [make_constraint(one) for one in allowed]
            for name, value in bad_inputs.PARAMETERS.items():
                if not any(constraint.is_satisfied_by(value) for constraint in constraints):
                    yield pytest.param(
                        estimator, parameter, value, id=f"{estimator.__name__} {parameter} {name}"
                    )


@pytest.mark.parametrize(("estimator", "parameter", "value"), list(bad_parameters()))
def test_bad_parameter_is_named(estimator, parameter, value):
    made = estimator().set_params(**{parameter: value})
    maps, labels = [bad_inputs.GOOD] * 4, ["Center", "none"] * 2
    with bounded(), pytest.raises(InvalidParameterError, match=f"'{parameter}' parameter"):
        made.fit(maps, labels)


@pytest.mark.parametrize("name", bad_inputs.OPTIONS)
def test_bad_option_is_named_and_nothing_is_written(name, tmp_path):
    source = tmp_path / "wafers.npz"
    drawn = make_wafer_maps(6, random_state=0)
    save_wafer_maps(source, drawn.maps, drawn.target)
    with bounded():
        result = run(bad_inputs.OPTIONS[name], source, tmp_path / "out")
    assert result.exit_code == 2, (result.exit_code, result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    said = result.stderr.strip().splitlines()[-1]
    assert said.startswith("Error: ") and 20 < len(said) < 1000, said
    assert not [path for path in tmp_path.rglob("*") if path.suffix not in (".json", ".npz", "")]


def names_of_models():
    any_file = bad_inputs.safetensors({"__metadata__": {}, "weight": {"dtype": "F32"}}, bytes(64))
    return list(bad_inputs.model_files(any_file))


@pytest.mark.parametrize("name", names_of_models())
def test_bad_model_is_refused(name, model, tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(bad_inputs.model_files(model.read_bytes())[name])
    with bounded(), pytest.raises(ValueError, match=r"bad\.safetensors") as caught:
        load_model(bad)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("command", ["denoise", "classify", "evaluate", "report"])
@pytest.mark.parametrize("name", names_of_models())
def test_bad_model_is_named_by_every_command(name, command, model, tmp_path):
    bad, wafers = tmp_path / "bad.safetensors", tmp_path / "wafers.npz"
    bad.write_bytes(bad_inputs.model_files(model.read_bytes())[name])
    drawn = make_wafer_maps(6, random_state=0)
    save_wafer_maps(wafers, drawn.maps, drawn.target)
    with bounded():
        result = run([*COMMANDS[command], "--model", str(bad)], wafers, tmp_path / "out")
    assert result.exit_code == 2 and "bad.safetensors" in result.stderr, result.output
    assert isinstance(result.exception, SystemExit) and "Traceback" not in result.output
    assert not list(tmp_path.rglob("*.parquet")) and not list(tmp_path.rglob("*.html"))


def test_bad_input_corpus_is_large():
    n_maps, n_collections = len(bad_inputs.MAPS), len(bad_inputs.COLLECTIONS)
    n_files, n_models = len(bad_inputs.FILES), len(names_of_models())
    n_parameters, n_options = len(list(bad_parameters())), len(bad_inputs.OPTIONS)
    assert n_maps + n_collections + n_files + n_models + n_parameters + n_options >= 300
