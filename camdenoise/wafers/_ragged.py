"""Many wafer maps of different sizes in one array: a map costs its dies, not a Python object.

A list of 800,000 small arrays takes 100 bytes for each array on top of its dies, and as many
objects to create and to send to another process. Here all dies lie end to end in one array, which
may be a file mapped into memory. A map is cut out of it when it is used.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _cut(flat: np.ndarray, start: int, height: int, width: int) -> np.ndarray:
    return flat[start : start + height * width].reshape(height, width)


def _base_address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _file_of(cells: np.ndarray) -> tuple[str, int] | None:
    """Return the file and byte position that `cells` is mapped from; None for cells in memory."""
    if not isinstance(cells, np.memmap) or cells.filename is None:
        return None
    whole = cells
    while isinstance(whole.base, np.memmap):
        whole = whole.base
    # A slice of a memmap keeps the offset of the whole.
    return str(cells.filename), whole.offset + _base_address(cells) - _base_address(whole)


def _from_file(file: str, offset: int, size: int, *rest: Any) -> RaggedWaferMaps:
    cells = np.memmap(file, np.uint8, "r", offset, (size,))
    return RaggedWaferMaps._from_parts(cells, *rest)


def is_tensor(item: Any) -> bool:
    """Tell whether an object is a torch tensor, without the second that importing torch takes."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(item, torch.Tensor)


def as_array(item: Any) -> np.ndarray:
    """Convert anything array-like, a torch tensor from any device included.

    Raises
    ------
    ValueError
        For rows of different lengths.
    """
    if is_tensor(item):
        values = item.detach().cpu()
        # numpy has neither bfloat16 nor sparse tensors.
        lacking = str(values.dtype) == "torch.bfloat16"
        return (values.float() if lacking else values).to_dense().numpy()
    array = np.asarray(item)
    if array.dtype == object and array.ndim == 1:
        # Parquet gives a nested list back as an array of arrays.
        array = np.asarray(array.tolist())
    return array


def _as_cells(item: Any, row: int) -> np.ndarray:
    """Convert one map to uint8, or refuse it."""
    try:
        grid = as_array(item)
    except ValueError as error:
        raise ValueError(f"wafer map {row}: its rows have different lengths.") from error
    if grid.ndim != 2 or grid.size == 0:
        raise ValueError(
            f"wafer map {row}: expected a non-empty 2-D grid of die codes, got shape {grid.shape}."
        )
    if grid.dtype == np.uint8:
        return grid
    if grid.dtype.kind not in "buif" or not ((grid >= 0) & (grid <= 255) & (grid % 1 == 0)).all():
        raise ValueError(
            f"wafer map {row}: die codes must be the numbers 0, 1 or 2, got {grid.dtype} with "
            "other values. Recode bins and fill missing cells first, for example with np.where."
        )
    return grid.astype(np.uint8)


def _check_parts(cells: Any, heights: np.ndarray, widths: np.ndarray, starts: np.ndarray) -> None:
    if not isinstance(cells, np.ndarray) or cells.dtype != np.uint8 or cells.ndim != 1:
        raise ValueError("cells must be a one-dimensional array of uint8.")
    if not cells.flags.c_contiguous:
        raise ValueError("cells must lie end to end; pass np.ascontiguousarray(cells).")
    if not heights.shape == widths.shape == starts.shape or heights.ndim != 1:
        raise ValueError(
            f"heights {heights.shape}, widths {widths.shape} and starts {starts.shape} must be "
            "one-dimensional and equally long: one value per wafer."
        )
    # Sides below 2**31 each cannot overflow when multiplied as int64.
    valid = (heights >= 1) & (widths >= 1) & (heights < 2**31) & (widths < 2**31)
    inside = (starts >= 0) & (heights * widths <= cells.size - starts)
    wrong = np.flatnonzero(~(valid & inside))
    if wrong.size:
        row = wrong[0]
        raise ValueError(
            f"wafer map {row}: {heights[row]} x {widths[row]} dies from cell {starts[row]} on do "
            f"not fit into the {cells.size} cells."
        )


