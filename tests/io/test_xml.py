"""XML of map files: encodings, what stands before the document, envelopes."""

import map_files
import pytest
from map_files import message_of
from semi_map_files import FIVE, LETTERS, drawn, e142, g85

from camdenoise.io import read_e142, read_g85
from camdenoise.io._container import Content
from camdenoise.io._die_file import ReadOptions
from camdenoise.io._problems import Problem
from camdenoise.io._read import xml_file
from camdenoise.io._xml import decode_xml, looks_like_xml

NAMES = {
    "gb2312": "批次1",
    "gbk": "批次1",
    "gb18030": "批次1",
    "shift_jis": "ロット1",
    "euc-jp": "ロット1",
    "euc-kr": "로트1",
    "cp949": "로트1",
    "big5": "批次1",
    "iso-8859-1": "Bür",
    "windows-1252": "Bür€",
    "utf-16": "批次1",
    "utf-16-le": "批次1",
    "utf-16-be": "批次1",
    "utf-8-sig": "批次1",
    # "utf 8" and "utf8": artwork.com's page on G81, cpython issue 148821.
    "utf 8": "批次1",
    "utf8": "批次1",
}


def encoded(name, lot, text=None):
    text = (text or map_files.G85).replace('"L"', f'"{lot}"').split("?>", 1)[1]
    return f'<?xml version="1.0" encoding="{name}"?>{text}'.encode(name)


@pytest.mark.parametrize("name", NAMES)
def test_declared_encodings_are_read(wafer_file, name):
    # cpython issue 62259, sublimetext_indentxml issue 104: "multi-byte encodings are not
    # supported".
    assert set(read_g85(wafer_file(encoded(name, NAMES[name])))["lot"]) == {NAMES[name]}


@pytest.mark.parametrize("name", ["gb2312", "shift_jis", "iso-8859-1"])
def test_e142_is_read_in_the_declared_encoding(wafer_file, name):
    content = encoded(name, "L", map_files.E142.replace(" L ", NAMES[name]))
    assert set(read_e142(wafer_file(content))["lot"]) == {NAMES[name]}


def test_encoding_option_is_obeyed(wafer_file):
    content = encoded("cp949", "로트1").replace(b'encoding="cp949"', b"")
    message = message_of(wafer_file(content), read_g85)
    assert "its text is not UTF-8, and it declares no other encoding. Give its encoding" in message
    assert set(read_g85(wafer_file(content), encoding="cp949")["lot"]) == {"로트1"}
    assert "it is not text in utf-8" in message_of(wafer_file(content), read_g85, encoding="utf-8")


@pytest.mark.parametrize("name", ["klingon", "rot13", "base64", "idna", "punycode"])
def test_unknown_encoding_is_named_with_the_remedy(wafer_file, name):
    content = f'<?xml version="1.0" encoding="{name}"?><Map/>'
    message = message_of(wafer_file(content), read_g85)
    assert (
        f"its encoding '{name}' is unknown. Give its encoding with encoding= (--encoding" in message
    )


def test_name_outside_the_declared_charset_is_read():
    # nokogiri issue 1441: declared as gb2312, written in GBK.
    content = '<?xml version="1.0" encoding="gb2312"?><a>屌</a>'.encode("gbk")
    assert "屌" in decode_xml(content)


@pytest.mark.parametrize("name", ["gb2312", "utf-16", "us-ascii"])
def test_utf_8_with_wrong_declaration_is_read(name):
    # sax-js pull request 283 and others: a declaration left over from the text in memory.
    content = f'<?xml version="1.0" encoding="{name}"?><a>批</a>'.encode()
    for even_or_odd in (content, content + b" "):
        assert "批" in decode_xml(even_or_odd)


def test_wrongly_declared_encoding_is_named():
    with pytest.raises(Problem, match="its text is not in utf-8, as it declares. Give its"):
        decode_xml(b'<?xml version="1.0" encoding="utf-8"?><a>\xb9\xab</a>')


def test_truncated_utf_16_text_is_named(wafer_file):
    content = encoded("utf-16", "L")[:-1]
    assert "its UTF-16 text is damaged or cut short" in message_of(wafer_file(content), read_g85)


def test_lines_before_the_declaration_are_skipped(wafer_file):
    assert len(read_g85(wafer_file("\n\n" + map_files.G85))) == 4


def test_declaration_does_not_move_line_numbers(wafer_file):
    text = map_files.G85.replace("<Data ", "<NoData ")
    assert message_of(wafer_file(text), read_g85).startswith("line 7: it is not well-formed XML")


@pytest.mark.parametrize("name", ["utf-8", "utf-16", "gb2312"])
def test_document_type_is_refused_in_every_encoding(wafer_file, name):
    text = f'<?xml version="1.0" encoding="{name}"?><!DOCTYPE Map [<!ENTITY a "b">]><Map>&a;</Map>'
    assert "it declares a document type" in message_of(wafer_file(text.encode(name)), read_g85)


ENVELOPES = {
    "soap": "<s:Envelope xmlns:s='x'><s:Body><Download>{}</Download></s:Body></s:Envelope>",
    "text": "<Response><Result>{}</Result></Response>",
}


@pytest.mark.parametrize("write", [g85, e142])
@pytest.mark.parametrize("envelope", ENVELOPES)
def test_map_within_a_message_is_found(wafer_file, write, envelope):
    text = write(FIVE, LETTERS)
    if envelope == "text":
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    path = wafer_file(ENVELOPES[envelope].format(text))
    assert drawn(xml_file(Content(path), ReadOptions()).table) == FIVE


def test_message_with_several_maps_is_read(wafer_file):
    two = g85(FIVE, LETTERS) + g85(FIVE, LETTERS, wafer="W2")
    table = read_g85(wafer_file(f"<Transaction><Lot>{two}</Lot></Transaction>"))
    assert table["wafer"].unique().tolist() == ["W1", "W2"]


def test_foreign_root_element_is_named(wafer_file):
    path = wafer_file("<html><body>Not found</body></html>")
    assert "the root element is 'html', expected 'Map' or 'Maps'" in message_of(path, read_g85)
    assert "the root element is 'html', expected 'MapData'" in message_of(path, read_e142)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<?xml", True),
        (b"\xef\xbb\xbf\n <Map", True),
        ("<Map".encode("utf-16-be"), True),
        ("<Map".encode("utf-16"), True),
        (b"LOT:<", False),
        (b"", False),
    ],
)
def test_xml_is_recognized_by_its_first_character(head, expected):
    assert looks_like_xml(head) is expected
