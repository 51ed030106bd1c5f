"""What a collection of wafer maps is: die codes, checks, container kinds, model input.

A wafer map is a 2-D grid of die codes (0 no die, 1 pass, 2 fail). A map may be an array, a list of
rows or a torch tensor. Maps differ in size, so a collection of maps is one of these:

- a list, tuple, one-dimensional object array or Series of maps
- a 3-D array, for maps of one size
- a `RaggedWaferMaps`, for very many maps
- a DataFrame with LSWMD's column ``waferMap``
- a 2-D table, as rows of ``1 x p`` maps, because scikit-learn's generic tools pass one

A single map looks like a 2-D table. To refuse it, an estimator takes a table only if it was fitted
on one, and `fit` takes one only with labels, which tell the number of wafers.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from camdenoise._sklearn_compat import StrOptions
from camdenoise.wafers._ragged import RaggedWaferMaps, as_array, is_tensor

NO_DIE, PASS, FAIL = 0, 1, 2
#: Most dies on a side of a map from a file: a 300 mm wafer with dies of 0.1 mm has 3,000. A larger
#: number is an error in the file, and would take memory for empty cells.
MAX_SIDE = 4096

#: LSWMD's column of maps.
LSWMD_MAPS = "waferMap"
# Entries of a column that are checked for a map; the first ones may be missing.
_N_CHECKED = 10
# Largest share of cells without a die in the middle half of a grid if 0 means "no die". Test
# structures and a notch take some 2 %.
_MOST_HOLES = 0.1
# Maps whose middle is checked; more take time and do not change the answer.
_ENOUGH_MAPS = 1000
# Shortest side, in dies, of a map that has a middle.
_SHORTEST_SIDE = 4
# Whether the running call has checked its maps for odd codes already; None outside of such a call.
_CHECKED: ContextVar[list[bool] | None] = ContextVar("camdenoise_checked", default=None)

#: Any of the kinds of collection named in the module's docstring.
WaferMaps: TypeAlias = Sequence[np.ndarray] | np.ndarray | pd.Series


class WaferMapError(ValueError):
    """A wafer map that cannot be read; the message names the row, the value and the remedy.

    Parameters
    ----------
    row : int
        Position of the wafer in the collection.
    reason : str
        What is wrong with it and how to correct it.
    """

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"wafer map {row}: {reason}")
        self.row = row
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.row, self.reason)


def check_wafer_map(item: Any, row: int = 0) -> np.ndarray:
    """Read one wafer map.

    Parameters
    ----------
    item : array-like or torch tensor of shape (height, width)
        Die codes 0, 1 and 2, of any number type.
    row : int, default=0
        Position of the map, for the error message.

    Returns
    -------
    ndarray of uint8, shape (height, width)
        The input itself where it is already of that type.

    Raises
    ------
    WaferMapError
        For an item that is not a 2-D grid of the codes 0, 1 and 2.
    """
    return _read_map(item, row)[0]


def _read_map(item: Any, row: int) -> tuple[np.ndarray, bool]:
    """Read one wafer map, and tell whether it is boolean."""
    try:
        grid = as_array(item)
    except ValueError as error:
        raise WaferMapError(row, "its rows have different lengths; fill up with 0") from error
    if grid.ndim != 2 or grid.size == 0:
        raise WaferMapError(
            row,
            f"expected a non-empty 2-D grid of die codes, got shape {grid.shape}. "
            "Pass one (height, width) array per wafer.",
        )
    if grid.dtype == np.uint8 and grid.max() <= FAIL:
        return grid, False
    return _to_codes(grid, row), grid.dtype == bool


def _to_codes(grid: np.ndarray, row: int) -> np.ndarray:
    """Convert any number type, or say which cell is not a die code."""
    values = _to_numbers(grid, row)
    wrong = ~np.isin(values, (NO_DIE, PASS, FAIL))
    if wrong.any():
        y, x = np.argwhere(wrong)[0]
        raise WaferMapError(
            row,
            f"value {grid[y, x]} at row {y}, column {x}"
            + (f" (and {wrong.sum() - 1} more)" if wrong.sum() > 1 else "")
            + "; allowed are 0 (no die), 1 (pass) and 2 (fail). Recode bins and fill "
            "missing cells first, for example with np.where.",
        )
    return values.astype(np.uint8)


def _to_numbers(grid: np.ndarray, row: int) -> np.ndarray:
    refusal = WaferMapError(row, f"die codes must be numbers 0, 1 or 2, got {grid.dtype}")
    if grid.dtype.kind not in "biufO":
        raise refusal
    try:
        return grid.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise refusal from error


def is_table(X: Any) -> bool:
    """Tell whether `X` is a 2-D table of numbers rather than a collection of maps."""
    if isinstance(X, pd.DataFrame) or sparse.issparse(X):
        return True
    return bool(getattr(X, "ndim", None) == 2)


def check_wafer_maps(X: WaferMaps, *, min_maps: int = 1) -> Sequence[np.ndarray]:
    """Read a collection of wafer maps.

    Parameters
    ----------
    X : list, tuple, object array or Series of 2-D maps, 3-D array or RaggedWaferMaps
        The wafers; their sizes may differ.
    min_maps : int, default=1
        Smallest number of maps.

    Returns
    -------
    sequence of ndarray of uint8
        One 2-D grid per wafer: a list, or `X` itself where that is a `RaggedWaferMaps`.

    Warns
    -----
    UserWarning
        For boolean maps, and for maps without a fail that have 0 where dies must be.

    Raises
    ------
    WaferMapError
        For the first map that cannot be read.
    ValueError
        For something that is not a collection of maps, or too few maps.

    Examples
    --------
    >>> check_wafer_maps([[[0, 1], [2, 1]]])[0].dtype
    dtype('uint8')
    >>> check_wafer_maps([[[0, 1], [7, 1]]])
    Traceback (most recent call last):
        ...
    camdenoise.wafers._maps.WaferMapError: wafer map 0: value 7 at row 1, column 0; ...
    """
    items = map_items(X, min_maps=min_maps)
    if isinstance(items, RaggedWaferMaps) and items.largest_code <= FAIL:
        if items.largest_code < FAIL:
            _warn_of_odd_codes(items, 0)
        return items
    read = [_read_map(item, row) for row, item in enumerate(items)]
    grids = [grid for grid, _ in read]
    _warn_of_odd_codes(grids, sum(is_boolean for _, is_boolean in read))
    return grids


def read_readable_maps(X: WaferMaps) -> tuple[list[np.ndarray], list[str | None]]:
    """Read a collection of which some maps may be unreadable.

    Returns
    -------
    maps : list of ndarray of uint8
        Those that can be read.
    errors : list of str or None
        One per wafer: why it cannot be read.

    Warns
    -----
    UserWarning
        As `check_wafer_maps` does.
    """
    maps: list[np.ndarray] = []
    errors: list[str | None] = []
    n_boolean = 0
    for row, item in enumerate(map_items(X)):
        try:
            grid, is_boolean = _read_map(item, row)
        except WaferMapError as error:
            errors.append(str(error))
        else:
            maps.append(grid)
            errors.append(None)
            n_boolean += is_boolean
    _warn_of_odd_codes(maps, n_boolean)
    return maps, errors


@contextmanager
def warn_once() -> Iterator[None]:
    """Check only the first collection that the block reads for odd codes.

    A fit reads its wafers several times, and parts of them; one warning is enough.
    """
    token = _CHECKED.set(_CHECKED.get() or [False])
    try:
        yield
    finally:
        _CHECKED.reset(token)


def _warn_of_odd_codes(grids: Sequence[np.ndarray], n_boolean: int) -> None:
    """Warn if 0 and 1 may have meant pass and fail."""
    checked = _CHECKED.get()
    if checked is not None:
        if checked[0]:
            return
        checked[0] = True
    if n_boolean:
        some = f"{n_boolean} of the {len(grids)}" if n_boolean < len(grids) else f"the {n_boolean}"
        subject = f"{some} maps are" if len(grids) > 1 else "the map is"
        warn_caller(
            f"{subject} boolean: True was read as pass (1) and False as no die (0). If True means "
            "a failing die in your maps, recode them, for example np.where(mask, 2, 1)."
        )
    elif _has_holes_but_no_fails(grids):
        subject = f"no map of the {len(grids)} holds" if len(grids) > 1 else "the map does not hold"
        warn_caller(
            f"{subject} a failing die (2): 0 was read as no die and 1 as pass. If 1 means a "
            "failing die in your maps, recode them, for example np.where(mask, 2, 1)."
        )


def _has_holes_but_no_fails(grids: Sequence[np.ndarray]) -> bool:
    # Maps without any die are not judged here.
    if _largest_code(grids) != PASS:
        return False
    n_cells = n_holes = 0
    for row in range(0, len(grids), max(1, len(grids) // _ENOUGH_MAPS)):
        height, width = grids[row].shape
        if min(height, width) >= _SHORTEST_SIDE:
            middle = grids[row][height // 4 : -(height // 4), width // 4 : -(width // 4)]
            n_cells += middle.size
            n_holes += int(np.count_nonzero(middle == NO_DIE))
    return n_holes > _MOST_HOLES * n_cells


def _largest_code(grids: Sequence[np.ndarray]) -> int:
    """Return the largest code. Nearly always the first map has a fail, so that it ends there."""
    if isinstance(grids, RaggedWaferMaps):
        return grids.largest_code
    largest = NO_DIE
    for grid in grids:
        largest = max(largest, int(grid.max()))
        if largest == FAIL:
            break
    return largest


def warn_caller(message: str) -> None:
    """Warn at the line that called this package, however deep in it the maps are read."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_inner(frame):
        frame = frame.f_back
        level += 1
    warnings.warn(message, UserWarning, stacklevel=level)


