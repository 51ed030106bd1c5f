"""SEMI E142 substrate maps in XML."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd

from camdenoise.io._bins import BinType, find_bin_type, read_count
from camdenoise.io._code_grid import Direction, RowReader, make_grid_part
from camdenoise.io._die_file import DieFile, ReadOptions, WaferFacts, find_common, read_one
from camdenoise.io._problems import Problem
from camdenoise.io._semi_map import (
    BinList,
    WaferPart,
    choose_layer,
    find_field,
    find_row_type,
    is_any,
    join_wafers,
    make_part,
    read_bins,
    read_document,
    read_facts,
    split_rows,
    whole_number,
)
from camdenoise.io._xml import merge_attributes

_ORIGINS = ("upperleft", "upperright", "lowerleft", "lowerright")
_AXES = ("upright", "upleft", "downright", "downleft")


def read_e142(
    path: str | os.PathLike,
    *,
    pass_bins: Sequence[Any] | None = None,
    incomplete: bool = False,
    encoding: str | None = None,
    map_name: str | None = None,
) -> pd.DataFrame:
    """Read the wafers of a SEMI E142 substrate map file.

    Parameters
    ----------
    path : path-like
        The XML file, plain or compressed, with the element ``MapData``.
    pass_bins, incomplete, encoding
        As in `read_wafers`. With `pass_bins`, a quality may be any word. ``n_missing`` counts
        by the totals of the bins (BinCount), else by the positions of the map.
    map_name : str or None, default=None
        MapName of the ``Overlay`` to read where a substrate has several with bin codes.

    Returns
    -------
    DataFrame
        The die table, as `read_wafers` gives it; qualities of bins as in `read_g85`. A map by rows
        is drawn as the wafer is seen, the first row at the top; x and y count from the corner that
        OriginLocation names, in the directions of AxisDirection, and from the top left where the
        file names neither. In a map by coordinates (``MapType="Coordinate"``) x and y are those of
        the file.

    Raises
    ------
    WaferFileError
        For a file that is damaged, contradicts itself, declares a document type, has a quality
        that is not understood, holds fewer dies than it declares, or no die that passes.

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
    options = ReadOptions(
        pass_bins=pass_bins, incomplete=incomplete, encoding=encoding, map_name=map_name
    )
    reader = partial(read_document, document=e142_document)
    return read_one(path, reader, options).to_table()


def substrate_documents(root: Element) -> list[Element]:
    """Find the E142 documents of a file, also within the message of a host."""
    found = list(root.iter("MapData"))
    if not found and next(root.iter("SubstrateMap"), None) is not None:
        return [root]
    return found


def e142_document(root: Element, name: str, options: ReadOptions) -> DieFile:
    """Read a parsed E142 document; `name` is for substrates that have none."""
    documents = substrate_documents(root)
    if not documents:
        raise Problem(f"the root element is {root.tag!r}, expected 'MapData' of SEMI E142.")
    substrates = [each for document in documents for each in _find_substrates(document, name)]
    parts = [_read_part(substrate, options) for substrate in substrates]
    about = find_common([merge_attributes(substrate.element) for substrate in substrates])
    return join_wafers("E142", parts, about, options)


@dataclass
class _Substrate:
    """One map of a document, and what the document says of it elsewhere."""

    element: Element  # SubstrateMap
    wafer: str
    layout: Element  # The layout of its dies; an empty element where there is none
    about: Element  # Substrate, with its lot; an empty element where there is none
    document: Element  # MapData
    alone: bool  # Whether the document has no other map of the wafer
    header: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.header = merge_attributes(self.document, self.layout, self.about, self.element)
        for source in (self.layout, self.about):
            for child in source:
                if len(child) == 0 and (child.text or "").strip():
                    self.header.setdefault(child.tag, (child.text or "").strip())

    def side(self, name: str, where: str) -> int | None:
        """Give the number of columns (X) or rows (Y) that the layout declares."""
        dimension = self.layout.find("Dimension")
        return (
            None
            if dimension is None
            else read_count(dimension.get(name), f"Dimension {name}", where)
        )


