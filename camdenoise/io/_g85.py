"""SEMI G85 wafer maps in XML."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pandas as pd

from camdenoise._files import write_whole
from camdenoise.io._bins import BinType, bin_type, claimed, parse_grid
from camdenoise.io._container import Content
from camdenoise.io._die_file import DieFile, ReadOptions, read_one
from camdenoise.io._map_xml import bin_qualities, choose_layer, text_rows
from camdenoise.io._problems import Problem
from camdenoise.io._table import common_items, facts_of, join_rows, map_rows
from camdenoise.io._wafer_grid import WaferGrid, notation, wafer_grids
from camdenoise.io._xml import attributes_of, parse_xml


def read_g85(path: str | os.PathLike, *, map_name: str | None = None) -> pd.DataFrame:
    """Read the wafers of a SEMI G85 map file.

    Parameters
    ----------
    path : path-like
        The XML file, plain or gzip-compressed, with the root element ``Map`` or ``Maps``.
    map_name : str or None, default=None
        MapName of the ``Data`` to read where a wafer has several.

    Returns
    -------
    DataFrame
        The die table: lot, wafer, x, y, bin, passed (see `camdenoise.io.read_wafers`). x counts
        the columns of the file's map and y its rows, from 0 at the top left; OriginLocation and
        Orientation are left in ``attrs["about"]``. A die passed where BinQuality of its bin says
        so; a bin of no quality is missing in `passed`.

    Raises
    ------
    WaferFileError
        For a file that is damaged, contradicts its own header, or declares a document type.
    OSError
        Where the file cannot be opened.

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
    return read_one(path, g85_file, ReadOptions(map_name=map_name)).as_table()


def g85_file(content: Content, options: ReadOptions) -> DieFile:
    """Read a G85 file."""
    return g85_document(parse_xml(content.read_bytes()), content.stem, options)


def g85_document(root: Element, name: str, options: ReadOptions) -> DieFile:
    """Read a parsed G85 document; `name` is for wafers that have none."""
    if root.tag not in ("Map", "Maps"):
        raise Problem(f"the root element is {root.tag!r}, expected 'Map' or 'Maps' of SEMI G85.")
    pairs = [
        (wafer, device)
        for wafer in ([root] if root.tag == "Map" else root.findall("Map"))
        for device in wafer.findall("Device")
    ]
    headers = [attributes_of(wafer, device) for wafer, device in pairs]
    parts = [
        _wafer_rows(device, header, name, options.map_name)
        for (_, device), header in zip(pairs, headers, strict=True)
    ]
    table = join_rows(parts)
    return DieFile("G85", table, facts_of(table), common_items(headers))


def _wafer_rows(
    device: Element, header: dict[str, str], name: str, map_name: str | None
) -> pd.DataFrame:
    wafer = header.get("WaferId") or header.get("SubstrateId") or name
    where = f"wafer {wafer!r}"
    null, bins, data = device.get("NullBin"), device.findall("Bin"), device.findall("Data")
    examples = [b.get("BinCode", "") for b in bins] if null is None else [null]
    kind = bin_type(header.get("BinType"), examples, where)
    names = [d.get("MapName", "") for d in data]
    rows = data[choose_layer(names, map_name, "map_name", where)].findall("Row")
    codes = parse_grid(
        text_rows(rows, kind, null),
        kind,
        n_rows=claimed(header.get("Rows"), "Rows", where),
        n_columns=claimed(header.get("Columns"), "Columns", where),
        where=where,
    )
    return map_rows(
        header.get("LotId", ""),
        wafer,
        codes,
        None if null is None else kind.parse(null, where),
        bin_qualities(bins, kind, where),
    )


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
    kind = notation(wafers, ("hexadecimal", "integer2", "ascii"))
    null = _null_code(kind, {code for wafer in wafers for code in wafer.passes})
    with write_whole(path) as stream:
        stream.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<Maps>\n')
        for wafer in wafers:
            stream.write(_map_element(wafer, kind, null, descriptions or {}).encode())
        stream.write(b"</Maps>\n")


def _null_code(kind: BinType, used: set) -> str:
    """Choose a code for "no die" that no bin has."""
    codes: Any = (
        ".-_ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        if kind.base == 0
        else range(kind.base**kind.width - 1, -1, -1)
    )
    return next(kind.format(code) for code in codes if code not in used)


def _map_element(wafer: WaferGrid, kind: BinType, null: str, descriptions: Mapping) -> str:
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
        f"    <Device {_attributes(device)}>",
        *_bin_elements(wafer, kind, descriptions),
        "      <Data>",
        *(
            f"        <Row>{escape(kind.separator.join(row))}</Row>"
            for row in wafer.tokens(kind, null, (rows, columns))
        ),
        "      </Data>\n    </Device>\n  </Map>\n",
    ]
    return "\n".join(lines)


def _attributes(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={quoteattr(str(value))}" for name, value in values.items())


def _bin_elements(wafer: WaferGrid, kind: BinType, descriptions: Mapping) -> list[str]:
    elements = []
    for code, good in sorted(wafer.passes.items()):
        about = {"BinCode": kind.format(code), "BinCount": int(np.sum(wafer.bins == code))}
        if good is not None:
            about["BinQuality"] = "Pass" if good else "Fail"  # type: ignore[assignment]
        if code in descriptions:
            about["BinDescription"] = descriptions[code]
        elements.append(f"      <Bin {_attributes(about)}/>")
    return elements
