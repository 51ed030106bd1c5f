"""Wafer data in and out: die tables, tester and fab formats, results."""

from camdenoise.io._atdf import read_atdf
from camdenoise.io._atomic import atomic_write, sha256
from camdenoise.io._die_csv import read_die_csv
from camdenoise.io._die_table import from_die_table, to_die_table
from camdenoise.io._e142 import read_e142
from camdenoise.io._g85 import read_g85, write_g85
from camdenoise.io._klarf import read_klarf
from camdenoise.io._lots import iter_lots
from camdenoise.io._placement import DieTableError
from camdenoise.io._problems import WaferFileError
from camdenoise.io._read import read_wafers
from camdenoise.io._read_maps import read_maps
from camdenoise.io._results import (
    OVERLAY_BINS,
    pattern_overlay,
    read_results,
    wafer_results,
    write_results,
)
from camdenoise.io._sinf import read_sinf, write_sinf
from camdenoise.io._stdf import read_stdf

__all__ = [
    "OVERLAY_BINS",
    "DieTableError",
    "WaferFileError",
    "atomic_write",
    "from_die_table",
    "iter_lots",
    "pattern_overlay",
    "read_atdf",
    "read_die_csv",
    "read_e142",
    "read_g85",
    "read_klarf",
    "read_maps",
    "read_results",
    "read_sinf",
    "read_stdf",
    "read_wafers",
    "sha256",
    "to_die_table",
    "wafer_results",
    "write_g85",
    "write_results",
    "write_sinf",
]
