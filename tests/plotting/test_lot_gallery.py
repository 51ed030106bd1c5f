"""The gallery of a lot."""

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pytest
from explained_lots import shown
from matplotlib.colors import to_rgb

from camdenoise.plotting import (
    PALETTES,
    LotGalleryDisplay,
)


def test_gallery_shows_each_wafer_before_and_after(lot):
    maps, _, why = lot
    display = LotGalleryDisplay.from_predictions(maps, why)
    assert display.axes_.shape == (2, 8)
    fail, removed = (
        np.round(255 * np.array(to_rgb(PALETTES["colorblind"][kind])))
        for kind in ("fail", "removed")
    )
    for row, (before, after) in enumerate(display.axes_.T):
        assert ((shown(before)[..., :3] == fail).all(-1) == (maps[row] == 2)).all()
        assert ((shown(after)[..., :3] == fail).all(-1) == why[row].kept).all()
        assert ((shown(after)[..., :3] == removed).all(-1) == why[row].removed).all()
        assert before.get_title() == f"{row}: {(maps[row] == 2).sum()} fails"
        assert after.get_title() == f"{why[row].label} 0.90\n{why[row].kept.sum()} kept"
    with pytest.raises(ValueError, match="names has 2 entries"):
        LotGalleryDisplay.from_predictions(maps, why, names=["1", "2"])


def test_gallery_is_read_like_text(lot):
    maps, _, why = lot
    display = LotGalleryDisplay.from_predictions(maps[:5], why[:5])  # three and two
    display.figure_.canvas.draw()
    for half in display.axes_:
        left, middle, right, *below = (ax.get_position() for ax in half)
        assert left.x1 <= middle.x0 and middle.x1 <= right.x0
        assert max(box.y1 for box in below) < min(left.y0, middle.y0, right.y0)
    assert max(ax.get_position().x1 for ax in display.axes_[0]) <= left.x0
