"""The base class of denoisers: transformers that decide die by die which fails to keep.

A denoiser only removes fails. A removed fail is still a failing die, but "not part of the pattern".
The map that `transform` returns shows it as pass, because the next classifier should not see it.
`explain` keeps the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_consistent_length

from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import (
    WaferMapInput,
    WaferMaps,
    as_collection,
    convert_like,
    map_items,
    read_readable_maps,
    remove_fails,
    warn_caller,
)
from camdenoise.wafers._verdict import ERROR


class BaseDenoiser(WaferMapInput, TransformerMixin, BaseEstimator):
    """Common interface of all denoisers: `transform` gives maps, `explain` gives reasons.

    A subclass has a parameter `on_error` and implements ``_explain_maps(maps)``, which takes a
    list of checked uint8 maps and returns one `Explanation` each.
    """

    on_error: str

    def transform(self, X: WaferMaps) -> WaferMaps:
        """Remove the fails that are not part of the pattern.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).

        Returns
        -------
        same kind as `X`
            The maps at their own size and number type, removed fails marked as pass (1). Torch
            tensors and nested lists come back as arrays, a 3-D tensor as one 3-D array, the
            column ``waferMap`` of a DataFrame as a Series. With ``on_error="keep"`` a map that
            cannot be read is given back as it came.

        Raises
        ------
        WaferMapError
            For a map that cannot be read, with ``on_error="raise"``.
        """
        X = as_collection(X)
        explanations = self.explain(X)
        return convert_like(
            X, [_denoise(i, e) for i, e in zip(_rows(X), explanations, strict=True)]
        )

    def explain(self, X: WaferMaps) -> list[Explanation]:
        """Tell for each wafer which fails are kept, which are removed, and why.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).

        Returns
        -------
        list of Explanation
            One per wafer, in the order of `X`.

        Raises
        ------
        WaferMapError
            For a map that cannot be read, with ``on_error="raise"``.
        """
        return self._explain_readable(X, self._explain_maps)

    def _explain_readable(self, X, explain_maps, *rowwise) -> list[Explanation]:
        """Apply `explain_maps` to the maps; with ``on_error="keep"`` skip unreadable ones."""
        if self.on_error not in ("raise", "keep"):
            raise ValueError(f"on_error must be 'raise' or 'keep', got {self.on_error!r}.")
        X = as_collection(X)
        if self.on_error == "raise" or self._takes_table(X, False):
            maps = self._read_maps(X, reset=False)
            check_consistent_length(maps, *rowwise)
            return explain_maps(maps, *rowwise)
        maps, errors = read_readable_maps(X)
        check_consistent_length(errors, *rowwise)
        readable = [error is None for error in errors]
        of_readable = [list(compress(values, readable)) for values in rowwise]
        explained = iter(explain_maps(maps, *of_readable) if maps else ())
        return [next(explained) if error is None else _explain_error(error) for error in errors]

    def set_output(self, *, transform=None):
        """Change nothing: wafer maps are not a table, so that `transform` keeps their kind.

        A pipeline calls it on all of its steps, even if only a later one, such as
        `camdenoise.features.WaferFeatures`, returns a table.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Kind of table.

        Returns
        -------
        self

        Warns
        -----
        UserWarning
            For "pandas" and "polars".

        Raises
        ------
        ValueError
            For another value.
        """
        if transform not in (None, "default", "pandas", "polars"):
            raise ValueError(
                f"transform must be 'default', 'pandas' or 'polars', got {transform!r}."
            )
        if transform in ("pandas", "polars"):
            warn_caller(
                f"{type(self).__name__} gives wafer maps, which are not a table: "
                f"set_output(transform={transform!r}) changes nothing here. Maps come back as the "
                "kind of collection that they came in; pass a Series of maps to get a Series."
            )
        return self


def _rows(X: Any) -> Sequence[Any]:
    table = np.asarray(X)[:, np.newaxis, :] if getattr(X, "ndim", None) == 2 else None
    return list(table) if table is not None else map_items(X)


def _denoise(item: Any, explanation: Explanation) -> Any:
    return item if explanation.error is not None else remove_fails(item, explanation.removed)


def _explain_error(error: str) -> Explanation:
    nothing = np.zeros((0, 0), bool)
    no_score = np.zeros((0, 0), np.float32)
    return Explanation(no_score, nothing, nothing, abstained=True, verdict=ERROR, error=error)
