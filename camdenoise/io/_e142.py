"""SEMI E142 substrate maps in XML."""

from __future__ import annotations

import os
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd

from camdenoise.io._bins import BinType, bin_type, claimed, parse_grid
from camdenoise.io._container import Content
from camdenoise.io._die_file import DieFile, ReadOptions, read_one
from camdenoise.io._map_xml import bin_qualities, choose_layer, text_rows
from camdenoise.io._problems import Problem
from camdenoise.io._table import bins_rows, common_items, facts_of, join_rows, map_rows
from camdenoise.io._xml import attributes_of, parse_xml


def read_e142(path: str | os.PathLike, *, map_name: str | None = None) -> pd.DataFrame:
    """Read the wafers of a SEMI E142 substrate map file.

    Parameters
    ----------
    path : path-like
        The XML file, plain or gzip-compressed, with the root element ``MapData``.
    map_name : str or None, default=None
        MapName of the ``Overlay`` to read where a substrate has several with bin codes.

    Returns
    -------
    DataFrame
        The die table: lot, wafer, x, y, bin, passed (see `camdenoise.io.read_wafers`). In a map
        by rows, x counts its columns and y its rows, from 0 at the top left of the text;
        OriginLocation, AxisDirection and Orientation are left in ``attrs["about"]``. In a map by
        coordinates (``MapType="Coordinate"``) x and y are those of the file. A die passed where
        BinQuality of its bin says so; a bin of no quality is missing in `passed`; bins of the
        qualities Null, Skip, Reference and Edge are no product dies and have no row.

    Raises
    ------
    WaferFileError
        For a file that is damaged, contradicts its own layout, or declares a document type.
    OSError
        Where the file cannot be opened.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> text = '''<MapData xmlns="urn:semi-org:xsd.E142-1.V1005.SubstrateMap"><SubstrateMaps>
    ... <SubstrateMap SubstrateId="W1"><Overlay><BinCodeMap BinType="Ascii" NullBin=".">
    ... <BinDefinitions><BinDefinition BinCode="P" BinQuality="Pass"/>
    ... <BinDefinition BinCode="X" BinQuality="Fail"/></BinDefinitions>
    ... <BinCode>.P</BinCode><BinCode>XP</BinCode>
    ... </BinCodeMap></Overlay></SubstrateMap></SubstrateMaps></MapData>'''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "w1.xml")
    ...     _ = file.write_text(text)
    ...     read_e142(file)
      lot wafer  x  y bin  passed
    0        W1  1  0   P    True
    1        W1  0  1   X   False
    2        W1  1  1   P    True
    """
    return read_one(path, e142_file, ReadOptions(map_name=map_name)).as_table()


def e142_file(content: Content, options: ReadOptions) -> DieFile:
    """Read an E142 file."""
    return e142_document(parse_xml(content.read_bytes()), content.stem, options)


def e142_document(root: Element, name: str, options: ReadOptions) -> DieFile:
    """Read a parsed E142 document; `name` is for substrates that have none."""
    if root.tag != "MapData":
        raise Problem(f"the root element is {root.tag!r}, expected 'MapData' of SEMI E142.")
    lots = {
        s.get("SubstrateId", "").strip(): (s.findtext("LotId") or "").strip()
        for s in root.findall("Substrates/Substrate")
    }
    layouts = {
        layout.get("LayoutId", "").strip(): layout.find("Dimension")
        for layout in root.findall("Layouts/Layout")
    }
    maps = root.findall("SubstrateMaps/SubstrateMap")
    parts = []
    for element in maps:
        wafer = element.get("SubstrateId", "").strip()
        dimension = layouts.get(element.get("LayoutSpecifier", "").split("/")[-1].strip())
        parts.append(
            _wafer_rows(element, lots.get(wafer, ""), wafer or name, dimension, options.map_name)
        )
    table = join_rows(parts)
    about = common_items([attributes_of(m) for m in maps])
    return DieFile("E142", table, facts_of(table), about)


def _wafer_rows(
    element: Element, lot: str, wafer: str, dimension: Element | None, map_name: str | None
) -> pd.DataFrame:
    where = f"wafer {wafer!r}"
    overlays = [o for o in element.findall("Overlay") if o.find("BinCodeMap") is not None]
    names = [o.get("MapName", "") for o in overlays]
    bin_map = overlays[choose_layer(names, map_name, "map_name", where)].find("BinCodeMap")
    assert bin_map is not None  # by the choice of overlays
    null, definitions = bin_map.get("NullBin"), bin_map.findall("BinDefinitions/BinDefinition")
    examples = [d.get("BinCode", "") for d in definitions] if null is None else [null]
    kind = bin_type(bin_map.get("BinType"), examples, where)
    codes = bin_map.findall("BinCode")
    rest = (
        None if null is None else kind.parse(null, where),
        bin_qualities(definitions, kind, where),
    )
    if bin_map.get("MapType", "").strip().lower() == "coordinate":
        return bins_rows(lot, wafer, *_by_coordinates(codes, kind, where), *rest)
    grid = parse_grid(
        text_rows(codes, kind, null),
        kind,
        n_rows=_side(dimension, "Y", where),
        n_columns=_side(dimension, "X", where),
        where=where,
    )
    return map_rows(lot, wafer, grid, *rest)


def _side(dimension: Element | None, name: str, where: str) -> int | None:
    return None if dimension is None else claimed(dimension.get(name), f"Dimension {name}", where)


def _by_coordinates(
    codes: list[Element], kind: BinType, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, bins = [], [], []
    known: dict[str, int | str] = {}
    for number, code in enumerate(codes):
        here = f"{where}, BinCode {number}"
        x.append(_coordinate(code, "X", here))
        y.append(_coordinate(code, "Y", here))
        text = code.text or ""
        if text not in known:
            known[text] = kind.parse(text, here)
        bins.append(known[text])
    if not bins:
        raise Problem("it has no BinCode.", where)
    return np.array(x), np.array(y), np.array(bins)


def _coordinate(code: Element, name: str, where: str) -> int:
    text = code.get(name, "").strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise Problem(f"{name} is {text[:20]!r}, expected a whole number.", where)
    return int(text)