def _find_substrates(document: Element, name: str) -> Iterator[_Substrate]:
    about = {each.get("SubstrateId", "").strip(): each for each in document.iter("Substrate")}
    layouts = {each.get("LayoutId", "").strip(): each for each in document.iter("Layout")}
    maps = list(document.iter("SubstrateMap"))
    ids = [each.get("SubstrateId", "").strip() for each in maps]
    for element, wafer in zip(maps, ids, strict=True):
        layout = element.get("LayoutSpecifier", "").split("/")[-1].strip()
        yield _Substrate(
            element,
            wafer or name,
            layouts.get(layout, Element("Layout")),
            about.get(wafer, Element("Substrate")),
            document,
            ids.count(wafer) == 1,
        )


def _read_part(substrate: _Substrate, options: ReadOptions) -> WaferPart:
    where = f"wafer {substrate.wafer!r}"
    overlays = [o for o in substrate.element.findall("Overlay") if o.find("BinCodeMap") is not None]
    names = [o.get("MapName", "") for o in overlays]
    overlay = overlays[choose_layer(names, options.map_name, "map_name", where)]
    bin_map = overlay.find("BinCodeMap")
    assert bin_map is not None  # by the choice of overlays
    definitions = bin_map.findall("BinDefinitions/BinDefinition")
    header = {"CREATE_DATE": overlay.get("CreateDate", "")} | substrate.header
    facts, notes = read_facts(header, substrate.wafer)
    map_type = bin_map.get("MapType", "").strip()
    read = _MAP_TYPES.get(map_type.lower())
    if read is None:
        raise Problem(
            f"MapType {map_type!r} is not read; known are 2DArray, Array, Row and Coordinate.",
            where,
        )
    layer = _Layer(substrate, bin_map, definitions, facts, where)
    if substrate.alone and len(overlays) == 1:
        layer.n_good = whole_number(find_field(substrate.header, "GoodDevices"))
    part = read(layer, options)
    part.notes.extend(notes)
    return part


@dataclass
class _Layer:
    """The map of bin codes of one substrate."""

    substrate: _Substrate
    bin_map: Element
    definitions: list[Element]
    facts: WaferFacts
    where: str
    n_good: int | None = None

    @property
    def null(self) -> str | None:
        return self.bin_map.get("NullBin")

    @property
    def codes(self) -> list[Element]:
        return self.bin_map.findall("BinCode")

    def kind(self) -> BinType:
        codes = [definition.get("BinCode", "") for definition in self.definitions]
        return find_row_type(self.bin_map.get("BinType", ""), self.null, codes, self.where)

    def bins(self, kind: BinType) -> BinList:
        bins = read_bins(self.definitions, kind, self.where)
        bins.n_good = self.n_good
        return bins

    def read_directions(self) -> tuple[str, str]:
        """Give OriginLocation and AxisDirection, in lower case; "" where they are not stated."""
        origin = find_field(self.substrate.header, "OriginLocation").lower()
        axes = find_field(self.substrate.header, "AxisDirection").lower()
        return origin if origin in _ORIGINS else "", axes if axes in _AXES else ""


def _read_by_rows(layer: _Layer, options: ReadOptions) -> WaferPart:
    """Read a map whose BinCode elements are its rows, or of which one is the whole map."""
    kind = layer.kind()
    where = layer.where
    n_rows, n_columns = (layer.substrate.side(name, where) for name in "YX")
    rows = split_rows(layer.codes, kind, n_columns)
    if layer.bin_map.get("MapType", "").strip().lower() == "array" and len(rows) != n_rows:
        if n_rows is None or n_columns is None:
            raise Problem(
                "MapType 'Array' does not say where its rows end, and the layout has no "
                "Dimension. Add <Dimension X= Y=> to the layout.",
                where,
            )
        rows = [kind.separator.join(row.strip() for row in rows)] if rows else []
    reader = RowReader(kind, layer.null, layer.null == " ", options.incomplete, where)
    grid = reader.grid(rows, n_rows, n_columns)
    return make_grid_part(layer.facts, grid, layer.bins(kind), options, _find_direction(layer))


def _find_direction(layer: _Layer) -> Direction:
    """Tell from which corner of the drawn map the file counts, and which way."""
    origin, axes = layer.read_directions()
    if not origin and not axes:
        return Direction()
    x_right = axes.endswith("right") if axes else origin.endswith("left")
    y_down = axes.startswith("down") if axes else origin.startswith("upper")
    if not origin:
        # From the corner at which both axes begin.
        return Direction(x_right, y_down, from_right=not x_right, from_bottom=not y_down)
    return Direction(x_right, y_down, origin.endswith("right"), origin.startswith("lower"))


