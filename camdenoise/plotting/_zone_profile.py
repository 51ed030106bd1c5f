"""Where on the wafer fails are kept, and whether those removed are spread evenly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from camdenoise._denoising import Explanation
from camdenoise._maps import NO_DIE, WaferMaps
from camdenoise._zone_profile import ZONES, count_by_zone, evenness_test, share_with_interval
from camdenoise.plotting._colours import die_colours
from camdenoise.plotting._explained import ExplainedWafer, FromExplanations, readable_wafers
from camdenoise.plotting._look import NOT_OF_PATTERN
from camdenoise.plotting._panels import panel_grid

_STYLES: dict[str, tuple[str, dict[str, Any]]] = {
    "kept": ("fail", {"marker": "o", "linestyle": "-", "label": "kept"}),
    "removed": ("removed", {"marker": "s", "linestyle": "--", "markeredgecolor": "0.2"}),
}
_AXIS_LABELS = {
    "ring": "ring, from the centre out",
    "sector": "sector, degrees clockwise from row 0",
}


class ZoneProfileDisplay(FromExplanations):
    """Share of the dies of each ring and sector whose fail is kept, and whose fail is removed.

    What is removed has no place if the denoiser is right: that line should be flat.

    Parameters
    ----------
    profile : DataFrame
        A row per zone: ``zones`` ("ring" or "sector"), ``zone`` (its number), ``n_dies``,
        ``n_kept``, ``n_removed``; ``kept``, the share of the dies that are kept fails, and
        ``removed``, that of the other dies that are removed fails, each with the ends of a 95 %
        interval, ``..._low`` and ``..._high``.
    p_values : mapping of str to float
        By "ring" and "sector", of the test whether removed fails are spread evenly.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (2,)
        Rings and sectors.
    figure_ : Figure

    Notes
    -----
    Rings are eight of equal width on a grid that is stretched to a round wafer, sectors eight of
    45 degrees; sector 0 has row 0 of the map in its middle.

    A die that is a kept fail can be no removed one. So removed fails are a share of the dies that
    are not kept fails: as many of these fail everywhere, however dense the pattern is, if the
    background is even and every die was rightly decided.

    The test puts each wafer's removed fails at random on those of its dies. It takes dies as
    independent, as the Wilson intervals do. Real backgrounds clump and rise to the edge, so that
    with dies enough it will not call them flat, whatever removed them.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.plotting import ZoneProfileDisplay
    >>> wafers = make_wafer_maps(25, classes=["Center"], random_state=0)
    >>> display = ZoneProfileDisplay.from_estimator(MedianFilter(), wafers.maps, random_state=0)
    >>> kept = display.profile.query("zones == 'ring'")["kept"]
    >>> bool(kept.iloc[1] > 10 * kept.iloc[6])
    True
    """

    def __init__(self, profile: pd.DataFrame, p_values: Mapping[str, float]):
        self.profile = profile
        self.p_values = p_values

    @classmethod
    def from_predictions(
        cls,
        maps: WaferMaps,
        explanations: Sequence[Explanation],
        *,
        random_state: Any = None,
        ax: Axes | Sequence[Axes] | None = None,
        **options: Any,
    ) -> ZoneProfileDisplay:
        """Count kept and removed fails by zone.

        Parameters
        ----------
        maps : collection of wafer maps
            The maps before denoising; their sizes may differ.
        explanations : sequence of Explanation, one per wafer
            What a denoiser's `explain` said of them. Those with an `error` are left out.
        random_state : int, RandomState instance or None, default=None
            For the test.
        ax : Axes or sequence of Axes, default=None
            As in `plot`.
        **options
            As in `plot`.

        Returns
        -------
        ZoneProfileDisplay

        Raises
        ------
        ValueError
            For lengths that do not match, an explanation of another map, or no readable map.
        """
        wafers = readable_wafers(maps, explanations)
        parts, p_values = [], {}
        for zones in ZONES:
            part, p_values[zones] = _profile(wafers, zones, random_state)
            parts.append(part)
        return cls(pd.concat(parts, ignore_index=True), p_values).plot(ax, **options)

    def plot(
        self, ax: Axes | Sequence[Axes] | None = None, *, palette: Any = "colorblind"
    ) -> ZoneProfileDisplay:
        """Draw both profiles, with 95 % intervals.

        Parameters
        ----------
        ax : Axes or sequence of Axes, default=None
            One, whose place is cut in two, or two; a new figure where None.
        palette : {"colorblind", "fab"} or mapping of str to colour, default="colorblind"
            As in `WaferMapDisplay.plot`.

        Returns
        -------
        self
        """
        self.axes_ = panel_grid(ax, (1, 2), figsize=(8.4, 3.4))[0]
        self.figure_ = self.axes_[0].figure
        colours = die_colours(palette)
        for panel, zones in zip(self.axes_, ZONES, strict=True):
            part = self.profile[self.profile["zones"] == zones]
            for column, (kind, style) in _STYLES.items():
                label = {} if column == "kept" else {"label": _removed_label(self.p_values[zones])}
                _draw_profile(panel, part, column, {"color": colours[kind]} | style | label)
            panel.set(xlabel=_AXIS_LABELS[zones], ylabel="share of the dies")
            panel.set_ylim(0, 1.25 * self.profile[["kept_high", "removed_high"]].max(axis=None))
            panel.yaxis.set_major_formatter("{x:.0%}")
            panel.legend(frameon=False, loc="upper center", fontsize="small")
        degrees = self.profile.loc[self.profile["zones"] == "sector", "zone"] * 45
        self.axes_[1].set_xticks(range(len(degrees)), degrees)
        return self


def _profile(
    wafers: Sequence[ExplainedWafer], zones: str, random_state: Any
) -> tuple[pd.DataFrame, float]:
    maps = [wafer.grid for wafer in wafers]
    dies, kept, removed = (
        count_by_zone(masks, maps, zones)
        for masks in (
            [grid != NO_DIE for grid in maps],
            [wafer.why.kept for wafer in wafers],
            [wafer.why.removed for wafer in wafers],
        )
    )
    n_dies, n_kept, n_removed = (counts.sum(axis=0) for counts in (dies, kept, removed))
    table = pd.DataFrame({"zones": zones, "zone": np.arange(len(n_dies)), "n_dies": n_dies})
    table = table.assign(n_kept=n_kept, n_removed=n_removed)
    shares = {"kept": (n_kept, n_dies), "removed": (n_removed, n_dies - n_kept)}
    for name, (counts, of) in shares.items():
        ends = share_with_interval(counts, of).add_prefix(f"{name}_")
        table = table.join(ends.rename(columns={f"{name}_share": name}))
    return table, evenness_test(removed, dies - kept, random_state=random_state)


def _removed_label(p_value: float) -> str:
    if np.isnan(p_value):
        return f"{NOT_OF_PATTERN}: none"
    return f"{NOT_OF_PATTERN} (evenly spread: p = {p_value:.3f})"


def _draw_profile(ax: Axes, part: pd.DataFrame, column: str, style: dict[str, Any]) -> None:
    middle = part[column]
    # Against rounding: an interval around 0 can begin a last bit above it.
    errors = np.maximum([middle - part[f"{column}_low"], part[f"{column}_high"] - middle], 0)
    ax.errorbar(part["zone"], middle, yerr=errors, ms=5, lw=1.6, capsize=2, **style)