def _whole_numbers(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        raise ValueError(f"{name} must be whole numbers, got {array.dtype}.")
    return array.astype(np.int64)


class RaggedWaferMaps(Sequence[np.ndarray]):
    """A collection of wafer maps of different sizes in one array of dies.

    It behaves as a list of 2-D arrays: ``maps[3]`` is a map, ``len(maps)`` the number of maps, and
    a loop gives one map after the other. A slice, a mask or an array of row numbers gives a
    `RaggedWaferMaps` that shares the dies, so that scikit-learn's splitters do not copy them.
    Every estimator of the package takes and returns it.

    Parameters
    ----------
    cells : ndarray of uint8, shape (n_cells,)
        Die codes of all maps, row by row, end to end. May be a `numpy.memmap`. Not copied.
    heights, widths : array-like of int, shape (n_wafers,)
        Rows and columns of each map.
    starts : array-like of int, shape (n_wafers,), default=None
        Where in `cells` each map begins. None: the maps follow each other without gaps.

    Attributes
    ----------
    cells : ndarray of uint8, shape (n_cells,)
        Read-only view of the cells of all maps, also after a selection.
    heights, widths, starts : ndarray of int, shape (n_wafers,)
        Read-only.
    shape : tuple
        ``(n_wafers,)``

    Raises
    ------
    ValueError
        For a map that lies outside of `cells`; the message names the row.

    See Also
    --------
    RaggedWaferMaps.from_maps : Build it from a list of maps.

    Notes
    -----
    The maps are read-only views. Pickling writes the cells of the selected maps only. Of a
    memory-mapped file it writes the name, and the receiving process opens the file again.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise import RaggedWaferMaps
    >>> maps = RaggedWaferMaps.from_maps([[[0, 1], [1, 2]], [[1, 2, 1]], [[2]]])
    >>> maps
    RaggedWaferMaps(3 maps, 8 cells)
    >>> maps[1]
    array([[1, 2, 1]], dtype=uint8)
    >>> [grid.shape for grid in maps[[2, 0]]]
    [(1, 1), (2, 2)]
    """

    ndim = 1

    def __init__(self, cells: np.ndarray, heights: Any, widths: Any, starts: Any = None) -> None:
        heights = _whole_numbers(heights, "heights")
        widths = _whole_numbers(widths, "widths")
        if starts is None:
            sizes = np.resize(heights, widths.size) * widths.ravel()
            starts = np.cumsum(sizes) - sizes
        starts = _whole_numbers(starts, "starts")
        _check_parts(cells, heights, widths, starts)
        self._set(cells, heights, widths, starts)

    @classmethod
    def from_maps(cls, maps: Iterable[Any]) -> RaggedWaferMaps:
        """Copy any collection of 2-D maps into one array.

        Parameters
        ----------
        maps : iterable of array-like of shape (height, width)
            Die codes, of any number type.

        Returns
        -------
        RaggedWaferMaps

        Raises
        ------
        ValueError
            For a map that is not 2-D or holds something other than small whole numbers.
        """
        grids = [_as_cells(item, row) for row, item in enumerate(maps)]
        flat = [grid.ravel() for grid in grids]
        return cls(
            np.concatenate(flat) if flat else np.empty(0, np.uint8),
            [grid.shape[0] for grid in grids],
            [grid.shape[1] for grid in grids],
        )

    @classmethod
    def _from_parts(cls, *parts: Any) -> RaggedWaferMaps:
        """Put together parts that are known to fit, see `_set`."""
        maps = cls.__new__(cls)
        maps._set(*parts)
        return maps

    def _set(
        self,
        cells: np.ndarray,
        heights: np.ndarray,
        widths: np.ndarray,
        starts: np.ndarray,
        largest: list[int] | None = None,
    ) -> None:
        self.cells, self.heights, self.widths, self.starts = map(
            _read_only, (cells, heights, widths, starts)
        )
        # Slicing a memmap costs several times as much as slicing an array.
        self._flat = np.asarray(self.cells)
        # Shared by a collection and its selections, so that the cells are searched once.
        self._largest: list[int] = [] if largest is None else largest

    @property
    def shape(self) -> tuple[int]:
        """Return the number of maps, as the shape of a one-dimensional array."""
        return (self.heights.size,)

    @property
    def sizes(self) -> np.ndarray:
        """Return the number of cells of each map, with and without a die."""
        return self.heights * self.widths

    @property
    def nbytes(self) -> int:
        """Return the bytes of the selected maps' cells."""
        return int(self.sizes.sum())

    @property
    def largest_code(self) -> int:
        """Return the largest value in `cells`, also those outside of a selection."""
        if not self._largest:
            self._largest.append(int(self._flat.max(initial=0)))
        return self._largest[0]

    def __len__(self) -> int:
        return self.heights.size

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            # scikit-learn indexes so everything that has a shape.
            key = key[0]
        if isinstance(key, int | np.integer) and not isinstance(key, bool):
            return self._map(range(len(self))[key])
        return self._select(key if isinstance(key, slice) else self._rows(key))

    def _map(self, row: int) -> np.ndarray:
        return _cut(self._flat, self.starts[row], self.heights[row], self.widths[row])

    def _rows(self, key: Any) -> np.ndarray:
        """Check a mask or row numbers."""
        rows = np.asarray(key)
        if isinstance(key, tuple) or rows.ndim != 1 or (rows.size and rows.dtype.kind not in "biu"):
            raise IndexError(
                f"wafer maps are selected by a row number, a slice, a mask or a 1-D array of row "
                f"numbers, got {type(key).__name__}."
            )
        if rows.dtype == bool and rows.size != len(self):
            raise IndexError(f"the mask has {rows.size} values for {len(self)} wafer maps.")
        return rows if rows.size else rows.astype(np.intp)

    def _select(self, rows: Any) -> RaggedWaferMaps:
        parts = (self.heights[rows], self.widths[rows], self.starts[rows])
        return self._from_parts(self.cells, *parts, self._largest)

    def __iter__(self) -> Iterator[np.ndarray]:
        parts = (self.starts.tolist(), self.heights.tolist(), self.widths.tolist())
        return (_cut(self._flat, *part) for part in zip(*parts, strict=True))

    def compact(self) -> RaggedWaferMaps:
        """Copy the selected maps, in their order, without the cells of other maps.

        Returns
        -------
        RaggedWaferMaps
        """
        cells = np.empty(self.nbytes, np.uint8)
        ends = np.cumsum(self.sizes)
        for grid, end in zip(self, ends, strict=True):
            cells[end - grid.size : end] = grid.ravel()
        return self._from_parts(cells, self.heights, self.widths, ends - self.sizes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Build an object array of the maps; numpy would stack them or fail."""
        column = np.empty(len(self), dtype=object)
        for row, grid in enumerate(self):
            column[row] = grid
        return column if dtype is None else column.astype(dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        file = _file_of(self.cells)
        if file is not None and Path(file[0]).is_file():
            rows = (self.heights, self.widths, self.starts)
            return _from_file, (*file, self.cells.size, *rows)
        whole = self if self.nbytes >= self.cells.size else self.compact()
        return type(self)._from_parts, (whole._flat, whole.heights, whole.widths, whole.starts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} maps, {self.nbytes} cells)"