def _read_by_coordinates(layer: _Layer, options: ReadOptions) -> WaferPart:
    """Read a map whose BinCode elements are single dies."""
    # Codes stand alone, so that letters may be of any length.
    examples = [d.get("BinCode", "") for d in layer.definitions]
    if layer.null is not None:
        examples = [layer.null]
    kind = find_bin_type(layer.bin_map.get("BinType"), examples, layer.where)
    known: dict[str, int | str] = {}
    x, y, codes = [], [], []
    for number, element in enumerate(layer.codes):
        here = f"{layer.where}, BinCode {number}"
        x.append(_read_coordinate(element, "X", here))
        y.append(_read_coordinate(element, "Y", here))
        text = element.text or ""
        if text not in known:
            known[text] = kind.parse(text, here)
        codes.append(known[text])
    if not codes:
        raise Problem("it has no BinCode.", layer.where)
    return _make_point_part(layer, kind, np.array(x), np.array(y), np.array(codes), options=options)


def _read_by_runs(layer: _Layer, options: ReadOptions) -> WaferPart:
    """Read a map whose BinCode elements are runs of dies along x, from the one they name."""
    if all(element.get("X") is None for element in layer.codes):
        return _read_by_rows(layer, options)
    kind = layer.kind()
    x, y, codes = [], [], []
    for number, element in enumerate(layer.codes):
        here = f"{layer.where}, BinCode {number}"
        run = kind.parse_row("".join(split_rows([element], kind, None)).strip(), here)
        x.append(np.arange(run.size) + _read_coordinate(element, "X", here))
        y.append(np.full(run.size, _read_coordinate(element, "Y", here)))
        codes.append(run)
    points = (np.concatenate(values) for values in (x, y, codes))
    return _make_point_part(layer, kind, *points, options=options)


def _make_point_part(
    layer: _Layer,
    kind: BinType,
    x: np.ndarray,
    y: np.ndarray,
    codes: np.ndarray,
    *,
    options: ReadOptions,
) -> WaferPart:
    bins = layer.bins(kind)
    bins.null = [] if layer.null is None else [kind.parse(layer.null, layer.where)]
    dies = ~is_any(codes, [*bins.null, " "] if kind.base == 0 else bins.null)
    facts, notes = layer.facts, []
    origin, axes = layer.read_directions()
    if not origin and not axes:
        axes = "upright"
        notes.append(
            f"{layer.where}: x is taken to count to the right and y upwards, as E142 does where "
            "neither OriginLocation nor AxisDirection is stated."
        )
    facts.x_right = axes.endswith("right") if axes else origin.endswith("left")
    facts.y_down = axes.startswith("down") if axes else origin.startswith("upper")
    facts.extent = _find_extent(layer, x[dies], y[dies])
    part = make_part(facts, x[dies], y[dies], codes[dies], bins, options)
    part.notes[:0] = notes
    return part


def _find_extent(layer: _Layer, x: np.ndarray, y: np.ndarray) -> tuple[int, int, int, int] | None:
    """Give the rectangle of the layout where all dies are in it, counted from 0 or from 1."""
    n_rows, n_columns = (layer.substrate.side(name, layer.where) for name in "YX")
    if not n_rows or not n_columns or not x.size:
        return None
    for first in (0, 1):
        inside_x = first <= x.min() and x.max() < first + n_columns
        if inside_x and first <= y.min() and y.max() < first + n_rows:
            return first, first, n_rows, n_columns
    return None


#: How each MapType is read; the name is in lower case.
_MAP_TYPES: dict[str, Callable[[_Layer, ReadOptions], WaferPart]] = {
    "": _read_by_rows,
    "2darray": _read_by_rows,
    "array": _read_by_rows,
    "row": _read_by_runs,
    "coordinate": _read_by_coordinates,
    "coordinates": _read_by_coordinates,
}


def _read_coordinate(code: Element, name: str, where: str) -> int:
    text = code.get(name, "").strip()
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise Problem(f"{name} is {text[:20]!r}, expected a whole number.", where)
    return int(text)
