"""SEMI wafer maps in XML, G85 or E142, bare or within the message of a host."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from camdenoise.io._container import Content
from camdenoise.io._die_file import DieFile, ReadOptions
from camdenoise.io._e142 import e142_document, substrate_documents
from camdenoise.io._g85 import g85_document
from camdenoise.io._map_layer import read_document


def looks_like_xml(head: bytes) -> bool:
    """Whether a file begins as XML does, in any encoding."""
    plain = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").replace(b"\0", b"")
    return plain.startswith(b"<")


def xml_file(content: Content, options: ReadOptions) -> DieFile:
    """Read a G85 or E142 file."""
    return read_document(content, options, xml_document)


def xml_document(root: Element, name: str, options: ReadOptions) -> DieFile:
    """Read a parsed G85 or E142 document; `name` is for wafers that have none."""
    document = e142_document if substrate_documents(root) else g85_document
    return document(root, name, options)
