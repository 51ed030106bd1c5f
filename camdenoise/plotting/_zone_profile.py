"""Where on the wafer fails are kept, and whether those removed are spread evenly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from camdenoise.lots._zone_profile import (
    ZONES,
    count_by_zone,
    evenness_test,
    expected_removed,
    share_with_interval,
)
from camdenoise.plotting._explained import ExplainedWafer, FromExplanations, select_readable
from camdenoise.plotting._look import die_colors, panel_grid
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import NO_DIE, WaferMaps

_STYLES: dict[str, tuple[str, dict[str, Any]]] = {
    "kept": ("fail", {"marker": "o", "linestyle": "-"}),
    "removed": ("removed", {"marker": "s", "linestyle": "--", "markeredgecolor": "0.2"}),
}
_AXIS_LABELS = {
    "ring": "ring, from the center out",
    "sector": "sector, degrees from row 0",
}


class ZoneProfileDisplay(FromExplanations):
    """Share of the dies of each ring and sector whose fail is kept, and whose fail is removed.

    Removed fails have no place if the denoiser is right: their line should be flat.

    Parameters
    ----------
    profile : DataFrame
        A row per zone: ``zones`` ("ring" or "sector"), ``zone`` (its number), ``n_dies``,
        ``n_kept``, ``n_removed``; ``kept``, the share of the dies that are kept fails, and
        ``removed``, that of the other dies that are removed fails (see Notes), each with the ends
        of a 95 % interval, ``..._low`` and ``..._high``.
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

    Removed fails are a share of the dies that are not kept fails. This share is the same in all
    zones if the background is even and every decision is right, however dense the pattern is. The
    free dies of wafers with few and with many random fails may lie in different zones. So the share
    of all zones is multiplied by the ratio of a zone's removed fails to those expected if each
    wafer's are spread evenly.

    The test puts each wafer's removed fails at random on those of its dies. It takes dies as
    independent, as the Wilson intervals do. With dies enough it finds that real backgrounds clump
    and rise to the edge, and that random fails amid a pattern are kept with it.

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
            Result of a denoiser's `explain`. Those with an `error` are left out, and those
            that abstained: what they keep is not said to be of a pattern.
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
            For lengths that do not match, an explanation of another map, or no wafer
            that was decided about.
        """
        wafers = [w for w in select_readable(maps, explanations) if not w.explanation.abstained]
        if not wafers:
            raise ValueError(
                "The denoiser abstained on every wafer, so nothing is known of where its fails "
                "belong. Pass wafers with a pattern."
            )
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
            One, whose place is cut in two, or two; None: a new figure.
        palette : {"colorblind", "fab"} or mapping of str to color, default="colorblind"
            As in `WaferMapDisplay.plot`.

        Returns
        -------
        self
        """
        self.axes_ = panel_grid(ax, (1, 2), figsize=(8.4, 3.4))[0]
        self.figure_ = self.axes_[0].figure
        colors = die_colors(palette)
        top = np.nan_to_num(self.profile[["kept_high", "removed_high"]]).max() or 1
        for panel, zones in zip(self.axes_, ZONES, strict=True):
            part = self.profile[self.profile["zones"] == zones]
            labels = {"kept": "kept", "removed": _removed_label(self.p_values[zones])}
            for column, (kind, style) in _STYLES.items():
                _draw_profile(
                    panel, part, column, color=colors[kind], label=labels[column], **style
                )
            panel.set_xlabel(_AXIS_LABELS[zones])
            panel.set_ylim(0, 1.25 * top)
            panel.yaxis.set_major_formatter(PercentFormatter(1))
            panel.legend(frameon=False, loc="upper center", fontsize="small")
        self.axes_[0].set_ylabel("share of the dies")
        degrees = self.profile.loc[self.profile["zones"] == "sector", "zone"] * 45
        self.axes_[1].set_xticks(range(len(degrees)), degrees, fontsize="small")
        return self


def _profile(
    wafers: Sequence[ExplainedWafer], zones: str, random_state: Any
) -> tuple[pd.DataFrame, float]:
    maps = [wafer.grid for wafer in wafers]
    dies, kept, removed = (
        count_by_zone(masks, maps, zones)
        for masks in (
            [grid != NO_DIE for grid in maps],
            [wafer.explanation.kept for wafer in wafers],
            [wafer.explanation.removed for wafer in wafers],
        )
    )
    free = dies - kept
    n_dies, n_kept, n_removed, n_free = (c.sum(axis=0) for c in (dies, kept, removed, free))
    shares = [
        share_with_interval(n_kept, n_dies),
        share_with_interval(n_removed, n_free).mul(_correct_uneven_wafers(removed, free), axis=0),
    ]
    table = pd.DataFrame({"zones": zones, "zone": np.arange(len(n_dies)), "n_dies": n_dies})
    table = table.assign(n_kept=n_kept, n_removed=n_removed)
    for name, columns in zip(_STYLES, shares, strict=True):
        ends = {"low": f"{name}_low", "high": f"{name}_high"}
        table = table.join(columns.rename(columns={"share": name} | ends))
    return table, evenness_test(removed, free, random_state=random_state)


def _correct_uneven_wafers(removed: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Give the factors that make zones equal where each wafer's removed fails are even."""
    expected = expected_removed(removed, free)
    overall = removed.sum() / max(free.sum(), 1)
    ones = np.ones(len(expected))
    return np.divide(overall * free.sum(axis=0), expected, out=ones, where=expected > 0)


def _removed_label(p_value: float) -> str:
    return "none removed" if np.isnan(p_value) else f"removed (even: p = {p_value:.3f})"


def _draw_profile(ax: Axes, part: pd.DataFrame, column: str, **style: Any) -> None:
    middle = part[column]
    # Against rounding: an interval of 0 can begin a last bit above it.
    errors = np.maximum([middle - part[f"{column}_low"], part[f"{column}_high"] - middle], 0)
    ax.errorbar(part["zone"], middle, yerr=errors, ms=5, lw=1.6, capsize=2, **style)
