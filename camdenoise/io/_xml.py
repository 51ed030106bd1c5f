"""XML from strangers: the standard library's parser with everything refused that a map lacks.

A document type can make a parser open other files or grow a line to gigabytes ("billion laughs").
No wafer map needs one, so that the first declaration ends the reading.
"""

from __future__ import annotations

from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from camdenoise.io._problems import Problem

# A map in coordinates has one element per die; it has no use for nesting.
MAX_ELEMENTS = 2_000_000
MAX_DEPTH = 50


def local_name(name: str) -> str:
    """Drop the namespace prefix: files in the wild have it or not, and mean the same."""
    return name.rpartition(":")[2]


def _refuse(*_) -> NoReturn:
    raise Problem(
        "it declares a document type or entities, which can open files or fill the memory and "
        "which no wafer map needs. Delete the <!DOCTYPE ...> if you trust the file."
    )


class _Counter:
    """Builds the tree and stops where it grows beyond what a map can be."""

    def __init__(self):
        self.tree = TreeBuilder()
        self.elements = 0
        self.depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        self.depth += 1
        if self.elements > MAX_ELEMENTS or self.depth > MAX_DEPTH:
            raise Problem(
                f"it has more than {MAX_ELEMENTS} elements or is nested more than {MAX_DEPTH} "
                "deep, as no wafer map is."
            )
        self.tree.start(local_name(name), {local_name(n): v for n, v in attributes.items()})

    def end(self, name: str) -> None:
        self.depth -= 1
        self.tree.end(local_name(name))


def _parser(counter: _Counter) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = counter.start
    parser.EndElementHandler = counter.end
    parser.CharacterDataHandler = counter.tree.data
    for declaration in ("StartDoctypeDecl", "EntityDecl", "ExternalEntityRef"):
        setattr(parser, f"{declaration}Handler", _refuse)
    return parser


def parse_xml(content: bytes) -> Element:
    """Parse a document whose element and attribute names then have no namespace prefix.

    Parameters
    ----------
    content : bytes
        The whole file.

    Returns
    -------
    xml.etree.ElementTree.Element
        The root.

    Raises
    ------
    Problem
        For a document that is not well formed, declares a document type or entities, or has more
        elements than a wafer map can.
    """
    counter = _Counter()
    parser = _parser(counter)
    try:
        parser.Parse(content, True)
        return counter.tree.close()
    except (expat.ExpatError, ValueError, LookupError) as error:
        # ValueError and LookupError: an encoding that Python has no single-byte table for.
        raise Problem(
            f"it is no well-formed XML ({error}). Fetch the file again.",
            f"line {parser.CurrentLineNumber}",
        ) from error


def attributes_of(*elements: Element) -> dict[str, str]:
    """Collect the attributes of some elements, later ones first, trimmed."""
    collected: dict[str, str] = {}
    for element in elements:
        collected |= {name: value.strip() for name, value in element.attrib.items()}
    return collected