def _is_inner(frame: Any) -> bool:
    name = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in ("camdenoise", "sklearn", "joblib", "contextlib")


def check_lengths(values: Any, n_wafers: int, name: str) -> None:
    """Refuse values that are not one per wafer."""
    if len(values) != n_wafers:
        raise ValueError(
            f"{name} has {len(values)} entries for {n_wafers} wafer maps; pass one per wafer."
        )


def check_die_arrays(arrays: Any, grids: Sequence[np.ndarray], name: str) -> list[np.ndarray]:
    """Read one array per wafer, each of its map's shape."""
    check_lengths(arrays, len(grids), name)
    read = [np.asarray(array) for array in arrays]
    for row, (array, grid) in enumerate(zip(read, grids, strict=True)):
        if array.shape != grid.shape:
            raise ValueError(
                f"wafer map {row}: {name} has shape {array.shape}, the map has {grid.shape}. "
                "Pass an array on the map's own die grid, and leave out unreadable maps."
            )
    return read


def check_die_masks(masks: Any, grids: Sequence[np.ndarray], name: str) -> list[np.ndarray]:
    """Read one boolean mask per wafer, each of its map's shape."""
    read = check_die_arrays(masks, grids, name)
    for row, mask in enumerate(read):
        if mask.dtype != bool:
            raise ValueError(
                f"wafer map {row}: {name} must be a boolean mask, got {mask.dtype}. "
                "From a denoised map take `denoised == 2`."
            )
    return read


