"""What a file of wafer maps must look like, and how it says what is wrong with it.

``cells`` holds the dies of all wafers end to end; wafer i takes ``cells[offset[i]:offset[i + 1]]``
in ``height[i]`` rows of ``width[i]`` dies. ``label`` and any further array hold one value per
wafer, ``truth`` one truth value per cell; single values are notes about the whole file.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from camdenoise.wafers._maps import FAIL

LAYOUT = ("cells", "offset", "height", "width", "label")
#: Arrays that do not hold one value per wafer.
NOT_PER_WAFER = ("cells", "offset", "truth")


def rebuild(what: str) -> str:
    """Add the remedy to what is wrong with a file."""
    return f"{what} Fetch the file again, or rebuild it with save_wafer_maps."


def _check_present(arrays: dict[str, np.ndarray]) -> None:
    missing = [name for name in LAYOUT if name not in arrays]
    if missing:
        raise ValueError(rebuild(f"arrays {missing} are missing; found {sorted(arrays)}."))


def _check_codes(cells: np.ndarray) -> None:
    if cells.dtype != np.uint8 or cells.ndim != 1:
        raise ValueError(
            rebuild(f"cells must be a 1-D uint8 array, got {cells.ndim}-D {cells.dtype}.")
        )
    wrong = np.flatnonzero(cells > FAIL)
    if wrong.size:
        raise ValueError(
            rebuild(
                f"cells holds the value {cells[wrong[0]]} at position {wrong[0]} (and "
                f"{wrong.size - 1} more); allowed are 0 (no die), 1 (pass) and 2 (fail)."
            )
        )


def _check_numbers(arrays: dict[str, np.ndarray], names: Iterable[str]) -> None:
    for name in names:
        if arrays[name].ndim != 1 or arrays[name].dtype.kind not in "iu":
            found = f"{arrays[name].ndim}-D {arrays[name].dtype}"
            raise ValueError(rebuild(f"{name} must be a 1-D array of integers, got {found}."))


def _check_lengths(arrays: dict[str, np.ndarray], n_wafers: int) -> None:
    if arrays["label"].dtype.kind != "U":
        raise ValueError(rebuild(f"label must hold text, got {arrays['label'].dtype}."))
    for name, values in arrays.items():
        if name in NOT_PER_WAFER or values.ndim == 0:
            continue
        if values.shape != (n_wafers,):
            raise ValueError(
                rebuild(
                    f"{name} has shape {values.shape}, but offset tells of {n_wafers} wafers; "
                    "there must be one value per wafer."
                )
            )


def _check_text(arrays: dict[str, np.ndarray]) -> None:
    """Refuse code points that are no characters: pandas and files cannot hold them."""
    for name, values in arrays.items():
        if values.dtype.kind != "U" or values.dtype.itemsize == 0:
            continue
        points = np.atleast_1d(np.ascontiguousarray(values)).view(values.dtype.str[0] + "u4")
        wrong = points[(points > 0x10FFFF) | ((points >= 0xD800) & (points <= 0xDFFF))]
        if wrong.size:
            raise ValueError(rebuild(f"{name} holds what is no text (code point {wrong[0]:#x})."))


def _check_offsets(offset: np.ndarray, n_cells: int) -> None:
    if offset.size == 0 or offset[0] != 0 or offset[-1] != n_cells:
        ends = f"from {offset[0]} to {offset[-1]}" if offset.size else "nowhere"
        raise ValueError(rebuild(f"offset runs {ends}; it must run from 0 to the {n_cells} cells."))


def _check_sizes(offset: np.ndarray, height: np.ndarray, width: np.ndarray) -> None:
    sizes = np.diff(offset.astype(np.int64))
    # uint16 sides would overflow when multiplied.
    wanted = height.astype(np.int64) * width.astype(np.int64)
    wrong = np.flatnonzero((sizes != wanted) | (height < 1) | (width < 1))
    if wrong.size:
        row = wrong[0]
        raise ValueError(
            rebuild(
                f"wafer {row}: offset gives it {sizes[row]} cells, but its grid is "
                f"{height[row]} x {width[row]}."
            )
        )


def _check_truth(truth: np.ndarray | None, cells: np.ndarray) -> None:
    if truth is None:
        return
    if truth.dtype != np.bool_ or truth.shape != cells.shape:
        raise ValueError(
            rebuild(f"truth must be bool with one value per cell, got {truth.dtype} {truth.shape}.")
        )
    wrong = np.flatnonzero(truth & (cells != FAIL))
    if wrong.size:
        raise ValueError(
            rebuild(f"truth marks cell {wrong[0]}, which is no fail (and {wrong.size - 1} more).")
        )


def check_layout(arrays: dict[str, np.ndarray]) -> None:
    """Refuse arrays that contradict each other or hold anything but die codes."""
    _check_present(arrays)
    _check_codes(arrays["cells"])
    _check_numbers(arrays, ("offset", "height", "width"))
    _check_text(arrays)
    _check_offsets(arrays["offset"], arrays["cells"].size)
    _check_lengths(arrays, arrays["offset"].size - 1)
    _check_sizes(arrays["offset"], arrays["height"], arrays["width"])
    _check_truth(arrays.get("truth"), arrays["cells"])
