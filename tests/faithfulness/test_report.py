"""The report on faithfulness."""

import numpy as np
import pandas as pd
import pytest
from first_column import first_column, wafer
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser
from camdenoise.faithfulness import (
    CURVES,
    RANDOM,
    area_under_curve,
    deletion_curves,
    faithfulness_curves,
    faithfulness_report,
)


def test_report_has_a_row_per_method(clf, ragged):
    truth = [(first_column(grid) > 0) & (grid == 2) for grid in ragged]
    maps, truth = [*ragged, np.ones((3, 3), int)], [*truth, np.zeros((3, 3), bool)]
    saliencies = {"perfect": [first_column(grid) for grid in maps]}
    options = {"truth": truth, "n_steps": 6, "targets": ["line"] * len(maps)}
    report = faithfulness_report(clf, maps, saliencies, random_state=0, **options)
    assert report["method"].tolist() == ["perfect", RANDOM] * 6
    assert (report["wafers"] == len(ragged)).all()
    curves = faithfulness_curves(
        clf, maps, saliencies, n_steps=6, targets=options["targets"], random_state=0
    )
    for _, row in report.iterrows():
        if row["metric"] in CURVES:
            areas = {name: area_under_curve(c) for name, c in curves[row["metric"]].items()}
            assert row["mean"] == pytest.approx(np.nanmean(areas[row["method"]]))
            gain = np.nanmean(areas[row["method"]] - areas[RANDOM])
            assert row["difference"] == pytest.approx(gain)
    ours = report[report["method"] == "perfect"]
    sign = np.where(ours["better"] == "lower", -1, 1)
    assert (sign * ours["difference"] > 0.15).all()
    assert (np.sign(ours["difference_low"]) == np.sign(ours["difference_high"])).all()
    assert ((report["low"] <= report["mean"]) & (report["mean"] <= report["high"])).all()
    again = faithfulness_report(clf, maps, saliencies, random_state=0, **options)
    pd.testing.assert_frame_equal(report, again)
    to_itself = faithfulness_report(clf, maps, saliencies, reference="perfect", **options)
    assert (to_itself["difference"][to_itself["method"] == "perfect"] == 0).all()
    without = faithfulness_report(clf, maps[:1], {}, n_steps=2)
    assert set(without["metric"]) == set(CURVES) and without["low"].isna().all()


def test_report_accepts_a_trained_net(classifier, wafers):
    test = wafers.maps[:24]
    explained = CamDenoiser(FrozenEstimator(classifier)).fit(test).explain(test)
    saliencies = {"layercam": [why.saliency for why in explained]}
    options = {"curves": ["deletion", "insertion"], "n_steps": 5, "random_state": 0}
    found = faithfulness_curves(classifier, test, saliencies, **options)
    for by_method in found.values():
        for values in by_method.values():
            assert ((0 <= values) & (values <= 1)).all()
    ends = found["deletion"]["layercam"][:, 0], found["insertion"][RANDOM][:, -1]
    probability = [why.probability for why in explained]
    np.testing.assert_allclose(ends, [probability] * 2, atol=1e-5)


def test_report_reports_progress(clf, capsys):
    deletion_curves(clf, [wafer()], [np.ones((4, 3))], progress=True)
    assert "wafer" in capsys.readouterr().err
    deletion_curves(clf, [wafer()], [np.ones((4, 3))])
    assert capsys.readouterr().err == ""
