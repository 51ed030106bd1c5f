"""What SEMI G85 and E142 share: bin definitions, and rows of bin codes in XML."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from camdenoise.io._bins import BinType
from camdenoise.io._problems import Problem


def bin_qualities(definitions: Iterable[Element], kind: BinType, where: str) -> dict:
    """Read which bins pass; a bin defined twice keeps the quality that one of them gives."""
    qualities: dict = {}
    for definition in definitions:
        code = kind.parse(definition.get("BinCode", ""), where)
        quality = definition.get("BinQuality", "").strip()
        known = qualities.get(code, "")
        if known and quality and known.lower() != quality.lower():
            raise Problem(f"bin {code} is defined as {known!r} and as {quality!r}.", where)
        qualities[code] = known or quality
    return qualities


def text_rows(elements: Iterable[Element], kind: BinType, null: str | None) -> list[str]:
    """List the lines of bin codes; one element may hold one row or, in lines, all of them.

    Spaces around an ASCII row are layout, unless the code of "no die" is the space.
    """
    layout = "\r\n\t" if kind.base == 0 and null == " " else None
    lines = (line for element in elements for line in (element.text or "").splitlines())
    return [line for line in (line.strip(layout) for line in lines) if line]


def choose_layer(names: list[str], wanted: str | None, option: str, where: str) -> int:
    """Pick the map that is wanted where a wafer has several; refuse to guess."""
    if wanted is None and len(names) == 1:
        return 0
    if wanted is not None and names.count(wanted) == 1:
        return names.index(wanted)
    if not names:
        raise Problem("it has no map of bin codes.", where)
    raise Problem(f"it has the maps {names}. Name one of them with {option}=.", where)
