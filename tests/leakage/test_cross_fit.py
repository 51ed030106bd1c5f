"""Cross-fitting: no wafer is explained by a net that was trained on it."""

import numpy as np
from leakage_stubs import (
    PixelClassifier,
    RecordingClassifier,
    RecordingDenoiser,
    two_sided_wafers,
)
from sklearn.model_selection import StratifiedKFold
from small_models import TINY

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.leakage import (
    leakage_report,
)


def test_cross_fit_explains_wafers_by_unseen_denoisers():
    maps, target = two_sided_wafers(60)
    groups = np.arange(60) // 3
    group_of = {id(grid): group for grid, group in zip(maps, groups, strict=True)}
    RecordingDenoiser.clones = []
    leakage_report(
        PixelClassifier(), RecordingDenoiser(cv=2), maps, target,
        cv=3, groups=groups, controls=["wrong class"], random_state=0,
    )  # fmt: skip
    assert len(RecordingDenoiser.clones) == 3 * (2 + 1)
    for denoiser in RecordingDenoiser.clones:
        seen, asked = ({group_of[i] for i in ids} for ids in (denoiser.seen, denoiser.asked))
        assert asked and not seen & asked


def test_cross_fit_training_wafers_equal_fit_transform(wafers):
    maps, target = wafers.maps, wafers.target
    denoiser = CamDenoiser(WaferClassifier(**TINY | {"max_epochs": 2}), cv=2)
    splitter = StratifiedKFold(2)
    RecordingClassifier.shown = []
    small = [np.resize(grid, (9, 9)) for grid in maps]  # all of one size
    report = leakage_report(
        RecordingClassifier(), denoiser, small, target, cv=splitter, controls=["equal area"]
    )
    train, test = next(splitter.split(small, target))
    clean = denoiser.fit_transform([small[row] for row in train], target[train])
    raw, denoised, _ = RecordingClassifier.shown[:3]
    np.testing.assert_array_equal(raw, [small[row] for row in train])
    np.testing.assert_array_equal(denoised, clean)
    after = denoiser.transform([small[row] for row in test])
    marked = report.predictions.query("fold == 0 and condition == 'denoised'")["marked"]
    assert marked.tolist() == [(grid == 2).sum() for grid in after]
