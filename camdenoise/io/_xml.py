"""XML from strangers: the standard library's parser with everything refused that a map lacks.

A document type can make a parser open other files or grow a line to gigabytes ("billion laughs").
No wafer map needs one, so that the first declaration ends the reading.

The parser knows few encodings. The text is therefore decoded by Python, which knows those of East
Asia, and given to the parser as UTF-8.
"""

from __future__ import annotations

import codecs
import re
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from camdenoise.io._problems import FETCH_OR_INCOMPLETE, Problem

# A map in coordinates has one element per die; it has no use for nesting.
MAX_ELEMENTS = 2_000_000
MAX_DEPTH = 50

_DECLARATION = re.compile(r"\s*<\?[xs]ml\s[^>]*\?>", re.IGNORECASE)
_DECLARED = re.compile(
    rb"\s*<\?[xs]ml\s[^>]{0,200}?encoding\s*=\s*[\"']([^\"'>]{1,40})[\"']", re.IGNORECASE
)
#: First bytes of a document, and its encoding; UTF-32 begins like UTF-16 and comes first.
_STARTS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}
# Files name the small standard and use the vendor's larger set (WHATWG Encoding Standard, "names
# and labels"; nokogiri issue 1441 has such a gb2312 file).
_LARGER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "ascii": "cp1252",
}
# Python's codecs that no file is written in; two of them take quadratic time.
_NOT_FOR_FILES = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"}
_REMEDY = (
    "Give its encoding with encoding= (--encoding, for example utf-8, gb18030, shift_jis or cp949)."
)
#: Errors of the parser at a document that ends too early.
_CUT_SHORT = {
    expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION],
    expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR],
}


def looks_like_xml(head: bytes) -> bool:
    """Whether a file begins as XML does, in any encoding."""
    plain = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").replace(b"\0", b"")
    return plain.startswith(b"<")


def local_name(name: str) -> str:
    """Drop the namespace prefix: files in the wild have it or not, and mean the same."""
    return name.rpartition(":")[2]


def _refuse(*_: object) -> NoReturn:
    raise Problem(
        "it declares a document type or entities, which can open files or fill the memory and "
        "which no wafer map needs. Delete the <!DOCTYPE ...> if you trust the file."
    )


class _Builder:
    """Builds the tree and stops where it grows beyond what a map can be."""

    def __init__(self) -> None:
        self.tree = TreeBuilder()
        self.elements = 0
        self.open: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        self.open.append(local_name(name))
        if self.elements > MAX_ELEMENTS or len(self.open) > MAX_DEPTH:
            raise Problem(
                f"it has more than {MAX_ELEMENTS} elements or is nested more than {MAX_DEPTH} "
                "deep, as no wafer map is."
            )
        self.tree.start(self.open[-1], {local_name(n): v for n, v in attributes.items()})

    def end(self, name: str) -> None:
        self.tree.end(self.open.pop())

    def close(self) -> Element:
        """Give the root, after ending what is still open."""
        while self.open:
            self.end("")
        return self.tree.close()


def _make_parser(builder: _Builder) -> expat.XMLParserType:
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.tree.data
    for declaration in ("StartDoctypeDecl", "EntityDecl", "ExternalEntityRef"):
        setattr(parser, f"{declaration}Handler", _refuse)
    return parser


def parse_xml(
    content: bytes, encoding: str | None = None, *, incomplete: bool = False
) -> tuple[Element, bool]:
    """Parse a document without namespace prefixes; tell whether it is whole.

    With `incomplete` it may end too early.
    """
    text = decode_xml(content, encoding)
    # What it says of its encoding no longer holds; its line breaks still count.
    head = _DECLARATION.match(text)
    if head is not None:
        text = "\n" * head[0].count("\n") + text[head.end() :]
    builder = _Builder()
    parser = _make_parser(builder)
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
        return builder.close(), True
    except expat.ExpatError as error:
        cut_short = bool(builder.open) and error.code in _CUT_SHORT
        if cut_short and incomplete:
            return builder.close(), False
        remedy = FETCH_OR_INCOMPLETE if cut_short else "Fetch the file again."
        raise Problem(
            f"it is not well-formed XML ({error}). {remedy}", f"line {parser.CurrentLineNumber}"
        ) from error


def decode_xml(content: bytes, encoding: str | None = None) -> str:
    """Decode a document."""
    if encoding is not None:
        return _decode(content, [encoding], f"it is not text in {encoding}. {_REMEDY}")
    for start, name in _STARTS.items():
        if content.startswith(start):
            label = name.upper().removesuffix("-SIG")
            reason = f"its {label} text is damaged or cut short. Fetch the file again."
            return _decode(content, [name], reason)
    declared = _DECLARED.match(content)
    if declared is None:
        reason = f"its text is not UTF-8, and it declares no other encoding. {_REMEDY}"
        return _decode(content, ["utf-8"], reason)
    name = declared[1].decode("latin-1").strip()
    known = _find_codec(name)
    # A declaration that can be read byte by byte is not in UTF-16, even if it says so: programs
    # that make the text in memory and save it as UTF-8 write this.
    if known.startswith(("utf-16", "utf-32")):
        known = "utf-8"
    # UTF-8 is hardly ever met by chance; the vendor's larger set is.
    candidates = [known, "utf-8", _LARGER.get(known, known)]
    return _decode(content, candidates, f"its text is not in {name}, as it declares. {_REMEDY}")


def _find_codec(encoding: str) -> str:
    try:
        codec = codecs.lookup(encoding)
    except (LookupError, ValueError):
        codec = None
    if codec is None or not codec._is_text_encoding or codec.name in _NOT_FOR_FILES:
        raise Problem(f"its encoding {encoding!r} is unknown. {_REMEDY}")
    return codec.name


def _decode(content: bytes, encodings: list[str], reason: str) -> str:
    """Decode by the first encoding in which the text is valid."""
    for encoding in encodings:
        try:
            return content.decode(_find_codec(encoding)).removeprefix("\ufeff")
        except UnicodeError:
            continue
    raise Problem(reason)


def merge_attributes(*elements: Element) -> dict[str, str]:
    """Collect the attributes of some elements, later ones first, trimmed."""
    collected: dict[str, str] = {}
    for element in elements:
        collected |= {name: value.strip() for name, value in element.attrib.items()}
    return collected
