"""
Patterns that have no name yet
==============================

A classifier knows the patterns that it was trained on. Wafers that look like none of them lie about
in every fab; what they have in common is worth a name. Here some wafers of a pile fail in one half,
and some along a cross; neither is a class of WM-811K.
"""

import matplotlib.pyplot as plt
import numpy as np

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.plotting import WaferMapDisplay
from camdenoise.similarity import WaferEmbedding, discover_patterns, similar_wafers

rng = np.random.default_rng(0)


def half(y, x):
    return x > 0.1


def cross(y, x):
    return (abs(y) < 0.12) | (abs(x) < 0.12)


def wafer(pattern):
    """Make a wafer of some size; a twelfth of its dies says the contrary of what it is."""
    y, x = np.meshgrid(*[np.linspace(-1, 1, rng.integers(24, 50))] * 2, indexing="ij")
    grid = np.where(y**2 + x**2 > 1, 0, 1 + pattern(y, x)).astype(np.uint8)
    wrong = (rng.random(grid.shape) < 1 / 12) & (grid > 0)
    return np.where(wrong, 3 - grid, grid)


maps = [wafer(half) for _ in range(30)] + [wafer(cross) for _ in range(30)]
maps += list(make_wafer_maps(20, classes=["none"], random_state=0).maps)

# %%
# What the bundled model makes of them
# ------------------------------------
#
# It names what comes nearest, or abstains. That is what a list of known classes can do.

denoiser = CamDenoiser.from_pretrained("wm811k")
explanations = denoiser.explain(maps)
for kind, rows in {"half": range(30), "cross": range(30, 60), "none": range(60, 80)}.items():
    labels, counts = np.unique([explanations[row].label for row in rows], return_counts=True)
    print(kind, dict(zip(labels.tolist(), counts.tolist(), strict=True)))

# %%
# Groups among them
# -----------------
#
# Wafers are compared by where their fails are, whatever their grid. A group that is found again
# among other draws of the wafers is stable.

proposed = discover_patterns(maps, random_state=0)
_, axes = plt.subplots(1, len(proposed) + 1, figsize=(9, 3.2), layout="constrained")
for number, (pattern, ax) in enumerate(zip(proposed, axes, strict=False), 1):
    ax.imshow(pattern.mean_map, cmap="cividis", vmin=0, vmax=1)
    ax.set_title(
        f"proposed {number}: {pattern.n_wafers} wafers\nstability {pattern.stability:.2f}",
        fontsize=10,
    )
    ax.set_axis_off()
WaferMapDisplay(maps[proposed[0].members[0]]).plot(ax=axes[-1])
axes[-1].set_title("the most typical of 1", fontsize=10)

# %%
# And the nearest wafers to one of them
# -------------------------------------

vectors = WaferEmbedding().fit_transform(maps)
print(similar_wafers(vectors, [35], n_neighbors=5).round(3).to_string(index=False))
