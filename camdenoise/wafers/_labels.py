"""Class labels as people have them: nested as in LSWMD, missing, of pandas' own types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import column_or_1d

from camdenoise.wafers._ragged import as_array, is_tensor

# Deepest nesting of a label; LSWMD.pkl nests it twice (``[['none']]``).
_DEEPEST = 4


def unwrap_label(value: Any, elements: Callable[[Any], Any], depth: int = 0) -> Any:
    """Return a label without the lists and arrays around it.

    Parameters
    ----------
    value : object
        A label, or a list or array that holds one or none.
    elements : callable
        Gives the elements of a list or array, and None for any other object.
    depth : int, default=0
        Number of lists and arrays that were opened already.

    Returns
    -------
    object
        The label; None where it is missing (None, NaN or NA, or nothing inside).

    Raises
    ------
    TypeError
        For several labels in one, and for one that is nested too deeply.

    Examples
    --------
    >>> unwrap_label([["none"]], lambda value: value if isinstance(value, list) else None)
    'none'
    """
    if type(value) is str:
        return value
    if _is_missing(value):
        return None
    inner = elements(value)
    if inner is None:
        return value
    if len(inner) > 1 or depth == _DEEPEST:
        raise TypeError("it is more than one label")
    return unwrap_label(inner[0], elements, depth + 1) if len(inner) else None


def plain_label(label: Any) -> Any:
    """Return a label of an array as plain Python has it, str instead of `numpy.str_`."""
    return label.item() if isinstance(label, np.generic) else label


def _is_missing(value: Any) -> bool:
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, float | np.floating) and bool(value != value)


def check_labels(
    y: Any, name: str = "y", none: Any = "none", names: tuple[str, ...] | None = None
) -> np.ndarray:
    """Read one class label per wafer.

    Labels that are nested as in LSWMD.pkl (``[['Center']]``) are taken out. A table of 0 and 1 with
    several columns, one per pattern, gives the names of its ones joined by "+".

    Parameters
    ----------
    y : array-like of shape (n_wafers,)
        Text, numbers or truth values; a list, array, Series, tensor or table of one column; or a
        table of 0 and 1.
    name : str, default="y"
        Name of `y` in an error message.
    none : label, default="none"
        Label of a table's row without a 1.
    names : tuple of str or None, default=None
        Names of a table's columns; None: its own.

    Returns
    -------
    ndarray of shape (n_wafers,)

    Raises
    ------
    ValueError
        For missing labels (None, NaN, NA, "", an empty list or array), several labels in one, or
        labels without rows.

    Examples
    --------
    >>> check_labels([[["Center"]], [["none"]]]).tolist()
    ['Center', 'none']
    >>> check_labels(["Center", None, "none", None])
    Traceback (most recent call last):
        ...
    ValueError: y has 2 missing labels, the first at row 1. Drop those wafers, or label them ...
    """
    if (own_names := indicator_names(y)) is not None:
        names = own_names if names is None else names
        if len(names) != len(own_names):
            raise ValueError(
                f"{name} has {len(own_names)} columns, expected {len(names)}: {', '.join(names)}."
            )
        table = np.asarray(as_array(y) if is_tensor(y) else y).astype(bool)
        ones = ["+".join(np.array(names)[row]) for row in table]
        return np.array([label or str(none) for label in ones])
    if is_tensor(y):
        y = as_array(y)
    elif hasattr(y, "__array__") and not isinstance(y, pd.Series | pd.DataFrame):
        y = np.asarray(y)
    if getattr(y, "ndim", 1) > 1:
        # A column is taken with scikit-learn's warning, a table of more columns refused.
        y = column_or_1d(y, warn=True)
    numbers = isinstance(y, np.ndarray) and y.dtype.kind in "biuf"
    one_per_row = isinstance(y, list | tuple | pd.Series) or getattr(y, "ndim", 0) == 1
    if not one_per_row or (numbers and not np.isnan(y).any()):
        return column_or_1d(y)
    return _plain_labels(y, name)


def indicator_names(y: Any) -> tuple[str, ...] | None:
    """Return the names of the columns of a table of 0 and 1; None for anything else.

    Examples
    --------
    >>> indicator_names(np.array([[0, 1], [1, 1]]))
    ('0', '1')
    >>> indicator_names(["Center", "none"]) is None
    True
    """
    table: Any = as_array(y) if is_tensor(y) else y
    shape: tuple[int, ...] = getattr(table, "shape", ())
    if len(shape) != 2 or shape[1] < 2 or not shape[0]:
        return None
    values = np.asarray(table)
    try:
        if not np.isin(values.astype(float), (0, 1)).all():
            return None
    except (TypeError, ValueError):
        return None
    columns = getattr(table, "columns", range(shape[1]))
    return tuple(str(column) for column in columns)


def make_indicator(labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return the table of 0 and 1 that labels joined by "+" stand for.

    Examples
    --------
    >>> make_indicator(np.array(["Center+Loc", "none"]), ("Center", "Donut", "Loc")).tolist()
    [[1, 0, 1], [0, 0, 0]]
    """
    patterns = [set(str(label).split("+")) for label in labels]
    return np.array([[int(name in on_wafer) for name in names] for on_wafer in patterns])


def _plain_labels(y: Any, name: str) -> np.ndarray:
    values = list(y)
    labels = [_one_label(value, row, name) for row, value in enumerate(values)]
    texts = any(isinstance(label, str) for label in labels)
    # Among texts, WM811K.pkl has 0 for a wafer without a label, and load_wm811k has "".
    missing = [
        row
        for row, label in enumerate(labels)
        if label is None or (texts and (label == "" or _is_number_zero(label)))
    ]
    if missing:
        raise ValueError(_missing(name, missing, len(labels), texts))
    as_given = all(label is value for label, value in zip(labels, values, strict=True))
    own_type = isinstance(y, pd.Series) and not isinstance(y.dtype, np.dtype)
    return column_or_1d(y if as_given and not (own_type and not texts) else np.array(labels))


def _is_number_zero(label: Any) -> bool:
    return isinstance(label, int | float | np.number) and label == 0


def _one_label(value: Any, row: int, name: str) -> Any:
    try:
        return unwrap_label(value, _elements)
    except TypeError as error:
        raise ValueError(
            f"{name} holds several labels for the wafer of row {row}: {str(value)[:80]}. Give one "
            "label per wafer, such as 'Center+Scratch' for a mixture."
        ) from error


def _elements(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, np.ndarray):
        return value.ravel().tolist()
    return as_array(value).ravel().tolist() if is_tensor(value) else None


def _missing(name: str, rows: list[int], n_wafers: int, texts: bool) -> str:
    """Write how many labels are missing, where, and what to do."""
    if len(rows) == n_wafers:
        return f"{name} has no label at all: all {n_wafers} are missing. Give labeled wafers."
    if len(rows) > 1:
        found, drop = f"{len(rows)} missing labels, the first at row {rows[0]}", "those wafers"
        remedy = ", or label them 'none' if they have no pattern"
    else:
        found, drop = f"1 missing label, at row {rows[0]}", "that wafer"
        remedy = ", or label it 'none' if it has no pattern"
    return f"{name} has {found}. Drop {drop}{remedy if texts else ''}."