def as_collection(X: Any) -> Any:
    """Convert `X` to something that can be read twice and gives its rows.

    - an iterator: the list of its items
    - a torch tensor, an object with ``__array__``, a list of equally long lists of numbers: an
      array
    - a DataFrame: LSWMD's column of maps
    - anything else: as it is

    Raises
    ------
    ValueError
        For a DataFrame with maps in other columns; the message names them.
    """
    if isinstance(X, Iterator):
        return list(X)
    if is_tensor(X):
        return as_array(X)
    if isinstance(X, pd.DataFrame):
        return _column_of_maps(X)
    known = isinstance(X, np.ndarray | pd.Series | pd.DataFrame | RaggedWaferMaps)
    arraylike = hasattr(X, "__array__") and not known
    return np.asarray(X) if arraylike or _is_written_table(X) else X


def _column_of_maps(table: pd.DataFrame) -> pd.Series | pd.DataFrame:
    """Take LSWMD's maps out of a table, or name the columns that hold maps."""
    columns = [name for name in table.columns if _holds_maps(table[name])]
    if LSWMD_MAPS in columns:
        return table[LSWMD_MAPS]
    if columns:
        names = " and ".join(map(repr, columns[:5]))
        subject = f"column {names} holds" if len(columns) == 1 else f"columns {names} hold"
        raise ValueError(
            f"X is a table, and its {subject} wafer maps: pass one column, X[{columns[0]!r}]."
        )
    return table


def _holds_maps(column: pd.Series | pd.DataFrame) -> bool:
    """Tell whether one of the first entries of a column is a 2-D grid of numbers."""
    if column.ndim != 1 or column.dtype != object:
        return False
    return any(_is_grid(item) for item in column.iloc[:_N_CHECKED])


def _is_grid(item: Any) -> bool:
    if not isinstance(item, np.ndarray | list | tuple) and not is_tensor(item):
        return False
    try:
        grid = as_array(item)
    except ValueError:
        return False
    # Nested labels, as LSWMD's [['none']], are two-dimensional, too.
    return grid.ndim == 2 and grid.size > 0 and grid.dtype.kind in "biuf"


def _is_written_table(X: Any) -> bool:
    rows = X if isinstance(X, list) else []
    return all(map(_is_written_row, rows)) and len({len(row) for row in rows}) == 1


