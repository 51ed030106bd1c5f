"""Curves of faithfulness: how the class's probability falls as dies are changed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from camdenoise.plotting._look import BASELINE, LINES


def plot_faithfulness_curves(
    curves: Mapping[str, np.ndarray],
    *,
    fractions: np.ndarray | None = None,
    baseline: str = "random",
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean curve of each method over wafers, with a band.

    Parameters
    ----------
    curves : dict of str to ndarray of float, shape (n_wafers, n_points)
        By method, as `camdenoise.faithfulness.faithfulness_curves` gives them for one kind of
        curve. Wafers whose curve is NaN are left out.
    fractions : ndarray of float, shape (n_points,), default=None
        Share of the dies changed at each point; equal steps from 0 to 1 where None.
    baseline : str, default="random"
        Method to draw as a broad gray line.
    ax : Axes, default=None
        Where to draw; None: a new figure.

    Returns
    -------
    Axes
        The band is the mean plus and minus 1.96 standard errors; the legend gives the mean area.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.plotting import plot_faithfulness_curves
    >>> curves = {"gradcam": np.array([[1, 0.2, 0], [1, 0.6, 0]]), "random": np.eye(3)}
    >>> ax = plot_faithfulness_curves(curves)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['gradcam (0.45)', 'random (0.33)']
    """
    # Not above: who draws something else need not wait for all that measures faithfulness.
    from camdenoise.faithfulness import area_under_curve

    ax = plt.subplots()[1] if ax is None else ax
    lines = cycle(LINES)
    for name, values in curves.items():
        known = values[np.isfinite(values).all(axis=1)]
        x = np.linspace(0, 1, values.shape[1]) if fractions is None else fractions
        mean, error = known.mean(axis=0), known.std(axis=0) / np.sqrt(len(known))
        color, dashes = BASELINE if name == baseline else next(lines)
        label = f"{name} ({area_under_curve(known).mean():.2f})"
        width = 4 if name == baseline else 1.8
        ax.plot(x, mean, color=color, linestyle=dashes, lw=width, label=label)
        ax.fill_between(x, mean - 1.96 * error, mean + 1.96 * error, color=color, alpha=0.15, lw=0)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="share of the dies changed")
    ax.set_ylabel("probability of the class")
    ax.legend(frameon=False)
    return ax
