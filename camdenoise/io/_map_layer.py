"""What the XML forms of SEMI wafer maps share: the document, its layers, and rows of codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from xml.etree.ElementTree import Element

from camdenoise.io._bins import BinType, bin_type
from camdenoise.io._container import Content
from camdenoise.io._die_file import DieFile, ReadOptions
from camdenoise.io._problems import Problem
from camdenoise.io._semi_map import BinList
from camdenoise.io._xml import parse_beginning, parse_xml

#: Elements that hold wafer maps: of E142, and of G85.
_HOLDERS = ("MapData", "SubstrateMap", "Maps", "Map")


def read_document(
    content: Content, options: ReadOptions, document: Callable[[Element, str, ReadOptions], DieFile]
) -> DieFile:
    """Parse a file and read what it holds."""
    text = content.read_bytes()
    whole = True
    if options.incomplete:
        root, whole = parse_beginning(text, options.encoding)
    else:
        root = parse_xml(text, options.encoding)
    found = document(_unwrapped(root), content.stem, options)
    if not whole:
        found.notes.append("the XML ends too early; what there is of it was read.")
    return found


def _unwrapped(root: Element) -> Element:
    """Parse a map that a message holds as text, as web services send it."""
    if any(element.tag in _HOLDERS for element in root.iter()):
        return root
    for element in root.iter():
        text = (element.text or "").strip()
        if text.startswith("<") and any(holder in text for holder in _HOLDERS):
            return parse_xml(text.encode("utf-8", "replace"), "utf-8")
    return root


def row_type(name: str, null: str | None, codes: Sequence[str], where: str) -> BinType:
    """Find the notation of a map's codes."""
    kind = bin_type(name, codes if null is None else [null], where)
    return letter_width(kind, null, codes, where) if kind.base == 0 else kind


def letter_width(kind: BinType, null: str | None, codes: Sequence[str], where: str) -> BinType:
    """Tell how many characters each code of a map of letters has; mostly one."""
    widths = {len(code.strip()) for code in codes} - {0}
    if null is not None:
        width = len(null.strip()) or 1
        if widths and width not in widths:
            code = next(code.strip() for code in codes if code.strip())
            raise Problem(
                f"bin {code!r} and the code of no die, {null!r}, have different lengths. Correct "
                "NullBin.",
                where,
            )
    else:
        width = widths.pop() if len(widths) == 1 else 1
    return replace(kind, width=width)


def bin_list(
    definitions: Iterable[Element], kind: BinType, where: str, *, totals: bool = True
) -> BinList:
    """Read what Bin (G85) or BinDefinition (E142) elements say."""
    bins = BinList()
    for definition in definitions:
        bins.add(
            kind.parse(definition.get("BinCode", ""), where),
            definition.get("BinQuality", ""),
            definition.get("BinCount", "") if totals else "",
            definition.get("BinDescription", ""),
        )
    return bins


def text_rows(elements: Iterable[Element], kind: BinType, n_columns: int | None) -> list[str]:
    """List the lines of bin codes; one element may hold one row or, in lines, all of them.

    Blanks around a row of letters are kept, since they may be positions.
    """
    rows = []
    for element in elements:
        lines = (element.text or "").splitlines()
        for line in lines:
            row = line.strip("\r\n\t") if kind.base == 0 else line.strip()
            # A line of blanks alone is layout, unless it is a whole row of no dies.
            if row.strip() or (len(lines) == 1 and row and len(row) == n_columns):
                rows.append(row)
    return rows


def choose_layer(names: list[str], wanted: str | None, option: str, where: str) -> int:
    """Pick the map that is wanted where a wafer has several; refuse to guess."""
    if wanted is None and len(names) == 1:
        return 0
    if wanted is not None and names.count(wanted) == 1:
        return names.index(wanted)
    if not names:
        raise Problem("it has no map of bin codes.", where)
    raise Problem(
        f"it has the maps {names}. Name one of them with {option}= (--{option.replace('_', '-')}).",
        where,
    )
