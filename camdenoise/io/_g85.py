"""SEMI G85 wafer maps in XML."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pandas as pd

from camdenoise.io._atomic import atomic_write
from camdenoise.io._bins import BinType, read_count
from camdenoise.io._code_grid import RowReader, make_grid_part
from camdenoise.io._container import Content
from camdenoise.io._die_file import DieFile, ReadOptions, read_one
from camdenoise.io._g85_text import g85_text_file, looks_like_g85_text
from camdenoise.io._problems import Problem
from camdenoise.io._semi_map import (
    WaferPart,
    choose_layer,
    find_field,
    find_row_type,
    join_wafers,
    read_bins,
    read_document,
    read_facts,
    split_rows,
)
from camdenoise.io._table import find_common
from camdenoise.io._wafer_grid import WaferGrid, choose_notation, wafer_grids
from camdenoise.io._xml import merge_attributes


def read_g85(
    path: str | os.PathLike,
    *,
    pass_bins: Sequence[Any] | None = None,
    incomplete: bool = False,
    encoding: str | None = None,
    map_name: str | None = None,
) -> pd.DataFrame:
    """Read the wafers of a SEMI G85 map file, in XML or as text.

    Parameters
    ----------
    path : path-like
        The file, plain or compressed: XML with the element ``Map`` or ``Maps``, or text with
        ``WAFER_MAP = {``.
    pass_bins, incomplete, encoding
        As in `read_wafers`. With `pass_bins`, a quality may be any word. ``n_missing`` counts
        by the totals of the bins (BinCount), else by the positions of the map.
    map_name : str or None, default=None
        MapName of the ``Data`` to read where a wafer has several.

    Returns
    -------
    DataFrame
        The die table, as `read_wafers` gives it. x counts the columns of the file's map and y its
        rows, from 0 at the top left: the map is drawn as the wafer is seen, and OriginLocation is
        not used. A die passed where BinQuality of its bin says so; a bin without a quality is
        missing in `passed`. Bins of qualities such as Null, Skip, Reference and Edge are not
        product dies and have no row.

    Raises
    ------
    WaferFileError
        For a file that is damaged, contradicts itself, declares a document type, has a quality
        that is not understood, holds fewer dies than it declares, or no die that passes.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> text = '''<Map WaferId="W1"><Device LotId="L" BinType="Decimal" NullBin="255">
    ... <Bin BinCode="1" BinQuality="Pass"/><Bin BinCode="7" BinQuality="Fail"/>
    ... <Data><Row>255 001</Row><Row>007 001</Row></Data></Device></Map>'''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "w1.xml")
    ...     _ = file.write_text(text)
    ...     read_g85(file)
      lot wafer  x  y  bin  passed
    0   L    W1  1  0    1    True
    1   L    W1  0  1    7   False
    2   L    W1  1  1    1    True
    """
    options = ReadOptions(
        pass_bins=pass_bins, incomplete=incomplete, encoding=encoding, map_name=map_name
    )
    return read_one(path, g85_file, options).to_table()


def g85_file(content: Content, options: ReadOptions) -> DieFile:
    """Read a G85 file of either form."""
    head = content.head().decode("latin-1").replace("\0", "")
    if looks_like_g85_text(head):
        return g85_text_file(content, options)
    return read_document(content, options, g85_document)


def g85_document(root: Element, name: str, options: ReadOptions) -> DieFile:
    """Read a parsed G85 document; `name` is for wafers that have none."""
    # Also within the message of a host.
    pairs = [(w, device) for w in root.iter("Map") for device in w.findall("Device")]
    if not pairs and root.tag not in ("Map", "Maps"):
        raise Problem(f"the root element is {root.tag!r}, expected 'Map' or 'Maps' of SEMI G85.")
    headers = [merge_attributes(wafer, device) for wafer, device in pairs]
    parts = [
        _read_part(device, header, name, options)
        for (_, device), header in zip(pairs, headers, strict=True)
    ]
    return join_wafers("G85", parts, find_common(headers), options)


def _read_part(
    device: Element, header: Mapping[str, str], name: str, options: ReadOptions
) -> WaferPart:
    wafer = find_field(header, "WaferId", "SubstrateId") or name
    where = f"wafer {wafer!r}"
    layers = device.findall("Data")
    names = [layer.get("MapName", "") for layer in layers]
    layer = layers[choose_layer(names, options.map_name, "map_name", where)]
    null = device.get("NullBin")
    definitions = layer.findall("Bin") or device.findall("Bin")
    codes = [definition.get("BinCode", "") for definition in definitions]
    kind = find_row_type(header.get("BinType", ""), null, codes, where)
    n_columns = read_count(header.get("Columns"), "Columns", where)
    grid = RowReader(kind, null, null == " ", options.incomplete, where).grid(
        split_rows(layer.findall("Row"), kind, n_columns),
        read_count(header.get("Rows"), "Rows", where),
        n_columns,
    )
    # Bins of the device do not say which of several maps their totals are of.
    totals = len(layers) == 1 or bool(layer.findall("Bin"))
    bins = read_bins(definitions, kind, where, totals=totals)
    facts, notes = read_facts({"CREATE_DATE": layer.get("CreateDate", ""), **header}, wafer)
    part = make_grid_part(facts, grid, bins, options)
    part.notes.extend(notes)
    return part


def write_g85(
    path: str | os.PathLike,
    table: pd.DataFrame,
    *,
    descriptions: Mapping[Any, str] | None = None,
) -> None:
    """Write the wafers of a die table as one SEMI G85 map file, whole or not at all.

    Bins are written as they are. What a denoiser decided about them belongs into a file of its
    own: `pattern_overlay` makes the table for it.

    Parameters
    ----------
    path : path-like
        The file to write; an existing one is replaced only once the new one is complete.
    table : DataFrame
        With the columns lot, wafer, x, y, bin and passed, one row per die, coordinates from 0.
        Bins are whole numbers up to 65,535, or single characters.
    descriptions : mapping of bin to str, or None, default=None
        Text for BinDescription.

    Raises
    ------
    DieTableError
        For a die with several rows, a missing bin, or coordinates that do not count from 0.
    ValueError
        For bins that the format cannot express.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> from camdenoise.io import read_g85, write_g85
    >>> table = pd.DataFrame({"lot": "L", "wafer": "7", "x": [0, 2], "y": [0, 1],
    ...                       "bin": [1, 31], "passed": [True, False]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_g85(pathlib.Path(folder, "w.xml"), table)
    ...     read_g85(pathlib.Path(folder, "w.xml"))
      lot wafer  x  y  bin  passed
    0   L     7  0  0    1    True
    1   L     7  2  1   31   False
    """
    wafers = list(wafer_grids(table))
    used = {code for wafer in wafers for code in wafer.passes}
    # One code for "no die" and one for a bin that no die has must be left.
    small = () if len(used) > 254 else ("hexadecimal",)
    kind = choose_notation(wafers, (*small, "integer2", "ascii"))
    null, spare = _choose_codes(kind, used)
    with atomic_write(path) as stream:
        stream.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<Maps>\n')
        for wafer in wafers:
            stream.write(_format_map(wafer, kind, null, spare, descriptions or {}).encode())
        stream.write(b"</Maps>\n")


def _choose_codes(kind: BinType, used: set) -> tuple[str, str]:
    """Choose a code for "no die", and one for a passing bin, that no bin has."""
    if kind.base:
        codes: Iterable[Any] = range(kind.base**kind.width - 1, -1, -1)
    else:
        codes = (char for char in ".-_" + "".join(map(chr, range(33, 0x2000))) if kind.fits(char))
    free = (kind.format(code) for code in codes if code not in used)
    return next(free), next(free)


def _format_map(
    wafer: WaferGrid, kind: BinType, null: str, spare: str, descriptions: Mapping
) -> str:
    rows, columns = wafer.size()
    device = {
        "LotId": wafer.lot,
        "Rows": rows,
        "Columns": columns,
        "BinType": kind.name,
        "NullBin": null,
        "OriginLocation": 2,  # upper left
    }
    lines = [
        f'  <Map WaferId={quoteattr(wafer.wafer)} FormatRevision="SEMI G85-1101">',
        f"    <Device {_format_attributes(device)}>",
        *_format_bins(wafer, kind, spare, descriptions),
        "      <Data>",
        *(
            f"        <Row>{escape(kind.separator.join(row))}</Row>"
            for row in wafer.tokens(kind, null, (rows, columns))
        ),
        "      </Data>\n    </Device>\n  </Map>\n",
    ]
    return "\n".join(lines)


def _format_attributes(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={quoteattr(str(value))}" for name, value in values.items())


def _format_bins(wafer: WaferGrid, kind: BinType, spare: str, descriptions: Mapping) -> list[str]:
    elements = []
    if not any(good is None or good for good in wafer.passes.values()):
        # Says that no die passes, so that a reader need not doubt its words.
        about = {"BinCode": spare, "BinCount": 0, "BinQuality": "Pass"}
        elements.append(f"      <Bin {_format_attributes(about)}/>")
    for code, good in sorted(wafer.passes.items()):
        about = {"BinCode": kind.format(code), "BinCount": int(np.sum(wafer.bins == code))}
        if good is not None:
            about["BinQuality"] = "Pass" if good else "Fail"  # type: ignore[assignment]
        if code in descriptions:
            about["BinDescription"] = descriptions[code]
        elements.append(f"      <Bin {_format_attributes(about)}/>")
    return elements