def _is_written_row(row: Any) -> bool:
    return isinstance(row, list) and not any(isinstance(v, Sequence | np.ndarray) for v in row)


def map_items(X: WaferMaps, *, min_maps: int = 1) -> Sequence[Any]:
    """List the wafers of a collection without reading them; refuse anything else."""
    X = as_collection(X)
    if is_table(X):
        raise ValueError(
            "Expected a collection of wafer maps, got one 2-D array. "
            "Wrap a single wafer map in a list: [wafer_map]."
        )
    if (
        isinstance(X, str | bytes | dict)
        or not isinstance(X, Iterable)
        or getattr(X, "ndim", 1) == 0
    ):
        raise ValueError(
            f"Expected a collection of wafer maps, got {type(X).__name__}. Pass a list, object "
            "array or Series of 2-D maps, or a 3-D array."
        )
    items = X if isinstance(X, RaggedWaferMaps) else list(X)
    if len(items) < min_maps:
        raise ValueError(
            f"Found {len(items)} wafer map(s) (n_samples={len(items)}) while a minimum of "
            f"{min_maps} is required."
        )
    return items


def convert_like(X: WaferMaps, maps: list[np.ndarray]) -> WaferMaps:
    """Convert `maps` to the kind of collection that `X` is, row for row.

    Parameters
    ----------
    X : list, tuple, object array, Series, DataFrame, 2-D or 3-D array, RaggedWaferMaps
        The collection that a user passed.
    maps : list of ndarray
        One map per row of `X`, each of its row's shape.

    Returns
    -------
    same kind as `X`
        A Series keeps its index and name. Tensors and nested lists come back as arrays.
    """
    if isinstance(X, RaggedWaferMaps):
        return RaggedWaferMaps.from_maps(maps)
    if isinstance(X, pd.Series):
        return pd.Series(_object_array(maps), index=X.index, name=X.name)
    if is_table(X):
        return np.concatenate(maps, axis=0)
    if isinstance(X, np.ndarray):
        return _object_array(maps) if X.ndim == 1 else np.stack(maps)
    if isinstance(X, tuple):
        return tuple(maps)
    return maps


def _object_array(maps: list[np.ndarray]) -> np.ndarray:
    column = np.empty(len(maps), dtype=object)
    for row, grid in enumerate(maps):
        column[row] = grid
    return column


def remove_fails(item: Any, removed: np.ndarray) -> np.ndarray:
    """Copy a map, in its own number type, with the removed fails marked as pass."""
    grid = np.array(as_array(item), copy=True)
    grid[removed] = PASS
    return grid


class WaferMapInput:
    """Input handling that all estimators share: reading, tags, the rule for 2-D tables."""

    def _read_maps(self, X: Any, *, reset: bool, min_maps: int = 1) -> Sequence[np.ndarray]:
        """Read `X`; with `reset` (in fit) remember whether it was a 2-D table."""
        X = as_collection(X)
        if self._takes_table(X, reset):
            table = validate_data(self, X, reset=reset, ensure_min_samples=min_maps)
            return self._maps_of_table(table)
        if reset and hasattr(self, "n_features_in_"):
            del self.n_features_in_
        return check_wafer_maps(X, min_maps=min_maps)

    def _takes_table(self, X: Any, reset: bool) -> bool:
        # A 1-D array of numbers counts too: scikit-learn's message for it says how to reshape.
        numbers = isinstance(X, np.ndarray) and X.ndim < 2 and X.dtype != object
        return (is_table(X) or numbers) and (reset or hasattr(self, "n_features_in_"))

    def _maps_of_table(self, table: np.ndarray) -> Sequence[np.ndarray]:
        return check_wafer_maps(table[:, np.newaxis, :])

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags


class StatelessInput(WaferMapInput, BaseEstimator):
    """Input handling of an estimator with nothing to learn and a parameter `on_error`."""

    _parameter_constraints: dict[str, list[Any]] = {"on_error": [StrOptions({"raise", "keep"})]}

    def fit(self, X: WaferMaps, y: Any = None) -> Self:
        """Check the parameters and the maps; there is nothing to learn.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).
        y : object, default=None
            Ignored; it exists for scikit-learn's pipelines.

        Returns
        -------
        self

        Raises
        ------
        WaferMapError
            For a map that cannot be read, also with ``on_error="keep"``.
        ValueError
            For a bad parameter.
        """
        self._validate_params()
        self._read_maps(X, reset=True)
        return self

    def _takes_table(self, X: Any, reset: bool) -> bool:
        """Refuse 2-D tables: without labels, one map cannot be told from many rows."""
        return False

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        return tags
